"""Writing a dump: the panel's tables and what we keep beside them, in MySQL's dialect whatever our own database is.

By our own code alone, of one moment, table by table and a few rows at a time. What is left out for others than super
admins: :mod:`core.backup.saved_tables`. Source: contract chapter 70, "Dump content".
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import cache
from typing import Any, BinaryIO

import sqlalchemy as sa
from sqlalchemy import Column, Connection
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateIndex, CreateTable

from core.backup.saved_tables import SAVED, SECRET_NAME, Redaction, redaction_of
from core.backup.tokens import COMPLETED, OURS, REDACTED
from core.backup.values import Written, quoted, writer
from core.panel import Panel
from core.storage.writing import last_id

Report = Callable[[str, int, int], None]

FORMAT = 1
BATCH = 500
# of one INSERT: what every server takes
_STATEMENT_CHARACTERS = 512 * 1024
_DIALECT = mysql.dialect()
# a form of defaults that MySQL 5.7 does not know
_BRACKETED_DEFAULT = re.compile(r"DEFAULT \(([0-9.]+)\)")
_BEGINNING = """
SET NAMES utf8mb4;
SET TIME_ZONE='+00:00';
SET FOREIGN_KEY_CHECKS=0;
SET SQL_MODE='NO_AUTO_VALUE_ON_ZERO';
"""


@dataclass(frozen=True, slots=True)
class _Saved:
    """One table of a dump: those of its columns that this database has."""

    table: sa.Table
    columns: Sequence[Column[Any]]
    redaction: Redaction

    @property
    def name(self) -> str:
        return self.table.name


def write_dump(panel: Panel, file: BinaryIO, *, redacted: bool = False, report: Report | None = None) -> None:
    """Write a dump to ``file``; ``redacted``: for somebody who may not know the secrets, and then never restored.

    ``report`` gets (table, rows written, rows in all).
    """
    with panel.database.read() as connection:
        for text in _texts(panel, connection, redacted, report or _silent):
            file.write(text.encode())


def _texts(panel: Panel, connection: Connection, redacted: bool, report: Report) -> Iterator[str]:
    layout, zone = panel.layout, panel.clock.zone
    yield f"-- {OURS}\n-- Format: {FORMAT}\n-- Made: {panel.clock.now()} {zone}\n"
    yield f"-- {REDACTED}\n" if redacted else ""
    yield _BEGINNING
    for table in SAVED:
        if layout.has_table(table.name):
            columns = [column for column in table.columns if layout.has_column(table.name, column.name)]
            saved = _Saved(table, columns, redaction_of(table) if redacted else Redaction())
            yield f"\nDROP TABLE IF EXISTS `{table.name}`;\n{_structure(table)};\n"
            if saved.redaction.rows:
                yield from _rows(connection, saved, zone, report)
            yield from _additions(connection, table)
    yield f"\nSET FOREIGN_KEY_CHECKS=1;\n-- {COMPLETED}\n"


@cache
def _structure(table: sa.Table) -> str:
    text = str(CreateTable(table).compile(dialect=_DIALECT)).strip()
    return _BRACKETED_DEFAULT.sub(r"DEFAULT \1", text.replace(" \n", "\n"))


def _additions(connection: Connection, table: sa.Table) -> Iterator[str]:
    yield _indexes(table)
    if table.autoincrement_column is not None:
        # ids of deleted rows do not return
        yield f"ALTER TABLE `{table.name}` AUTO_INCREMENT={last_id(connection, table) + 1};\n"


@cache
def _indexes(table: sa.Table) -> str:
    lines = []
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        # not those that only another kind of database has
        if index._ddl_if is None:
            text = str(CreateIndex(index).compile(dialect=_DIALECT)).removeprefix("CREATE ")
            lines.append(f"ALTER TABLE `{table.name}` ADD {text.replace(f' ON {table.name}', '')};\n")
    return "".join(lines)


def _rows(connection: Connection, saved: _Saved, zone: tzinfo, report: Report) -> Iterator[str]:
    """As INSERT statements of bounded length."""
    total = connection.execute(sa.select(sa.func.count()).select_from(saved.table)).scalar_one()
    names = ",".join(f"`{column.name}`" for column in saved.columns)
    beginning = f"INSERT INTO `{saved.name}` ({names}) VALUES\n"
    done, size = 0, 0
    for line in _lines(connection, saved, zone) if total else ():
        is_first = size == 0 or size + len(line) > _STATEMENT_CHARACTERS
        yield ("" if done == 0 else ";\n" if is_first else ",\n") + (beginning if is_first else "") + line
        size = len(line) if is_first else size + len(line)
        done += 1
        if done % BATCH == 0:
            report(saved.name, done, total)
    report(saved.name, done, total)
    if done:
        yield ";\n"


def _lines(connection: Connection, saved: _Saved, zone: tzinfo) -> Iterator[str]:
    writers = _writers(saved, zone)
    keyed = saved.redaction.by_key and [
        next(index for index, column in enumerate(saved.columns) if column.name == name)
        for name in saved.redaction.by_key
    ]
    for row in _stored(connection, saved):
        values = [write(value) for write, value in zip(writers, row, strict=True)]
        if keyed and SECRET_NAME.search(str(row[keyed[0]])):
            values[keyed[1]] = quoted("")
        yield f"({','.join(values)})"


def _writers(saved: _Saved, zone: tzinfo) -> list[Written]:
    stand_ins = {name: quoted(value) for name, value in (saved.redaction.stand_ins or {}).items()}

    def of(column: Column[Any]) -> Written:
        if column.name in stand_ins:
            return lambda _value: stand_ins[column.name]
        return writer(column, zone)

    return [of(column) for column in saved.columns]


def _stored(connection: Connection, saved: _Saved) -> Iterable[Sequence[Any]]:
    """The rows in the order of their keys, each value as the driver has it: also one that is no date."""
    wanted = _wanted(saved.table, tuple(saved.columns))
    with connection.execute(wanted.execution_options(stream_results=True)) as result:
        for batch in result.partitions(BATCH):
            yield from batch


@cache
def _wanted(table: sa.Table, columns: tuple[Column[Any], ...]) -> sa.Executable:
    untyped = [sa.type_coerce(column, sa.types.NULLTYPE).label(column.name) for column in columns]
    return sa.select(*untyped).order_by(*table.primary_key.columns)


def _silent(_table: str, _done: int, _total: int) -> None:
    pass
