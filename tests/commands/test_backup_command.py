"""``flask --app wsgi backup``: made, listed and restored on the server itself."""

import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask

import commands
from core.storage.tables import Account, AuditEntry
from tests.conftest import MakeWorld
from tests.worlds.backups import fill_chapter_70, fixture_text, held
from tests.worlds.databases import EXTRACT_ROWS
from tests.worlds.harness import World


@pytest.fixture
def world(make_world: MakeWorld, kind: str) -> World:
    return fill_chapter_70(make_world(kind))


@pytest.fixture
def light(make_world: MakeWorld) -> World:
    """On SQLite only, for what no database can change."""
    return fill_chapter_70(make_world("sqlite"))


def _run(world: World, *arguments: str, stdin: str = "") -> Result:
    app = Flask("commands")
    commands.register(app, world.panel)
    return app.test_cli_runner().invoke(args=["backup", *arguments], input=stdin)


def test_a_backup_is_made_listed_and_restored(world: World) -> None:
    made = _run(world, "create")
    assert made.exit_code == 0, made.output
    path = Path(made.output.splitlines()[-1])
    assert path.stat().st_mode & 0o777 == 0o600
    listed = _run(world, "list").output.splitlines()
    line = next(line for line in listed if line.startswith(path.name))
    assert re.fullmatch(rf"{path.name}  \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d  {path.stat().st_size} bytes  by hand", line)
    before = held(world.panel.database)
    for source in (path.name, str(path)):
        world.execute(sa.delete(Account))
        restored = _run(world, "restore", source, "--yes")
        assert restored.exit_code == 0, restored.output
        assert "\n_accounts: 3\n" in f"\n{restored.output}"
        assert re.search(r"The backup made before is showbox_backup_[\d_-]+\.sql\.\n$", restored.output)
        after = held(world.panel.database)
        assert after["_accounts"] == before["_accounts"]
    rows = world.rows(sa.select(AuditEntry.username, AuditEntry.user_agent, AuditEntry.target_name))
    assert rows == [{"username": "system", "user_agent": "command line", "target_name": path.name}] * 2
    assert "before a restore" in _run(world, "list").output


def test_a_dump_of_the_panel_tells_what_was_left_out(light: World, tmp_path: Path) -> None:
    dump = tmp_path / "any name"
    dump.write_text(fixture_text("1.18.2") + "INSERT INTO `_old_table` VALUES (1);\n")
    restored = _run(light, "restore", str(dump), "--yes")
    assert "left out: _old_table\n" in restored.output
    assert f"_accounts: {EXTRACT_ROWS}\n" in restored.output


def test_it_asks_before_it_replaces(light: World, tmp_path: Path) -> None:
    dump = tmp_path / "x.sql"
    dump.write_text(fixture_text("1.18.2"))
    before = held(light.panel.database)
    asked = _run(light, "restore", str(dump), stdin="n\n")
    assert (asked.exit_code, "This replaces accounts" in asked.output) == (1, True)
    assert held(light.panel.database) == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "There is no file"),
        ("DELETE FROM _users;", "Line 1: a statement that does not belong into a dump; nothing was changed"),
        ("", "The file is empty; nothing was changed"),
    ],
)
def test_a_refusal_is_one_sentence(light: World, tmp_path: Path, content: str | None, words: str) -> None:
    dump = tmp_path / "x.sql"
    if content is not None:
        dump.write_text(content)
    refused = _run(light, "restore", str(dump), "--yes")
    assert refused.exit_code == 1
    assert words in refused.output
    assert "Traceback" not in refused.output


def test_no_backups(make_world: MakeWorld, tmp_path: Path) -> None:
    world = make_world("sqlite", SHOWBOX_PANEL_DATA_DIRECTORY=str(tmp_path))
    assert _run(world, "list").output == "No backups.\n"
