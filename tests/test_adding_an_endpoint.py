"""The walk of docs/adding-an-endpoint.md, followed on a copy of the checkout."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.worlds.places import ROOT
from tests.worlds.warm import warm_python

PAGE = ROOT / "docs" / "adding-an-endpoint.md"
PARTS = ("bench", "commands", "compat", "core", "deploy", "docs", "legacy_routes", "simulators", "tests")
NEW_FILE = re.compile(r"^The new file `([^`]+)`:\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"^In `([^`]+)`, (below|instead of) `([^`]+)`, comes\n`([^`]+)`\.$", re.MULTILINE)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout after the last step."""
    copy = tmp_path_factory.mktemp("copy")
    # what is compiled comes with it
    ignored = shutil.ignore_patterns("*.gz")
    for part in PARTS:
        shutil.copytree(ROOT / part, copy / part, ignore=ignored)
    for file in ("pyproject.toml", "wsgi.py", "README.md"):
        shutil.copy(ROOT / file, copy)
    _follow(copy)
    return copy


def _follow(copy: Path) -> None:
    page = PAGE.read_text()
    for name, text in NEW_FILE.findall(page):
        assert not (copy / name).exists(), name
        (copy / name).write_text(text)
    for name, where, line, text in LINE.findall(page):
        before = (copy / name).read_text()
        assert before.count(f"{line}\n") == 1, f"{name} has not one line {line!r}"
        lines = f"{line}\n{text}\n" if where == "below" else f"{text}\n"
        (copy / name).write_text(before.replace(f"{line}\n", lines))


def _run(copy: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    command = [str(warm_python(checkout=copy)), *arguments]
    result = subprocess.run(
        command, cwd=copy, env=environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_every_step_is_followed() -> None:
    """A step that is worded otherwise would be passed over."""
    page = PAGE.read_text()
    new, lines = NEW_FILE.findall(page), LINE.findall(page)
    assert (len(new), len(lines)) == (page.count("```python\n"), page.count("\nIn `"))
    assert sorted(Path(name).parts[0] for name, _ in new) == ["core", "legacy_routes", "tests"]


def test_the_walk_arrives(copy: Path) -> None:
    _run(copy, "-m", "docs.generate")
    lines = (copy / "docs" / "endpoints.md").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("| `count_ended_accounts.php` |")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1:8] == ["GET", "all", "all", "all", "own", "own", "all"]
    assert cells[-1] == "How many accounts have ended before a day, or until today"
    lint = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    _run(copy, "-c", lint)
    quick = "test_ended or covers or tests_of_its_own"
    tests = ("tests/routes/test_ended.py", "tests/routes/test_permissions.py")
    told = _run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, "-k", quick)
    assert " passed" in told


def test_a_forgotten_step_is_missed(copy: Path) -> None:
    permissions = copy / "tests/routes/test_permissions.py"
    followed = permissions.read_text()
    permissions.write_text(followed.replace('("count_ended_accounts", "GET")', '("get_none", "GET")'))
    with pytest.raises(AssertionError, match="test_the_matrix_covers_every_declaration"):
        _run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(permissions), "-k", "covers")
    permissions.write_text(followed)
