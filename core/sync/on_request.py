"""A sync that a page or script asks for: who waits for it, for how long, and what is answered meanwhile.

Each is a job of its scope, shared by all who want that scope at the same time, and waited for by few. The fetch behind
it is shared by all scopes and processes (:mod:`core.sync.fetch`). Source: contract README, "who may sync".
"""

import hashlib
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

from sqlalchemy import delete

from core.access.audit import By, Origin
from core.access.user_rows import read_user
from core.errors import NotLoggedIn, PanelError, UpstreamFailed
from core.jobs import jobs
from core.jobs.jobs import Kind, Record, Work
from core.jobs.waiting_places import waiting_places
from core.panel import Panel
from core.storage.tables import SyncedSession
from core.storage.writing import insert_if_absent
from core.sync.fetch import TIMEOUT_TEXT, Fetch, FetchFailed, fetches
from core.sync.outcomes import EVERY, Counts, last_counts
from core.sync.shared_list import fresh_list
from core.sync.sync import Wish, bring_in_line, synchronise, wish_of

KIND = "sync"
_LOOK_SECONDS = 0.1
_SESSIONS_KEPT_SECONDS = 2 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Told:
    """``job_id``: it goes on as this job, and ``counts`` are of the last one before."""

    counts: Counts
    job_id: int | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What the job is to bring in line; ``scope``: a reseller's id, or EVERY."""

    scope: int
    origin: Origin

    def stored(self) -> dict[str, Any]:
        return {"scope": self.scope, "origin": self.origin.stored()}

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        return cls(stored["scope"], Origin.read(stored["origin"]))


class NothingKnownYet(FetchFailed):
    """The list did not come in time, and there is no sync before whose numbers could be told; ``job_id``: it goes on
    as this job."""

    def __init__(self, job_id: int) -> None:
        super().__init__(TIMEOUT_TEXT)
        self.job_id = job_id


def sync_on_request(panel: Panel, by: By, session_id: str) -> Told:
    """What the caller's sync found; waits no longer than configured, and not at all where too many do.

    Raises NotAllowed, FetchFailed, NothingKnownYet, DatabaseFailed.
    """
    wish = wish_of(panel, by.actor)
    if _is_first_of(panel, session_id) and (listed := fresh_list(panel)) is not None:
        return Told(Counts.of(bring_in_line(panel, listed, by, wish)))
    flight, is_ours = panel.own(Flights).board(by, wish)
    try:
        with waiting_places(panel).one(panel.config.portal.sync_wait_seconds) as seconds:
            counts = flight.counts(panel, seconds)
    except NotYet:
        return _pending(panel, wish, flight.job_id)
    # of those who share one, what it took away is told to the first
    return Told(counts if is_ours else replace(counts, removed=0))


def forget_old(panel: Panel) -> None:
    """Without the sessions of former days."""
    old = panel.clock.stamp() - _SESSIONS_KEPT_SECONDS
    forget = delete(SyncedSession).where(SyncedSession.asked_at < old)
    panel.database.transact(lambda connection: connection.execute(forget))


def _is_first_of(panel: Panel, session_id: str) -> bool:
    """Whether the session has never asked before: pages do so by themselves right after the login."""
    panel.layout  # noqa: B018 - creates our tables where they are missing
    digest = hashlib.sha256(session_id.encode()).hexdigest()
    row = {"session": digest, "asked_at": panel.clock.stamp()}
    return panel.database.transact(lambda connection: insert_if_absent(connection, SyncedSession, **row))


def _pending(panel: Panel, wish: Wish, job_id: int) -> Told:
    counts = last_counts(panel, wish.scope)
    if counts is None:
        raise NothingKnownYet(job_id)
    return Told(counts, job_id)


class Flight:
    """A sync under way. ``landed`` None: in another process."""

    def __init__(self, job_id: int, landed: "Future[Counts] | None") -> None:
        self.job_id = job_id
        self._landed = landed

    @property
    def is_over(self) -> bool:
        return self._landed is None or self._landed.done()

    def counts(self, panel: Panel, seconds: float) -> Counts:
        """Raises NotYet after ``seconds``, else what went wrong."""
        if self._landed is not None:
            return self._landed.result(seconds)
        until = time.monotonic() + seconds
        while True:
            record = jobs.read_job(panel, self.job_id)
            if record is not None and record.state == jobs.DONE:
                return Counts.read(record.result)
            if record is None or record.state == jobs.FAILED:
                raise UpstreamFailed(None if record is None else record.error)
            if time.monotonic() >= until:
                raise NotYet
            time.sleep(_LOOK_SECONDS)


class Flights:
    """The syncs of this process that are under way, one for each scope."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._lock = threading.Lock()
        self._of: dict[int | None, Flight] = {}

    def close(self) -> None:
        """What is under way is left to itself."""

    def board(self, by: By, wish: Wish) -> tuple[Flight, bool]:
        """The sync of that scope under way, here or in another process; else a new one, which is the caller's."""
        with self._lock:
            flight = self._of.get(wish.scope)
            if flight is not None and not flight.is_over:
                return flight, False
            # what has landed here is over, also where the database could not be told
            elsewhere = _under_way(self._panel, wish, other_than=None if flight is None else flight.job_id)
            if elsewhere is not None:
                return Flight(elsewhere.id, None), False
            flight = self._of[wish.scope] = self._begun(by, wish)
            return flight, True

    def _begun(self, by: By, wish: Wish) -> Flight:
        panel = self._panel
        # somebody works on it as long as the portal may take
        lease = int(panel.config.portal.list_seconds) + jobs.LEASE_SECONDS
        order = Order(wish.scope or EVERY, by.origin)
        arguments: dict[str, Any] = {"payload": order.stored(), "actor_id": by.actor.id, "lease_seconds": lease}
        act = partial(jobs.reserve, panel, kind=KIND, **arguments)
        record = panel.database.transact(act, is_stored=partial(jobs.is_stored, panel))
        landed: Future[Counts] = Future()
        fetch = fetches(panel).join(panel)
        fetch.watch(Work(panel, record, lease).report)
        fetch.afterwards(partial(_land, panel, record, landed, fetch, by, wish))
        return Flight(record.id, landed)


def _under_way(panel: Panel, wish: Wish, *, other_than: int | None) -> Record | None:
    scope = wish.scope or EVERY
    running = (record for record in jobs.running(panel, KIND) if record.id != other_than)
    return next((record for record in running if Order.read(record.payload).scope == scope), None)


def _land(panel: Panel, record: Record, landed: "Future[Counts]", fetch: Fetch, by: By, wish: Wish) -> None:
    """The job itself, in the fetch's thread, when that has ended."""
    found: Counts | PanelError = PanelError("The accounts could not be synchronised because of an internal error")

    def handle(work: Work) -> Mapping[str, Any]:
        nonlocal found
        reporting = replace(wish, report=lambda step, done, total: work.report(done, total))
        try:
            found = Counts.of(bring_in_line(panel, fetch.listed(0), by, reporting, lock=fetch.lock))
        except PanelError as error:
            found = error
            raise
        return found.stored()

    try:
        jobs.carry_out(panel, {KIND: Kind(handle)}, record)
    finally:
        # not before the job is closed: whoever asks any process after this answer gets a sync of his own
        if isinstance(found, Counts):
            landed.set_result(found)
        else:
            landed.set_exception(found)


def _handle(work: Work) -> Mapping[str, Any]:
    """What a process left behind that ended meanwhile."""
    panel = work.panel
    with panel.database.read() as connection:
        actor = read_user(panel, connection, work.actor_id)
    if actor is None:
        raise NotLoggedIn
    wish = replace(wish_of(panel, actor), report=lambda step, done, total: work.report(done, total))
    return Counts.of(synchronise(panel, By(actor, Order.read(work.payload).origin), wish)).stored()


KINDS: dict[str, Kind] = {KIND: Kind(_handle)}
