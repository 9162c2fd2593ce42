"""The database engine: one for SQLite, MariaDB/MySQL and PostgreSQL, and the two ways to use it, read and write.

Tables live in :mod:`core.storage.tables`, their creation and recognition in :mod:`core.storage.schema`.
"""

import random
import sqlite3
import threading
import time
from collections import namedtuple
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Any, TypeVar
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.errors import CommitUncertain, DatabaseBusy, DatabaseFailed, DatabaseRefused, DatabaseUnavailable
from core.storage.faults import set_up_fault
from core.storage.private_files import private_file
from core.values.database_urls import normal_url

SQLITE_BUSY_MS = 10_000
AnySelect = sa.Select[*tuple[Any, ...]]

# the victim of a deadlock, or waited too long for a lock (MySQL's numbers, PostgreSQL's codes)
_PASSING = (1205, 1213, "40001", "40P01", "55P03")
# what the same statement meets again each time: values that do not fit, names that are not there
_REFUSALS = (DataError, IntegrityError, ProgrammingError, NotSupportedError)
_PAUSES = (0.01, 0.03, 0.1, 0.3)
_PATIENCE_SECONDS = 3.0

Done = TypeVar("Done")


class Database:
    """One engine. ``first()`` looks one row up, ``read()`` gives a consistent snapshot, ``write()`` a transaction.

    All raise :class:`~core.errors.DatabaseUnavailable` when the server cannot be reached, and never let
    a driver's text out.
    """

    def __init__(self, url: str, *, pool_size: int = 8, must_exist: bool = False) -> None:
        self.url = normal_url(url)
        if must_exist and self.url.get_backend_name() == "sqlite" and not Path(self.url.database or "").is_file():
            raise ValueError("there is no SQLite database at this address")
        self.dialect = self.url.get_backend_name()
        self.engine = _engine(self.url, pool_size)
        self._lookups: dict[AnySelect, _Lookup] = {}
        self._readers = _Readers(self.engine)

    def first(self, statement: AnySelect, **parameters: Any) -> Any:
        """The first row of a select that is made once and kept (a named tuple of the driver's values), or None.

        For what every request asks: the select is compiled once and runs on a driver connection by itself, without
        a transaction around it, which takes a quarter of the time of an execution through SQLAlchemy.
        """
        lookup = self._lookup(statement)
        row = lookup.run(parameters, lambda cursor: cursor.fetchone())
        return None if row is None else lookup.named(row)

    def all(self, statement: AnySelect, **parameters: Any) -> Sequence[Sequence[Any]]:
        """All rows of a select that is made once and kept, as the driver's plain tuples; see :meth:`first`."""
        rows: Sequence[Sequence[Any]] = self._lookup(statement).run(parameters, lambda cursor: cursor.fetchall())
        return rows

    def _lookup(self, statement: AnySelect) -> "_Lookup":
        lookup = self._lookups.get(statement)
        if lookup is None:
            lookup = self._lookups[statement] = _Lookup(self.engine, self._readers, statement)
        return lookup

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that only reads; everything it sees is of one moment."""
        with self._connect() as connection, _named_failures():
            if self.dialect == "postgresql":
                # its default shows each statement another moment; the others' default is one snapshot
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: committed when the block ends, rolled back when it raises.

        On SQLite the write lock is taken at once, so that read-then-write cannot lose to another writer. Raises
        CommitUncertain when nobody can tell whether it was committed; every other failure did nothing.
        """
        with self._connect() as connection, _named_failures():
            connection = connection.execution_options(sbx_write=True)
            transaction = connection.begin()
            try:
                yield connection
            except BaseException:
                _roll_back(transaction)
                raise
            _commit(transaction)

    def transact(self, act: Callable[[Connection], Done]) -> Done:
        """What ``act`` returns of one transaction (see :meth:`write`), repeated whole while it meets passing faults.

        Deadlocks are nobody's mistake, and a connection that was lost before the commit has done nothing. ``act`` may
        call nothing outside of the database. Raises DatabaseBusy or DatabaseUnavailable when the fault does not pass
        within some tries, or came only after a long wait.
        """
        for pause in _PAUSES:
            began = time.monotonic()
            try:
                with self.write() as connection:
                    return act(connection)
            except CommitUncertain:
                raise
            except (DatabaseBusy, DatabaseUnavailable):
                if time.monotonic() - began > _PATIENCE_SECONDS:
                    raise
                # not all who met each other again at the same instant
                time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads, protects nothing
        with self.write() as connection:
            return act(connection)

    def _connect(self) -> Connection:
        try:
            return self.engine.connect()
        except (DBAPIError, PoolTimeout, OSError) as error:
            raise _not_connected(error) from error

    def close(self) -> None:
        self.dispose()

    @property
    def is_missing(self) -> bool:
        """Whether this is an SQLite file that does not exist yet."""
        name = self.url.database
        return self.dialect == "sqlite" and bool(name) and name != ":memory:" and not Path(str(name)).exists()

    def dispose(self) -> None:
        self._readers.close()
        self.engine.dispose()


class _Readers:
    """Driver connections for single selects.

    On SQLite each thread keeps one of its own: taking one from the pool and giving it back costs more than the
    select. Elsewhere they come from the pool, which knows how to mend a broken connection.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._keeps = engine.dialect.name == "sqlite"
        self._own = threading.local()
        self._all: WeakSet[_KeptConnection] = WeakSet()

    @contextmanager
    def one(self) -> Iterator[Any]:
        if self._keeps:
            yield self._kept()
            return
        connection = self._new()
        try:
            yield connection
        except self._engine.dialect.loaded_dbapi.Error as error:
            connection.invalidate(error)
            raise
        finally:
            connection.close()

    def close(self) -> None:
        for kept in list(self._all):
            kept.close()
        self._own = threading.local()

    def _kept(self) -> Any:
        kept = getattr(self._own, "kept", None)
        if kept is None:
            pooled = self._new()
            kept = self._own.kept = _KeptConnection(pooled.dbapi_connection)
            pooled.detach()
            self._all.add(kept)
        return kept.connection

    def _new(self) -> Any:
        try:
            return self._engine.raw_connection()
        except (DBAPIError, PoolTimeout, OSError, self._engine.dialect.loaded_dbapi.Error) as error:
            raise _not_connected(error) from error


class _KeptConnection:
    """A driver connection that is closed when its thread ends, or by whoever comes first."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def close(self) -> None:
        self.connection.close()

    __del__ = close


class _Lookup:
    """One compiled select; see :meth:`Database.first`."""

    def __init__(self, engine: Engine, readers: _Readers, statement: AnySelect) -> None:
        self._dialect = engine.dialect
        self._readers = readers
        compiled = statement.compile(dialect=engine.dialect, compile_kwargs={"render_postcompile": True})
        assert isinstance(compiled, sa.sql.compiler.SQLCompiler)  # noqa: S101 - what a select compiles to
        self._sql = str(compiled)
        self._defaults = dict(compiled.params)
        self._positions = compiled.positiontup
        self.named = namedtuple("Row", statement.selected_columns.keys(), rename=True)._make  # type: ignore[attr-defined]

    def run(self, parameters: dict[str, Any], fetch: Callable[[Any], Any]) -> Any:
        values: Any = {**self._defaults, **parameters}
        if self._positions is not None:
            values = [values[name] for name in self._positions]
        try:
            with self._readers.one() as connection:
                cursor = connection.cursor()
                cursor.execute(self._sql, values)
                rows = fetch(cursor)
                cursor.close()
        except self._dialect.loaded_dbapi.Error as error:
            gone = self._dialect.is_disconnect(error, None, None)
            raise set_up_fault(error) or (DatabaseUnavailable if gone else DatabaseFailed)() from error
        return rows


@contextmanager
def _named_failures() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise _named(error) from error


def _named(error: DBAPIError) -> DatabaseFailed:
    if _is_passing(error.orig):
        return DatabaseBusy()
    if (fault := set_up_fault(error.orig)) is not None:
        return fault
    if error.connection_invalidated:
        return DatabaseUnavailable()
    return DatabaseRefused() if isinstance(error, _REFUSALS) else DatabaseFailed()


def _not_connected(error: Exception) -> DatabaseFailed:
    return set_up_fault(getattr(error, "orig", None) or error) or DatabaseUnavailable()


def _commit(transaction: sa.RootTransaction) -> None:
    try:
        transaction.commit()
    except DBAPIError as error:
        _roll_back(transaction)
        if error.connection_invalidated:
            raise CommitUncertain from error
        raise


def _roll_back(transaction: sa.RootTransaction) -> None:
    # a connection that is lost has nothing to be rolled back, and why it was is told already
    with suppress(DBAPIError):
        transaction.rollback()


def _is_passing(error: object) -> bool:
    """Some drivers report the server's own number beside a sqlstate that says nothing (HY000): both are looked at."""
    if isinstance(error, sqlite3.Error):
        # the lower byte; above it stands the exact reason
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return any(code in _PASSING for code in (getattr(error, "sqlstate", None), *getattr(error, "args", ())[:1]))


def _engine(url: URL, pool_size: int) -> Engine:
    if url.get_backend_name() == "sqlite":
        file = Path(url.database) if url.database and url.database != ":memory:" else None
        engine = sa.create_engine(
            url,
            pool_size=pool_size,
            max_overflow=16,
            # the driver's own transaction handling is off: BEGIN is sent below, so that writers lock at once
            connect_args={"check_same_thread": False, "isolation_level": None},
        )
        if file is not None:
            event.listen(engine, "do_connect", lambda *_: private_file(file))
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    options: dict[str, Any] = {"connect_timeout": 5}
    return sa.create_engine(
        url, pool_size=pool_size, max_overflow=16, pool_pre_ping=True, pool_recycle=280, connect_args=options
    )


def _prepare_sqlite(connection: SqliteConnection, _record: object) -> None:
    # not the journal mode: that is written into the file, so core.storage.schema sets it once the file is known to be
    # ours
    for pragma in (f"busy_timeout={SQLITE_BUSY_MS}", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # through SQLAlchemy, so that a lock that cannot be had arrives as a named failure
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("sbx_write") else "BEGIN")


def same_text(column: Any, value: sa.ColumnElement[str], dialect: str) -> sa.ColumnElement[bool]:
    """Equality as the legacy database's collation has it: regardless of case.

    MariaDB's collation does it by itself, our SQLite columns are declared NOCASE, PostgreSQL compares lowered.
    """
    if dialect == "postgresql":
        return sa.func.lower(column) == sa.func.lower(value)
    matches: sa.ColumnElement[bool] = column == value
    return matches


def same_text_in(column: Any, values: Collection[str], dialect: str) -> sa.ColumnElement[bool]:
    """:func:`same_text` with any of ``values``."""
    if dialect == "postgresql":
        return sa.func.lower(column).in_([value.lower() for value in values])
    matches: sa.ColumnElement[bool] = column.in_(values)
    return matches


def json_integer(column: Any, key: str, dialect: str) -> sa.ColumnElement[int]:
    """The whole number under ``key`` of the JSON object that a text column holds; NULL without one."""
    if dialect == "postgresql":
        return sa.cast(sa.cast(column, sa.JSON)[key].as_string(), sa.Integer)
    extracted = sa.func.json_extract(column, f"$.{key}")
    return extracted if dialect == "sqlite" else sa.cast(extracted, sa.Integer)
