"""Copying a whole panel from one database into another, e.g. from the live MariaDB into SQLite or PostgreSQL.

The source is only read. The target afterwards holds, of every table that the source has, exactly the source's
rows. Which structure a database has, and making it, belongs to :mod:`core.storage.schema`.
"""

import hashlib
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, Connection, Table

from core.errors import AlreadyExists, InvalidInput
from core.storage import schema
from core.storage.database import Database
from core.storage.migrations import additive
from core.storage.tables import (
    PANEL_TABLES,
    Account,
    Base,
    Correction,
    Credential,
    DeletedPlan,
    LedgerNote,
    LedgerOpening,
    Plan,
    PlanNote,
    State,
    Transaction,
    User,
)
from core.storage.tables.texts import as_it_stands
from core.storage.writing import continue_ids, last_id

BATCH = 1000

Progress = Callable[[str, int, int], None]

_MARK = "copied_from"
# rows of ours about the ledger's rows and balances: worse than none when they belong to others
_LEDGER = (LedgerNote.__tablename__, LedgerOpening.__tablename__, Correction.__tablename__)
# rows of ours that belong to the panel's; present only when the source is a database of ours
_COMPANIONS = (Credential.__tablename__, DeletedPlan.__tablename__, PlanNote.__tablename__, *_LEDGER)
_COPIED = (*PANEL_TABLES, *(Base.metadata.tables[name] for name in _COMPANIONS))
# where a date is required but the source holds MySQL's 0000-00-00
_NO_DATE = date(1970, 1, 1)


def copy_from(
    source: Database, target: Database, progress: Progress | None = None, *, replace: bool = False
) -> dict[str, int]:
    """Make ``target`` hold what ``source`` holds; returns table → number of rows.

    ``source`` is a panel's database or one of ours. ``target`` is empty, or ours with neither users, accounts,
    plans nor ledger rows, or filled by an earlier copy and not worked in since, whose rows are then replaced
    (``replace``: whatever it holds). Tables that the source
    lacks are left alone. Ids are kept; ``0000-00-00`` becomes NULL; rows whose user is gone, which the
    panel's own foreign keys would have removed, stay behind. ``progress`` gets (table, rows done, rows in
    all). All happens in one transaction of the target: a failure leaves it as it was.

    Raises :class:`~core.storage.schema.UnknownDatabase` (source or target not usable),
    :class:`~core.errors.InvalidInput` (one and the same database),
    :class:`~core.errors.AlreadyExists` (the target has data of its own).
    """
    with source.read() as origin:
        if schema.recognise(origin) not in (schema.Shape.LEGACY, schema.Shape.OURS):
            raise schema.UnknownDatabase("The source is not a panel's database; nothing was copied.")
        _check_target(origin, target)
        schema.prepare(target)
        with target.write() as connection:
            if not replace:
                _refuse_own_data(connection)
            copied = _replace_all(origin, connection, progress or _silent)
            connection.execute(sa.delete(State).where(State.name == _MARK))
            connection.execute(sa.insert(State).values(name=_MARK, value=_digest(connection)))
    return copied


def _check_target(origin: Connection, target: Database) -> None:
    with target.read() as connection:
        if _identity(connection) == _identity(origin):
            raise InvalidInput("The source and the target are the same database; nothing was copied.")
        if schema.recognise(connection) not in (schema.Shape.EMPTY, schema.Shape.OURS):
            raise schema.UnknownDatabase("The target is not an empty database or one of ours; nothing was copied.")


def _identity(connection: Connection) -> tuple[object, ...]:
    """Equal for two connections to one database, however each was addressed."""
    if connection.dialect.name == "sqlite":
        path = connection.execute(sa.text("SELECT file FROM pragma_database_list WHERE name = 'main'")).scalar_one()
        return ("sqlite", Path(path).resolve())
    if connection.dialect.name == "postgresql":
        return tuple(connection.execute(sa.text("SELECT pg_postmaster_start_time(), current_database()")).one())
    return tuple(connection.execute(sa.text("SELECT @@hostname, @@port, @@datadir, database()")).one())


def _refuse_own_data(target: Connection) -> None:
    copied = target.scalar(sa.select(State.value).where(State.name == _MARK))
    if copied is not None:
        if copied != _digest(target):
            raise AlreadyExists(
                "The target was worked in since the last copy; nothing was copied. To lose that work, add --replace."
            )
        return
    for table in (User, Account, Plan, Transaction):
        if target.execute(sa.select(table.id).limit(1)).first() is not None:
            raise AlreadyExists("The target holds data that did not come from a copy; nothing was copied.")


def _digest(target: Connection) -> str:
    """Tells whether users, accounts, plans or the ledger of the target have changed.

    Passwords do not count: a mere login may store one anew in a stronger form.
    """
    digest = hashlib.sha256()
    for table in (User, Account, Plan, Transaction):
        columns = [column for column in table.__table__.columns if column.name != "password"]
        for row in target.execute(sa.select(*columns).order_by(table.id)):
            digest.update(repr(tuple(row)).encode())
    return digest.hexdigest()


def _replace_all(origin: Connection, target: Connection, progress: Progress) -> dict[str, int]:
    existing = additive.columns_by_table(origin)
    tables = [table for table in _COPIED if table.name in existing]
    # deleted and written anew, because an update in place could meet a unique key that another row still holds
    stale = [Base.metadata.tables[name] for name in _LEDGER if name not in existing]
    for table in (*stale, *reversed(tables)):
        target.execute(sa.delete(table))
    copied = {}
    for table in tables:
        columns = [column for column in table.columns if column.name in existing[table.name]]
        copied[table.name] = _copy_table(origin, target, table, columns, progress)
        continue_ids(target, table, last_id(origin, table))
    return copied


def _copy_table(
    origin: Connection, target: Connection, table: Table, columns: list[Column[Any]], progress: Progress
) -> int:
    wanted = sa.select(*columns)
    for key in table.foreign_keys:
        wanted = wanted.where(key.parent.in_(sa.select(key.column)))
    total = origin.execute(sa.select(sa.func.count()).select_from(wanted.subquery())).scalar_one()
    done, whole = 0, as_it_stands(table)
    progress(table.name, done, total)
    clean = [_cleaner(column, target.dialect.name) for column in columns]
    for batch in _batches(origin, wanted):
        rows = [
            {column.name: mend(value) for column, mend, value in zip(columns, clean, row, strict=True)} for row in batch
        ]
        target.execute(sa.insert(whole), rows)
        done += len(rows)
        progress(table.name, done, total)
    return done


def _batches(origin: Connection, wanted: sa.Select[Any]) -> Iterator[Any]:
    with origin.execute(wanted.execution_options(stream_results=True)) as result:
        yield from result.partitions(BATCH)


def _cleaner(column: Column[Any], dialect: str) -> Callable[[Any], Any]:
    """What turns a value of MySQL into one that the target can hold."""
    if isinstance(column.type, sa.Date | sa.DateTime):
        absent = None if column.nullable else _NO_DATE
        if isinstance(column.type, sa.DateTime) and absent is not None:
            absent = datetime(absent.year, absent.month, absent.day)  # noqa: DTZ001 - stored times have no zone
        # the driver hands out as text only what is no date of the calendar
        return lambda value: absent if value is None or isinstance(value, str) else value
    if column.type.python_type is str and dialect == "postgresql":
        return lambda value: value.replace("\0", "") if isinstance(value, str) else value
    return lambda value: value


def _silent(_table: str, _done: int, _total: int) -> None:
    pass
