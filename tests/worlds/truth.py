"""What a request did to the database and the portal, and whether its answer told the truth about it."""

import copy
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import requests
import sqlalchemy as sa

from core.accounts import operations, recovery
from core.errors import PanelError
from core.jobs import jobs
from core.jobs.claims import INTERRUPTED
from core.messages import delivery
from core.storage.tables import Base, Job
from core.workers.workers import KINDS
from legacy_routes.warnings import NOT_RECORDED
from tests.worlds.breaking import Steps, breakable
from tests.worlds.deeds import Deed, Deeds
from tests.worlds.harness import Client
from tests.worlds.waiting import until

Rows = dict[str, list[tuple[Any, ...]]]
# how sessions, locks and counters stand is no work of a request, nor is what was prepared and taken back
_BESIDE = {
    *("_sbx_sessions", "_sbx_counters", "_sbx_versions", "_sbx_alembic", "_sbx_locks", "_sbx_claims", "_sbx_state"),
    *("_sbx_operations", "_login_history", "_sbx_synced_sessions"),
}
# threads of jobs, of syncs, and of operations that are settled
_AT_WORK = ("job-", "sync-fetch", "operation-", "reservation")
# of a job counts that it is there: how far it is may be the worker's business
_JOB = {"kind", "payload", "actor_id"}
_KEPT = {"_sbx_sessions", "_sbx_versions", "_sbx_alembic"}
# what is locked by its row has it from its first use on
_LOCKS = "_sbx_state"
_STAYING = {_LOCKS}
_TABLES = [table for table in Base.metadata.sorted_tables if table.name not in _KEPT]
# longer than a portal may be at work on what it was asked, and than any lease
_LATER_SECONDS = 200
# what channels write of what they send
LOGS = frozenset({"_expiry_reminders", "_mail_logs", "_sms_logs", "_stb_action_logs", "_telegram_logs"})
_DONE_JOBS = sa.select(Job.kind).where(Job.state == jobs.DONE)
# what is said where neither "nothing" nor "all" would be true
BETWEEN = (
    "it is being booked in the background",
    "it is taken off the portal again, and nothing is charged",
    "it may be done or not",
    "the database cannot book its deletion; it is tried again",
    "settled in the background",
    "sent in the background",
    "go on in the background",
    "follow in the background",
    "asked again",
)


# by deed, of its tables: what two runs of it have shown, which is the same on each kind of database
_ARBITRARY: dict[str, dict[str, set[int]]] = {}

# of endpoints that answer with a line of text
_FAILED = ("rror", "Failed", "nothing was changed", "not available", "busy")


@dataclass(frozen=True)
class Moment:
    """All rows, and all that the portal holds, at one moment."""

    rows: Rows
    portal: Mapping[str, Any]


@dataclass(frozen=True)
class Done:
    """What a deed changes: by table the rows that went and those that came; the portal afterwards."""

    gone: dict[str, Counter[Any]]
    come: dict[str, Counter[Any]]
    portal: Mapping[str, Any]


@dataclass
class Healthy:
    """A deed where nothing fails: its answer and its work, without the ``arbitrary`` columns (ids, times, salts), which
    are those that two runs of it do not agree in."""

    answer: dict[str, Any]
    done: Done
    arbitrary: dict[str, set[int]] = field(default_factory=dict)
    #: what it asked of the database and of the portal, and in which tables it changed rows
    seen: Sequence[str] = ()
    of_jobs: frozenset[int] = frozenset()
    calls: Sequence[str] = ()
    tables: frozenset[str] = frozenset()
    #: the kinds of jobs that it carries out itself
    jobs: frozenset[str] = frozenset()


class Ground:
    """A world to which one deed after the other is done and undone.

    Looked at is only what anybody has changed: ``steps`` sees each statement. That it sees all is proved at the end.
    """

    def __init__(self, deeds: Deeds, steps: Steps) -> None:
        self.deeds = deeds
        self.steps = steps
        self._tables = {table.name: _Table(table, deeds.panel.database.dialect) for table in _TABLES}
        for who in ("admin", "reseller1"):
            deeds.client(who)
        with deeds.panel.database.write() as connection:
            # its row is made here, and so can be put back
            operations.lock_accounts(deeds.panel, connection)
        self.before = self.look()
        self._portal = copy.deepcopy(deeds.portal.state.__dict__)
        steps.changed.clear()

    def look(self, names: Collection[str] | None = None) -> Moment:
        """``names``: of the tables; None is all of them."""
        with self.deeds.panel.database.read() as connection:
            rows = {name: self._tables[name].rows(connection) for name in self._chosen(names)}
        portal = self.deeds.portal.snapshot()
        # a box that is cut off and on again for what was taken back has lost nothing
        portal["events"] = [event for event in portal["events"] if not event["event"].startswith("cut_")]
        return Moment(rows, portal)

    @property
    def tables(self) -> set[str]:
        return set(self._tables)

    def _chosen(self, names: Collection[str] | None) -> list[str]:
        """In the order in which rows can be put back."""
        return [name for name in self._tables if names is None or name in names]

    def undo(self) -> None:
        """All is as it was before the first deed."""
        self.steps.forget()
        chosen, before = self._chosen(self.steps.changed), self.before.rows
        with self.deeds.panel.database.write() as connection:
            for name in reversed([name for name in chosen if name not in _STAYING]):
                self._tables[name].take_away(connection, before[name])
            for name in chosen:
                self._tables[name].put_back(connection, before[name])
            # so long ago that the next request notes it again
            long_ago = int(time.time()) - 120
            connection.execute(sa.text("UPDATE _sbx_sessions SET touched_at = :then"), {"then": long_ago})
        self.steps.forget()
        self.steps.changed.clear()
        self.deeds.forward = 0.0
        self.deeds.portal.clear_faults()
        self.deeds.portal.state.__dict__.update(copy.deepcopy(self._portal))
        self.deeds.forget()

    def done(self, deed: Deed) -> Done:
        now = self.look(self.steps.changed - _BESIDE - deed.later)
        gone, come = {}, {}
        for name, rows in now.rows.items():
            if rows != self.before.rows[name]:
                old, new = Counter(self.before.rows[name]), Counter(rows)
                gone[name], come[name] = old - new, new - old
        return Done(gone, come, now.portal)

    def healthy(self, deed: Deed) -> Healthy:
        """The work of the deed, found by doing it twice; in a process that knows already what is arbitrary, once."""
        work = self._work(deed)
        if deed.name not in _ARBITRARY:
            first, work = work, self._work(deed, forward=2)
            _ARBITRARY[deed.name] = _arbitrary(first.done, work.done)
            masked, other = (_masked(one.done, _ARBITRARY[deed.name]) for one in (first, work))
            assert masked == other, (deed, _difference(masked, other))
        elif any(sql.startswith("INSERT") and _LOCKS in sql for sql in work.seen):
            # a step that is taken once in the life of a database is in the way of counting
            work = self._work(deed)
        arbitrary = _ARBITRARY[deed.name]
        return replace(work, done=_masked(work.done, arbitrary), arbitrary=arbitrary)

    def _work(self, deed: Deed, *, forward: float = 0) -> Healthy:
        """``forward``: so that what depends on the time differs."""
        session = self.ready(deed)
        self.deeds.forward += forward
        answer = read(self.deeds.do(deed, session))
        assert answer["error"] == 0, (deed, answer)
        seen, of_jobs, calls = list(self.steps.seen), frozenset(self.steps.of_jobs), list(self.deeds.portal.calls)
        self._wait_for_jobs()
        done = self.done(deed)
        return Healthy(answer, done, {}, seen, of_jobs, calls, frozenset(self.steps.changed), self._own_jobs())

    def ready(self, deed: Deed) -> Client:
        """A session for the deed, nothing of which is done yet."""
        self.undo()
        session = self.deeds.session(deed)
        self.steps.forget()
        return session

    def _own_jobs(self) -> frozenset[str]:
        if "_sbx_jobs" not in self.steps.changed:
            return frozenset()
        return frozenset(row["kind"] for row in self.deeds.world.rows(_DONE_JOBS))

    def settle(self, healthy: Healthy) -> None:
        """What goes on in the background comes to its end, once the portal cannot be late any more."""

        def is_settled() -> bool:
            self.deeds.forward += _LATER_SECONDS
            with suppress(PanelError):
                recovery.finish_open_operations(self.deeds.panel, even_if_not_due=True)
            return not self.deeds.open_operations()

        if "_sbx_operations" in self.steps.changed:
            until(is_settled, "what was begun is done")
        if healthy.jobs and "_sbx_jobs" in self.steps.changed:
            self._wait_for_jobs()
            self.deeds.forward += _LATER_SECONDS
            jobs.work_off(self.deeds.panel, {kind: KINDS[kind] for kind in healthy.jobs})
            # what nobody is left to tell of
            self.deeds.forward += delivery.LEASE_SECONDS
            delivery.settle_interrupted(self.deeds.panel)

    def _wait_for_jobs(self) -> None:
        """For the threads of those that requests have begun, and of operations that are settled.

        What waits for a worker has none here. That a job whose end could not be stored ends when its lease does, is
        shown in :mod:`tests.core.jobs.test_jobs`.
        """

        def is_over() -> bool:
            return not any(thread.name.startswith(_AT_WORK) for thread in threading.enumerate())

        until(is_over, "the jobs are done")

    def complaint(
        self,
        deed: Deed,
        healthy: Healthy,
        response: requests.Response | None,
        *,
        kept: frozenset[str] = frozenset(),
        believes: bool = False,
    ) -> str | None:
        """What is wrong with the answer, now that all that failed works again; None: it is true.

        ``response`` None: who would have answered was killed. ``kept``: tables that also keep what failed.
        ``believes``: what the portal says that it did is nobody's lie but its own.
        """
        if response is not None and response.status_code == 500:
            return f"500: {response.text}"
        answer = {"error": None} if response is None else read(response)
        told = response is None or between(answer, healthy)
        if told or answer["error"]:
            self.settle(healthy)
        self._wait_for_jobs()
        if "_sbx_operations" in self.steps.changed and (found := self.deeds.open_operations()):
            return f"open after {answer}: {found}"
        done = _masked(self.done(deed), healthy.arbitrary)
        if believes:
            done = replace(done, portal=healthy.done.portal if done.come or done.gone else self.before.portal)
        nothing = not done.come.keys() - kept and not done.gone and done.portal == self.before.portal
        everything = done == healthy.done
        if told and _owns_up(done):
            everything = done.portal in (self.before.portal, healthy.done.portal)
            everything = everything and _without_outcomes(done) == _without_outcomes(healthy.done)
        # a theme is no more than tried, also where who would have told of it was killed
        if response is None or "theme" in str(answer.get("warning_text")).lower():
            done = _without_themes(done)
            everything = everything or done == _without_themes(healthy.done)
        if NOT_RECORDED in str(answer.get("warning_text")):
            everything = nothing = done.portal == healthy.done.portal
        is_true = everything if answer["error"] == 0 else nothing
        if is_true or (told and (nothing or everything)):
            return None
        changed = "changed nothing" if nothing else f"changed {_difference(done, Done({}, {}, self.before.portal))}"
        return f"{answer}: {changed}\n  instead of all: {_difference(done, healthy.done)}"


@contextmanager
def standing(deeds: Deeds) -> Iterator[Ground]:
    """A ground that is left as it was found, also what worlds keep."""
    with breakable(deeds.panel) as steps:
        ground = Ground(deeds, steps)
        yield ground
        ground.undo()
        names = ground.tables - _STAYING
        before = Moment({name: ground.before.rows[name] for name in names}, ground.before.portal)
        assert ground.look(names) == before, "something was changed that no step told of"


Row = tuple[Any, ...]


class _Table:
    """The rows of one table as the driver gives and takes them, which is quick."""

    def __init__(self, table: sa.Table, dialect: str) -> None:
        quote, place = ("`", "%s") if dialect == "mysql" else ('"', "%s" if dialect == "postgresql" else "?")
        self.name = table.name
        names = [f"{quote}{column.name}{quote}" for column in table.c]
        self._keys = [number for number, column in enumerate(table.c) if column.primary_key]
        key = [names[number] for number in self._keys]
        this = " AND ".join(f"{name} = {place}" for name in key)
        self._select = f"SELECT {', '.join(names)} FROM {self.name} ORDER BY {', '.join(key)}"
        self._insert = f"INSERT INTO {self.name} ({', '.join(names)}) VALUES ({', '.join([place] * len(names))})"
        self._update = f"UPDATE {self.name} SET {', '.join(f'{name} = {place}' for name in names)} WHERE {this}"
        self._delete = f"DELETE FROM {self.name} WHERE {this}"

    def rows(self, connection: sa.Connection) -> list[Row]:
        cursor = connection.connection.cursor()
        cursor.execute(self._select)
        rows = [tuple(row) for row in cursor.fetchall()]
        cursor.close()
        return rows

    def take_away(self, connection: sa.Connection, before: list[Row]) -> None:
        kept = {self._key(row) for row in before}
        for row in self.rows(connection):
            if self._key(row) not in kept:
                connection.exec_driver_sql(self._delete, self._key(row))

    def put_back(self, connection: sa.Connection, before: list[Row]) -> None:
        # looked at again, for with what was taken away other rows may have gone
        present = {self._key(row): row for row in self.rows(connection)}
        for row in before:
            if self._key(row) not in present:
                connection.exec_driver_sql(self._insert, row)
            elif present[self._key(row)] != row:
                connection.exec_driver_sql(self._update, (*row, *self._key(row)))

    def _key(self, row: Row) -> Row:
        return tuple(row[number] for number in self._keys)


def read(response: requests.Response) -> dict[str, Any]:
    """The answer's envelope; of a text, what it says."""
    try:
        answer: dict[str, Any] = response.json()
    except ValueError:
        failed = response.status_code != 200 or any(words in response.text for words in _FAILED)
        return {"error": int(failed), "message": response.text}
    return answer


def between(answer: Mapping[str, Any], healthy: Healthy) -> bool:
    """Whether it says of itself that it is neither done nor undone."""
    text = f"{answer.get('message')} {answer.get('warning_text')}"
    if answer.get("pending") and not healthy.answer.get("pending"):
        return True
    return any(words in text for words in BETWEEN)


def _arbitrary(first: Done, second: Done) -> dict[str, set[int]]:
    """By table the columns in which the rows of two runs of a deed differ."""
    found = {name: _differing(first.come[name], second.come[name]) for name in first.come.keys() & second.come.keys()}
    of_jobs = {number for number, column in enumerate(Job.__table__.c) if column.name not in _JOB}
    found["_sbx_jobs"] = found.get("_sbx_jobs", set()) | of_jobs
    return found


def _differing(first: Iterable[tuple[Any, ...]], second: Iterable[tuple[Any, ...]]) -> set[int]:
    """The columns in which the rows of two runs differ, row by row."""
    return {
        number
        for one, other in zip(first, second, strict=True)
        for number, (left, right) in enumerate(zip(one, other, strict=True))
        if left != right
    }


def _masked(done: Done, arbitrary: Mapping[str, set[int]]) -> Done:
    def mask(rows: dict[str, Counter[Any]]) -> dict[str, Counter[Any]]:
        masked = {}
        for name, counted in rows.items():
            left_out = arbitrary.get(name, set())
            masked[name] = Counter(
                tuple(value for number, value in enumerate(row) if number not in left_out) for row in counted.elements()
            )
        return {name: counted for name, counted in masked.items() if counted}

    return Done(mask(done.gone), mask(done.come), done.portal)


def _owns_up(done: Done) -> bool:
    """Whether a log says that nobody knows whether it was sent."""
    return any(INTERRUPTED in row for name in LOGS for row in done.come.get(name, ()))


def _without_outcomes(done: Done) -> tuple[dict[str, Counter[Any]], dict[str, int]]:
    """What is there besides, without the audit row, which tells the outcome; and how many messages the logs have."""
    others = {name: rows for name, rows in done.come.items() if name not in {*LOGS, "_audit_log", "_sbx_jobs"}}
    return others, {name: done.come[name].total() for name in LOGS if name in done.come}


def _without_themes(done: Done) -> Done:
    users = [{**user, "theme": None} for user in done.portal["users"]]
    return replace(done, portal={**done.portal, "users": users})


def _difference(done: Done, other: Done) -> str:
    """What the one has and the other has not, both ways."""
    parts = []
    for word, ones, others in (("gone", done.gone, other.gone), ("come", done.come, other.come)):
        for name in sorted({*ones, *others}):
            one, two = ones.get(name, Counter()), others.get(name, Counter())
            if one != two:
                parts.append(f"{word} {name}: +{list(one - two)} -{list(two - one)}")
    for name, rows in done.portal.items():
        before = other.portal[name]
        if rows != before:
            more, less = [row for row in rows if row not in before], [row for row in before if row not in rows]
            parts.append(f"portal {name}: +{more} -{less}")
    return "; ".join(parts) or "nothing"
