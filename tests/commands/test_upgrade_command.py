"""``db upgrade`` tells all that it writes, before as well as while it does."""

import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.storage.database import Database
from tests.worlds.databases import DUMPS, create_database, load_dump, require
from tests.worlds.forked import run
from tests.worlds.served import environment


def _db(url: str, cwd: Path, *arguments: str, **variables: str) -> "tuple[int, list[str]]":
    # the clock of the databases of tests, which else would be warned of
    settings = {"SHOWBOX_DATABASE_URL": url, "SHOWBOX_PANEL_TIMEZONE": "UTC", **variables}
    done = run("flask", "db", *arguments, cwd=cwd, environment=environment(**settings))
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout.splitlines()


def _lines(output: list[str]) -> list[str]:
    return sorted(line for line in output if line.startswith("- "))


def _contents(url: str) -> dict[str, object]:
    database = Database(url)
    with database.read() as connection:
        names = sa.inspect(connection).get_table_names()
        found = {name: connection.execute(sa.text(f"SELECT COUNT(*) FROM {name}")).scalar_one() for name in names}
    database.dispose()
    return found


@pytest.fixture(params=["sqlite", *DUMPS])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        return create_database("sqlite", "upgrading")
    require("mariadb")
    made = create_database("mariadb", "upgrading")
    load_dump(made, DUMPS[request.param])
    return made


def test_a_dry_run_tells_what_is_done_then_and_writes_nothing(url: str, tmp_path: Path) -> None:
    is_new = url.startswith("sqlite")
    before = {} if is_new else _contents(url)
    code, planned = _db(url, tmp_path, "upgrade", "--dry-run")
    assert code == 0
    assert re.fullmatch(r"To be done: \d+ changes\.", planned[-1])
    assert (Path(url.removeprefix("sqlite:///")).exists() if is_new else _contents(url) != before) is False
    code, checked = _db(url, tmp_path, "check")
    assert (code, _lines(checked)) == (1, _lines(planned))
    code, done = _db(url, tmp_path, "upgrade")
    assert (code, _lines(done)) == (0, _lines(planned))
    said = "\n".join(planned)
    after = _contents(url)
    # every table that got rows of ours, by what is said of it
    for table, words in {
        "_iranian_banks": r"add \d+ banks to _iranian_banks",
        "_currencies": "add the currencies",
        "_sms_templates": r"add \d+ SMS templates",
        "_mail_templates": r"add \d+ mail templates",
        "_telegram_templates": r"add \d+ Telegram templates",
        "_sbx_state": "note in _sbx_state whose tables these are",
        "_sbx_alembic": "note revision .* in _sbx_alembic",
    }.items():
        if after.get(table, 0) != before.get(table, 0):
            assert re.search(words, said), table
    assert set(after) - set(before) == set(re.findall(r"create table (\S+)", said))
    assert _db(url, tmp_path, "upgrade", "--dry-run") == (0, ["Nothing to do."])
    assert _db(url, tmp_path, "upgrade") == (0, ["Nothing to do."])


@pytest.mark.parametrize("version", ["1.18.2"])
def test_check_warns_of_what_the_panel_had_and_the_configuration_lacks(version: str, tmp_path: Path) -> None:
    require("mariadb")
    url = create_database("mariadb", "lacking")
    load_dump(url, DUMPS[version])
    database = Database(url)
    with database.write() as connection:
        connection.execute(sa.text("DELETE FROM _stalker_settings"))
        connection.execute(sa.text("UPDATE _users SET theme = ''"))
    # what cannot hold emoji in the panel's own tables
    always = [line for line in _db(url, tmp_path, "check")[1] if line.startswith("Warning")]
    assert all("are kept in utf8mb3, which cannot hold emoji" in line for line in always)
    with database.write() as connection:
        connection.execute(sa.text("UPDATE _users SET theme = 'emerald' WHERE id = 1"))
        connection.execute(
            sa.text("INSERT INTO _stalker_settings (setting_key, setting_value) VALUES ('api_base_url', 'http://p/')")
        )
    database.dispose()
    warnings = [line for line in _db(url, tmp_path, "check")[1] if line.startswith("Warning")]
    assert warnings == [
        *always,
        "Warning: [portal] primary_api_url is empty, but the panel had one (its table _stalker_settings):"
        " no account can be added or changed",
        "Warning: [portal] theme_key is empty, but users of the panel have a theme: accounts get no theme",
    ]
    root = tmp_path / "panel"
    root.mkdir()
    (root / "config.php").write_text("<?php $WELCOME_MSG = 'Hello'; $WEBSERVICE_2_BASE_URL = 'http://q/';")
    told = _db(url, tmp_path, "check", SHOWBOX_FRONTEND_ROOT=str(root), SHOWBOX_PORTAL_THEME_KEY="x")[1]
    assert [line.partition(",")[0] for line in told if line.startswith("Warning: [")] == [
        "Warning: [portal] primary_api_url is empty",
        "Warning: [portal] secondary_api_url is empty",
        "Warning: [panel] welcome_message is empty",
    ]


def test_tables_that_cannot_undo_are_named_by_check(tmp_path: Path) -> None:
    require("mariadb")
    url = create_database("mariadb", "faults")
    load_dump(url, DUMPS["1.11.66"])
    database = Database(url)
    with database.write() as connection:
        connection.execute(sa.text("ALTER TABLE _app_settings ENGINE=MyISAM"))
    database.dispose()
    code, told = _db(url, tmp_path, "check")
    assert code == 1
    assert [line for line in told if line.startswith("Wrong: _app_settings is kept by MyISAM")]
