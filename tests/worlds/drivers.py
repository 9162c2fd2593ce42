"""Drivers whose connections report each of their statements, and what those connections meet when a database fails.

One class for each kind of database; what fails and when is decided in :mod:`tests.worlds.breaking`. The errors are
those that the drivers raise: a connection that is to be lost is really ended by its server.
"""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Protocol

import psycopg
import sqlalchemy as sa
from psycopg import errors

from core.storage.database import Database
from core.storage.engines import seems_connected
from core.storage.mysql.cursor import ClosingConnection
from tests.worlds.strangers import strange_engine
from tests.worlds.waiting import until


class Witness(Protocol):
    """Who is told of what connections do, and may raise instead of it."""

    @property
    def is_gone(self) -> bool:
        """Whether no server answers."""

    def step(self, sql: str, connection: Any) -> None: ...

    def failed(self) -> None:
        """The database has refused a statement."""

    def commit(self, connection: Any, commit: Callable[[], None]) -> None:
        """``commit`` ends a transaction that changed something."""


Made = Callable[[], Exception]


class Driver(Protocol):
    """``passing``: what a transaction meets that may work when it is repeated; ``refusal``: what it meets each time."""

    passing: Sequence[Made]
    refusal: Made
    #: whether its transactions begin with a statement of their own
    says_begin: bool

    def connect(self, witness: Witness, options: dict[str, Any]) -> Any:
        """A connection that reports to ``witness``; None: ``options`` say it all."""

    def cut(self, connection: Any) -> None:
        """It is lost: at its next use the driver finds that, or this raises what it would."""

    def close(self) -> None: ...


def driver_of(database: Database) -> Driver:
    kinds: dict[str, Callable[[Database], Driver]] = {
        "sqlite": lambda _: Sqlite(),
        "mysql": MariaDb,
        "postgresql": PostgreSql,
    }
    return kinds[database.dialect](database)


def _reporting(cursor: Any, witness: Witness) -> Any:
    """``cursor``, a class, whose statements are told before they are carried out."""

    class Cursor(cursor):  # type: ignore[misc]
        def execute(self, sql: Any, *values: Any, **options: Any) -> Any:
            if getattr(self.connection, "is_ready", True):
                witness.step(_text(sql), self.connection)
            try:
                return super().execute(sql, *values, **options)
            except Exception:
                witness.failed()
                raise

    return Cursor


def _text(sql: Any) -> str:
    """A statement as it is each time, whatever rows it is sent with."""
    text = sql.decode("utf-8", "replace") if isinstance(sql, bytes | bytearray) else str(sql)
    return text.partition(" VALUES ")[0]


class _Ends:
    """A connection that tells when it commits what was begun with ``begins``."""

    witness: Witness
    #: what prepares a connection is nobody's request
    is_ready = False
    is_writing = False

    def commit(self) -> None:
        commit = super().commit  # type: ignore[misc]
        if self.is_writing:
            self.is_writing = False
            self.witness.commit(self, commit)
        else:
            commit()

    def rollback(self) -> None:
        self.is_writing = False
        super().rollback()  # type: ignore[misc]


class Sqlite:
    """Its file cannot be lost from under a connection: it fails."""

    says_begin = True

    def __init__(self) -> None:
        self.passing = [lambda: self._error(sqlite3.OperationalError, "database is locked", sqlite3.SQLITE_BUSY)]
        self.refusal = lambda: self._error(sqlite3.IntegrityError, "CHECK constraint failed", sqlite3.SQLITE_CONSTRAINT)

    @staticmethod
    def _error(kind: type[sqlite3.Error], text: str, code: int) -> sqlite3.Error:
        error = kind(text)
        error.sqlite_errorcode = code
        return error

    def connect(self, witness: Witness, options: dict[str, Any]) -> None:
        class Cursor(_reporting(sqlite3.Cursor, witness)):  # type: ignore[misc]
            def executemany(self, sql: str, values: Any) -> Any:
                witness.step(_text(sql), self.connection)
                return super().executemany(sql, values)

        class Connection(sqlite3.Connection):
            def cursor(self, factory: Any = Cursor) -> Any:
                return super().cursor(factory)

            def commit(self) -> None:
                if self.in_transaction:
                    witness.commit(self, super().commit)

        options["factory"] = Connection

    def close(self) -> None: ...

    def cut(self, connection: Any) -> None:
        raise self._error(sqlite3.OperationalError, "disk I/O error", sqlite3.SQLITE_IOERR)


class _Server:
    """A database behind a connection: its transactions begin with their first statement."""

    says_begin = False

    def __init__(self, database: Database) -> None:
        self._url = database.url
        self._engine = database.engine
        self._error = database.engine.dialect.loaded_dbapi
        self._lock = threading.Lock()

    @cached_property
    def _other(self) -> sa.Connection:
        """A connection of somebody else, by whom others are ended."""
        engine = strange_engine(self._url, isolation_level="AUTOCOMMIT")
        return engine.connect()

    def close(self) -> None:
        if "_other" in self.__dict__:
            self._other.close()

    def _end(self, statement: str, connection: Any) -> None:
        with self._lock:
            self._other.exec_driver_sql(statement)
        until(lambda: not seems_connected(connection), "the server has ended the connection")


class MariaDb(_Server):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        failed = self._error.OperationalError
        # both with sqlstate HY000 or 40001, of which this driver tells nothing
        self.passing = [
            lambda: failed(1213, "Deadlock found when trying to get lock; try restarting transaction"),
            lambda: failed(1205, "Lock wait timeout exceeded; try restarting transaction"),
        ]
        self.refusal = lambda: self._error.DataError(1366, "Incorrect string value: '\\xF0\\x9F\\x98\\x80'")

    def connect(self, witness: Witness, options: dict[str, Any]) -> Any:
        by_pymysql = self._engine.dialect.driver == "pymysql"
        base: Any = ClosingConnection if by_pymysql else self._error.connections.Connection
        cursor = options.get("cursorclass") or base.default_cursor
        if witness.is_gone:
            raise self._error.OperationalError(2003, "Can't connect to MySQL server ([Errno 111] Connection refused)")
        made = type("Connection", (_Ends, base), {"witness": witness})
        return made(**{**options, "cursorclass": _reporting(cursor, witness)})

    def cut(self, connection: Any) -> None:
        if seems_connected(connection):
            self._end(f"KILL {connection.thread_id()}", connection)


class PostgreSql(_Server):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.passing = [
            lambda: errors.DeadlockDetected("deadlock detected"),
            lambda: errors.SerializationFailure("could not serialize access due to concurrent update"),
            lambda: errors.LockNotAvailable("canceling statement due to lock timeout"),
        ]
        self.refusal = lambda: errors.CheckViolation("new row violates check constraint")

    def connect(self, witness: Witness, options: dict[str, Any]) -> Any:
        class Cursor(_reporting(psycopg.Cursor, witness)):  # type: ignore[misc]
            def executemany(self, sql: Any, *values: Any, **options: Any) -> Any:
                witness.step(_text(sql), self.connection)
                return super().executemany(sql, *values, **options)

        if witness.is_gone:
            raise psycopg.OperationalError("connection failed: Connection refused")
        made: Any = type("Connection", (_Ends, psycopg.Connection), {"witness": witness})
        return made.connect(**{**options, "cursor_factory": Cursor})

    def cut(self, connection: Any) -> None:
        if not connection.closed and seems_connected(connection):
            self._end(f"SELECT pg_terminate_backend({connection.info.backend_pid})", connection)
