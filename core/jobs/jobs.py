"""Work that outlives its request: stored in the transaction that asks for it, run by workers, its progress readable.

A job is a row; workers (:mod:`core.workers.workers`) claim due rows, and what a worker leaves behind when its process
dies is claimed again. So a job may run more than once: its handler must bear that. States:

``waiting``  due at ``due_at``, nobody works on it
``running``  somebody works on it
``done``, ``failed``  closed; kept for some days, so that its outcome can be read
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, delete, or_, select

from core.errors import DatabaseFailed, DatabaseRefused, PanelError
from core.jobs import claims
from core.jobs.bell import bell
from core.jobs.waiting_places import waiting_places
from core.panel import Panel
from core.storage.tables import Job
from core.storage.tables.texts import compared_values
from core.storage.writing import insert_row

log = logging.getLogger(__name__)

WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
# renewed by each report of progress; longer than the slowest step of any job
LEASE_SECONDS = 180
KEPT_SECONDS = 7 * 24 * 3600
# how long a failed attempt waits for the next one: 1, 2, 4, … minutes, an hour at most
_RETRY_SECONDS = 60
# of what is done by half when the database fails: soon, and for some hours in all
_CARRY_ON_SECONDS, _CARRIED_ON = 2, 15
_LONGEST_RETRY_SECONDS = 3600
# how often a job whose process died is taken up again
_RESTARTS = 5
_ERROR_CHARACTERS = 500
_REPORT_EVERY_SECONDS = 1
# made once, for workers look again and again
_STORED = select(*Job.__table__.c).order_by(Job.id)
_BY_ID = _STORED.where(Job.id == bindparam("job_id"))
_MAY_BE_DUE = or_(Job.state == RUNNING, (Job.state == WAITING) & (Job.due_at <= bindparam("now")))
_CANDIDATES = _STORED.where(_MAY_BE_DUE, Job.kind.in_(compared_values(Job.kind, "kinds")))


class JobTaken(PanelError):
    """The job was taken over while its worker was away for longer than its lease."""

    default_text = "This took too long and is being finished in the background"


@dataclass(frozen=True, slots=True)
class Record:
    """A stored job; ``total`` None: not known (yet). Times are Unix seconds."""

    id: int
    kind: str
    state: str
    actor_id: int | None
    payload: dict[str, Any]
    done: int
    total: int | None
    result: dict[str, Any] | None
    error: str | None
    attempts: int
    due_at: int
    owner: str | None
    lease_until: int
    created_at: int
    updated_at: int

    @property
    def is_closed(self) -> bool:
        return self.state in (DONE, FAILED)


class Work:
    """What a handler gets: the job, and the means to tell how far it is.

    ``lease_seconds``: longer than its slowest step.
    """

    def __init__(self, panel: Panel, record: Record, lease_seconds: int = LEASE_SECONDS) -> None:
        self.panel = panel
        self.record = record
        self._lease_seconds = lease_seconds
        self._reported_at = panel.clock.seconds()

    @property
    def payload(self) -> dict[str, Any]:
        return self.record.payload

    @property
    def actor_id(self) -> int:
        """Who asked for it; 0 where nobody did."""
        return self.record.actor_id or 0

    def report(self, done: int, total: int | None, result: Mapping[str, Any] | None = None) -> None:
        """Store how far the work is, and what came of it so far, at most once a second; renews the claim.

        Raises JobTaken when another worker has taken over: stop then.
        """
        now = self.panel.clock.seconds()
        if now - self._reported_at < _REPORT_EVERY_SECONDS:
            return
        self._reported_at = now
        values: dict[str, Any] = {"done": done, "total": total, "lease_until": int(now) + self._lease_seconds}
        if result is not None:
            values["result"] = orjson.dumps(result).decode()
        self.panel.database.transact(partial(_change, self.panel, record=self.record, **values))


@dataclass(frozen=True, slots=True)
class Kind:
    """How jobs of one kind are run: ``attempts``: how often at most when it fails by a named error.

    ``carries_on``: a part of its work may be done when the database fails, so it is taken up again, as after a crash,
    until the database can take the rest; what was done is not done again.
    """

    handler: Callable[[Work], Mapping[str, Any] | None]
    attempts: int = 1
    carries_on: bool = False

    @property
    def most(self) -> int:
        """How often at most, whatever it fails by."""
        return max(self.attempts, _CARRIED_ON) if self.carries_on else self.attempts


def add(
    panel: Panel,
    connection: Connection,
    kind: str,
    payload: Mapping[str, Any],
    *,
    actor_id: int | None = None,
    due_in: int = 0,
) -> int:
    """Store a job in the caller's transaction, and return its id. Call :func:`ring` after the commit.

    ``payload``: plain JSON data, never a password.
    """
    return _insert(panel, connection, kind, payload, actor_id, {"state": WAITING, "due_in": due_in})


def ring(panel: Panel, delay: float = 0.0) -> None:
    """Tell the workers that there is work, in ``delay`` seconds. A ring that is lost costs time, never a job."""
    bell(panel).ring(delay)


def read_job(panel: Panel, job_id: int) -> Record | None:
    with panel.database.read() as connection:
        return _read(connection, job_id)


def open_jobs(panel: Panel) -> list[Record]:
    """All jobs that wait, run or have failed, oldest first."""
    panel.layout  # noqa: B018 - creates our tables where they are missing
    with panel.database.read() as connection:
        rows = connection.execute(_STORED.where(Job.state != DONE))
        return [_record(row) for row in rows]


def running(panel: Panel, kind: str) -> list[Record]:
    """The jobs of that kind that somebody works on just now."""
    with panel.database.read() as connection:
        rows = connection.execute(_STORED.where(Job.state == RUNNING, Job.kind == kind))
        return [record for record in map(_record, rows) if not claims.is_free(record, panel.clock.stamp())]


def reserve(
    panel: Panel,
    connection: Connection,
    kind: str,
    payload: Mapping[str, Any],
    actor_id: int,
    *,
    lease_seconds: int = LEASE_SECONDS,
) -> Record:
    """Store a job in the caller's transaction that this process is going to run itself: :func:`run_reserved`, or
    :func:`carry_out` within ``lease_seconds``.

    If the process dies before, another one takes it up. The transaction should be told of :func:`is_stored`: nobody
    else would run it before its lease ends.
    """
    lease = claims.new_lease(panel.clock.stamp(), lease_seconds)
    claimed = {"state": RUNNING, "attempts": 1, **lease}
    record = _read(connection, _insert(panel, connection, kind, payload, actor_id, claimed))
    assert record is not None  # noqa: S101 - it was stored just now
    return record


def is_stored(panel: Panel, reserved: Record | None) -> bool:
    """Whether the job is there as it was reserved, where the commit was not answered. Raises DatabaseFailed."""
    found = None if reserved is None else read_job(panel, reserved.id)
    return found is not None and reserved is not None and found.owner == reserved.owner


def run_reserved(panel: Panel, kinds: Mapping[str, Kind], record: Record, seconds: float) -> Record:
    """Run a reserved job on a thread of its own and wait up to ``seconds`` for it, or not at all where too many do;
    returns it as it is then.

    If it is not closed by then it goes on. So it does, for all that is known, where it cannot be read: it is stored.
    """
    thread = panel.start_thread(partial(carry_out, panel, kinds, record), f"job-{record.id}")
    with waiting_places(panel).one(seconds) as granted:
        thread.join(granted)
    try:
        return read_job(panel, record.id) or record
    except DatabaseFailed:
        return record


def run_and_wait(
    panel: Panel, kinds: Mapping[str, Kind], kind: str, payload: Mapping[str, Any], actor_id: int, seconds: float
) -> Record:
    """:func:`reserve` and :func:`run_reserved` for a job that belongs to no other change."""

    def act(connection: Connection) -> Record:
        return reserve(panel, connection, kind, payload, actor_id)

    record = panel.database.transact(act, is_stored=partial(is_stored, panel))
    return run_reserved(panel, kinds, record, seconds)


def work_off(panel: Panel, kinds: Mapping[str, Kind]) -> int:
    """Run all jobs that are due, oldest first, and return how many; one that fails hinders no other."""
    panel.layout  # noqa: B018 - creates our tables where they are missing
    count = 0
    while (record := _claim_next(panel, kinds)) is not None:
        carry_out(panel, kinds, record)
        count += 1
    return count


def forget_old(panel: Panel) -> None:
    """Delete jobs that were closed some days ago."""

    def act(connection: Connection) -> None:
        old = panel.clock.stamp() - KEPT_SECONDS
        connection.execute(delete(Job).where(Job.state.in_((DONE, FAILED)), Job.updated_at < old))

    panel.database.transact(act)


def _insert(
    panel: Panel,
    connection: Connection,
    kind: str,
    payload: Mapping[str, Any],
    actor_id: int | None,
    state: dict[str, Any],
) -> int:
    now = panel.clock.stamp()
    values = {
        "kind": kind,
        "actor_id": actor_id,
        "payload": orjson.dumps(payload).decode(),
        "due_at": now + state.pop("due_in", 0),
        "created_at": now,
        "updated_at": now,
    }
    return insert_row(connection, Job, {**values, **state})


def _read(connection: Connection, job_id: int) -> Record | None:
    row = connection.execute(_BY_ID, {"job_id": job_id}).first()
    return None if row is None else _record(row)


def _record(row: Any) -> Record:
    values = dict(row._mapping)
    result = values["result"]
    return Record(**{**values, "payload": orjson.loads(values["payload"]), "result": result and orjson.loads(result)})


def _claim_next(panel: Panel, kinds: Mapping[str, Kind]) -> Record | None:
    """The oldest due job that nobody works on, now ours; kinds that this process does not know are left alone."""
    now = panel.clock.stamp()
    with panel.database.read() as connection:
        rows = connection.execute(_CANDIDATES, {"kinds": list(kinds), "now": now})
        candidates = [record for record in map(_record, rows) if record.state == WAITING or claims.is_free(record, now)]
    for record in candidates:
        if record.attempts >= kinds[record.kind].most + _RESTARTS:
            log.error("job %d (%s) ended its process again and again, and is given up", record.id, record.kind)
            _close(panel, record, state=FAILED, error="given up: its process ended again and again")
            continue
        claimed = {"state": RUNNING, "attempts": record.attempts + 1, **claims.new_lease(now, LEASE_SECONDS)}
        with suppress(JobTaken):
            return panel.database.transact(partial(_take, panel, record=record, claimed=claimed))
    return None


def _take(panel: Panel, connection: Connection, record: Record, claimed: Mapping[str, Any]) -> Record | None:
    _change(panel, connection, record, **claimed)
    return _read(connection, record.id)


def carry_out(panel: Panel, kinds: Mapping[str, Kind], record: Record) -> None:
    """Run a job that is ours to its end, whatever that is; never raises."""
    kind = kinds[record.kind]
    try:
        result = kind.handler(Work(panel, record))
    except JobTaken:
        log.warning("job %d (%s) was taken over", record.id, record.kind)
        return
    except PanelError as error:
        may_pass = isinstance(error, DatabaseFailed) and not isinstance(error, DatabaseRefused)
        carries_on = kind.carries_on and may_pass
        most, first = (kind.most, _CARRY_ON_SECONDS) if carries_on else (kind.attempts, _RETRY_SECONDS)
        _after_failure(panel, record, error.text, again=record.attempts < most, first=first)
        return
    except Exception as error:
        # the message of an unexpected exception may hold anything; its type helps without telling secrets
        log.error("job %d (%s): unexpected %s", record.id, record.kind, type(error).__name__)
        _after_failure(panel, record, f"unexpected {type(error).__name__}", again=False)
        return
    _close(panel, record, state=DONE, result=None if result is None else orjson.dumps(result).decode(), error=None)


def _after_failure(panel: Panel, record: Record, text: str, *, again: bool, first: int = _RETRY_SECONDS) -> None:
    """``first``: seconds before the second attempt; each later one waits twice as long."""
    log.warning("job %d (%s) failed%s", record.id, record.kind, ", it is tried again" if again else "")
    if not again:
        _close(panel, record, state=FAILED, error=text[:_ERROR_CHARACTERS])
        return
    wait = min(first * 2 ** (record.attempts - 1), _LONGEST_RETRY_SECONDS)
    _close(panel, record, state=WAITING, due_at=panel.clock.stamp() + wait, error=text[:_ERROR_CHARACTERS])
    bell(panel).ring(wait)


def _close(panel: Panel, record: Record, **values: Any) -> None:
    """Let go of the job. When the database is away its claim runs out, and it is run again."""
    try:
        panel.database.transact(partial(_change, panel, record=record, owner=None, lease_until=0, **values))
    except (DatabaseFailed, JobTaken) as error:
        log.error("job %d (%s) could not be closed: %s", record.id, record.kind, type(error).__name__)


def _change(panel: Panel, connection: Connection, record: Record, **values: Any) -> None:
    row, now = {"id": record.id, "state": record.state}, panel.clock.stamp()
    if not claims.change_held(connection, Job, row, record.owner, {"updated_at": now, **values}):
        raise JobTaken
