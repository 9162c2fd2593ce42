"""Every example of the documentation is run, and what is generated is up to date."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from core.config import load_config
from docs.generate import PAGES
from tests.worlds.databases import DUMPS, create_database, load_dump, require
from tests.worlds.places import ROOT
from tests.worlds.served import environment, served
from tests.worlds.warm import warm_python

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WALK = ROOT / "docs" / "adding-an-endpoint.md"
DEFAULT_ADDRESS = "http://127.0.0.1:8000"
RESTORING = "/import_database.php"
EXAMPLE_PANEL, EXAMPLE_SESSIONS = "/srv/showbox-panel", "/var/lib/php/sessions"
EXAMPLE_SOURCE = "mysql://panel:secret@127.0.0.1/panel"


def _blocks(document: Path, language: str) -> Iterator[str]:
    yield from re.findall(rf"^```{language}\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_fenced_block_is_of_a_kind_that_is_run(document: Path) -> None:
    languages = set(re.findall(r"^```(\w*)\n(?:.*\n)*?```$", document.read_text(), re.MULTILINE))
    # python: the walk of test_adding_an_endpoint
    assert languages <= ({"sh", "python"} if document == WALK else {"sh", "ini"})


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", document.read_text()):
        assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_configuration_examples_are_valid(document: Path, tmp_path: Path) -> None:
    for number, block in enumerate(_blocks(document, "ini")):
        file = tmp_path / f"{number}.ini"
        for directory in (EXAMPLE_PANEL, EXAMPLE_SESSIONS):
            block = block.replace(directory, str(tmp_path))
        file.write_text(block)
        load_config(file, {})


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one that the documents share."""
    with served(tmp_path_factory.mktemp("demo"), "--demo") as (url, _):
        yield url


@pytest.mark.parametrize(
    "document", [d for d in DOCUMENTS if "```sh" in d.read_text() and d != WALK], ids=lambda path: path.name
)
def test_commands_work(document: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    source = ""
    if EXAMPLE_SOURCE in document.read_text():
        require("mariadb")
        source = create_database("mariadb", "documented")
        load_dump(source, DUMPS["1.18.2"])
    (tmp_path / "config.example.ini").write_text((ROOT / "config.example.ini").read_text())
    (tmp_path / "bin").mkdir()
    for program in ("flask", "showbox"):
        (tmp_path / "bin" / program).write_text(
            f'#!/bin/sh\nexec {shlex.quote(str(warm_python()))} -m {program} "$@"\n'
        )
        (tmp_path / "bin" / program).chmod(0o755)
    places = _panel_of_php(tmp_path, source) if EXAMPLE_PANEL in document.read_text() else {}
    commands = [line for block in _blocks(document, "sh") for line in block.splitlines()]
    with ExitStack() as stack:
        named = {EXAMPLE_SOURCE: source, **places}
        if RESTORING in "".join(commands):
            # what is restored has other users
            named[DEFAULT_ADDRESS], _ = stack.enter_context(served(tmp_path, "--demo"))
        elif DEFAULT_ADDRESS in "".join(commands):
            named[DEFAULT_ADDRESS] = request.getfixturevalue("demo")
        for command in commands:
            for example, real in named.items():
                command = command.replace(example, real)
            _run(command, tmp_path)


def _panel_of_php(directory: Path, source: str) -> dict[str, str]:
    """The panel's directory with its database and a crontab's script, and PHP's sessions, by the examples' names."""
    root, sessions = directory / "php-panel", directory / "php-sessions"
    root.mkdir()
    sessions.mkdir()
    if source:
        url = make_url(source)
        given = [f"mysql:host={url.host};port={url.port or 3306};dbname={url.database}", url.username, url.password]
        arguments = ", ".join(f"'{text or ''}'" for text in given)
        (root / "config.php").write_text(f"<?php $WELCOME_MSG = 'Welcome!'; $pdo = new PDO({arguments});")
    (root / "cron_check_expiry_reminders.php").write_text("<?php")
    (sessions / ("sess_" + "a" * 26)).write_text('login|i:1;username|s:5:"admin";')
    return {EXAMPLE_PANEL: str(root), EXAMPLE_SESSIONS: str(sessions)}


def _run(command: str, directory: Path) -> None:
    if command.startswith("make "):
        # the targets themselves are what runs this suite, the demo and the checks
        subprocess.run([*shlex.split(command), "--dry-run"], cwd=ROOT, check=True, capture_output=True, timeout=60)
        return
    if command.startswith(("python wsgi.py", "showbox serve")):
        with served(directory, *shlex.split(command)[2:]):
            return
    path = f"{directory / 'bin'}:{environment()['PATH']}"
    result = subprocess.run(
        ["bash", "-c", command],
        cwd=directory,
        env=environment(PATH=path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, (command, result.stderr)
    if command.startswith("curl"):
        done = '{"result":true,"error":0' if "/api.php?" in command else '{"error":0'
        # what is no endpoint of the panel
        done = {"/_health": "ok", "/_metrics": "# HELP"}.get(command[command.rfind("/") :], done)
        assert result.stdout.startswith(done), (command, result.stdout[:200])


@pytest.mark.parametrize("name", PAGES)
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == PAGES[name](), "run: python -m docs.generate"


def test_the_table_of_rooms_is_true() -> None:
    table = re.findall(r"^\| (`.*?`) \| (?!what)", (ROOT / "README.md").read_text(), re.MULTILINE)
    named = {name for cell in table for name in re.findall(r"`([^`]+)`", cell)}
    assert [name for name in named if not (ROOT / name).exists()] == []
    rooms = {path.parent.name for path in ROOT.glob("*/*.py") if not path.parent.name.startswith(".")}
    assert rooms <= {name.split("/")[0] for name in named}
