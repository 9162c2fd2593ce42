"""Databases of live panels, as their PHP left them."""

from collections.abc import Iterator

import pytest

from simulators.portal.settings import Dialect
from simulators.stalker import StalkerPortal
from tests.worlds.accounts import configured
from tests.worlds.databases import DUMPS, require
from tests.worlds.harness import World
from tests.worlds.live_panels import LivePanel

LIVE_SETTINGS = {"SHOWBOX_SESSION_STORE": "sql", "SHOWBOX_SECURITY_LOGIN_ATTEMPTS_PER_MINUTE": "1000"}


@pytest.fixture(scope="session")
def _live_panels() -> Iterator[dict[str, LivePanel]]:
    panels = {version: LivePanel(version, LIVE_SETTINGS) for version in DUMPS}
    yield panels
    for panel in panels.values():
        panel.close()


@pytest.fixture(params=DUMPS)
def live(request: pytest.FixtureRequest, _live_panels: dict[str, LivePanel]) -> Iterator[World]:
    """The database of a live panel, as its PHP left it, of each version."""
    require("mariadb")
    with _live_panels[request.param].lent() as world:
        yield world


@pytest.fixture
def portal(live: World) -> Iterator[StalkerPortal]:
    """An empty portal, at work with ``live``."""
    with StalkerPortal(dialect=Dialect.PANEL) as portal, configured(live, [portal], 5.0):
        yield portal
