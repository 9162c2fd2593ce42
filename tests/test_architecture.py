"""The arrows between the rooms hold, their sizes stay in bounds, and the checks that say so can fail."""

import ast
import itertools
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.worlds.places import ROOT

ROOMS = ("commands", "legacy_routes", "compat", "core")
SOURCE = (*ROOMS, "simulators", "deploy", "bench", "docs")
LINES, FUNCTION_LINES, FILES = 350, 45, 16
ANY_NUMBER_OF_FILES = {"core/storage/migrations/versions"}
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
# by package: its floors, each of rooms with bars between them
FLOORS: dict[str, list[str]] = {
    container: contract["layers"] for contract in CONTRACTS for container in contract.get("containers", ())
}
CHANNELS: list[str] = next(contract["modules"] for contract in CONTRACTS if contract["type"] == "independence")

# one process for all questions: checks the tree, then with each broken arrow by itself
PROGRAM = """
import contextlib, io, json, pathlib, sys
sys.path.insert(0, ".")
from importlinter.cli import lint_imports
def check():
    with contextlib.redirect_stdout(io.StringIO()):
        return lint_imports(no_cache=True)
found = {"nothing": check()}
for name, (path, text) in json.load(sys.stdin).items():
    file = pathlib.Path(path)
    before = file.read_text() if file.exists() else None
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    found[name] = check()
    file.unlink() if before is None else file.write_text(before)
    if before is None and file.name == "__init__.py":
        file.parent.rmdir()
print(json.dumps(found))
"""


def _results(directory: Path, breaks: dict[str, tuple[str, str]]) -> dict[str, int]:
    """The check's exit code by name of what was broken meanwhile (path and text of a module)."""
    command = [sys.executable, "-c", PROGRAM]
    result = subprocess.run(
        command, cwd=directory, input=json.dumps(breaks), capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    found: dict[str, int] = json.loads(result.stdout)
    return found


def _broken_arrows() -> Iterator[tuple[str, str, str]]:
    """Name, importing module, and what it must not import."""
    for package, floors in FLOORS.items():
        rooms = [[f"{package}.{room}" for room in floor.split(" | ")] for floor in floors]
        for above, below in itertools.pairwise(rooms):
            yield from ((f"{room} knows nothing above", room, above[0]) for room in below)
        for beside in rooms:
            for left, right in itertools.pairwise(beside):
                yield f"{left} does not know {right}", left, right
                yield f"{right} does not know {left}", right, left
    for left, right in itertools.pairwise(CHANNELS):
        yield f"{left} does not know {right}", left, right
    yield "compat does not know core", "compat", "core.errors"
    yield "core does not know compat", "core.errors", "compat"
    yield "core knows no Flask", "core.errors", "flask"
    yield "core does not know the routes", "core.workers", "legacy_routes"
    yield "the routes do not know the door", "legacy_routes", "wsgi"
    yield "the routes do not know the commands", "legacy_routes", "commands"
    yield "compat knows no tables", "compat", "alembic"


ARROWS = {name: (module, wanted) for name, module, wanted in _broken_arrows()}


ATTICS = [f"{package} has a room without a floor" for package in FLOORS]


def _path(module: str) -> str:
    path = module.replace(".", "/")
    return f"{path}/__init__.py" if (ROOT / path).is_dir() else f"{path}.py"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """What the check says of a tree of our rooms that are empty, and of each arrow that is broken in it."""
    place = tmp_path_factory.mktemp("rooms")
    shutil.copy(ROOT / "pyproject.toml", place)
    for module in (*(path.relative_to(ROOT) for path in _packages(ROOMS)), *map(Path, _files_of_floors())):
        (place / module).parent.mkdir(parents=True, exist_ok=True)
        (place / module).touch()
    breaks = {name: (_path(module), f"import {wanted}\n") for name, (module, wanted) in ARROWS.items()}
    return _results(place, {**breaks, **{name: (f"{name.split()[0]}/attic/__init__.py", "") for name in ATTICS}})


def _files_of_floors() -> list[str]:
    """Floors that are a single module."""
    rooms = (f"{package}.{room}" for package in FLOORS for floor in FLOORS[package] for room in floor.split(" | "))
    paths = map(_path, rooms)
    return ["wsgi.py", *(path for path in paths if not path.endswith("__init__.py"))]


def _packages(tops: Iterable[str]) -> list[Path]:
    return [path for top in tops for path in sorted((ROOT / top).rglob("__init__.py"))]


def test_rooms_that_know_nobody_pass(results: dict[str, int]) -> None:
    assert results["nothing"] == 0


@pytest.mark.parametrize("name", [*ARROWS, *ATTICS])
def test_a_broken_arrow_is_found(results: dict[str, int], name: str) -> None:
    assert results[name] == 1


def test_every_arrow_holds(tmp_path: Path) -> None:
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copy(ROOT / "wsgi.py", tmp_path)
    assert _results(tmp_path, {}) == {"nothing": 0}


# sizes


def _too_large(root: Path) -> list[str]:
    """Every folder, module and function of the source that is larger than a reader can hold in view."""
    modules = [path for top in SOURCE for path in sorted((root / top).rglob("*.py"))]
    found = []
    for folder in sorted({path.parent for path in modules}):
        number = sum(path.parent == folder for path in modules)
        if number > FILES and str(folder.relative_to(root)) not in ANY_NUMBER_OF_FILES:
            found.append(f"{folder.relative_to(root)}: {number} files")
    for path in modules:
        text = path.read_text(encoding="utf-8")
        name = str(path.relative_to(root))
        if (lines := text.count("\n")) > LINES:
            found.append(f"{name}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    found.append(f"{name}: {node.name} has {lines} lines")
    return found


def test_everything_fits_on_a_screen_or_in_a_head() -> None:
    assert _too_large(ROOT) == []


def test_the_page_of_the_house_names_the_limits() -> None:
    page = " ".join((ROOT / "docs" / "house.md").read_text().split())
    assert (
        f"more than {FILES} files, no module more than {LINES} lines, and no function more than {FUNCTION_LINES}."
        in page
    )


def test_what_is_too_large_is_found(tmp_path: Path) -> None:
    room = tmp_path / "core" / "attic"
    room.mkdir(parents=True)
    for number in range(FILES + 1):
        (room / f"box{number:02}.py").write_text("x = 1\n" * (LINES + (number == 0)))
    (tmp_path / "core" / "long.py").write_text("def speak():\n" + "    x = 1\n" * FUNCTION_LINES)
    assert _too_large(tmp_path) == [
        "core/attic: 17 files",
        "core/attic/box00.py: 351 lines",
        "core/long.py: speak has 46 lines",
    ]


# what rooms say of themselves


def _silent(paths: Iterable[Path]) -> list[str]:
    """Packages that do not begin by saying, in a sentence, what lives there."""
    found = []
    for path in paths:
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        if not re.match(r"[A-Z](?:[^.]|\.\S)+\.(\s|$)", said):
            found.append(str(path))
    return found


def test_every_room_says_what_lives_there() -> None:
    assert _silent(_packages(SOURCE)) == []


@pytest.mark.parametrize("text", ["", '"""."""', '"""no sentence"""', "x = 1", '"""lower case."""'])
def test_a_silent_room_is_found(tmp_path: Path, text: str) -> None:
    (tmp_path / "__init__.py").write_text(text)
    assert _silent([tmp_path / "__init__.py"])


# what is stored as JSON has a class that reads it


def _unread(paths: Iterable[Path]) -> list[str]:
    """Lines that take a key out of a job's or an operation's payload, instead of handing it to its class."""
    lines = ((path, number, line) for path in paths for number, line in enumerate(path.read_text().splitlines(), 1))
    return [f"{path}:{number}" for path, number, line in lines if re.search(r"\w\.payload(\[|\.get\()", line)]


def test_payloads_are_read_by_their_classes() -> None:
    # the store of operations keeps two words of its own beside each payload
    own = ROOT / "core/accounts/operations.py"
    assert _unread(path for path in (ROOT / "core").rglob("*.py") if path != own) == []


@pytest.mark.parametrize("line", ['work.payload["x"]', 'record.payload.get("x")', "self.record.payload[name]"])
def test_a_key_of_a_payload_is_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "x.py").write_text(f"{line}\nOrder.read(work.payload)\n")
    assert _unread([tmp_path / "x.py"]) == [f"{tmp_path / 'x.py'}:1"]
