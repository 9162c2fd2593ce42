"""Named locks across processes and machines: one run of a thing at a time. Source: contract chapter 60 S7."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, delete, select

from core.errors import DatabaseBusy, DatabaseFailed, PanelError
from core.jobs import claims
from core.panel import Panel
from core.storage.tables import Lock
from core.storage.writing import insert_if_absent

log = logging.getLogger(__name__)

# renewed by its holder with each step; longer than the slowest step
LEASE_SECONDS = 600
# a run that takes longer than this needs somebody's attention
STALE_SECONDS = 6 * 3600
_POLL_SECONDS = 0.1
_MOMENT_SECONDS = 2.0


class LockHeld(PanelError):
    """Somebody else holds the lock; ``age``: since how many seconds."""

    code = 5
    default_text = "This is already running, please wait until it has finished"

    def __init__(self, text: str | None = None, *, age: int = 0) -> None:
        super().__init__(text)
        self.age = age

    @property
    def is_stale(self) -> bool:
        return self.age > STALE_SECONDS


class LockLost(PanelError):
    """The lock was taken over while its holder was away for longer than its lease."""

    default_text = "This took too long and was taken over"


@dataclass(frozen=True, slots=True)
class Held:
    """A lock that is ours."""

    panel: Panel
    name: str
    owner: str

    def renew(self) -> None:
        """To be called with each step of the work. Raises LockLost."""

        def act(connection: Connection) -> None:
            until = self.panel.clock.stamp() + LEASE_SECONDS
            if not claims.change_held(connection, Lock, {"name": self.name}, self.owner, {"lease_until": until}):
                raise LockLost

        self.panel.database.transact(act)


@contextmanager
def named_lock(panel: Panel, name: str, *, wait: float = 0.0) -> Iterator[Held]:
    """Hold the lock ``name``, waiting up to ``wait`` seconds for it. Raises LockHeld; DatabaseBusy where nobody is
    known to hold it, but somebody keeps the database from telling.

    A lock whose process has ended, or whose lease ran out, is free.
    """
    panel.layout  # noqa: B018 - creates our tables where they are missing
    taken = _taken(panel, name, wait)
    try:
        yield taken
    finally:
        _let_go(panel, taken)


def is_held(panel: Panel, name: str) -> bool:
    """Whether somebody has the lock just now; who must be sure takes it."""
    with panel.database.read() as connection:
        holder = _holder(connection, name)
    return holder is not None and not _is_free(panel, holder)


def _taken(panel: Panel, name: str, wait: float) -> Held:
    started, ours = time.monotonic(), Held(panel, name, claims.new_owner())
    while True:
        busy: DatabaseFailed | None = None
        try:
            taken = _try(panel, ours)
        except DatabaseFailed as error:
            taken, busy = None, error
        if isinstance(taken, Held):
            return taken
        # where it was let go in this very moment, one more look
        patience = wait if taken is not None else max(wait, _MOMENT_SECONDS)
        may_pass = busy is None or isinstance(busy, DatabaseBusy)
        if not may_pass or time.monotonic() >= started + patience:
            if busy is not None:
                # our row may be there all the same
                panel.own(_Left).owners.add(ours.owner)
            raise busy or LockHeld(age=taken or 0)
        time.sleep(_POLL_SECONDS)


def _try(panel: Panel, ours: Held) -> Held | int | None:
    """``ours``, or since how many seconds somebody else has it; None when that changed while we looked."""
    name, owner, now = ours.name, ours.owner, panel.clock.stamp()
    values: dict[str, Any] = {"taken_at": now, "owner": owner, "lease_until": now + LEASE_SECONDS}
    panel.database.transact(partial(insert_if_absent, table=Lock, name=name, **values))
    with panel.database.read() as connection:
        holder = _holder(connection, name)
    if holder is None or holder.owner == owner:
        return None if holder is None else ours
    if not _is_free(panel, holder):
        return max(0, now - int(holder.taken_at))

    change = partial(claims.change_held, table=Lock, row={"name": name}, owner=holder.owner, values=values)
    return ours if panel.database.transact(change) else None


def _holder(connection: Connection, name: str) -> Any:
    return connection.execute(select(*Lock.__table__.c).where(Lock.name == name)).first()


def _is_free(panel: Panel, holder: Any) -> bool:
    return claims.is_free(holder, panel.clock.stamp()) or holder.owner in panel.own(_Left).owners


class _Left:
    """The locks of this process that it could not let go, by their owners."""

    def __init__(self, _panel: Panel) -> None:
        self.owners: set[str] = set()

    def close(self) -> None: ...


def _let_go(panel: Panel, held: Held) -> None:
    """What was done under the lock is done, also where the database does not take its end: here it counts as free, for
    others when its lease ends."""
    ours = delete(Lock).where(Lock.name == held.name, Lock.owner == held.owner)
    try:
        panel.database.transact(partial(Connection.execute, statement=ours))
    except DatabaseFailed as error:
        log.warning("lock %s could not be let go: %s", held.name, type(error).__name__)
        panel.own(_Left).owners.add(held.owner)
