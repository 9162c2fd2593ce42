"""What is installed is all that is needed: a wheel, in an environment that knows nothing of the checkout."""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
import requests

from bench.processes import free_port
from tests.worlds.places import ROOT
from tests.worlds.warm import warmed

PACKAGES = ("commands", "compat", "core", "deploy", "legacy_routes", "simulators")
# what a checkout holds beside its source
MODULES = ("showbox.py", "wsgi.py")
UNTRACKED = shutil.ignore_patterns("__pycache__", "*.pyc", ".mypy_cache", ".ruff_cache")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made of a copy, for making one writes beside the source."""
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=UNTRACKED)
    for file in ("pyproject.toml", "README.md", *MODULES):
        shutil.copy(ROOT / file, source)
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(made), str(source))
    [path] = made.iterdir()
    return path


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel; it finds what the server depends on where this one has it."""
    place = tmp_path_factory.mktemp("installed")
    venv.create(place, symlinks=True)
    python = place / "bin" / "python"
    _pip("--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    [packages] = place.glob("lib/*/site-packages")
    # a directory named so is searched, but the links in it to a checkout are not followed
    (packages / "dependencies.pth").write_text("\n".join(path for path in sys.path if "site-packages" in path))
    return python


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, timeout=120)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("SHOWBOX_", "PYTHON"))}


def _run(python: Path, cwd: Path, *arguments: str) -> str:
    result = subprocess.run(
        warmed([str(python), *arguments]),
        cwd=cwd,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_every_file_of_the_packages_is_installed(wheel: Path) -> None:
    here = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    installed = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert installed == here | set(MODULES)


def test_every_folder_of_source_is_a_package_or_known_as_none() -> None:
    """A new room at the top is either installed, or somebody said that it is not."""
    top = {path.parent.name for path in ROOT.glob("*/*.py") if not path.parent.name.startswith(".")}
    assert top - {"bench", "docs", "drill", "tests"} == set(PACKAGES)


@pytest.fixture
def demo(python: Path, tmp_path: Path) -> Iterator[str]:
    port = free_port()
    command = warmed([str(python.with_name("showbox")), "demo", "--port", str(port)])
    with subprocess.Popen(
        command, cwd=tmp_path, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            assert "is served at" in process.stdout.readline(), process.stderr.read()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.communicate(timeout=60)


def test_it_serves_the_demo(demo: str) -> None:
    browser = requests.Session()
    credentials = {"username": "admin", "password": "admin123"}
    assert browser.post(f"{demo}/login.php", json=credentials, timeout=60).json()["error"] == 0
    assert browser.get(f"{demo}/api/get_accounts.php", timeout=60).json()["accounts"]
    welcome = requests.get(f"{demo}/", timeout=60)
    assert (welcome.status_code, welcome.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


def test_nothing_of_the_checkout_is_used(python: Path, tmp_path: Path) -> None:
    names = ", ".join((*PACKAGES, "showbox", "wsgi"))
    told = _run(python, tmp_path, "-c", f"import {names}\nfor module in ({names}): print(module.__file__)")
    assert {Path(line).is_relative_to(python.parents[1]) for line in told.splitlines()} == {True}


def test_the_program_is_in_the_wheel(python: Path, tmp_path: Path) -> None:
    program = python.with_name("showbox")
    assert _run(program, tmp_path, "--version").startswith("showbox, version ")
    assert _run(program, tmp_path, "user", "add", "boss", "--password", "secret-1") == "User boss added.\n"
    assert _run(python, tmp_path, "-m", "showbox", "config", "check") == "The configuration can be used.\n"


def test_another_program_s_package_of_the_same_name_is_told(python: Path, tmp_path: Path) -> None:
    """Its installation would write over ours without a word."""
    [core] = python.parents[1].glob("lib/*/site-packages/core/__init__.py")
    ours = core.read_text()
    core.write_text("# another's")
    try:
        refused = subprocess.run(
            [str(python.with_name("showbox")), "--version"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
    finally:
        core.write_text(ours)
    assert (refused.returncode, "virtual environment of its own" in refused.stderr) == (1, True)
    assert "The package core was changed" in refused.stderr


def test_its_commands_find_their_templates(python: Path, tmp_path: Path) -> None:
    written = _run(python.with_name("showbox"), tmp_path, "cron", "install", "bin", "--root", "panel")
    assert f"{tmp_path}/bin/php" in written.splitlines()
    assert str(python) in (tmp_path / "bin/showbox-job").read_text()
    assert "@" not in (tmp_path / "bin/php").read_text().replace("$@", "")
