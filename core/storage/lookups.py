"""Selects that are made once and run by themselves on driver connections: the way of what every request asks.

Used through :class:`core.storage.database.Database`, whose ``first`` and ``all`` say what is promised.
"""

import re
import threading
import time
from collections import deque, namedtuple
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.errors import DatabaseFailed, DatabaseUnavailable
from core.storage.engines import SILENT_SECONDS, seems_connected
from core.storage.faults import not_connected, set_up_fault
from core.storage.mysql.prepared import Prepared, takes_names
from core.storage.tables.texts import held_by

_PLAIN = re.compile(r"[A-Za-z0-9_.$ ]*")
AnySelect = sa.Select[*tuple[Any, ...]]
Rows = Sequence[Sequence[Any]]


class Lender(Protocol):
    """Gives driver connections that nobody else uses meanwhile, and on which each statement stands for itself."""

    def take(self, *, looked_at: bool = False) -> Any:
        """``looked_at``: one that seems to be connected, for what must not be repeated. Raises DatabaseUnavailable."""

    def give_back(self, connection: Any) -> None: ...

    def drop(self, connection: Any) -> None:
        """In place of ``give_back``: in what state it is, is not known."""

    def forget(self) -> None:
        """Whatever is not in use now is not lent again: the server has gone, or its connections have."""

    def close(self) -> None: ...


class Lookup:
    """One compiled statement: a select, or a change that is its own transaction."""

    def __init__(self, engine: Engine, statement: AnySelect | sa.Update) -> None:
        self._dialect = engine.dialect
        compiled = statement.compile(dialect=engine.dialect, compile_kwargs={"render_postcompile": True})
        assert isinstance(compiled, sa.sql.compiler.SQLCompiler)  # noqa: S101 - what a select compiles to
        self._sql, self._defaults = str(compiled), dict(compiled.params)
        self._positions = compiled.positiontup
        binds = compiled.bind_names.items()
        if engine.dialect.name == "mysql":
            unnamed = {name: self._defaults[name] for bind, name in binds if bind.unique and name in self._defaults}
            self._sql, known = _with_constants(self._sql, unnamed)
            self._defaults = {name: value for name, value in self._defaults.items() if name not in known}
        self._prepared = Prepared(self._sql, self._is_lost) if engine.dialect.name == "mysql" else None
        self._held = [(name, held) for bind, name in binds if (held := held_by(bind.type)) is not None]
        names = statement.selected_columns.keys() if isinstance(statement, sa.Select) else ()
        self.named = namedtuple("Row", names, rename=True)._make  # type: ignore[attr-defined]

    def run(self, lender: Lender, parameters: dict[str, Any]) -> Rows:
        """All rows as the driver's tuples. Raises DatabaseFailed, DatabaseUnavailable."""
        values = self._values(parameters)
        try:
            try:
                return self._execute(lender, values).rows
            except self._dialect.loaded_dbapi.Error as error:
                if not self._is_lost(error):
                    raise
            # it was lost while it waited; nothing but a read can have happened twice
            lender.forget()
            return self._execute(lender, values).rows
        except self._dialect.loaded_dbapi.Error as error:
            raise self._named(error) from error

    def change(self, lender: Lender, parameters: dict[str, Any]) -> int:
        """How many rows were found to be changed. Raises DatabaseFailed, DatabaseUnavailable."""
        try:
            return self._execute(lender, self._values(parameters), looked_at=True).found
        except self._dialect.loaded_dbapi.Error as error:
            raise self._named(error) from error

    def _values(self, parameters: dict[str, Any]) -> Any:
        values = {**self._defaults, **parameters}
        for name, held in self._held:
            value = values.get(name)
            # what every column can hold is nearly all
            if isinstance(value, str) and not (value.isascii() and value.isprintable()):
                values[name] = held.comparable(value, self._dialect)
        return values if self._positions is None else [values[name] for name in self._positions]

    def _named(self, error: Exception) -> DatabaseFailed:
        return set_up_fault(error) or (DatabaseUnavailable() if self._is_lost(error) else DatabaseFailed())

    def _is_lost(self, error: Exception) -> bool:
        return self._dialect.is_disconnect(error, None, None)  # type: ignore[arg-type]

    def _execute(self, lender: Lender, values: Any, *, looked_at: bool = False) -> "_Done":
        connection = lender.take(looked_at=looked_at)
        try:
            cursor = connection.cursor()
            if not self._is_asked_by_name(connection, cursor, values):
                cursor.execute(self._sql, values)
            # a change is not read, and its count is not asked of a select
            done = _Done((), cursor.rowcount) if looked_at else _Done(cursor.fetchall(), 0)
            cursor.close()
        except BaseException:
            lender.drop(connection)
            raise
        lender.give_back(connection)
        return done

    def _is_asked_by_name(self, connection: Any, cursor: Any, values: Any) -> bool:
        """Whether it was executed so (:mod:`core.storage.mysql.prepared`)."""
        prepared = self._prepared
        return prepared is not None and takes_names(self._dialect) and prepared.execute(connection, cursor, values)


def _with_constants(sql: str, values: Mapping[str, Any]) -> tuple[str, Collection[str]]:
    """``sql`` with those of ``values`` in it that every manner of quoting leaves alike, and their names.

    What is left is quoted anew at each execution.
    """
    literals = {
        name: str(value) if type(value) is int else f"'{value}'"
        for name, value in values.items()
        if type(value) is int or (type(value) is str and _PLAIN.fullmatch(value))
    }
    for name, literal in literals.items():
        sql = sql.replace(f"%({name})s", literal)
    return sql, literals.keys()


class _Done(NamedTuple):
    rows: Rows
    found: int


class Readers:
    """Connections beside the engine's pool, each statement on them a transaction of its own.

    Whoever asks takes the one that was used last, without a lock, so that there are no more than are used at once.
    """

    def __init__(self, engine: Engine, keep: int) -> None:
        self._engine = engine
        self._keep = keep
        self._idle: deque[tuple[Any, float]] = deque()

    def take(self, *, looked_at: bool = False) -> Any:
        while self._idle:
            try:
                connection, since = self._idle.pop()
            except IndexError:
                break
            is_fresh = time.monotonic() - since < SILENT_SECONDS
            if is_fresh and (not looked_at or seems_connected(connection)):
                return connection
            _close(connection)
        return self._new()

    def give_back(self, connection: Any) -> None:
        if len(self._idle) < self._keep:
            self._idle.append((connection, time.monotonic()))
        else:
            _close(connection)

    def drop(self, connection: Any) -> None:
        _close(connection)

    def forget(self) -> None:
        while self._idle:
            try:
                connection, _ = self._idle.pop()
            except IndexError:
                break
            _close(connection)

    close = forget

    def _new(self) -> Any:
        connection = _connect(self._engine)
        try:
            if self._engine.dialect.name == "postgresql":
                connection.autocommit = True
            else:
                connection.autocommit(True)
        except self._engine.dialect.loaded_dbapi.Error as error:
            _close(connection)
            raise DatabaseUnavailable from error
        return connection


class ThreadReaders:
    """SQLite: each thread keeps a connection of its own, for taking one and giving it back costs more than a select."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._own = threading.local()
        self._all: WeakSet[_KeptConnection] = WeakSet()

    def take(self, *, looked_at: bool = False) -> Any:
        kept = getattr(self._own, "kept", None)
        if kept is None:
            kept = self._own.kept = _KeptConnection(_connect(self._engine))
            self._all.add(kept)
        return kept.connection

    def give_back(self, connection: Any) -> None:
        pass

    # a failed select leaves it as it was
    drop = give_back

    def forget(self) -> None:
        pass

    def close(self) -> None:
        for kept in list(self._all):
            kept.close()
        self._own = threading.local()


class _KeptConnection:
    """A driver connection that is closed when its thread ends, or by whoever comes first."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def close(self) -> None:
        self.connection.close()

    __del__ = close


def _connect(engine: Engine) -> Any:
    """A driver connection made as the engine makes its own, that its pool does not know."""
    try:
        pooled = engine.raw_connection()
    except (DBAPIError, PoolTimeout, OSError, engine.dialect.loaded_dbapi.Error) as error:
        raise not_connected(error) from error
    connection = pooled.dbapi_connection
    pooled.detach()
    return connection


def _close(connection: Any) -> None:
    # it was lost, or is in use no more
    with suppress(Exception):
        connection.close()
