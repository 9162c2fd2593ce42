"""Served panels for the whole suite: one per kind of database and configuration, its rows renewed for each test."""

import gc
import itertools
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.databases import KINDS, available, prepared_database, require
from tests.worlds.harness import World
from tests.worlds.servers import share_with_children
from tests.worlds.workers import python_of_workers

MakeWorld = Callable[..., World]

_HERE = Path(__file__).parent
_FIRST = (_HERE, _HERE / "servers")
_BROWSER = _HERE / "browser"
_ENDPOINTS = _HERE / "routes"
# each takes a worker for long
_LONG = {_ENDPOINTS / "test_fault_matrix.py", _ENDPOINTS / "test_sync_golden.py", _ENDPOINTS / "test_xtream_golden.py"}
# these wait for most of their time
_WAITING = {
    _HERE / "core/storage/test_freshness.py",
    _ENDPOINTS / "test_slow_machines.py",
    _ENDPOINTS / "test_sync_sharing.py",
    _ENDPOINTS / "test_what_portals_keep.py",
    _ENDPOINTS / "test_xtream_faults.py",
}
# parameters of tests that say how a request is written
_SPELLINGS = {"encoding", "prefix"}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Twice the processors, for a test also waits for its databases; and one for what waits for its clock."""
    return 2 * (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file is one worker's. So is all that is done with a browser, for one to be started, and all that mostly waits,
    for the others to have the processors meanwhile."""
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = str(super()._split_scope(nodeid))
            path = config.rootpath / file
            return "waiting" if path in _WAITING else "browser" if path.parent == _BROWSER else file

    return Together(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """The workers are forked from a process that has collected already."""
    collected = [str(config.invocation_params.dir / argument) for argument in config.args]
    python = python_of_workers(collected)
    for spec in specs:
        spec.python = str(python)


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        share_with_children()
    config.addinivalue_line("markers", "one_process(why): holds for each process by itself, so not for two in turn")
    config.addinivalue_line("markers", "kinds_in_turn: its cases ask the same of a database, so each meets one kind")
    config.addinivalue_line("markers", "every_kind: of an endpoint, and meets each kind (see tests.worlds)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With SHOWBOX_TEST_PROCESSES=2 every served panel is two, which answer in turn; with SHOWBOX_TEST_KINDS=all every
    case meets every kind of database, in place of those that :mod:`tests.worlds` names.

    First what is one worker's (see :func:`pytest_xdist_make_scheduler`), then what starts programs and waits for them,
    then the long files, so that no worker is alone with one at the end.
    """
    left_out: set[pytest.Item] = set()
    if os.environ.get("SHOWBOX_TEST_PROCESSES", "1") != "1":
        left_out |= {item for item in items if item.get_closest_marker("one_process")}
    if os.environ.get("SHOWBOX_TEST_KINDS") != "all":
        of_kinds = [item for item in items if _kind(item)]
        left_out |= _other_kinds([item for item in of_kinds if _is_of_an_endpoint(item)], by=lambda item: item.path)
        left_out |= _other_kinds([item for item in of_kinds if _asks_the_same(item)], by=_test)
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: _turn(item.path))


def _turn(file: Path) -> tuple[object, ...]:
    is_one_workers = file.parent == _BROWSER or file in _WAITING
    return not is_one_workers, file.parent not in _FIRST, file not in _LONG, file.parent.parts, file.name


class FromElsewhere(pytest.Dir):
    """A directory of which each of several processes begins to collect at another file, so that none has to compile
    what another has (:mod:`tests.worlds.collected`). The items are sorted."""

    def collect(self) -> Iterable[pytest.Collector | pytest.Item]:
        all_of_it = list(super().collect())
        worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
        first = len(all_of_it) * worker // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
        return all_of_it[first:] + all_of_it[:first]


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    return None if (path / "__init__.py").exists() else FromElsewhere.from_parent(parent, path=path)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What has been collected stays to the end: the garbage collector need not look through it again and again, nor as
    often as by itself through what tests leave."""
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 10, 10)
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """What was left open is looked for here, and told; pytest would look five times through all that there is. One of
    several test processes has nobody whom it could tell."""
    if not hasattr(config, "workerinput"):
        gc.collect()
    gc.freeze()


def _kind(item: pytest.Item) -> str:
    """The kind of database that it meets, if any, by itself or as one of :data:`tests.worlds.xtream.MODES`."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    kind = str(params.get("kind", params.get("xtream", ""))).removeprefix("own ")
    return kind if kind in KINDS else ""


def _test(item: pytest.Item) -> str:
    return item.nodeid.partition("[")[0]


def _case(item: pytest.Item) -> str:
    """What its parameters say, but for the kind."""
    spelling = item.nodeid.partition("[")[2].rstrip("]")
    return "-".join(part for part in spelling.split("-") if part.removeprefix("own ") != _kind(item))


def _asks_the_same(item: pytest.Item) -> bool:
    """Whether no database can tell the cases of this test from each other: they are spellings of one request, or it is
    said so."""
    params = item.callspec.params.keys()  # type: ignore[attr-defined]
    is_spelled = bool(params & _SPELLINGS) and params <= _SPELLINGS | {"kind"}
    is_said = item.get_closest_marker("kinds_in_turn") is not None
    return item.path.parent != _ENDPOINTS and (is_spelled or is_said)


def _is_of_an_endpoint(item: pytest.Item) -> bool:
    return item.path.parent == _ENDPOINTS and item.get_closest_marker("every_kind") is None


def _other_kinds(items: list[pytest.Item], *, by: Callable[[pytest.Item], object]) -> set[pytest.Item]:
    """Of the cases of each test or file those that are left to another kind of database: the first case meets the first
    kind, the second the second, and so on. Fewer cases than kinds go on meeting all of them. Kinds that are not here
    count for nothing, so that each case meets one."""
    kinds = [kind for kind in KINDS if available(kind)]
    cases: dict[object, dict[tuple[str, str], dict[str, pytest.Item]]] = {}
    for item in items:
        if _kind(item) in kinds:
            cases.setdefault(by(item), {}).setdefault((_test(item), _case(item)), {})[_kind(item)] = item
    return {
        item
        for together in cases.values()
        if len(together) >= len(kinds)
        for number, of_case in enumerate(together.values())
        for place, item in enumerate(of_case.values())
        if place != number % len(of_case)
    }


class Worlds:
    """The served panels of this test process: one database of each kind, and on it one panel of each configuration.

    A second world of the same kind renews the rows of the first. The panels used last are kept: each holds connections
    and files.
    """

    # PostgreSQL lets a hundred connections in
    _KEPT = 16 if os.environ.get("SHOWBOX_TEST_PROCESSES", "1") == "1" else 6

    def __init__(self, make_directory: Callable[[str], Path]) -> None:
        self._make_directory = make_directory
        self._databases: dict[str, str] = {}
        # the one used last is the last
        self._worlds: dict[tuple[Any, ...], World] = {}
        # by kind, the one used last
        self._last: dict[str, World] = {}
        self._numbers = itertools.count()

    def __call__(self, kind: str, **settings: str) -> World:
        key = (kind, *sorted(settings.items()))
        world = self._worlds.pop(key, None) or World(
            self._database(kind),
            self._defaults(f"world{next(self._numbers)}") | settings,
            known=next((world for (of, *_), world in self._worlds.items() if of == kind), None),
        )
        self._worlds[key] = world
        last, self._last[kind] = self._last.get(kind), world
        if last is not world and last in self._worlds.values():
            last.rest()
        if len(self._worlds) > self._KEPT:
            self._worlds.pop(next(iter(self._worlds))).close()
        world.reset()
        return world

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
