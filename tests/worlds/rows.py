"""Rows that are put into tables and taken out again, in as few statements as there can be."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, Table


class Emptied:
    """These tables, which are emptied again and again, in this order; one question tells which of them have rows.

    By the driver's own cursor: nothing is compiled, and each test does it.
    """

    def __init__(self, tables: Sequence[Table]) -> None:
        self._tables = tables
        self._names: dict[str, list[str]] = {}

    def __call__(self, connection: Connection) -> None:
        names = self._quoted(connection)
        cursor = connection.connection.cursor()
        cursor.execute("SELECT " + ", ".join(f"EXISTS (SELECT 1 FROM {name})" for name in names))
        for name, has_rows in zip(names, cursor.fetchone(), strict=True):
            if has_rows:
                cursor.execute(f"DELETE FROM {name}")
        cursor.close()

    def _quoted(self, connection: Connection) -> list[str]:
        preparer = connection.dialect.identifier_preparer
        return self._names.setdefault(connection.dialect.name, [preparer.format_table(table) for table in self._tables])


def put(connection: Connection, table: Any, rows: Iterable[Mapping[str, Any]]) -> None:
    """One statement for all rows on end that name the same columns."""
    for _, same in groupby(rows, key=lambda row: sorted(row)):
        connection.execute(sa.insert(table), list(same))


def analyse(engine: Engine, *tables: str) -> None:
    """What the planner of a server knows of a table that has been at work, who filled it a moment ago has to tell it:
    by itself PostgreSQL looks some minute later, and plans for an empty table until then."""
    if engine.dialect.name == "sqlite":
        return
    statement = "ANALYZE TABLE" if engine.dialect.name == "mysql" else "ANALYZE"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in tables:
            connection.exec_driver_sql(f"{statement} {table}")
