"""Each driver of MariaDB reads every kind of value alike, and its connections are mended alike (issue 14, line 2)."""

import gc
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pymysql
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from core.errors import DatabaseFailed, DatabaseUnavailable
from core.storage.database import Database
from core.storage.mysql.cursor import FastCursor
from core.values.database_urls import normal_url
from tests.worlds.certificates import make_certificate
from tests.worlds.databases import create_database, require
from tests.worlds.lacking import require_driver
from tests.worlds.private_servers import PrivateMariadb
from tests.worlds.servers import server_url
from tests.worlds.strangers import mysql_connection

DRIVERS = ("pymysql", "mysqldb")
_TABLE = """CREATE TABLE kinds (
    id INT PRIMARY KEY, day DATE, moment DATETIME, stamp TIMESTAMP NULL, span TIME, fine DATETIME(6),
    money DECIMAL(15,2), ratio DOUBLE, bit1 BIT(1), bit20 BIT(20), tiny TINYINT(1), large BIGINT UNSIGNED, year YEAR,
    narrow VARCHAR(30) CHARACTER SET utf8mb3, latin VARCHAR(30) CHARACTER SET latin1, wide TEXT CHARACTER SET utf8mb4,
    bytes MEDIUMBLOB, choice ENUM('a','b'), json_text JSON
)"""
_at = datetime.fromisoformat
_EMPTY = (None,) * 18
# by id, as they are written
_STORED: dict[int, tuple[Any, ...]] = {
    1: (
        *("2024-02-29", "2024-02-29 10:11:12", "2024-02-29 10:11:12", "10:11:12", "2024-02-29 10:11:12.000345"),
        *("12.50", 1.5, 1, 0x80001, 1, 2**64 - 1, 2024, "é€", "é", "😀", b"\x00\xff", "a", '{"a": 1}'),
    ),
    2: (
        *("0000-00-00", "0000-00-00 00:00:00", "0000-00-00 00:00:00", "-838:59:59", "0000-00-00 00:00:00"),
        *("-0.01", -1e300, 0, 0, 0, 0, 0, "", "", "", b"", "b", "[]"),
    ),
    3: ("2024-00-00", "2024-01-00 00:00:00", *_EMPTY[2:]),
    4: ("2023-02-31", "2023-02-31 01:00:00", *_EMPTY[2:]),
    5: ("9999-12-31", "1000-01-01 00:00:00", *_EMPTY[2:]),
    6: _EMPTY,
    # longer than what is told in one byte, and in two
    7: (*_EMPTY[:14], "x" * 300, b"y" * 70_000, None, None),
}
_READ: dict[int, tuple[Any, ...]] = {
    1: (
        *(date(2024, 2, 29), _at("2024-02-29 10:11:12"), _at("2024-02-29 10:11:12")),
        *(timedelta(hours=10, minutes=11, seconds=12), _at("2024-02-29 10:11:12.000345")),
        *(Decimal("12.50"), 1.5, b"\x01", b"\x08\x00\x01", 1, 2**64 - 1, 2024),
        *("é€", "é", "😀", b"\x00\xff", "a", '{"a": 1}'),
    ),
    2: (
        *("0000-00-00", "0000-00-00 00:00:00", "0000-00-00 00:00:00"),
        *(-timedelta(hours=838, minutes=59, seconds=59), "0000-00-00 00:00:00.000000"),
        *(Decimal("-0.01"), -1e300, b"\x00", b"\x00\x00\x00", 0, 0, 0, "", "", "", b"", "b", "[]"),
    ),
    3: ("2024-00-00", "2024-01-00 00:00:00", *_EMPTY[2:]),
    4: ("2023-02-31", "2023-02-31 01:00:00", *_EMPTY[2:]),
    5: (date(9999, 12, 31), _at("1000-01-01"), *_EMPTY[2:]),
    6: _EMPTY,
    7: (*_EMPTY[:14], "x" * 300, b"y" * 70_000, None, None),
}
_COUNTED = (
    "SELECT COUNT(*), SUM(tiny), SUM(money), AVG(id), COALESCE(money, 0), id / 4, 1 = 1, NULL FROM kinds WHERE id < 2"
)
_COUNTS = (1, Decimal(1), Decimal("12.50"), Decimal("1.0000"), Decimal("12.50"), Decimal("0.2500"), 1, None)


@pytest.fixture(scope="module")
def address() -> str:
    """A database with a row of every kind of value."""
    require("mariadb")
    url = create_database("mariadb", "drivers")
    database = Database(url)
    marks = ", ".join(f":v{number}" for number in range(18))
    with database.write() as connection:
        connection.execute(sa.text("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'"))
        connection.execute(sa.text(_TABLE))
        for id, values in _STORED.items():
            named = {f"v{number}": value for number, value in enumerate(values)}
            connection.execute(sa.text(f"INSERT INTO kinds VALUES (:id, {marks})"), {"id": id, **named})
    # the mode is the session's, which nobody is to meet in a pool
    database.dispose()
    return url


@pytest.fixture(params=DRIVERS)
def database(address: str, request: pytest.FixtureRequest) -> Iterator[Database]:
    require_driver(request.param)
    made = Database(address.replace("mysql://", f"mysql+{request.param}://"))
    yield made
    made.dispose()


def _kill_others(address: str) -> None:
    """End every connection to the database of ``address``, as a restart of the server does."""
    name = make_url(address).database
    administrator = mysql_connection(server_url("mariadb"))
    with administrator, administrator.cursor() as cursor:
        cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", (name,))
        for (id,) in cursor.fetchall():
            cursor.execute(f"KILL {id}")


@pytest.mark.parametrize("id", _READ)
def test_every_kind_of_value_reads_alike(database: Database, id: int) -> None:
    columns = [sa.literal_column(name) for name in _columns()]
    statement = sa.select(*columns).select_from(sa.text("kinds")).where(sa.literal_column("id") == sa.bindparam("id"))
    (plain,) = database.all(statement, id=id)
    with database.read() as connection:
        row = connection.execute(sa.text("SELECT * FROM kinds WHERE id = :id"), {"id": id}).one()
    assert [_exact(value) for value in plain[1:]] == [_exact(value) for value in _READ[id]]
    assert [_exact(value) for value in row[1:]] == [_exact(value) for value in _READ[id]]


def _columns() -> list[str]:
    return ["id", *(line.split()[0] for line in _TABLE.replace("\n", " ").split(", ")[1:] if line.strip()[0] != ")")]


def _exact(value: Any) -> tuple[type, Any]:
    return type(value), value


def test_what_the_server_computes_reads_alike(database: Database) -> None:
    with database.read() as connection:
        row = connection.execute(sa.text(_COUNTED)).one()
    assert [_exact(value) for value in row] == [_exact(value) for value in _COUNTS]


def test_changed_rows_and_ids_are_told_alike(database: Database) -> None:
    with database.write() as connection:
        connection.execute(sa.text("CREATE TEMPORARY TABLE told (id INT AUTO_INCREMENT PRIMARY KEY, n INT)"))
        added = connection.execute(sa.text("INSERT INTO told (n) VALUES (5), (5), (6)"))
        assert (added.rowcount, added.lastrowid) == (3, 1)
        # rows that were found count, changed or not
        assert connection.execute(sa.text("UPDATE told SET n = 5 WHERE n = 5")).rowcount == 2
        many = [{"n": number} for number in range(50)]
        assert connection.execute(sa.text("INSERT INTO told (n) VALUES (:n)"), many).rowcount == 50
        assert connection.execute(sa.text("SELECT COUNT(*) FROM told")).scalar() == 53


def test_what_a_look_up_always_asks_for_stands_beside_what_it_is_given(database: Database) -> None:
    kinds = sa.table("kinds", sa.column("id"))
    given = sa.bindparam("given", type_=sa.Integer).label("given")
    # a number, a text and one that must be quoted
    asked = sa.select(kinds.c.id, given).where(kinds.c.id == 1, sa.literal("a") == "a", sa.literal("'%") == "'%")
    for value in (5, 6):
        assert tuple(database.first(asked.limit(3), given=value)) == (1, value)
    unchanged = sa.update(kinds).where(kinds.c.id == 1, given.element > 5).values(id=kinds.c.id + 0)
    assert [database.change(unchanged, given=value) for value in (5, 6)] == [0, 1]


@pytest.mark.parametrize("text", ["'; DROP TABLE kinds; --", "a\\'b", "%s %(id)s", "\\", '"', "\x00\x1a", "a:b", "é😀"])
def test_a_parameter_is_never_a_part_of_the_statement(database: Database, text: str) -> None:
    statement = sa.select(sa.bindparam("said", type_=sa.String).label("said"), sa.literal_column("'%'"))
    assert database.first(statement, said=text) == (text, "%")


def test_several_statements_in_one_text_are_refused(database: Database) -> None:
    with pytest.raises(DatabaseFailed), database.write() as connection:
        connection.exec_driver_sql("SELECT 1; SELECT 2")


def test_an_error_of_the_server_leaves_the_connection_usable(database: Database) -> None:
    with pytest.raises(DatabaseFailed):
        database.first(sa.select(sa.literal_column("no_such_column")).select_from(sa.text("kinds")))
    assert database.first(sa.select(sa.literal_column("1").label("one"))).one == 1


def test_a_lost_connection_is_found_at_use(database: Database, address: str) -> None:
    one = sa.select(sa.literal_column("1").label("one"))
    for _ in range(2):
        assert database.first(one).one == 1
        with database.read() as connection:
            assert connection.execute(one).scalar() == 1
        with database.write() as connection:
            assert connection.execute(one).scalar() == 1
        _kill_others(address)


def test_what_a_server_can_encrypt_is_encrypted_and_no_certificate_read_that_nobody_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = make_certificate(tmp_path)
    (tmp_path / "data").mkdir()
    server = PrivateMariadb(tmp_path / "data", f"--ssl-cert={certificate}", f"--ssl-key={key}")
    read: list[object] = []
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda self, *_: read.append(self))
    cipher = sa.text("SHOW STATUS LIKE 'Ssl_cipher'")
    for asked in ("", f"?ssl_ca={certificate}"):
        database = Database(f"{server.url}mysql{asked}".replace("mysql://", "mysql+pymysql://"))
        with database.read() as connection:
            assert connection.execute(cipher).one()[1] != ""
        database.dispose()
    assert read == []
    stranger, _ = make_certificate(tmp_path, "stranger.pem", "stranger.key")
    database = Database(f"{server.url}mysql?ssl_ca={stranger}".replace("mysql://", "mysql+pymysql://"))
    with pytest.raises(DatabaseUnavailable), database.read():
        pass
    database.dispose()
    server.close()


def test_localhost_with_a_port_is_the_server_at_that_port(database: Database) -> None:
    if database.url.host != "127.0.0.1":
        pytest.skip("the MariaDB of these tests is on another machine")
    named = Database(database.url.set(host="localhost").render_as_string(hide_password=False))
    assert named.first(sa.select(sa.literal_column("@@port").label("port"))).port == database.url.port
    named.dispose()


def test_a_server_that_is_away_is_said_to_be_away(database: Database) -> None:
    url = database.url.set(port=1)
    away = Database(url.render_as_string(hide_password=False))
    with pytest.raises(DatabaseUnavailable):
        away.first(sa.select(sa.literal_column("1")))
    away.dispose()


def test_many_threads_share_connections_and_mix_nothing_up(database: Database) -> None:
    statement = sa.select(sa.bindparam("n", type_=sa.Integer).label("n"))
    wrong: list[int] = []

    def ask(base: int) -> None:
        wrong.extend(n for n in range(base, base + 100) if database.first(statement, n=n).n != n)

    threads = [threading.Thread(target=ask, args=(1000 * number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_address_without_driver_gets_the_best_that_is_there() -> None:
    best = "mysqldb" if find_spec("MySQLdb") else "pymysql"
    for text in ("mysql://root@127.0.0.1/panel", "mariadb://root@127.0.0.1/panel", "mysql+other://root@127.0.0.1/p"):
        assert normal_url(text).drivername == f"mysql+{best}"
    for driver in DRIVERS:
        assert normal_url(f"mysql+{driver}://root@127.0.0.1/panel").drivername == f"mysql+{driver}"


def test_pymysql_reads_with_our_cursor(address: str) -> None:
    """Fails when a new PyMySQL no longer has the places that the cursor takes."""
    database = Database(address.replace("mysql://", "mysql+pymysql://"))
    with database.read() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        assert isinstance(driver.cursor(), FastCursor)
        plain, fast = pymysql.cursors.Cursor(driver), driver.cursor()
        for cursor in (plain, fast, fast):
            cursor.execute("SELECT * FROM kinds")
        assert (fast.description, fast.fetchall()) == (plain.description, plain.fetchall())
        plain.execute("SELECT id FROM kinds WHERE id > 99")
        fast.execute("SELECT id FROM kinds WHERE id > 99")
        assert (fast.rowcount, list(fast.fetchall())) == (plain.rowcount, list(plain.fetchall())) == (0, [])
    database.dispose()


@pytest.mark.filterwarnings("error")
def test_a_socket_at_which_nobody_listens_is_closed(tmp_path: Path) -> None:
    place = tmp_path / "mysqld.sock"
    with closing(socket.socket(socket.AF_UNIX)) as nobody:
        nobody.bind(str(place))
        database = Database(f"mysql+pymysql://root@localhost/x?unix_socket={place}")
        with pytest.raises(DatabaseUnavailable), database.read():
            pass
        database.dispose()
        del database
        gc.collect()
