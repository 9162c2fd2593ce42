"""The revisions of the schema, and which of them a database has not had yet.

When they are run: :mod:`core.storage.schema`. Alembic is imported where it runs them: it is a tenth of what starting
costs, in time and memory, and few starts meet a database that has not had them all."""

import pkgutil
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import Connection

from core.errors import DatabaseUnavailable
from core.storage.migrations import additive, versions
from core.storage.migrations.look import look_at
from core.storage.tables import State

if TYPE_CHECKING:
    from alembic.config import Config

_NOTED: sa.Select[str] = sa.select(sa.column("version_num", sa.String)).select_from(sa.table(additive.VERSION_TABLE))


class NewerDatabase(DatabaseUnavailable):
    """A newer version of this program has upgraded it; what that added we might break."""

    default_text = "The database was upgraded by a newer version of this program; install that, nothing was changed"


def alembic_config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "core.storage:migrations")
    return config


def plans() -> list[additive.Plan]:
    """The plans of all revisions, oldest first."""
    return [module.plan for module in oldest_first()]


def run_revisions(connection: Connection, report: additive.Report) -> None:
    """Those that ``connection`` has not had, each noted in the database."""
    from alembic import command

    config = alembic_config()
    config.attributes.update(connection=connection, report=report)
    command.upgrade(config, "head")


def pending(connection: Connection) -> tuple[str | None, list[additive.Plan]]:
    """The newest revision where ``connection`` has not had it, and the first rows that revisions to come would add.

    Raises NewerDatabase.
    """
    known = {module.revision: number for number, module in enumerate(oldest_first())}
    is_noted = additive.VERSION_TABLE in look_at(connection).tables
    heads = set(connection.scalars(_NOTED)) if is_noted else set()
    if not heads <= known.keys():
        raise NewerDatabase
    to_come = oldest_first()[max((known[head] + 1 for head in heads), default=0) :]
    first_rows = [module.first_rows for module in to_come if hasattr(module, "first_rows")]
    return (to_come[-1].revision if to_come else None), first_rows


def notes_of_upgrade(connection: Connection, newest: str | None, *, is_claimed: bool) -> list[str]:
    """What an upgrade writes down about itself, a line each; ``newest`` as :func:`pending` gives it."""
    lines = [] if is_claimed else [f"note in {State.__tablename__} whose tables these are"]
    if newest is not None:
        is_noted = additive.VERSION_TABLE in look_at(connection).tables
        lines += [] if is_noted else [f"create table {additive.VERSION_TABLE}"]
        lines.append(f"note revision {newest} in {additive.VERSION_TABLE}")
    if connection.dialect.name == "sqlite" and connection.scalar(sa.text("PRAGMA journal_mode")) != "wal":
        lines.append("let readers and a writer work at once (SQLite's journal mode WAL)")
    return lines


@cache
def oldest_first() -> list[ModuleType]:
    """The revisions, each after the one that it says it follows."""
    modules = [import_module(f"{versions.__name__}.{file.name}") for file in pkgutil.iter_modules(versions.__path__)]
    following = {module.down_revision: module for module in modules}
    ordered: list[ModuleType] = []
    while module := following.get(ordered[-1].revision if ordered else None):
        ordered.append(module)
    return ordered
