"""Statements that every kind of database words differently, and inserting a row whose id is counted."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from core.storage.tables import Base


def insert_if_absent(connection: Connection, table: type[Base], **values: object) -> bool:
    """Insert a row unless its key is taken, also when another process does the same at this moment.

    Returns whether it was inserted.
    """
    statement: sa.Insert
    if connection.dialect.name == "postgresql":
        statement = postgresql.insert(table).values(**values).on_conflict_do_nothing()
    elif connection.dialect.name == "sqlite":
        statement = sqlite.insert(table).values(**values).on_conflict_do_nothing()
    else:
        statement = sa.insert(table).prefix_with("IGNORE").values(**values)
    return connection.execute(statement.execution_options(preserve_rowcount=True)).rowcount == 1


def insert_row(connection: Connection, table: type[Base], values: Mapping[str, Any]) -> int:
    """Insert a row that has a counted id, and return that."""
    key = connection.execute(sa.insert(table).values(**values)).inserted_primary_key
    assert key is not None  # noqa: S101 - one row was inserted
    return int(key[0])
