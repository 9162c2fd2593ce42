"""Carrying operations to their end: writing down what the portals have, and finishing or undoing what was left open.

Whatever the database does meanwhile: a transaction that closes an operation is tried for some seconds, and what cannot
be written then is let go at once and settled in the background, within seconds of the database's return. Safe to run in
several processes at once: each operation is claimed before anything is done about it. What settling means for its kind
of operation says the kind's own module (:data:`TAKE_UP`).
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, TypeVar

from sqlalchemy import Connection

from core.accounts import operations
from core.accounts.operations import OperationTaken, Record
from core.errors import DatabaseFailed, DatabaseRefused, NotFound, PanelError
from core.jobs import jobs
from core.panel import Panel
from core.storage import patience
from core.storage.tables import Operation
from core.storage.tables.texts import UnstorableText

log = logging.getLogger(__name__)

Done = TypeVar("Done")
# by kind: what settles an operation of it that was left open
TAKE_UP: dict[str, Callable[[Panel, Record], None]] = {}
# how long a request goes on trying to write down what the portal has
PATIENCE_SECONDS = 5.0
# how long the background tries, and how long it waits between two tries, at most
_SETTLING_SECONDS = 900.0
_LONGEST_PAUSE_SECONDS = 2.0
_POLL_SECONDS = 0.1
# how long after the end of a call's time the portal may still carry it out
_LATE_SECONDS = 30
LOOKED_AT_AGAIN = "The portal may still be at work on what was cut short; it is looked at again"


class BookedLater(PanelError):
    """The portal has the change, and the database could not write it down yet."""

    code = 7
    goes_on: ClassVar[bool] = True
    default_text = "The portal has it; it is being booked in the background"


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of an open operation: ``error`` None and closed, or still open."""

    id: int
    kind: str
    username: str
    is_closed: bool
    error: str | None


# writing down what was decided


def book(panel: Panel, record: Record, state: str, act: Callable[[Connection], Done]) -> Done | None:
    """What the portal has is written down: ``act``'s transaction, which moves the record to ``state``.

    None when it was found to be done already. Raises DatabaseRefused, which never passes, BookedLater and
    OperationTaken.
    """
    try:
        return persist(panel, record, state, act)
    except DatabaseRefused:
        raise
    except DatabaseFailed as error:
        booking = replace(record, step=operations.BOOKING)
        settle_later(panel, booking, "The portal has it; the database could not write it down")
        raise BookedLater from error


def persist(panel: Panel, record: Record, state: str, act: Callable[[Connection], Done]) -> Done | None:
    """``act``'s transaction, which moves the record to ``state``, tried for some seconds of database faults.

    None when a try whose commit was not answered turns out to be done. Raises the last fault.
    """
    is_stored = partial(_is_in, panel, record, state)
    try:
        return patience.persist(panel.database, act, is_stored, seconds=PATIENCE_SECONDS, poll=_POLL_SECONDS)
    except UnstorableText as error:
        # found before, else; a column was changed meanwhile
        raise DatabaseRefused(error.text) from error


def _is_in(panel: Panel, record: Record, state: str) -> bool:
    found = operations.find(panel, record.id)
    return found is not None and found.state == state


@contextmanager
def best_effort(panel: Panel, record: Record) -> Iterator[None]:
    """For closing or leaving a record after the outcome is decided: when the database is away, or another worker took
    over, the stored record still says what is to be done, and it is done in the background."""
    try:
        yield
    except (DatabaseFailed, OperationTaken) as failure:
        log.error("operation %d: its record could not be changed: %s", record.id, type(failure).__name__)
        settle_later(panel, record, "The database could not write down what became of this")


# settling what was left open


def settle_later(panel: Panel, record: Record, reason: str) -> None:
    """Let go of the operation, which cannot be closed now; a thread of its own settles it as soon as it can be."""
    if panel.own(_Settling).begin(record.id):
        panel.start_thread(partial(_settle, panel, record, reason), f"operation-{record.id}")


class _Settling:
    """Which operations are being settled on a thread of this process."""

    def __init__(self, _panel: Panel) -> None:
        self._ids: set[int] = set()
        self._lock = threading.Lock()

    def begin(self, record_id: int) -> bool:
        with self._lock:
            is_new = record_id not in self._ids
            self._ids.add(record_id)
            return is_new

    def end(self, record_id: int) -> None:
        self._ids.discard(record_id)

    def close(self) -> None: ...


def _settle(panel: Panel, record: Record, reason: str) -> None:
    until, pause = time.monotonic() + _SETTLING_SECONDS, 0.0
    # what it is stored under while it is ours, be it that it could not be let go
    owners = {record.owner}
    try:
        while time.monotonic() < until and not panel.is_closing.wait(pause):
            pause = min(2 * pause + _POLL_SECONDS, _LONGEST_PAUSE_SECONDS)
            with suppress(PanelError):
                if _is_settled(panel, record, owners, reason):
                    return
    finally:
        panel.own(_Settling).end(record.id)


def _is_settled(panel: Panel, record: Record, owners: set[str | None], reason: str) -> bool:
    """Whether the operation is closed, or left to the portal's next answer."""
    found = operations.find(panel, record.id)
    if found is None or found.state not in operations.OPEN:
        return True
    if found.owner is not None and found.owner in owners:
        operations.leave(panel, replace(found, step=record.step), reason, seconds=0)
    taken = operations.claim(panel, record.id, even_if_not_due=True)
    if taken is None:
        return False
    owners.add(taken.owner)
    try:
        TAKE_UP[taken.kind](panel, taken)
    except PanelError:
        return False
    jobs.ring(panel)
    return True


def late_seconds(panel: Panel, record: Record) -> int:
    """For how long yet a call that the worker of ``record`` made before it died may have its effect; 0: no longer.

    A dead worker's call is like one that timed out: it was not done when we looked, and may be done a moment later.
    """
    if record.step == operations.BOOKING:
        return 0
    until = record.updated_at + math.ceil(panel.config.portal.call_seconds) + _LATE_SECONDS
    return max(0, until - panel.clock.stamp())


def open_operations(panel: Panel) -> list[Record]:
    """All operations that are not closed, oldest first."""
    panel.layout  # noqa: B018 - creates our tables where they are missing
    with panel.database.read() as connection:
        return operations.read_open(connection)


def undone_operations(panel: Panel, limit: int) -> list[Record]:
    """The newest that were undone although the portal had them, newest first; each says why."""
    panel.layout  # noqa: B018 - creates our tables where they are missing
    undone = operations.STORED.where(Operation.state == operations.UNDONE, Operation.error.is_not(None))
    with panel.database.read() as connection:
        return operations.read(connection, undone.order_by(Operation.id.desc()).limit(limit))


def finish_open_operations(panel: Panel, *, even_if_not_due: bool = False) -> list[Finding]:
    """Take up every open operation that nobody works on (``even_if_not_due``: also those that are to wait).

    One that cannot be closed stays open with its error, and hinders no other.
    """
    findings = []
    for waiting in open_operations(panel):
        record = None
        # a worker that lets go of it at this moment may be quicker
        with suppress(OperationTaken):
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
        TAKE_UP[record.kind](panel, record)
    except PanelError as error:
        log.warning("operation %d (%s) stays open: %s", record.id, record.kind, type(error).__name__)
        settle_later(panel, record, error.text)
    jobs.ring(panel)
    left = next((other for other in open_operations(panel) if other.id == record.id), None)
    return Finding(record.id, record.kind, record.username, left is None, left.error if left else None)
