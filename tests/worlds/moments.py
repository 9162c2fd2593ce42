"""What others do between two statements of a transaction, or before a portal answers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from core.panel import Panel
from simulators.faults import Exchange, Fault, Respond


@contextmanager
def after_first_look(panel: Panel, act: Callable[[], object], *tables: str) -> Iterator[list[str]]:
    """``act`` runs right after the block's first statement that reads one of ``tables``, before the next one is sent;
    yields what read them. On SQLite nobody else could write then."""
    looks: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if "SELECT" in statement and any(table in statement for table in tables):
            looks.append(statement)
            if len(looks) == 1:
                act()

    event.listen(panel.database.engine, "after_cursor_execute", note)
    try:
        yield looks
    finally:
        event.remove(panel.database.engine, "after_cursor_execute", note)


class Meanwhile(Fault):
    """The portal does what it is asked; ``act`` runs before it answers."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act

    def act(self, exchange: Exchange, respond: Respond) -> None:
        response = respond()
        self._act()
        exchange.send(response)
