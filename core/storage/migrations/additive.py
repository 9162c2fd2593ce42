"""Additive changes: what a database lacks of the models, found by looking, told in words, and added.

Never renames, drops or narrows anything, and never makes existing data unique: the PHP panel may be at
work on the same tables (chapter 01). Which tables and columns a revision promises stands in the revision.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import Column, Connection, Index, Table

from core.storage.migrations.look import Look, look_again, look_at
from core.storage.tables import Base, State, Version
from core.storage.writing import insert_if_absent

if TYPE_CHECKING:
    from alembic.operations import Operations

VERSION_TABLE = "_sbx_alembic"


@dataclass(frozen=True)
class Change:
    """One addition: ``text`` for the person at the console, ``apply`` to make it."""

    text: str
    apply: Callable[[Connection], object]


Plan = Callable[[Connection], list[Change]]
Report = Callable[[str], None]


def is_ours(connection: Connection) -> bool:
    """Whether the database is ours, or will be: nobody has noted whose it is, and no panel's users are in it."""
    tables = look_at(connection).tables
    origin = None
    if State.__tablename__ in tables:
        origin = connection.scalar(sa.select(State.value).where(State.name == "origin"))
    return origin == "own" if origin is not None else "_users" not in tables


def run(plan: Plan) -> None:
    """The body of a revision's ``upgrade``: what was promised, and ``first_rows`` where it has some."""
    from alembic import context, op

    connection = op.get_bind()
    carry_out(connection, plan(connection), context.config.attributes["report"])


def carry_out(connection: Connection, changes: list[Change], report: Report) -> None:
    for change in changes:
        report(change.text)
        change.apply(connection)
    if changes:
        look_again(connection)


def missing(connection: Connection, promised: Mapping[str, str]) -> list[Change]:
    """What of ``promised`` (table name → column names, separated by spaces) is not there yet.

    A missing table is made as the model has it today, also with columns of later revisions: those find
    their columns there. An existing table gets the promised columns only, and the model's plain indexes
    on them.
    """
    seen = look_at(connection)
    changes: list[Change] = []
    for table in _sorted_tables():
        if table.name not in promised:
            continue
        if table.name not in seen.columns:
            changes.append(Change(f"create table {table.name}", partial(table.create, checkfirst=False)))
            continue
        present = seen.columns[table.name]
        wanted = frozenset(promised[table.name].split())
        changes += [_addition(column) for column in table.columns if column.name in wanted - present]
        changes += _missing_indexes(seen, connection.dialect.name, table, wanted | present)
    return changes


@cache
def _sorted_tables() -> list[Table]:
    """The metadata sorts them anew each time that it is asked, and each revision asks."""
    return Base.metadata.sorted_tables


def columns_by_table(connection: Connection) -> dict[str, frozenset[str]]:
    """Table name → its columns, of all tables that we have a model of and that exist."""
    return {table: names for table, names in look_at(connection).columns.items() if table in Base.metadata.tables}


def widened(connection: Connection, table: str, column: str) -> list[Change]:
    """Give a decimal column the model's precision, or a text column its length, where it is there with a smaller one.

    SQLite keeps numbers and texts of any size in any column, so nothing is to be done there.
    """
    if connection.dialect.name == "sqlite":
        return []
    seen = look_at(connection)
    if column not in seen.columns.get(table, ()):
        return []
    [found] = [known for known in seen.inspector.get_columns(table) if known["name"] == column]
    wanted = Base.metadata.tables[table].c[column].type
    if not _is_narrower(found["type"], wanted):
        return []

    def widen(connection: Connection) -> None:
        _operations(connection).alter_column(
            table,
            column,
            type_=wanted,
            existing_type=found["type"],
            existing_nullable=found["nullable"],
            existing_server_default=found["default"] and sa.text(found["default"]),
            existing_comment=found.get("comment"),
        )

    return [Change(f"widen {table}.{column} to {wanted}", widen)]


def _is_narrower(found: sa.types.TypeEngine[Any], wanted: sa.types.TypeEngine[Any]) -> bool:
    """False for columns of another kind, which are another's business."""
    if isinstance(wanted, sa.Numeric):
        return isinstance(found, sa.Numeric) and (found.precision or 0) < (wanted.precision or 0)
    length: int = getattr(wanted, "length", None) or 0
    return isinstance(found, sa.String) and found.length is not None and found.length < length


def _operations(connection: Connection) -> "Operations":
    # see core.storage.revisions
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    return Operations(MigrationContext.configure(connection))


def _addition(column: Column[Any]) -> Change:
    table = column.table.name

    def add(connection: Connection) -> None:
        _operations(connection).add_column(table, column)

    return Change(f"add column {table}.{column.name}", add)


def _missing_indexes(seen: Look, dialect: str, table: Table, columns: frozenset[str]) -> list[Change]:
    """Plain indexes of the model that no existing index or key begins with."""
    names = seen.indexes.get(table.name, frozenset())
    absent = [
        index
        for index in sorted(table.indexes, key=lambda index: str(index.name))
        if not index.unique and index.name not in names and columns.issuperset(index.columns.keys())
    ]
    if not absent:
        return []
    inspector, indexes = seen.inspector, seen.inspector.get_indexes(table.name)
    covered: list[Sequence[str | None]] = [index["column_names"] for index in indexes]
    covered += [unique["column_names"] for unique in inspector.get_unique_constraints(table.name)]
    covered.append(inspector.get_pk_constraint(table.name)["constrained_columns"])
    changes = []
    for index in absent:
        keys = [key.name if isinstance(key, Column) else None for key in index.expressions]
        if None in keys:
            if dialect != "postgresql":
                continue
        elif any(list(present[: len(keys)]) == keys for present in covered):
            continue
        changes.append(_index_addition(index, table))
    return changes


def _index_addition(index: Index, table: Table) -> Change:
    columns = ", ".join(str(key.name) if isinstance(key, Column) else str(key) for key in index.expressions)
    return Change(f"add index on {table.name} ({columns})", partial(index.create, checkfirst=False))


def counted(connection: Connection, watched: Mapping[str, str]) -> list[Change]:
    """SQLite: triggers that count each change of the tables ``watched``, in the row of ``_sbx_versions`` of that name.

    A cache can then tell exactly whether any writer, of this process or another, changed a table.
    """
    if connection.dialect.name != "sqlite":
        return []
    present = set(connection.scalars(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")))
    return [
        Change(f"count each {event} of {table}", partial(_count, table, event, name))
        for table, name in watched.items()
        for event in ("insert", "update", "delete")
        if _trigger(table, event) not in present
    ]


def _trigger(table: str, event: str) -> str:
    return f"sbx{table.removeprefix('_sbx')}_{event}"


def _count(table: str, event: str, name: str, connection: Connection) -> None:
    insert_if_absent(connection, Version, name=name, version=0)
    connection.exec_driver_sql(
        f"CREATE TRIGGER {_trigger(table, event)} AFTER {event.upper()} ON {table} "  # noqa: S608 - own names
        f"BEGIN UPDATE _sbx_versions SET version = version + 1 WHERE name = '{name}'; END"
    )
