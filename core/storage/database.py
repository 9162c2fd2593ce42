"""The database engine: one for SQLite, MariaDB/MySQL and PostgreSQL, and the two ways to use it, read and write.

Tables live in :mod:`core.storage.tables`, their creation and recognition in :mod:`core.storage.schema`.
"""

import logging
import random
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.errors import CommitUncertain, DatabaseBusy, DatabaseFailed, DatabaseRefused, DatabaseUnavailable
from core.storage.engines import make_engine
from core.storage.faults import not_connected, set_up_fault
from core.storage.lookups import AnySelect, Lookup, Readers, ThreadReaders
from core.storage.tables import texts
from core.values.database_urls import normal_url

log = logging.getLogger(__name__)

# the victim of a deadlock, or waited too long for a lock (MySQL's numbers, PostgreSQL's codes)
_PASSING = (1205, 1213, "40001", "40P01", "55P03")
# what the same statement meets again each time: values that do not fit, names that are not there
_REFUSALS = (DataError, IntegrityError, ProgrammingError, NotSupportedError)
# and texts of character sets that cannot be compared (MySQL's numbers)
_INCOMPARABLE = (1267, 1270, 1271, 3854, 3988)
_PAUSES = (0.01, 0.03, 0.1, 0.3)
_PATIENCE_SECONDS = 3.0
# seconds; of those that change rows
LONGEST_TRANSACTION = 60

Done = TypeVar("Done")


class Database:
    """One engine. ``first()`` looks one row up, ``read()`` gives a consistent snapshot, ``write()`` a transaction.

    All raise :class:`~core.errors.DatabaseUnavailable` when the server cannot be reached, and never let
    a driver's text out.
    """

    def __init__(
        self, url: str, *, pool_size: int = 8, must_exist: bool = False, longest_transaction: int = LONGEST_TRANSACTION
    ) -> None:
        self.url = normal_url(url)
        if must_exist and self.url.get_backend_name() == "sqlite" and not Path(self.url.database or "").is_file():
            raise ValueError("there is no SQLite database at this address")
        self.dialect = self.url.get_backend_name()
        self.engine = make_engine(self.url, pool_size)
        # what core.storage.caching.freshness knows of this database
        self.longest_transaction = longest_transaction
        self.proofs: dict[Any, Any] = {}
        self._lookups: dict[AnySelect | sa.Update, Lookup] = {}
        self._readers = ThreadReaders(self.engine) if self.dialect == "sqlite" else Readers(self.engine, pool_size)

    def first(self, statement: AnySelect, **parameters: Any) -> Any:
        """The first row of a select that is made once and kept (a named tuple of the driver's values), or None.

        For what every request asks: the select is compiled once and runs on a driver connection by itself, without
        a transaction around it: one round trip, and a quarter of the time of an execution through SQLAlchemy. On a
        connection that turns out to be lost it is repeated once on a new one.
        """
        lookup = self._lookup(statement)
        rows = lookup.run(self._readers, parameters)
        return lookup.named(rows[0]) if rows else None

    def all(self, statement: AnySelect, **parameters: Any) -> Sequence[Sequence[Any]]:
        """All rows of a select that is made once and kept, as the driver's plain tuples; see :meth:`first`."""
        return self._lookup(statement).run(self._readers, parameters)

    def rows(self, statement: AnySelect, **parameters: Any) -> list[Any]:
        """As :meth:`all`, as named tuples."""
        lookup = self._lookup(statement)
        return [lookup.named(row) for row in lookup.run(self._readers, parameters)]

    def change(self, statement: sa.Update, **parameters: Any) -> int:
        """Run an update that is made once and kept, as a transaction of its own; how many rows met its conditions.

        One round trip, never repeated.
        """
        return self._lookup(statement).change(self._readers, parameters)

    def _lookup(self, statement: AnySelect | sa.Update) -> Lookup:
        lookup = self._lookups.get(statement)
        if lookup is None:
            lookup = self._lookups[statement] = Lookup(self.engine, statement)
        return lookup

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that only reads; everything it sees is of one moment."""
        with self._named_failures(), self._connected() as connection:
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
        with self._named_failures(), self._connected() as connection:
            connection = connection.execution_options(sbx_write=True)
            transaction = connection.begin()
            try:
                yield connection
            except BaseException:
                _roll_back(transaction)
                raise
            _commit(transaction)

    def transact(self, act: Callable[[Connection], Done], *, is_stored: Callable[[Done], bool] | None = None) -> Done:
        """What ``act`` returns of one transaction (see :meth:`write`), repeated whole while it meets passing faults.

        Deadlocks are nobody's mistake, and a connection that was lost before the commit has done nothing. ``act`` may
        call nothing outside of the database. ``is_stored`` is asked whether what ``act`` returned is there when a
        commit was not answered; then all is well. Raises DatabaseBusy or DatabaseUnavailable when the fault does not
        pass within some tries, or came only after a long wait.
        """
        for pause in _PAUSES:
            began = time.monotonic()
            try:
                return self._transact_once(act, is_stored)
            except CommitUncertain:
                raise
            except (DatabaseBusy, DatabaseUnavailable):
                if time.monotonic() - began > _PATIENCE_SECONDS:
                    raise
                # not all who met each other again at the same instant
                time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads, protects nothing
        return self._transact_once(act, is_stored)

    def _transact_once(self, act: Callable[[Connection], Done], is_stored: Callable[[Done], bool] | None) -> Done:
        made: list[Done] = []
        try:
            with self.write() as connection:
                made.append(act(connection))
        except CommitUncertain:
            # what cannot be seen now stays uncertain
            with suppress(DatabaseFailed):
                if is_stored is not None and is_stored(made[0]):
                    return made[0]
            raise
        return made[0]

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        connection = self._connect()
        try:
            yield connection
        finally:
            # what is done is done, also where the connection breaks while it is given back
            with suppress(DBAPIError, self.engine.dialect.loaded_dbapi.Error):
                connection.close()

    def _connect(self) -> Connection:
        try:
            connection = self.engine.connect()
            texts.learn_once(self.engine.dialect, connection.connection.dbapi_connection)
        except (DBAPIError, PoolTimeout, OSError, self.engine.dialect.loaded_dbapi.Error) as error:
            raise not_connected(error) from error
        return connection

    @contextmanager
    def _named_failures(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            named = _named(error)
            if isinstance(error, DataError):
                self.forget_columns()  # if one was thought to be another, not again
            raise named from error
        except self.engine.dialect.loaded_dbapi.Error as error:
            # what was asked of the driver itself, past SQLAlchemy: mostly of a connection that broke meanwhile
            driver = self.engine.dialect.loaded_dbapi
            gone = isinstance(error, driver.OperationalError | driver.InterfaceError)
            kind = DatabaseBusy if _is_passing(error) else DatabaseUnavailable if gone else DatabaseFailed
            raise kind from error

    @property
    def is_mariadb(self) -> bool:
        """Known once something was asked; MySQL, which is like it in most, is none."""
        return bool(getattr(self.engine.dialect, "is_mariadb", False))

    def close(self) -> None:
        self.dispose()

    def forget_columns(self) -> None:
        """What the text columns hold is looked up again."""
        texts.forget(self.engine.dialect)

    def rewrite(self) -> None:
        """SQLite: make the file anew, so that nothing of what was changed or deleted is left in its free places.

        Not while others are at work on it for long: then it stays as it is.
        """
        if self.dialect != "sqlite":
            return
        connection = self.engine.raw_connection()
        try:
            for statement in ("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
                connection.cursor().execute(statement)
        except sqlite3.Error as error:
            log.warning("the database file could not be rewritten: %s", type(error).__name__)
        finally:
            connection.close()

    @property
    def is_missing(self) -> bool:
        """Whether this is an SQLite file that does not exist yet."""
        name = self.url.database
        return self.dialect == "sqlite" and bool(name) and name != ":memory:" and not Path(str(name)).exists()

    def dispose(self) -> None:
        self._readers.close()
        self.engine.dispose()


def _named(error: DBAPIError) -> DatabaseFailed:
    if _is_passing(error.orig):
        return DatabaseBusy()
    if (fault := set_up_fault(error.orig)) is not None:
        return fault
    if error.connection_invalidated:
        return DatabaseUnavailable()
    lasting = isinstance(error, _REFUSALS) or next(iter(getattr(error.orig, "args", ())), None) in _INCOMPARABLE
    return DatabaseRefused() if lasting else DatabaseFailed()


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


def same_text(column: Any, value: sa.ColumnElement[str], dialect: str) -> sa.ColumnElement[bool]:
    """Equality as the legacy database's collation has it: regardless of case.

    MariaDB's collation does it by itself, our SQLite columns are declared NOCASE, PostgreSQL compares lowered.
    """
    if dialect == "postgresql":
        return sa.func.lower(column) == sa.func.lower(texts.compared(column, value))
    matches: sa.ColumnElement[bool] = column == texts.compared(column, value)
    return matches


def same_text_in(
    column: Any, values: Collection[str] | Collection[sa.ColumnElement[str]], dialect: str
) -> sa.ColumnElement[bool]:
    """:func:`same_text` with any of ``values``."""
    if dialect == "postgresql":
        lowered = texts.compared(column, sa.func.lower(column))
        # one parameter for all texts: hundreds of expressions would take longer to build than to answer
        return lowered.in_([value.lower() if isinstance(value, str) else sa.func.lower(value) for value in values])
    matches: sa.ColumnElement[bool] = column.in_(values)
    return matches


def json_integer(column: Any, key: str, dialect: str) -> sa.ColumnElement[int]:
    """The whole number under ``key`` of the JSON object that a text column holds; NULL without one."""
    if dialect == "postgresql":
        return sa.cast(sa.cast(column, sa.JSON)[key].as_string(), sa.Integer)
    extracted = sa.func.json_extract(column, f"$.{key}")
    return extracted if dialect == "sqlite" else sa.cast(extracted, sa.Integer)
