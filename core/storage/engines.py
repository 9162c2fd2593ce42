"""Engines of SQLAlchemy as we want them: which driver with which options, and how a lost connection is noticed."""

import select
from collections.abc import Callable, Mapping
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Any

import sqlalchemy as sa
from pymysql.charset import charset_by_name
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL

from core.storage.faults import UNKNOWN_OPTION, DatabaseSetUp
from core.storage.mysql.cursor import ClosingConnection, FastCursor
from core.storage.mysql.encryption import encryption
from core.storage.mysql.values import mysqlclient_options
from core.storage.private_files import private_file
from core.storage.tables import texts

# how long a statement waits for a lock that another transaction holds; then the answer says that the database is busy
LOCK_SECONDS = 10
# and for a table that somebody changes or has locked altogether, such as for a dump
_TABLE_LOCK_SECONDS = 60
# said as a connection is made, if its address does not say it: by themselves statements of MariaDB wait for 50 seconds,
# and those of PostgreSQL for ever
_LOCK_WAITS = {
    "mysql": f"SET SESSION innodb_lock_wait_timeout={LOCK_SECONDS}, lock_wait_timeout={_TABLE_LOCK_SECONDS}",
    "postgresql": f"SET lock_timeout = '{LOCK_SECONDS}s'",
}
# firewalls forget connections that are silent for longer, without telling either side
SILENT_SECONDS = 280
_CONNECT_SECONDS = 5
_OVERFLOW = 16
_BAD_VALUE = "an option of the database's address has a value that its driver does not take"


def make_engine(url: URL, pool_size: int) -> Engine:
    """An engine for an address of :func:`core.values.database_urls.normal_url`; nothing is connected yet.

    Raises ValueError, in a sentence, for options of the address that cannot be used.
    """
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, pool_size)
    arguments: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS}
    if url.get_backend_name() == "mysql":
        engine = _mysql_engine(url, pool_size, arguments)
    else:
        engine = _server_engine(url, pool_size, arguments)
    # a look at the socket in place of a question to the server and its answer
    engine.dialect.do_ping = seems_connected  # type: ignore[method-assign, assignment]
    if url.get_backend_name() == "postgresql" and "lock_timeout" not in str(url.query.get("options")):
        # not as an option of the connection, which poolers in between refuse
        event.listen(engine, "connect", lambda connection, _: _carry_out(connection, _LOCK_WAITS["postgresql"]))
    event.listen(engine, "connect", lambda connection, _: texts.learn_once(engine.dialect, connection))
    return engine


def _mysql_engine(url: URL, pool_size: int, arguments: dict[str, Any]) -> Engine:
    if "init_command" not in url.query:
        arguments["init_command"] = _LOCK_WAITS["mysql"]
    url, encrypted = encryption(url)
    arguments.update(encrypted)
    if url.drivername.endswith("+mysqldb"):
        arguments.update(mysqlclient_options())
        if url.host == "localhost" and "unix_socket" not in url.query:
            # its library would take its own idea of a socket instead, whatever the port
            url = url.set(host="127.0.0.1")
        # as PyMySQL does: statements are taken apart by what they call their values (core.storage.lookups)
        engine = _server_engine(url, pool_size, arguments, paramstyle="pyformat")
        connect = engine.dialect.loaded_dbapi.connect
    else:
        if charset_by_name(str(url.query["charset"])) is None:
            raise ValueError(_BAD_VALUE)
        arguments["cursorclass"] = FastCursor
        engine = _server_engine(url, pool_size, arguments)
        connect = ClosingConnection
    event.listen(engine, "do_connect", lambda _dialect, _record, _args, given: _connected(connect, given))
    return engine


def _server_engine(url: URL, pool_size: int, arguments: dict[str, Any], **options: Any) -> Engine:
    recycled = {"pool_pre_ping": True, "pool_recycle": SILENT_SECONDS}
    return _created(url, pool_size, connect_args=arguments, **recycled, **options)


def _created(url: URL, pool_size: int, **options: Any) -> Engine:
    try:
        return sa.create_engine(url, pool_size=pool_size, max_overflow=_OVERFLOW, **options)
    except ValueError:
        raise ValueError(_BAD_VALUE) from None


def _connected(connect: Callable[..., Any], given: Mapping[str, Any]) -> Any:
    """Drivers of MySQL tell an option that they do not know as Python does a mistake in a program."""
    try:
        return connect(**given)
    except TypeError as error:
        if "keyword argument" in str(error):
            raise DatabaseSetUp(UNKNOWN_OPTION) from error
        raise


def _carry_out(connection: Any, statement: str) -> None:
    """On a driver's connection that is being made."""
    cursor = connection.cursor()
    cursor.execute(statement)
    cursor.close()
    connection.commit()


def seems_connected(connection: Any) -> bool:
    """Whether nobody has closed this driver connection, which waits between two statements: then it is silent.

    Costs no round trip. What ends without a word (a pulled cable) is found by the next statement.
    """
    descriptor = _descriptor(connection)
    if descriptor < 0:
        return False
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return not poll.poll(0)
    return not select.select([descriptor], [], [], 0)[0]


def _descriptor(connection: Any) -> int:
    if hasattr(connection, "fileno"):
        return int(connection.fileno())
    # PyMySQL has it inside
    socket = connection._sock
    return -1 if socket is None else int(socket.fileno())


def _sqlite_engine(url: URL, pool_size: int) -> Engine:
    file = Path(url.database) if url.database and url.database != ":memory:" else None
    # the driver's own transaction handling is off: BEGIN is sent below, so that writers lock at once
    engine = _created(url, pool_size, connect_args={"check_same_thread": False, "isolation_level": None})
    if file is not None:
        event.listen(engine, "do_connect", lambda *_: private_file(file))
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: SqliteConnection, _record: object) -> None:
    # not the journal mode: that is written into the file, so core.storage.schema sets it once the file is known to be
    # ours
    for pragma in (f"busy_timeout={1000 * LOCK_SECONDS}", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # through SQLAlchemy, so that a lock that cannot be had arrives as a named failure
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("sbx_write") else "BEGIN")
