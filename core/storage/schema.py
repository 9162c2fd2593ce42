"""The database's structure: recognising what is there, creating what is missing, refusing what is not ours.

The tables stand in :mod:`core.storage.tables`, the revisions in :mod:`core.storage.migrations`.
"""

import secrets
import sqlite3
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, SQLColumnExpression
from sqlalchemy.orm import InstrumentedAttribute

from core.errors import DatabaseFailed, DatabaseUnavailable
from core.storage.database import Database
from core.storage.migrations import additive
from core.storage.migrations.look import look_at, looking
from core.storage.revisions import notes_of_upgrade, pending, plans, run_revisions
from core.storage.table_faults import refuse_upgrade, table_faults
from core.storage.tables import OWN_PREFIX, OWN_TABLES, PANEL_TABLES, Base, State
from core.storage.writing import insert_if_absent

T = TypeVar("T")

OWN, LEGACY = "own", "legacy"

LOCK_SECONDS = 60
_LOCK_NAME = "sbx_schema"
_LOCK_NUMBER = 0x5342585F

_CORE = {
    "_accounts": "id username mac email phone_number reseller plan timestamp full_name tariff_plan end_date status",
    "_currencies": "id name",
    # without category, which the oldest panels lack
    "_plans": "id external_id name currency_id price days",
    "_transactions": "id creator for_user amount currency type details timestamp",
    "_users": "id username password name email balance permissions max_users super_user currency_id ip_ranges "
    "plans timestamp",
}
# what only the panel's set-up script makes (chapter 01, "Trap")
_INSTALLER_MARKS = {
    "_accounts": {"plan_id", "stb_type"},
    "_plans": {"tariff_id", "duration_days"},
    "_transactions": {"user_id", "description"},
    "_currencies": {"code", "symbol"},
}


class UnknownDatabase(DatabaseUnavailable):
    """The database is not one that we may work on; nothing in it was changed."""

    default_text = (
        "The database holds tables of another application, or only a part of the panel's; nothing was changed."
    )


class InstallerDatabase(UnknownDatabase):
    default_text = (
        "The database has the structure of the panel's set-up script, on which no panel works "
        "(it lacks columns of the production structure); nothing was changed."
    )


class Shape(Enum):
    """What a database is, as seen from its tables."""

    EMPTY = "empty"
    OURS = "ours"
    LEGACY = "legacy"
    INSTALLER = "installer"
    UNKNOWN = "unknown"


_REFUSED: dict[Shape, type[UnknownDatabase]] = {
    Shape.INSTALLER: InstallerDatabase,
    Shape.UNKNOWN: UnknownDatabase,
}


class LacksColumns(DatabaseFailed):
    """An older panel's table has no column for what was to be stored; ``db upgrade`` adds it."""

    default_text = "This database has no place for that yet; run the database upgrade first"


@dataclass(frozen=True)
class Layout:
    """Which tables and columns exist now. ``origin``: 'own' (we created them) or 'legacy' (a panel did).

    What older panels lack is read as NULL (:meth:`column`) and not written (:meth:`writable`).
    """

    columns: Mapping[str, frozenset[str]]
    origin: str

    def has_table(self, name: str) -> bool:
        return name in self.columns

    def has_column(self, table: str, column: str) -> bool:
        return column in self.columns.get(table, ())

    def has(self, column: InstrumentedAttribute[Any]) -> bool:
        return self.has_column(column.class_.__tablename__, column.name)

    def column(self, column: InstrumentedAttribute[T]) -> SQLColumnExpression[T | None]:
        """``column``, or where this database lacks it NULL of its type under its name."""
        if self.has(column):
            return column
        return sa.type_coerce(sa.null(), column.type).label(column.name)

    def writable(self, model: type[Base], values: Mapping[str, Any]) -> dict[str, Any]:
        """``values`` without columns that this database lacks. Raises LacksColumns where that would lose something."""
        lacking = values.keys() - self.columns.get(model.__tablename__, frozenset())
        if any(values[name] for name in lacking):
            raise LacksColumns
        return {name: value for name, value in values.items() if name not in lacking}

    @cached_property
    def _hash(self) -> int:
        return hash((self.origin, frozenset(self.columns.items())))

    def __hash__(self) -> int:
        """Statements are kept by layout, and looked up at each request."""
        return self._hash


@dataclass(frozen=True)
class Findings:
    """What ``upgrade`` would do: one line per change, or why the database is refused. ``faults``: what is wrong with
    the tables, and no upgrade puts right."""

    shape: Shape
    lines: list[str]
    faults: list[str] = field(default_factory=list)

    @property
    def is_refused(self) -> bool:
        return self.shape in _REFUSED


def recognise(connection: Connection) -> Shape:
    """Tell what the database is; only looks."""
    names = {name for name in look_at(connection).tables if not name.startswith("sqlite_")}
    if all(name.startswith(OWN_PREFIX) for name in names):
        # our tables alone are what a creation leaves behind that was cut short
        return Shape.OURS if _origin(connection, names) == OWN else Shape.EMPTY
    if not names.intersection(table.name for table in PANEL_TABLES):
        return Shape.UNKNOWN
    if _origin(connection, names) == OWN:
        return Shape.OURS
    columns = additive.columns_by_table(connection)
    if all(columns.get(table, frozenset()).issuperset(needed.split()) for table, needed in _CORE.items()):
        return Shape.LEGACY
    if any(marks <= columns.get(table, frozenset()) for table, marks in _INSTALLER_MARKS.items()):
        return Shape.INSTALLER
    return Shape.UNKNOWN


def read_layout(database: Database) -> Layout:
    with database.read() as connection:
        return _layout(connection)


def prepare(database: Database) -> Layout:
    """What merely running does: complete a database of ours, add our own tables beside a panel's.

    The panel's tables stay untouched. Raises :class:`UnknownDatabase` for anything else. Several processes
    may start at once.
    """
    with _alone(database) as connection:
        shape = _accepted(connection)
        if shape is Shape.LEGACY:
            _claim(connection, LEGACY, _silent)
            additive.carry_out(connection, _own_tables_missing(connection), _silent)
        else:
            _bring_up(connection, shape, _silent)
        layout = _layout(connection)
    database.forget_columns()
    _let_readers_and_writer_meet(database)
    return layout


def upgrade(database: Database, progress: Callable[[str], None] | None = None) -> list[str]:
    """Add everything that the newest revision promises, to a panel's tables as well; all of it additive.

    Returns what was done, one line each; ``progress`` gets each line before it is begun. A second call
    finds nothing to do. Raises :class:`UnknownDatabase`.
    """
    lines: list[str] = []

    def report(line: str) -> None:
        lines.append(line)
        if progress:
            progress(line)

    with _alone(database) as connection:
        shape = _accepted(connection)
        refuse_upgrade(connection)
        notes = notes_of_upgrade(connection, pending(connection)[0], is_claimed=_is_claimed(connection))
        _bring_up(connection, shape, report)
        for note in notes:
            report(note)
    database.forget_columns()
    _let_readers_and_writer_meet(database)
    return lines


def check(database: Database) -> Findings:
    """What :func:`upgrade` would do; changes nothing, and makes no file where there is no database yet."""
    if database.is_missing:
        with tempfile.TemporaryDirectory() as elsewhere, closing(_empty_database(elsewhere)) as empty:
            return check(empty)
    with database.read() as connection:
        shape = recognise(connection)
        if shape in _REFUSED:
            return Findings(shape, [_REFUSED[shape].default_text])
        newest, first_rows = pending(connection)
        with looking(connection):
            lines = [change.text for plan in (*plans(), *first_rows) for change in plan(connection)]
        lines += notes_of_upgrade(connection, newest, is_claimed=_is_claimed(connection))
        faults = table_faults(connection)
    # a later revision may promise what an earlier one already lists
    return Findings(shape, list(dict.fromkeys(lines)), faults)


def _empty_database(directory: str) -> Database:
    database = Database(f"sqlite:///{directory}/empty.db")
    with database.read():
        return database


def secret(database: Database, name: str) -> str:
    """A random key of this database (64 hex digits), made at the first call; only that call writes."""
    wanted = sa.select(State.value).where(State.name == name)
    with database.read() as connection:
        found = connection.scalar(wanted)

    def store(connection: Connection) -> str:
        insert_if_absent(connection, State, name=name, value=secrets.token_hex(32))
        # a locking read also sees what another process stored after our snapshot began
        return connection.execute(wanted.with_for_update()).scalar_one()

    def is_stored(made: str) -> bool:
        with database.read() as connection:
            return bool(connection.scalar(wanted) == made)

    # those who ask first at the same moment hold one lock and wait for the next
    return str(database.transact(store, is_stored=is_stored) if found is None else found)


def _accepted(connection: Connection) -> Shape:
    shape = recognise(connection)
    if shape in _REFUSED:
        raise _REFUSED[shape]
    return shape


def _bring_up(connection: Connection, shape: Shape, report: additive.Report) -> None:
    """Apply pending revisions; then look again, since a restored backup may lack what was once added."""
    newest, _ = pending(connection)  # raises for a database of a newer version
    _claim(connection, LEGACY if shape is Shape.LEGACY else OWN, report)
    if newest is not None:
        run_revisions(connection, report)
    for plan in plans():
        additive.carry_out(connection, plan(connection), report)


def _claim(connection: Connection, origin: str, report: additive.Report) -> None:
    """Note where the tables came from, before anything else: on MySQL each step stays if the next one fails."""
    additive.carry_out(connection, additive.missing(connection, {State.__tablename__: "name value"}), report)
    if _origin(connection, {State.__tablename__}) is None:
        insert_if_absent(connection, State, name="origin", value=origin)


def _origin(connection: Connection, names: Collection[str]) -> str | None:
    if State.__tablename__ not in names:
        return None
    return connection.scalar(sa.select(State.value).where(State.name == "origin"))


def _is_claimed(connection: Connection) -> bool:
    return _origin(connection, look_at(connection).tables) is not None


def _own_tables_missing(connection: Connection) -> list[additive.Change]:
    return additive.missing(connection, {table.name: " ".join(table.columns.keys()) for table in OWN_TABLES})


def _layout(connection: Connection) -> Layout:
    columns = additive.columns_by_table(connection)
    return Layout(columns, _origin(connection, set(columns)) or LEGACY)


def _silent(_line: str) -> None:
    pass


@contextmanager
def _alone(database: Database) -> Iterator[Connection]:
    """A writing transaction while no other process changes the structure."""
    if database.dialect == "mysql":
        with database.read() as guard, _mysql_lock(guard), database.write() as connection, looking(connection):
            yield connection
        return
    with database.write() as connection, looking(connection):
        # SQLite: the write lock is enough; its structure changes are part of the transaction
        if database.dialect == "postgresql":
            # others may be at it for longer than a request should wait
            connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_NUMBER)))
        yield connection


@contextmanager
def _mysql_lock(guard: Connection) -> Iterator[None]:
    """Held on a connection of its own, so that it outlives the commit of the work."""
    name = sa.func.concat(_LOCK_NAME, ":", sa.func.left(sa.func.sha1(sa.func.database()), 40))
    if guard.scalar(sa.select(sa.func.get_lock(name, LOCK_SECONDS))) != 1:
        raise DatabaseUnavailable
    try:
        yield
    finally:
        guard.scalar(sa.select(sa.func.release_lock(name)))


def _let_readers_and_writer_meet(database: Database) -> None:
    """SQLite: switch the file to WAL, once it is known to be ours. It stays so for all who open it later."""
    if database.dialect != "sqlite":
        return
    give_up_at = time.monotonic() + LOCK_SECONDS
    with database.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None  # noqa: S101 - just connected
        # this switch does not wait for another process's lock by itself, as all other statements do
        while True:
            try:
                driver.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if time.monotonic() > give_up_at:
                    raise DatabaseUnavailable from error
                time.sleep(0.02)
            else:
                return
