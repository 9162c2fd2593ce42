"""Mistakes in the set-up of a database: one sentence with the cause, and never "try again later"."""

import gc
import os
import sqlite3
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from flask import Response, session
from sqlalchemy.engine import URL, make_url

from compat.sessions import SessionUnavailable
from core.config import load_config
from core.errors import DatabaseFailed, DatabaseUnavailable
from core.storage import schema
from core.storage.database import Database
from core.storage.faults import DatabaseSetUp, LacksTable, NoDatabaseServer
from core.storage.revisions import NewerDatabase
from core.storage.table_faults import NotReferable, narrow_texts
from core.values import database_urls
from core.values.database_urls import normal_url
from tests.worlds.databases import DUMPS, KINDS, create_database, load_dump, prepared_database, require
from tests.worlds.forked import run
from tests.worlds.served import environment
from tests.worlds.servers import server_url
from tests.worlds.strangers import mysql_connection
from wsgi import build

SECRET = "hunter2-wrong"


def _refusal(url: str | URL) -> DatabaseFailed:
    text = url if isinstance(url, str) else url.render_as_string(hide_password=False)
    database = Database(text)
    try:
        with pytest.raises(DatabaseFailed) as caught, database.write() as connection:
            connection.execute(sa.text("CREATE TABLE _sbx_tried (id int)"))
    finally:
        database.dispose()
    if isinstance(caught.value, NoDatabaseServer):
        with warnings.catch_warnings():
            # a driver leaves a socket that nobody listens at to the collector
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
    said = caught.value.text
    for detail in (SECRET, "127.0.0.1", "sbx_", "SELECT", "CREATE", "Errno"):
        assert detail not in said
    assert "try again" not in said
    return caught.value


@pytest.fixture
def user() -> Iterator[str]:
    """A user of the MariaDB server with no rights, and a password."""
    require("mariadb")
    name = f"sbx_u{os.getpid()}"
    with mysql_connection(server_url("mariadb")) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE OR REPLACE USER '{name}'@'%' IDENTIFIED BY 'right'")
        cursor.execute(f"CREATE OR REPLACE USER '{name}'@'localhost' IDENTIFIED BY 'right'")
        yield name
        cursor.execute(f"DROP USER '{name}'@'%', '{name}'@'localhost'")


def _mariadb(**changes: object) -> URL:
    return make_url(server_url("mariadb")).set(**changes)  # type: ignore[arg-type]


def test_a_wrong_password_is_told_as_such(user: str) -> None:
    refused = _refusal(_mariadb(username=user, password=SECRET, database="mysql"))
    assert isinstance(refused, DatabaseSetUp)
    assert "refuses the configured user name or password" in refused.text


def test_a_database_that_is_not_there_or_not_this_users(user: str) -> None:
    require("mariadb")
    assert "none of the configured name" in _refusal(_mariadb(database="sbx_nowhere")).text
    foreign = make_url(create_database("mariadb", "foreign")).database
    assert "no right to it" in _refusal(_mariadb(username=user, password="right", database=foreign)).text


def test_a_user_that_may_not_create_tables(user: str) -> None:
    url = make_url(create_database("mariadb", "reading"))
    with mysql_connection(server_url("mariadb")) as connection, connection.cursor() as cursor:
        for host in ("%", "localhost"):
            cursor.execute(f"GRANT SELECT ON `{url.database}`.* TO '{user}'@'{host}'")
    assert "lacks a right" in _refusal(url.set(username=user, password="right")).text


def test_postgresql_says_the_same() -> None:
    require("postgresql")
    url = make_url(server_url("postgresql"))
    assert "none of the configured name" in _refusal(url.set(database="sbx_nowhere")).text
    assert "refuses the configured user name" in _refusal(url.set(username="sbx_nobody")).text
    with psycopg.connect(server_url("postgresql"), autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS sbx_reader")
        connection.execute("CREATE ROLE sbx_reader LOGIN")
    made = make_url(create_database("postgresql", "reading"))
    assert "lacks a right" in _refusal(made.set(username="sbx_reader")).text


@pytest.mark.parametrize(
    "url",
    ["mysql://u@127.0.0.1:9/x", "postgresql://u@127.0.0.1:9/x", "mysql://u@localhost/x?unix_socket=/nowhere.sock"],
)
def test_no_server_is_told_as_such(url: str) -> None:
    refused = _refusal(url)
    assert isinstance(refused, NoDatabaseServer)
    assert "no server answers" in refused.text


@pytest.mark.parametrize("kind", ["mysql", "postgresql"])
def test_a_server_whose_name_is_unknown(kind: str) -> None:
    assert "name of its server is not known" in _refusal(f"{kind}://u:{SECRET}@no-such-host.invalid/x").text


@pytest.mark.parametrize(
    ("kind", "query"),
    [("mariadb", "sslmode=require"), ("mariadb", "foo=1"), ("postgresql", "foo=1"), ("postgresql", "sslmode=maybe")],
)
def test_an_option_that_a_driver_does_not_know(kind: str, query: str) -> None:
    require(kind)
    url = f"{server_url(kind)}?{query}"
    refused = _refusal(url)
    assert isinstance(refused, DatabaseSetUp)
    assert "its address has an option, or a value of one, that its driver does not know" in refused.text
    looked_up = Database(url)
    with pytest.raises(DatabaseSetUp, match="that its driver does not know"):
        looked_up.first(sa.select(sa.literal_column("1").label("one")))
    looked_up.dispose()


@pytest.mark.parametrize("query", ["connect_timeout=long", "charset=klingon"])
def test_a_value_that_is_none_is_told_at_the_start(query: str) -> None:
    with pytest.raises(ValueError, match="has a value that its driver does not take"):
        Database(f"mysql+pymysql://u:{SECRET}@127.0.0.1/panel?{query}")


def test_postgresql_without_encryption_that_is_asked_for() -> None:
    require("postgresql")
    assert "offers no encryption" in _refusal(f"{server_url('postgresql')}?sslmode=require").text


def test_sqlite_files_that_are_none_or_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "panel.db"
    file.write_bytes(b"this is no database, but long enough to be looked at" * 20)
    assert "no SQLite database" in _refusal(f"sqlite:///{file}").text
    assert "not there, or not open" in _refusal("sqlite:////proc/nowhere/panel.db").text
    (tmp_path / "directory.db").mkdir()
    assert "not there, or not open" in _refusal(f"sqlite:///{tmp_path}/directory.db").text


def test_a_full_or_read_only_sqlite_takes_no_changes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/panel.db"
    database = Database(url)
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE filled (text)")
    for pragma, said in (("max_page_count=3", "is full"), ("query_only=ON", "read-only")):
        with database.engine.connect() as pooled:
            pooled.exec_driver_sql(f"PRAGMA {pragma}")
        with pytest.raises(DatabaseSetUp, match=said), database.write() as connection:
            connection.exec_driver_sql("INSERT INTO filled VALUES (zeroblob(100000))")
    database.dispose()


def test_a_database_of_a_newer_version_is_left_alone() -> None:
    database = Database(prepared_database("sqlite", "newer"))
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE _sbx_alembic SET version_num = '9999'")
    for act in (schema.prepare, schema.upgrade, schema.check):
        with pytest.raises(NewerDatabase, match="newer version"):
            act(database)
    database.dispose()


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_that_is_missing_is_told_with_its_remedy(kind: str) -> None:
    database = Database(create_database(kind, "lacking"))
    for read in ("SELECT 1 FROM _sbx_nothing", "SELECT lacking FROM (SELECT 1 AS one) AS two"):
        with pytest.raises(LacksTable, match="db upgrade adds it"), database.read() as connection:
            connection.execute(sa.text(read))
    with pytest.raises(LacksTable):
        database.first(sa.select(sa.column("x")).select_from(sa.table("_sbx_nothing")))
    database.dispose()


# localhost is a socket


def test_localhost_is_the_socket_as_in_php() -> None:
    found = normal_url("mysql://panel:x@localhost/panel").query.get("unix_socket")
    assert found is None or stat.S_ISSOCK(Path(str(found)).stat().st_mode)
    named = normal_url("mysql://panel:x@localhost/panel?unix_socket=/tmp/other.sock")
    assert named.query["unix_socket"] == "/tmp/other.sock"
    for url in ("mysql://panel@127.0.0.1/panel", "mysql://panel@localhost:3306/panel", "mysql://panel@db/panel"):
        assert "unix_socket" not in normal_url(url).query


@pytest.mark.parametrize("by_name", [True, False])
def test_a_server_is_reached_through_its_socket(by_name: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    require("mariadb")
    if make_url(server_url("mariadb")).host not in ("127.0.0.1", "localhost"):
        pytest.skip("the MariaDB of these tests is on another machine")
    with mysql_connection(server_url("mariadb")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@socket")
        socket = cursor.fetchone()[0]  # type: ignore[index]
    # a server of the tests' own does not listen where distributions let theirs
    monkeypatch.setattr(database_urls, "_SOCKETS", ("/nowhere/mysqld.sock", socket))
    url = "mysql://root@localhost/mysql" + (f"?unix_socket={socket}" if by_name else "")
    database = Database(url)
    with database.read() as connection:
        host = connection.scalar(sa.text("SELECT host FROM information_schema.processlist WHERE id=CONNECTION_ID()"))
    database.dispose()
    assert host == "localhost", "a connection by TCP has a port"


# tables


@pytest.fixture
def legacy() -> Iterator[Database]:
    url = create_database("mariadb", "myisam")
    load_dump(url, DUMPS["1.11.66"])
    database = Database(url)
    keys = sa.text(
        "SELECT table_name, constraint_name FROM information_schema.referential_constraints"
        " WHERE constraint_schema = DATABASE()"
    )
    with database.write() as connection:
        # as where the tables were always of MyISAM
        for table, key in connection.execute(keys).all():
            connection.execute(sa.text(f"ALTER TABLE {table} DROP FOREIGN KEY {key}"))
    yield database
    database.dispose()


def _alter(database: Database, *changes: str) -> None:
    with database.write() as connection:
        for change in changes:
            connection.execute(sa.text(f"ALTER TABLE {change}"))


def test_tables_of_myisam_are_named(legacy: Database) -> None:
    assert schema.check(legacy).faults == []
    _alter(legacy, "_accounts ENGINE=MyISAM", "_sms_logs ENGINE=MyISAM")
    accounts, logs = schema.check(legacy).faults
    assert accounts == (
        "_accounts is kept by MyISAM, which cannot undo what fails half-way; no money is moved until it is converted:"
        " ALTER TABLE _accounts ENGINE=InnoDB"
    )
    assert logs.startswith("_sms_logs is kept by MyISAM")
    assert "money" not in logs


def test_users_of_myisam_are_refused_an_upgrade_in_a_sentence(legacy: Database) -> None:
    _alter(legacy, "_users ENGINE=MyISAM")
    with legacy.read() as connection:
        before = sorted(sa.inspect(connection).get_table_names())
    with pytest.raises(NotReferable, match="nothing was changed"):
        schema.upgrade(legacy)
    with legacy.read() as connection:
        assert sorted(sa.inspect(connection).get_table_names()) == before
    _alter(legacy, "_users ENGINE=InnoDB")
    assert schema.upgrade(legacy)


def test_mixed_collations_are_named(legacy: Database) -> None:
    _alter(legacy, "_users CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
    [said] = schema.check(legacy).faults
    assert said.startswith("mixed collations: most texts are compared by utf8mb4_unicode_ci, but others in ")
    assert "_users (utf8mb4_general_ci)" in said
    with pytest.raises(DatabaseSetUp, match="mixed collations"), legacy.read() as connection:
        connection.execute(sa.text("SELECT 1 FROM _users JOIN _accounts ON _users.username = _accounts.username"))


def test_tables_that_cannot_hold_every_text_are_named(legacy: Database) -> None:
    # as the panel's own scripts made them
    [said] = narrow_texts(legacy)
    assert said.startswith(
        "texts of _expiry_reminders, _reminder_settings, _sms_logs, _sms_settings are kept in utf8mb3"
    )
    for table, character_set in (("_plans", "utf8mb3"), ("_sms_logs", "latin1"), ("_transactions", "utf8mb3")):
        _alter(legacy, f"{table} CONVERT TO CHARACTER SET {character_set}")
    western, three_bytes = narrow_texts(legacy)
    assert western.startswith("texts of _sms_logs are kept in latin1, which cannot hold emoji and letters of most")
    assert three_bytes.startswith(
        "texts of _expiry_reminders, _plans, _reminder_settings, _sms_settings, _transactions"
    )
    assert "kept in utf8mb3, which cannot hold emoji: such a text is refused, or stored without" in three_bytes
    # a warning: what such a table can hold goes on working
    assert not [line for line in schema.check(legacy).faults if "utf8mb3" in line]


def test_a_file_that_another_process_holds_is_still_only_busy(tmp_path: Path) -> None:
    """What passes by itself keeps its own words."""
    url = f"sqlite:///{tmp_path}/panel.db"
    database = Database(url)
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE held (id)")
        connection.exec_driver_sql("PRAGMA busy_timeout=1")
    other = sqlite3.connect(tmp_path / "panel.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(DatabaseFailed) as caught, database.write():
        pass
    assert not isinstance(caught.value, DatabaseSetUp)
    assert isinstance(caught.value, DatabaseFailed)
    assert not isinstance(caught.value, DatabaseUnavailable) or "try again" in caught.value.text
    other.close()
    database.dispose()


# what people at the panel and at the console read


@pytest.mark.parametrize("store", ["sql", "php-files"])
def test_pages_and_the_start_say_the_cause(user: str, store: str, tmp_path: Path) -> None:
    settings = {
        "SHOWBOX_DATABASE_URL": _mariadb(username=user, password=SECRET, database="mysql").render_as_string(False),
        "SHOWBOX_SESSION_STORE": store,
        "SHOWBOX_SESSION_PHP_SAVE_PATH": str(tmp_path),
        "SHOWBOX_PANEL_DATA_DIRECTORY": str(tmp_path / "data"),
    }
    (tmp_path / ("sess_" + "a" * 26)).write_text('login|i:1;username|s:5:"admin";')
    app, panel = build(load_config(None, settings))
    client = app.test_client()
    client.set_cookie("PHPSESSID", "a" * 26)
    for answer in (client.post("/login.php", json={"username": "a", "password": "b"}), client.get("/get_accounts.php")):
        said = answer.get_json()
        assert (answer.status_code, said["error"], said["code"]) == (503, 1, 7)
        assert "refuses the configured user name or password" in said["err_msg"]
        assert SECRET not in answer.get_data(as_text=True)
    panel.close()
    started = run("wsgi.py", "--port", "0", cwd=tmp_path, environment=environment(**settings))
    assert started.returncode == 1
    assert "refuses the configured user name or password" in started.stderr.splitlines()[-1]
    for word in (SECRET, "Traceback", "try again"):
        assert word not in started.stderr


def test_a_login_on_a_full_disk_says_so(tmp_path: Path) -> None:
    """The session's own table as well as the panel's."""
    url = prepared_database("sqlite", "full")
    app, panel = build(load_config(None, {"SHOWBOX_DATABASE_URL": url, "SHOWBOX_SECURITY_UPGRADE_PASSWORDS": "no"}))
    panel.layout  # noqa: B018 - the first look prepares the database
    with app.test_request_context("/"):
        session["login"] = 1
        with panel.database.engine.connect() as pooled:
            pooled.exec_driver_sql("PRAGMA query_only=ON")
        with pytest.raises(SessionUnavailable, match="read-only"):
            app.session_interface.save_session(app, session._get_current_object(), Response())  # type: ignore[attr-defined]
    panel.close()
