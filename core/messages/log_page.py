"""A page of a channel's log: which rows of a day are meant, which page that is, and how many there are.

Source: contract chapter 80.
"""

import math
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Generic, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection

Row = TypeVar("Row")

LEAST, MOST = 10, 100
_LONGEST_SEARCH = 255


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked for; a ``status`` or ``kind`` that is none counts as not given."""

    day: date
    status: str = ""
    kind: str = ""
    search: str = ""
    page: int = 1
    limit: int = 25

    @property
    def size(self) -> int:
        """``limit`` within its bounds."""
        return min(max(self.limit, LEAST), MOST)

    def number(self, total: int) -> int:
        """The page of so many rows; beyond the last one it is the last, since pages do not go back by themselves."""
        return min(max(self.page, 1), max(1, math.ceil(total / self.size)))

    def on_day(self, column: Any) -> list[sa.ColumnElement[bool]]:
        start = datetime.combine(self.day, time())
        return [column >= start, column < start + timedelta(days=1)]

    def containing(self, *columns: Any) -> list[sa.ColumnElement[bool]]:
        """Rows one of whose ``columns`` holds the text that is searched for, taken literally."""
        text = self.search[:_LONGEST_SEARCH]
        return [sa.or_(*(column.icontains(text, autoescape=True) for column in columns))] if text else []


class Counts(NamedTuple):
    """Rows of a log: all, whatever their status, and those of each."""

    total: int = 0
    sent: int = 0
    failed: int = 0
    pending: int = 0


def read_counts(connection: Connection, statuses: sa.Select[Any]) -> Counts:
    """Of the rows whose statuses are selected."""
    grouped = statuses.add_columns(sa.func.count()).group_by(*statuses.selected_columns)
    found = {status: int(number) for status, number in connection.execute(grouped)}
    return Counts(sum(found.values()), *(found.get(name, 0) for name in Counts._fields[1:]))


@dataclass(frozen=True, slots=True)
class LogPage(Generic[Row]):
    """``rows``: newest first."""

    rows: list[Row]
    page: int
    limit: int
    total: int

    @property
    def pages(self) -> int:
        return math.ceil(self.total / self.limit)
