"""Counting what is asked of a panel's database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from core.panel import Panel


@contextmanager
def statements(panel: Panel) -> Iterator[list[str]]:
    """The SQL that SQLAlchemy sends while the block runs (not the kept look-up of the session)."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        seen.append(statement)

    event.listen(panel.database.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(panel.database.engine, "before_cursor_execute", note)
