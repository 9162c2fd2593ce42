"""Finishing or undoing what a crash, a dead portal or a failed compensation left open.

Safe to run in several processes at once: each operation is claimed before anything is done about it.
"""

import logging
from dataclasses import dataclass

from core.accounts import change, create, operations, remove
from core.accounts.operations import Record
from core.errors import NotFound, PanelError
from core.jobs import jobs
from core.panel import Panel

log = logging.getLogger(__name__)

_TAKE_UP = {
    create.KIND: create.take_up,
    change.KIND: change.take_up,
    remove.KIND: remove.take_up,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of an open operation: ``error`` None and closed, or still open."""

    id: int
    kind: str
    username: str
    is_closed: bool
    error: str | None


def open_operations(panel: Panel) -> list[Record]:
    """All operations that are not closed, oldest first."""
    panel.layout  # noqa: B018 - creates our tables where they are missing
    with panel.database.read() as connection:
        return operations.read_open(connection)


def finish_open_operations(panel: Panel, *, even_if_not_due: bool = False) -> list[Finding]:
    """Take up every open operation that nobody works on (``even_if_not_due``: also those that are to wait).

    One that cannot be closed stays open with its error, and hinders no other.
    """
    findings = []
    for waiting in open_operations(panel):
        record = operations.claim(panel, waiting.id, even_if_not_due=even_if_not_due)
        if record is not None:
            findings.append(_take_up(panel, record))
    return findings


def resolve(panel: Panel, record_id: int) -> None:
    """Close an operation without asking the portals, paying back what is still taken. Raises NotFound, AccountBusy."""
    if all(record.id != record_id for record in open_operations(panel)):
        raise NotFound(f"There is no open operation {record_id}")
    record = operations.claim(panel, record_id, even_if_not_due=True)
    if record is None:
        raise operations.AccountBusy("Somebody is working on this operation or its account right now")
    operations.close(panel, record)


def _take_up(panel: Panel, record: Record) -> Finding:
    try:
        _TAKE_UP[record.kind](panel, record)
    except PanelError as error:
        log.warning("operation %d (%s) stays open: %s", record.id, record.kind, type(error).__name__)
    jobs.ring(panel)
    left = next((other for other in open_operations(panel) if other.id == record.id), None)
    return Finding(record.id, record.kind, record.username, left is None, left.error if left else None)
