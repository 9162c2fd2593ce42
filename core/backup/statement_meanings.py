"""What the statements of a dump say, as far as it matters to us. Reading them: :mod:`core.backup.statements`."""

from collections.abc import Iterator
from dataclasses import dataclass

from core.backup.tokens import Value


@dataclass(frozen=True, slots=True)
class TableMade:
    """CREATE TABLE. ``columns``: name → the first word of its type, in the order of the table."""

    name: str
    columns: dict[str, str]


@dataclass(frozen=True, slots=True)
class Rows:
    """INSERT or REPLACE. ``rows`` must be read to its end before the next statement. ``columns`` None: all of them."""

    table: str
    columns: tuple[str, ...] | None
    rows: Iterator[list[Value]]


@dataclass(frozen=True, slots=True)
class ZoneSet:
    """In which zone the texts of TIMESTAMP columns are from here on; None: in that of the server that was dumped."""

    zone: str | None


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Something that is no data, to be told: a trigger, a view, a message of the dump program."""

    what: str


@dataclass(frozen=True, slots=True)
class Counted:
    """The id that the next row of a table gets."""

    table: str
    next_id: str


Statement = TableMade | Rows | ZoneSet | PassedOver | Counted
