"""The log of commands: who asked for what, what came of it, how long it took. Never a password or an address of a node.

Source: contract chapter 95 §5 and §9.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any, cast

from sqlalchemy import Connection, Table, delete, insert

from core.errors import DatabaseFailed, PanelError
from core.panel import Panel
from core.storage.tables.xtream import XtreamCommand
from core.xtream.permissions import Member

log = logging.getLogger(__name__)

# made once, and of the bare table: what every command costs
_INSERT = insert(cast(Table, XtreamCommand.__table__))
KEPT_SECONDS = 365 * 24 * 3600
DONE = "done"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who acts, and from which address."""

    member: Member
    address: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for: ``target`` is the id of a stream, line or process; ``server_id`` as it was asked for."""

    action: str
    sub: str | None
    target: str
    server_id: int | None = None


class Entry:
    """The row of one command, written once: by :meth:`write_in`, else when the command has ended."""

    def __init__(self, panel: Panel, caller: Caller, asked: Asked) -> None:
        self._panel = panel
        self._caller = caller
        self._started = monotonic()
        self._is_done = False
        self.asked = asked

    def write_in(self, connection: Connection) -> None:
        """Write that it was done, in the transaction that does it."""
        connection.execute(_INSERT, self._values(DONE, None))
        self._is_done = True

    def write(self, outcome: str, error_class: str | None) -> None:
        """What was done stays done also when it cannot be written down."""
        if self._is_done and outcome == DONE:
            return
        try:

            def act(connection: Connection) -> None:
                connection.execute(_INSERT, self._values(outcome, error_class))

            self._panel.database.transact(act)
        except DatabaseFailed as error:
            log.error("a command of the Xtream API could not be logged: %s", type(error).__name__)

    def _values(self, outcome: str, error_class: str | None) -> dict[str, Any]:
        member, asked = self._caller.member, self.asked
        return {
            "at": self._panel.clock.stamp(),
            "account_id": member.account_id,
            "username": member.username[:255],
            "action": asked.action,
            "sub": asked.sub,
            "target": asked.target[:100],
            "server_id": asked.server_id,
            "outcome": outcome[:255],
            "error_class": error_class,
            "duration_ms": int((monotonic() - self._started) * 1000),
            "client_ip": self._caller.address[:45] or None,
        }


@contextmanager
def logged(panel: Panel, caller: Caller, asked: Asked) -> Iterator[Entry]:
    """Log the command that the block carries out, whether it succeeds or raises."""
    entry = Entry(panel, caller, asked)
    try:
        yield entry
    except PanelError as error:
        # what its transaction wrote is undone with it
        entry.write(error.text, getattr(error, "trouble", None))
        raise
    entry.write(DONE, None)


def forget_old(panel: Panel) -> None:
    """Delete rows that are older than a year."""

    def act(connection: Connection) -> None:
        connection.execute(delete(XtreamCommand).where(XtreamCommand.at < panel.clock.stamp() - KEPT_SECONDS))

    panel.database.transact(act)
