"""The databases that are measured on: a file of SQLite, and a MariaDB server where there is one."""

import gzip
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.engine import URL, make_url

from core.administration.demo import fill_demo
from core.config import Config, DatabaseSection
from core.panel import Panel
from core.storage.caching.freshness import SERVER_NOW, Stamp, changed_at
from core.storage.database import Database
from core.storage.tables import Account, Transaction

# two measurements at once have one each
_NAME = f"showbox_bench_{os.getpid()}"
_LARGE = (Account.__tablename__, Transaction.__tablename__)


def sqlite_ground(folder: Path, accounts: int) -> str:
    """The address of a new file with generated rows."""
    url = f"sqlite:///{folder}/panel.db"
    _fill(url, accounts)
    return url


def is_there(server: str) -> bool:
    try:
        _connect(make_url(server)).close()
    except pymysql.err.OperationalError:
        return False
    return True


@contextmanager
def mariadb_ground(server: str, accounts: int, dump: Path | None) -> Iterator[str]:
    """The address of a new database on ``server``, dropped at the end: generated rows, or a panel's ``dump`` (plain or
    gzipped text of mysqldump)."""
    url = make_url(server).set(database=_NAME)
    with _connect(make_url(server)) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {_NAME}")
        cursor.execute(f"CREATE DATABASE {_NAME} CHARACTER SET utf8mb4")
        try:
            if dump is None:
                _fill(url.render_as_string(hide_password=False), accounts)
            else:
                cursor.execute(f"USE {_NAME}")
                for statement in _statements(dump):
                    cursor.execute(statement)
                connection.commit()
            yield url.render_as_string(hide_password=False)
        finally:
            cursor.execute(f"DROP DATABASE IF EXISTS {_NAME}")


def settle(database: Database, at_most: float) -> None:
    """Wait until what was changed in MariaDB can be told to be all, for so many seconds at most."""
    until = time.monotonic() + at_most
    while database.is_mariadb and time.monotonic() < until:
        [(*changed, now)] = database.all(select(*map(changed_at, _LARGE), SERVER_NOW))
        if Stamp.of(database, changed, now).settled:
            return
        time.sleep(0.5)


def _fill(url: str, accounts: int) -> None:
    panel = Panel(Config(database=DatabaseSection(url=SecretStr(url))))
    try:
        fill_demo(panel, accounts=accounts)
    finally:
        panel.close()


def _statements(dump: Path) -> list[str]:
    content = dump.read_bytes()
    text = (gzip.decompress(content) if dump.suffix == ".gz" else content).decode("utf-8")
    # mysqldump writes line breaks inside of values as \\n, so that a statement ends only here
    return [statement for statement in text.split(";\n") if statement.strip()]


def _connect(url: URL) -> "pymysql.Connection[pymysql.cursors.Cursor]":
    return pymysql.connect(
        host=url.host or "127.0.0.1",
        port=url.port or 3306,
        user=url.username or "root",
        password=url.password or "",
        charset="utf8mb4",
        connect_timeout=3,
    )
