"""Statements that every kind of database words differently, and inserting a row whose id is counted."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from core.storage.tables import Base


def insert_if_absent(connection: Connection, table: type[Base], **values: object) -> bool:
    """Insert a row unless its key is taken, also when another process does the same at this moment.

    Returns whether it was inserted.
    """
    # as parameters, here and below: values that are a part of the statement take four times as long
    return connection.execute(_unless_taken(connection.dialect.name, table), values).rowcount == 1


@cache
def _unless_taken(dialect: str, table: type[Base]) -> sa.Insert:
    statement: sa.Insert
    if dialect == "postgresql":
        statement = postgresql.insert(table).on_conflict_do_nothing()
    elif dialect == "sqlite":
        statement = sqlite.insert(table).on_conflict_do_nothing()
    else:
        statement = sa.insert(table).prefix_with("IGNORE")
    return statement.execution_options(preserve_rowcount=True)


def insert_and_lock(connection: Connection, table: type[Base], key: Mapping[str, Any], **values: object) -> None:
    """The row of the unique ``key`` is there, made of ``values`` if it was not, and nobody else's until the end of the
    transaction.

    Looked for first: an insert that finds its row there takes a lock on InnoDB that two can have at once, and neither
    can change the row then.
    """
    row = [getattr(table, name) == value for name, value in key.items()]
    if connection.execute(sa.select(sa.literal(1)).select_from(table).where(*row).with_for_update()).first() is None:
        insert_if_absent(connection, table, **key, **values)


def insert_row(connection: Connection, table: type[Base], values: Mapping[str, Any]) -> int:
    """Insert a row that has a counted id, and return that. The values are plain ones, no expressions."""
    key = connection.execute(_into(table), values).inserted_primary_key
    assert key is not None  # noqa: S101 - one row was inserted
    return int(key[0])


@cache
def _into(table: type[Base]) -> sa.Insert:
    return sa.insert(table)


def last_id(connection: Connection, table: sa.Table) -> int:
    """The last id that the database gave to a row of ``table``, as far as it knows; 0 is none, or gives none itself."""
    key = table.autoincrement_column
    if key is None:
        return 0
    statement = {
        "sqlite": "SELECT seq FROM sqlite_sequence WHERE name = :table",
        "postgresql": "SELECT pg_sequence_last_value(pg_get_serial_sequence(:table, :key)::regclass)",
    }.get(
        connection.dialect.name,
        "SELECT auto_increment - 1 FROM information_schema.tables "
        "WHERE table_schema = database() AND table_name = :table",
    )
    return int(connection.scalar(sa.text(statement), {"table": table.name, "key": key.name}) or 0)


def continue_ids(connection: Connection, table: sa.Table, last: int) -> None:
    """Let ``table``, whose rows came with their ids, count on from ``last`` or its highest id, so that ids of deleted
    rows do not return. MariaDB and MySQL look for the highest id by themselves."""
    key = table.autoincrement_column
    if key is None:
        return
    last = max(last, connection.scalar(sa.select(sa.func.max(key))) or 0)
    if not last:
        return
    values = {"table": table.name, "key": key.name, "last": last}
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT setval(pg_get_serial_sequence(:table, :key), :last)"), values)
    elif connection.dialect.name == "sqlite":
        connection.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :table"), values)
        connection.execute(sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :last)"), values)
