"""Served panels for the whole suite: one per kind of database and configuration, its rows renewed for each test."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.databases import KINDS, prepared_database, require
from tests.worlds.harness import World

MakeWorld = Callable[..., World]

_HERE = Path(__file__).parent
_FIRST = (_HERE, _HERE / "servers")

# PyMySQL reads the system's certificates for each connection: a twentieth of a second, and no server of a test has one
os.environ["SSL_CERT_FILE"] = os.devnull


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: while a test waits for a browser or a timeout, another works."""
    return (os.cpu_count() or 1) + 1


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "one_process(why): holds for each process by itself, so not for two in turn")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With SHOWBOX_TEST_PROCESSES=2 every served panel is two, which answer in turn.

    First what starts programs and waits for them, so that no worker is alone with it at the end.
    """
    if os.environ.get("SHOWBOX_TEST_PROCESSES", "1") != "1":
        left_out = [item for item in items if item.get_closest_marker("one_process")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: item.path.parent not in _FIRST)


class Worlds:
    """The served panels of this test process: one database of each kind, and on it one panel of each configuration.

    A second world of the same kind renews the rows of the first.
    """

    def __init__(self, make_directory: Callable[[str], Path]) -> None:
        self._make_directory = make_directory
        self._databases: dict[str, str] = {}
        self._worlds: dict[tuple[Any, ...], World] = {}

    def __call__(self, kind: str, **settings: str) -> World:
        key = (kind, *sorted(settings.items()))
        if key not in self._worlds:
            self._worlds[key] = World(
                self._database(kind),
                self._defaults(f"world{len(self._worlds)}") | settings,
                known=next((world for (of, *_), world in self._worlds.items() if of == kind), None),
            )
        self._worlds[key].reset()
        return self._worlds[key]

    def _database(self, kind: str) -> str:
        if kind not in self._databases:
            self._databases[kind] = prepared_database(kind, "worlds")
        return self._databases[kind]

    def _defaults(self, name: str) -> dict[str, str]:
        sessions = self._make_directory(f"{name}-sessions")
        return {
            "SHOWBOX_SESSION_STORE": "php-files",
            "SHOWBOX_SESSION_PHP_SAVE_PATH": str(sessions),
            "SHOWBOX_PANEL_DATA_DIRECTORY": str(self._make_directory(f"{name}-data")),
            # tests fail logins on purpose; the throttle has tests of its own
            "SHOWBOX_SECURITY_LOGIN_ATTEMPTS_PER_MINUTE": "1000",
            "SHOWBOX_SECURITY_UPGRADE_PASSWORDS": "no",
            "SHOWBOX_JOBS_QUEUE_FILE": str(sessions.parent / f"{sessions.name}.jobs"),
        }

    def close(self) -> None:
        for world in self._worlds.values():
            world.close()


@pytest.fixture(scope="session")
def _worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeWorld]:
    worlds = Worlds(tmp_path_factory.mktemp)
    yield worlds
    worlds.close()


@pytest.fixture
def make_world(_worlds: MakeWorld) -> MakeWorld:
    """``make_world(kind, SHOWBOX_SECTION_KEY=value, …)``: an empty served panel of that configuration."""
    return _worlds


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of database in turn."""
    require(request.param)
    return str(request.param)
