"""Served panels for the whole suite: one per database and configuration, its rows renewed for each test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.databases import KINDS, create_database, require
from tests.worlds.harness import World

MakeWorld = Callable[..., World]


@pytest.fixture(scope="session")
def _worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeWorld]:
    worlds: dict[Any, World] = {}

    def make(kind: str, **settings: str) -> World:
        key = (kind, *sorted(settings.items()))
        if key not in worlds:
            name = f"world{len(worlds)}"
            sessions: Path = tmp_path_factory.mktemp(f"{name}-sessions")
            defaults = {
                "SHOWBOX_SESSION_STORE": "php-files",
                "SHOWBOX_SESSION_PHP_SAVE_PATH": str(sessions),
                "SHOWBOX_PANEL_DATA_DIRECTORY": str(tmp_path_factory.mktemp(f"{name}-data")),
                # tests fail logins on purpose; the throttle has tests of its own
                "SHOWBOX_SECURITY_LOGIN_ATTEMPTS_PER_MINUTE": "1000",
                "SHOWBOX_SECURITY_UPGRADE_PASSWORDS": "no",
                "SHOWBOX_JOBS_QUEUE_FILE": str(sessions.parent / f"{sessions.name}.jobs"),
            }
            worlds[key] = World(create_database(kind, name), defaults | settings)
        worlds[key].reset()
        return worlds[key]

    yield make
    for world in worlds.values():
        world.close()


@pytest.fixture
def make_world(_worlds: MakeWorld) -> MakeWorld:
    """``make_world(kind, SHOWBOX_SECTION_KEY=value, …)``: an empty served panel of that configuration."""
    return _worlds


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of database in turn."""
    require(request.param)
    return str(request.param)
