"""What a dump holds: everything that is worth saving, for MySQL's client too, and no secrets where it is redacted."""

import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from core.backup.dump import write_dump
from core.backup.saved_tables import COMPANIONS, NEVER_SAVED, REDACTIONS, SAVED, SECRET_NAME, redaction_of
from core.storage.database import Database
from core.storage.tables import OWN_TABLES, PANEL_TABLES, Account, Plan, StalkerSetting, Transaction, User
from tests.conftest import MakeWorld
from tests.worlds.backups import dump_text, fill_chapter_70, fixture_text, held, import_text
from tests.worlds.databases import DUMPS, create_database, drop_database, load_dump, require
from tests.worlds.harness import World
from tests.worlds.lacking import require_program

# columns whose names sound like a secret and are none
HARMLESS = {
    # of the panel's own
    "_users.permissions",
    "_app_settings.setting_key",
    "_stalker_settings.setting_key",
    "_telegram_templates.template_key",
    # redacted by the names of their rows
    "_telegram_logs.chat_id",
}


@pytest.fixture
def panel(make_world: MakeWorld, kind: str) -> World:
    return fill_chapter_70(make_world(kind))


def test_every_table_is_saved_or_said_not_to_be() -> None:
    decided = {model.__tablename__ for model in (*COMPANIONS, *NEVER_SAVED)}
    undecided = {table.name for table in OWN_TABLES} - decided
    assert not undecided, f"core.backup.saved_tables says nothing of {sorted(undecided)}"
    assert {table.name for table in SAVED} >= {table.name for table in PANEL_TABLES}
    assert not {model.__tablename__ for model in COMPANIONS} & {model.__tablename__ for model in NEVER_SAVED}


def test_every_column_that_sounds_like_a_secret_is_redacted() -> None:
    for table in PANEL_TABLES:
        redaction = redaction_of(table)
        if not redaction.rows:
            continue
        covered = set(redaction.stand_ins or ()) | set(redaction.by_key or ())
        for column in table.columns:
            if SECRET_NAME.search(column.name) and f"{table.name}.{column.name}" not in HARMLESS:
                assert column.name in covered, f"core.backup.saved_tables redacts nothing in {table.name}.{column.name}"


def test_the_check_of_names_can_fail() -> None:
    for name in ("password", "smtp_password", "bot_token", "api_token", "webhook_secret", "api_key", "auth", "chat_id"):
        assert SECRET_NAME.search(name), name
    for name in ("username", "author", "authority", "keyboard", "api_username", "server_address"):
        assert not SECRET_NAME.search(name), name


def test_stand_ins_name_columns_that_exist() -> None:
    for model, redaction in REDACTIONS.items():
        names = {*(redaction.stand_ins or ()), *(redaction.by_key or ())}
        assert names <= set(model.__table__.columns.keys())
        for name, value in (redaction.stand_ins or {}).items():
            assert value is not None or model.__table__.c[name].nullable


def test_nothing_of_ours_is_in_a_redacted_dump(panel: World) -> None:
    text = dump_text(panel.panel, redacted=True)
    assert "INSERT INTO `_sbx_" not in text
    assert "'admin'" in text
    assert "'acc1'" in text


def test_a_dump_says_what_it_is_and_in_which_order(panel: World) -> None:
    text = dump_text(panel.panel)
    lines = text.splitlines()
    assert lines[0] == "-- ShowBox Billing Panel dump"
    assert lines[1] == "-- Format: 1"
    assert re.fullmatch(r"-- Made: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d Asia/Tehran", lines[2])
    assert lines[4:8] == [
        "SET NAMES utf8mb4;",
        "SET TIME_ZONE='+00:00';",
        "SET FOREIGN_KEY_CHECKS=0;",
        "SET SQL_MODE='NO_AUTO_VALUE_ON_ZERO';",
    ]
    assert lines[-2:] == ["SET FOREIGN_KEY_CHECKS=1;", "-- Dump completed"]
    made = re.findall(r"^CREATE TABLE `?(\w+)", text, re.MULTILINE)
    assert made == re.findall(r"^DROP TABLE IF EXISTS `(\w+)`;$", text, re.MULTILINE) == [table.name for table in SAVED]
    assert made.index("_users") < made.index("_sms_logs")
    # parts of statements that older servers do not know
    assert not re.search(r"DEFAULT \(", text)


def test_a_statement_is_never_longer_than_servers_take(panel: World) -> None:
    panel.insert(Transaction, ({"id": n, "details": "x" * 50_000} for n in range(1, 41)))
    text = dump_text(panel.panel)
    statements = [part for part in text.split(";\n") if "INSERT INTO `_transactions`" in part]
    assert len(statements) == 4
    assert all(len(statement) < 1024 * 1024 for statement in statements)
    assert import_text(panel.panel, text).tables["_transactions"] == 40


# by other programs


def _client(program: str, url: str, *arguments: str, text: str | None = None) -> str:
    """What a client of MySQL prints."""
    path = require_program(program, "mariadb-client")
    parts = make_url(url)
    where = ["-h", parts.host or "127.0.0.1", "-P", str(parts.port or 3306), "-u", parts.username or "root"]
    password = [f"--password={parts.password}"] if parts.password else []
    result = subprocess.run(
        [path, *where, *password, *arguments, parts.database or ""],
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def empty_mariadb() -> Any:
    require("mariadb")
    url = create_database("mariadb", "client")
    yield url
    drop_database(url)


ODD = 'O\'Neil; -- \\ "x" %_ \n\r\t\x1a 🎬 علی'


def test_the_client_of_mysql_loads_a_dump_of_ours(panel: World, empty_mariadb: str) -> None:
    import_text(panel.panel, fixture_text("1.18.2"))
    panel.execute(sa.update(Account).where(Account.id == 1).values(full_name=ODD, email=None))
    text = dump_text(panel.panel)
    _client("mysql", empty_mariadb, "--default-character-set=utf8mb4", text=text)
    database = Database(empty_mariadb)
    try:
        with database.read() as connection:
            counts = {
                table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
                for table in SAVED
            }
            odd = connection.execute(sa.select(Account.full_name, Account.email).where(Account.id == 1)).one()
            # of the session's zone, UTC as we have set it
            connection.execute(sa.text("SET TIME_ZONE='+03:30'"))
            moment = connection.scalar(sa.select(StalkerSetting.updated_at).limit(1))
            indexes = {index["name"] for index in sa.inspect(connection).get_indexes("_accounts")}
            [key] = sa.inspect(connection).get_foreign_keys("_sms_logs")
    finally:
        database.dispose()
    mine = held(panel.panel.database)
    assert counts == {table.name: len(mine[table.name]) for table in SAVED}
    assert (odd.full_name, odd.email) == (ODD, None)
    [ours] = panel.rows(sa.select(StalkerSetting.updated_at).limit(1))
    assert moment == ours["updated_at"]
    assert {"sbx_accounts_mac", "sbx_accounts_username"} <= indexes
    assert key["referred_table"] == "_users"


Typed = dict[str, list[dict[str, Any]]]


def _typed(database: Database) -> Typed:
    """The rows of the main tables, by the names of the columns that are there."""
    with database.read() as connection:
        found = {}
        for model in (User, Account, Transaction, Plan):
            present = {column["name"] for column in sa.inspect(connection).get_columns(model.__tablename__)}
            columns = [column for column in model.__table__.columns if column.name in present]
            rows = connection.execute(sa.select(*columns).order_by(model.id)).mappings()
            found[model.__tablename__] = [dict(row) for row in rows]
        return found


@pytest.fixture(scope="module", params=sorted(DUMPS))
def live(request: pytest.FixtureRequest) -> Iterator[tuple[str, Typed]]:
    """A panel's MariaDB as its PHP left it, and what else may be there; and what it holds."""
    require("mariadb")
    url = create_database("mariadb", "dumped")
    load_dump(url, DUMPS[request.param])
    database = Database(url)
    with database.write() as connection:
        connection.execute(sa.text("CREATE TRIGGER trg BEFORE INSERT ON _plans FOR EACH ROW SET NEW.days = 1"))
        connection.execute(sa.text("CREATE VIEW seen AS SELECT id FROM _users"))
        connection.execute(sa.text("CREATE TABLE _old_table (id int, data blob)"))
        connection.execute(sa.text("INSERT INTO _old_table VALUES (1, X'000a41')"))
        connection.execute(sa.update(Account).where(Account.id == 1).values(full_name=ODD, email=None, end_date=None))
    yield url, _typed(database)
    database.dispose()
    drop_database(url)


# what a program writes is of no version: each way to write it once, and one of the oldest
@pytest.mark.parametrize(
    ("live", "program", "arguments"),
    [
        ("1.11.66", "mysqldump", ()),
        ("1.18.2", "mysqldump", ()),
        ("1.18.2", "mariadb-dump", ("--skip-extended-insert", "--complete-insert")),
        ("1.18.2", "mysqldump", ("--compact", "--hex-blob")),
        ("1.18.2", "mariadb-dump", ("--databases", "--skip-add-drop-table", "--replace", "--tz-utc")),
        ("1.18.2", "mysqldump", ("--triggers", "--single-transaction", "--insert-ignore", "--compatible=ansi")),
    ],
    indirect=["live"],
)
def test_dumps_by_the_dump_programs(
    make_world: MakeWorld, live: tuple[str, Typed], program: str, arguments: tuple[str, ...]
) -> None:
    url, theirs = live
    world = fill_chapter_70(make_world("sqlite"))
    done = import_text(world.panel, _client(program, url, "--default-character-set=utf8mb4", *arguments))
    assert {"_old_table", "view seen"} <= set(done.skipped)
    mine = _typed(world.panel.database)
    for table, rows in theirs.items():
        assert rows
        assert [{name: row[name] for name in rows[0]} for row in mine[table]] == rows
    [account] = world.rows(sa.select(Account.full_name, Account.email, Account.end_date).where(Account.id == 1))
    assert account == {"full_name": ODD, "email": None, "end_date": None}


def test_what_cannot_be_written_fails_as_a_whole(panel: World) -> None:
    class Full:
        written = 0

        def write(self, content: bytes) -> int:
            self.written += len(content)
            if self.written > 3000:
                raise OSError(28, "No space left on device")
            return len(content)

    with pytest.raises(OSError, match="No space"):
        write_dump(panel.panel, Full())  # type: ignore[arg-type]
    with panel.panel.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(User)) == 5
