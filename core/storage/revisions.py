"""The revisions of the schema, and which of them a database has not had yet.

Running them: :mod:`core.storage.schema`. Alembic is imported where it is used: it is a tenth of what starting costs, in
time and memory, and beside a panel's own tables nothing of it is needed."""

from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import Connection

from core.errors import DatabaseUnavailable
from core.storage.migrations import additive
from core.storage.tables import State

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import Script


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
    return [module.plan for module in _modules(_oldest_first())]


def pending(connection: Connection) -> tuple[str | None, list[additive.Plan]]:
    """The newest revision where ``connection`` has not had it, and the first rows that revisions to come would add.

    Raises NewerDatabase.
    """
    from alembic.migration import MigrationContext

    options = {"version_table": additive.VERSION_TABLE}
    known = {script.revision: number for number, script in enumerate(_oldest_first())}
    heads = MigrationContext.configure(connection, opts=options).get_current_heads()
    if not set(heads) <= known.keys():
        raise NewerDatabase
    to_come = _oldest_first()[max((known[head] + 1 for head in heads), default=0) :]
    first_rows = [module.first_rows for module in _modules(to_come) if hasattr(module, "first_rows")]
    return (to_come[-1].revision if to_come else None), first_rows


def notes_of_upgrade(connection: Connection, newest: str | None, *, is_claimed: bool) -> list[str]:
    """What an upgrade writes down about itself, a line each; ``newest`` as :func:`pending` gives it."""
    lines = [] if is_claimed else [f"note in {State.__tablename__} whose tables these are"]
    if newest is not None:
        is_noted = sa.inspect(connection).has_table(additive.VERSION_TABLE)
        lines += [] if is_noted else [f"create table {additive.VERSION_TABLE}"]
        lines.append(f"note revision {newest} in {additive.VERSION_TABLE}")
    if connection.dialect.name == "sqlite" and connection.scalar(sa.text("PRAGMA journal_mode")) != "wal":
        lines.append("let readers and a writer work at once (SQLite's journal mode WAL)")
    return lines


@cache
def _oldest_first() -> "list[Script]":
    from alembic.script import ScriptDirectory

    return list(reversed(list(ScriptDirectory.from_config(alembic_config()).walk_revisions())))


def _modules(scripts: "list[Script]") -> Iterator[ModuleType]:
    return (script.module for script in scripts)
