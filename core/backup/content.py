"""What of a dump concerns the panel: the rows of tables that we know, as values that their columns can hold.

What a dump's statements are: :mod:`core.backup.statements`. Writing the rows: :mod:`core.backup.restore`.
Source: contract chapter 70, import step 4.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, BinaryIO, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Column

from core.backup.saved_tables import BY_NAME
from core.backup.statement_meanings import Counted, PassedOver, Rows, TableMade, ZoneSet
from core.backup.statements import Script
from core.backup.tokens import BY_MARIADB, BY_MYSQL, COMPLETED, OURS, REDACTED, Unreadable, Value
from core.backup.values import BadValue, Read, default_of, reader, zone_named
from core.storage.schema import Layout

_TOLD = 100
_ID_DIGITS = 15
_NOTHING = "nothing was changed"


@dataclass(frozen=True, slots=True)
class Target:
    """The database that the rows are for. ``zone``: of its stored times; ``now``: what a missing time becomes."""

    layout: Layout
    dialect: str
    zone: tzinfo
    now: datetime

    def takes(self, column: Column[Any]) -> bool:
        return self.layout.has_column(column.table.name, column.name)


class Row(NamedTuple):
    """``number``: of the table's rows in the file, from 1; ``size``: characters of its texts."""

    table: sa.Table
    number: int
    size: int
    values: dict[str, Any]


@dataclass(slots=True)
class Content:
    """One reading of the file. ``skipped``: what was left out, complete when the rows are read.

    ``counts``: how many rows of each known table that is in the file were read; ``last_ids``: the last id that each
    had given.
    """

    file: BinaryIO
    target: Target
    skipped: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    last_ids: dict[str, int] = field(default_factory=dict)
    _made: dict[str, TableMade] = field(default_factory=dict)
    _zone: tzinfo | None = None
    _script: Script = field(init=False)

    def __post_init__(self) -> None:
        self.file.seek(0)
        self._script = Script(self.file)

    @property
    def read_bytes(self) -> int:
        return self._script.tokens.read_bytes

    @property
    def is_redacted(self) -> bool:
        return REDACTED in self._script.tokens.remarks

    @property
    def is_cut_off(self) -> bool:
        """Whether the file says by whom it was made, but not that it is complete, as all of them say at the end."""
        remarks = self._script.tokens.remarks
        return bool(remarks & {OURS, BY_MYSQL, BY_MARIADB}) and COMPLETED not in remarks

    def rows(self) -> Iterator[Row]:
        """Raises Unreadable."""
        for statement in self._script.statements():
            if isinstance(statement, Rows):
                yield from self._known_rows(statement)
            elif isinstance(statement, TableMade):
                self._make(statement)
            elif isinstance(statement, ZoneSet):
                self._set_zone(statement.zone)
            elif isinstance(statement, Counted):
                self._count(statement)
            elif isinstance(statement, PassedOver):
                self.tell(statement.what)

    def tell(self, what: str) -> None:
        if what not in self.skipped and len(self.skipped) < _TOLD:
            self.skipped.append(what)

    def _make(self, made: TableMade) -> None:
        table = self._table(made.name)
        if table is not None:
            self._made[table.name] = made
            self.counts.setdefault(table.name, 0)

    def _table(self, name: str) -> sa.Table | None:
        """The table of that name, if we know it and the database has it."""
        table = BY_NAME.get(name.lower())
        return table if table is not None and self.target.layout.has_table(table.name) else None

    def _count(self, statement: Counted) -> None:
        table = self._table(statement.table)
        if table is not None and statement.next_id.isdigit() and len(statement.next_id) <= _ID_DIGITS:
            last = int(statement.next_id) - 1
            key = table.autoincrement_column
            if key is not None and last < (2**31 if not isinstance(key.type, sa.BigInteger) else 2**63):
                self.last_ids[table.name] = max(last, self.last_ids.get(table.name, 0))

    def _set_zone(self, name: str | None) -> None:
        # the server's own zone is, as far as anybody can know, the panel's
        self._zone = None if name is None or name.upper() == "SYSTEM" else zone_named(name)
        if self._zone is None and name is not None and name.upper() != "SYSTEM":
            raise self._script.tokens.fault("an unknown time zone")

    def _known_rows(self, statement: Rows) -> Iterator[Row]:
        table = self._table(statement.table)
        if table is None:
            self.tell(_shown(statement.table))
            for _ in statement.rows:
                pass
            return
        number = self.counts.setdefault(table.name, 0)
        columns = self._columns(table, statement)
        for literals in statement.rows:
            number += 1
            self.counts[table.name] = number
            size = sum(map(len, filter(None, literals)))
            yield Row(table, number, size, _values(columns, table, number, literals))

    def _columns(self, table: sa.Table, statement: Rows) -> "_Columns":
        made = self._made.get(table.name)
        names = statement.columns if statement.columns is not None else tuple(made.columns) if made else None
        if names is None:
            raise self._script.tokens.fault(f"rows of {table.name} without the names of their columns")
        types = made.columns if made else {}
        reads: list[tuple[str, Read] | None] = []
        for name in names:
            column = table.columns.get(name.lower())
            if column is None or not self.target.takes(column):
                self.tell(f"{table.name}.{_shown(name)}")
                reads.append(None)
            else:
                reads.append((column.name, self._reader(column, types.get(name))))
        present = {read[0] for read in reads if read is not None}
        if len(present) != sum(read is not None for read in reads):
            raise self._script.tokens.fault(f"a column of {table.name} is named twice")
        return _Columns(reads, self._defaults(table, present))

    def _reader(self, column: Column[Any], made_as: str | None) -> Read:
        is_moment = made_as == "timestamp" if made_as else isinstance(column.type, sa.TIMESTAMP)
        from_zone = self._zone if is_moment else None
        return reader(column, self.target.dialect, from_zone=from_zone, to_zone=self.target.zone)

    def _defaults(self, table: sa.Table, present: set[str]) -> dict[str, Any]:
        defaults = {}
        for column in table.columns:
            if column.name not in present and self.target.takes(column):
                read = reader(column, self.target.dialect, from_zone=None, to_zone=self.target.zone)
                try:
                    defaults[column.name] = read(default_of(column, self.target.now))
                except BadValue as error:
                    raise Unreadable(f"The rows of {table.name}: {column.name} {error.what}; {_NOTHING}") from None
        return defaults


@dataclass(frozen=True, slots=True)
class _Columns:
    """For each value of a row the column's name and reader, None for one that is skipped; and the other columns."""

    reads: list[tuple[str, Read] | None]
    defaults: Mapping[str, Any]


def _values(columns: _Columns, table: sa.Table, number: int, literals: list[Value]) -> dict[str, Any]:
    if len(literals) != len(columns.reads):
        raise Unreadable(f"Row {number} of {table.name} has too many or too few values; {_NOTHING}")
    values = dict(columns.defaults)
    for column, literal in zip(columns.reads, literals, strict=True):
        if column is not None:
            name, read = column
            try:
                values[name] = read(literal)
            except BadValue as error:
                raise Unreadable(f"Row {number} of {table.name}: {name} {error.what}; {_NOTHING}") from None
    return values


def _shown(name: str) -> str:
    return "".join(character for character in name if character.isprintable())
