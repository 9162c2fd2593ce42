"""Putting the rows of an examined dump in the place of the panel's, in the caller's transaction.

Tables that are not in the file stay as they are, and so do logs that have rows. Source: contract chapter 70, import
step 7.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import sqlalchemy as sa
from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import DataError, IntegrityError

from core.accounts import operations
from core.backup.content import Content, Row
from core.backup.examination import Examined
from core.backup.restored_users import replace_users
from core.backup.saved_tables import ABOUT, ARCHIVES, BY_NAME, PERMANENT
from core.errors import DatabaseFailed, PanelError
from core.panel import Panel
from core.storage.tables import User
from core.storage.tables.texts import UnstorableText, as_it_stands
from core.storage.undoable import refuse_without_undo
from core.storage.writing import continue_ids, last_id

Report = Callable[[str, int, int], None]

_BATCH_ROWS = 500
_BATCH_CHARACTERS = 1024 * 1024
_REPLACED = "Nothing more is done about it: the accounts and balances were replaced by those of a backup"


class RowRefused(DatabaseFailed):
    """The database takes a row of the file for impossible; the text names it."""


class WorkUnderWay(PanelError):
    code = 5
    default_text = "Changes of accounts are under way; nothing was changed, please try again in a minute"


@dataclass(slots=True)
class Restored:
    """``tables``: rows now of each table that was replaced; ``skipped``: what the file holds and was left out."""

    tables: dict[str, int] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)


def restore(panel: Panel, connection: Connection, file: BinaryIO, examined: Examined, report: Report) -> Restored:
    """Raises RowRefused, NotUndoable, WorkUnderWay; whatever it raises, the transaction must be rolled back."""
    operations.lock_accounts(panel, connection)
    restored = Restored(skipped=list(examined.skipped))
    tables = _replaceable(connection, examined, restored)
    _hold(connection, tables)
    if User.__tablename__ in tables:
        _end_operations(panel, connection)
    before = {table: last_id(connection, table) for table in tables.values()}
    _empty(panel, connection, tables)
    restored.tables = dict.fromkeys(tables, 0)
    if examined.users is not None:
        _replace_users(panel, connection, examined.users)
        restored.tables[User.__tablename__] = len(examined.users)
    _Insertion(connection, tables, restored).run(file, examined, report)
    for table in tables.values():
        continue_ids(connection, table, max(before[table], examined.last_ids.get(table.name, 0)))
    _forget_returned(panel, connection, tables)
    return restored


def _replaceable(connection: Connection, examined: Examined, restored: Restored) -> dict[str, sa.Table]:
    """The tables of the file that are replaced, those first that others refer to."""
    tables = {name: table for name, table in BY_NAME.items() if name in examined.counts}
    for name in PERMANENT:
        if name in tables and connection.execute(select(sa.literal(1)).select_from(tables[name]).limit(1)).first():
            del tables[name]
            restored.skipped.append(name)
    return tables


def _hold(connection: Connection, tables: Mapping[str, sa.Table]) -> None:
    """Nobody else adds rows to them meanwhile, and all can be undone."""
    if connection.dialect.name == "postgresql":
        names = ", ".join(f'"{name}"' for name in tables)
        connection.execute(sa.text(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE"))
    refuse_without_undo(connection, tables)


def _end_operations(panel: Panel, connection: Connection) -> None:
    """What was begun on accounts and left open: what it took is no longer taken."""
    for record in operations.read_open(connection):
        if not operations.is_idle(panel, record):
            raise WorkUnderWay
        operations.move(panel, connection, record, operations.UNDONE, amount=None, error=_REPLACED)


def _empty(panel: Panel, connection: Connection, tables: Mapping[str, sa.Table]) -> None:
    about = {model.__tablename__ for name in tables for model in ABOUT.get(name, ())}
    for name in sorted({*about, *tables} - {User.__tablename__}):
        if panel.layout.has_table(name):
            connection.execute(delete(BY_NAME[name]))


def _replace_users(panel: Panel, connection: Connection, users: Sequence[dict[str, Any]]) -> None:
    try:
        replace_users(panel, connection, users)
    except (IntegrityError, DataError, UnstorableText) as error:
        raise RowRefused("Two users of the file cannot be beside each other; nothing was changed") from error


class _Insertion:
    """The rows of the file but for users, some at a time, as the file has them."""

    def __init__(self, connection: Connection, tables: Mapping[str, sa.Table], restored: Restored) -> None:
        self._connection = connection
        self._tables = {name: table for name, table in tables.items() if name != User.__tablename__}
        self._restored = restored
        self._users = frozenset(connection.scalars(select(User.id)))
        self._references = {
            table.name: next((key.parent.name for key in table.foreign_keys), None) for table in tables.values()
        }
        self._orphans: dict[str, int] = {}
        self._batch: list[Row] = []
        self._size = 0

    def run(self, file: BinaryIO, examined: Examined, report: Report) -> None:
        content = Content(file, examined.target)
        for row in content.rows():
            if row.table.name not in self._tables:
                continue
            reference = self._references[row.table.name]
            if reference is not None and row.values[reference] not in self._users:
                # as the panel's own foreign keys would have it
                self._orphans[row.table.name] = self._orphans.get(row.table.name, 0) + 1
                continue
            if self._batch and self._batch[-1].table is not row.table:
                self._flush()
            self._batch.append(row)
            self._size += row.size
            if len(self._batch) >= _BATCH_ROWS or self._size >= _BATCH_CHARACTERS:
                self._flush()
                report("writing", content.read_bytes, examined.size)
        self._flush()
        report("writing", examined.size, examined.size)
        self._restored.skipped += [f"{name}: {count} rows whose user is gone" for name, count in self._orphans.items()]

    def _flush(self) -> None:
        batch, self._batch, self._size = self._batch, [], 0
        if not batch:
            return
        table = batch[0].table
        try:
            with self._connection.begin_nested():
                self._connection.execute(insert(as_it_stands(table)), [row.values for row in batch])
        except (IntegrityError, DataError, UnstorableText) as error:
            raise self._refused(batch) from error
        self._restored.tables[table.name] += len(batch)

    def _refused(self, batch: list[Row]) -> RowRefused:
        """Which of them it was: each by itself."""
        for row in batch:
            try:
                with self._connection.begin_nested():
                    self._connection.execute(insert(as_it_stands(row.table)), [row.values])
            except (IntegrityError, DataError, UnstorableText):
                return RowRefused(f"The database refused row {row.number} of {row.table.name}; nothing was changed")
        return RowRefused(f"The database refused rows of {batch[0].table.name}; nothing was changed")


def _forget_returned(panel: Panel, connection: Connection, tables: Mapping[str, sa.Table]) -> None:
    for name, archive in ARCHIVES.items():
        if name in tables and panel.layout.has_table(archive.__tablename__):
            back = select(BY_NAME[name].c.id)
            connection.execute(delete(archive).where(archive.__table__.c.id.in_(back)))
