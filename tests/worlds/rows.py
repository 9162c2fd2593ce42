"""Rows that are put into tables and taken out again, in as few statements as there can be."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Table


class Emptied:
    """These tables, which are emptied again and again, in this order; one question tells which of them have rows."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self._tables = tables
        self._filled = sa.select(*(sa.exists(sa.select(sa.literal(1)).select_from(table)) for table in tables))

    def __call__(self, connection: Connection) -> None:
        filled = connection.execute(self._filled).one()
        for table, has_rows in zip(self._tables, filled, strict=True):
            if has_rows:
                connection.execute(sa.delete(table))


def put(connection: Connection, table: Any, rows: Iterable[Mapping[str, Any]]) -> None:
    """One statement for all rows on end that name the same columns."""
    for _, same in groupby(rows, key=lambda row: sorted(row)):
        connection.execute(sa.insert(table), list(same))
