"""The arrows between the rooms hold, and the check that says so can fail."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.worlds.places import ROOT

ROOMS = ("legacy_routes", "compat", "core")


def _check(directory: Path) -> subprocess.CompletedProcess[str]:
    program = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    return subprocess.run(
        [sys.executable, "-c", program], cwd=directory, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_arrow_holds(copy: Path) -> None:
    result = _check(copy)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("compat/broken.py", "import core.errors"),
        ("core/broken.py", "import compat.client"),
        ("core/broken.py", "import flask"),
        ("core/broken.py", "import legacy_routes.gate"),
        ("legacy_routes/broken.py", "import wsgi"),
    ],
)
def test_a_broken_arrow_is_found(copy: Path, module: str, line: str) -> None:
    (copy / module).write_text(f'"""Breaks an arrow."""\n\n{line}  # noqa: F401\n')
    assert _check(copy).returncode == 1
