"""Databases of live panels, as their PHP left them."""

from collections.abc import Iterator

import pytest

from simulators.portal.settings import Dialect
from simulators.stalker import StalkerPortal
from tests.worlds.accounts import configured
from tests.worlds.databases import DUMPS, create_database, load_dump, require
from tests.worlds.harness import World

LIVE_SETTINGS = {"SHOWBOX_SESSION_STORE": "sql", "SHOWBOX_SECURITY_LOGIN_ATTEMPTS_PER_MINUTE": "1000"}


@pytest.fixture(params=DUMPS)
def live(request: pytest.FixtureRequest) -> Iterator[World]:
    """The database of a live panel, as its PHP left it, of each version."""
    require("mariadb")
    url = create_database("mariadb", f"writes{request.param.replace('.', '_')}")
    load_dump(url, DUMPS[request.param])
    world = World(url, LIVE_SETTINGS)
    yield world
    world.close()


@pytest.fixture
def portal(live: World) -> Iterator[StalkerPortal]:
    """An empty portal, at work with ``live``."""
    with StalkerPortal(dialect=Dialect.PANEL) as portal, configured(live, [portal], 5.0):
        yield portal
