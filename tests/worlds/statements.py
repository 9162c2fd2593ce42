"""Counting what is asked of a panel's database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from core.panel import Panel


@contextmanager
def statements(panel: Panel) -> Iterator[list[str]]:
    """The SQL that is sent while the block runs, the kept look-ups but for that of the session included."""
    seen: list[str] = []
    database = panel.database
    find = database._lookup

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        seen.append(statement)

    def note_lookup(statement: Any) -> Any:
        text = str(statement)
        if "_sbx_sessions" not in text and "_users.password" not in text:
            seen.append(text)
        return find(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    database._lookup = note_lookup  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        del database._lookup  # type: ignore[method-assign]
        event.remove(database.engine, "before_cursor_execute", note)
