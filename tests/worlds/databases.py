"""Real databases for the tests: made empty or from a mould, filled from a panel's dump, dropped at the end.

Which of them a test should take is said in :mod:`tests.worlds`.
"""

import atexit
import gzip
import os
import shutil
from functools import cache
from pathlib import Path

import psycopg
import pymysql
import redis
from psycopg import sql
from sqlalchemy.engine import URL, make_url

from core.storage import schema
from core.storage.database import Database
from tests.worlds.lacking import missing
from tests.worlds.places import FIXTURES
from tests.worlds.servers import REDIS_URL, ends_with_run, in_memory, server_url
from tests.worlds.strangers import mysql_connection

KINDS = ("sqlite", "mariadb", "postgresql")

DUMPS = {version: FIXTURES / f"panel-{version}.sql.gz" for version in ("1.11.66", "1.18.2")}
# of each table of a dump; test_databases.py shows that no kind of value stands only behind them
EXTRACT_ROWS = 60
_made: set[str] = set()


@cache
def available(kind: str) -> bool:
    """Whether databases of this kind can be made here."""
    if kind == "sqlite":
        return True
    try:
        _administer(kind, "SELECT 1")
    except (pymysql.err.OperationalError, psycopg.OperationalError):
        return False
    return True


def require(kind: str) -> None:
    """Skip the test when the server is missing; in CI its absence is a failure."""
    if available(kind):
        return
    missing(
        f"no {kind} server at the address that SHOWBOX_TEST_{kind.upper()}_URL gives or defaults to, nor its programs"
    )


def require_redis() -> None:
    """As :func:`require`, for the Redis server."""
    try:
        with redis.Redis.from_url(REDIS_URL, socket_connect_timeout=3) as client:
            client.ping()
    except redis.RedisError:
        missing("no redis server at the address that SHOWBOX_TEST_REDIS_URL gives or defaults to")


def create_database(kind: str, name: str) -> str:
    """The URL of a fresh, empty database of this test process; one of the same name is dropped first."""
    require(kind)
    url = _fresh(kind, name)
    if kind == "mariadb":
        _administer(kind, "CREATE DATABASE `{}` CHARACTER SET utf8mb4", _name(url))
    elif kind == "postgresql":
        _administer(kind, "CREATE DATABASE {}", _name(url))
    return url


def prepared_database(kind: str, name: str) -> str:
    """As :func:`create_database`, with our tables and no rows in it, which costs a copy of what this process made once.

    MariaDB copies no database: there the tables are made again, as they are, so better share one (as the worlds do)
    than ask for many.
    """
    require(kind)
    mould = _mould(kind)
    if kind == "mariadb":
        url = create_database(kind, name)
        with mysql_connection(url) as connection, connection.cursor() as cursor:
            for statement in _copying(mould):
                cursor.execute(statement)
            connection.commit()
        return url
    url = _fresh(kind, name)
    if kind == "sqlite":
        shutil.copyfile(_name(mould), _name(url))
    else:
        _administer(kind, "CREATE DATABASE {} TEMPLATE {}", _name(url), _name(mould))
    return url


@cache
def _copying(mould: str) -> list[str]:
    """What makes the tables of this MariaDB database, and its few rows, in another."""
    made, filled = ["SET FOREIGN_KEY_CHECKS = 0"], []
    with mysql_connection(mould) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        for (table,) in cursor.fetchall():
            cursor.execute(f"SHOW CREATE TABLE `{table}`")
            made += [statement for _, statement in cursor.fetchall()]
            if cursor.execute(f"SELECT 1 FROM `{table}` LIMIT 1"):
                filled.append(f"INSERT INTO `{table}` SELECT * FROM `{_name(mould)}`.`{table}`")
    return [*made, *filled]


@cache
def _mould(kind: str) -> str:
    url = create_database(kind, "mould")
    _prepare(url)
    return url


def _prepare(url: str) -> None:
    database = Database(url)
    schema.prepare(database)
    database.dispose()


def _fresh(kind: str, name: str) -> str:
    url = _url(kind, name)
    _drop_all_at_end()
    drop_database(url)
    _made.add(url)
    return url


def drop_database(url: str) -> None:
    """Remove the database, also when somebody is still connected to it."""
    _made.discard(url)
    backend = make_url(url).get_backend_name()
    if backend == "sqlite":
        for path in Path(_name(url)).parent.glob(Path(_name(url)).name + "*"):
            path.unlink()
    elif backend == "mysql":
        _administer("mariadb", "DROP DATABASE IF EXISTS `{}`", _name(url))
    else:
        _administer("postgresql", "DROP DATABASE IF EXISTS {} WITH (FORCE)", _name(url))


def load_dump(url: str, path: Path, *, whole: bool = False) -> None:
    """Run a gzipped mysqldump against a MariaDB database: its first rows of each table with every odd value in them,
    or the ``whole`` volume of a live panel (5,000 accounts, 2,000 transactions)."""
    with mysql_connection(url) as connection, connection.cursor() as cursor:
        for statement in dump_statements(path, whole):
            cursor.execute(statement)
        connection.commit()


@cache
def dump_statements(path: Path, whole: bool) -> list[str]:
    """The statements of a dump, those that insert rows cut to :data:`EXTRACT_ROWS` unless ``whole``."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        text = file.read()
    # mysqldump writes line breaks inside values as \n, so a statement ends only here, and each row has a line
    statements = [statement for statement in text.split(";\n") if statement.strip()]
    return statements if whole else [_extract(statement) for statement in statements]


def _extract(statement: str) -> str:
    if not statement.startswith("INSERT INTO"):
        return statement
    return "\n".join(statement.split("\n")[:EXTRACT_ROWS]).removesuffix(",")


@cache
def _directory() -> Path:
    return in_memory("files")


def _url(kind: str, name: str) -> str:
    # the process id keeps parallel workers, and two runs of the suite, apart
    own_name = f"sbx_test_{name}_{os.getpid()}"
    if kind == "sqlite":
        return f"sqlite:///{_directory() / own_name}.db"
    server: URL = make_url(server_url(kind))
    return server.set(database=own_name).render_as_string(hide_password=False)


def _name(url: str) -> str:
    return make_url(url).database or ""


def _administer(kind: str, statement: str, *names: str) -> None:
    if kind == "mariadb":
        with mysql_connection(server_url(kind)) as connection, connection.cursor() as cursor:
            cursor.execute(statement.format(*names))
        return
    with psycopg.connect(server_url(kind), autocommit=True, connect_timeout=3) as postgresql:
        postgresql.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@cache
def _drop_all_at_end() -> None:
    """Told where there is something to drop: a process that was forked has forgotten what was told before."""
    atexit.register(_drop_all)


def _drop_all() -> None:
    for url in list(_made):
        backend = make_url(url).get_backend_name()
        # the files go with their folder
        if backend != "sqlite" and not ends_with_run("mariadb" if backend == "mysql" else backend):
            drop_database(url)
