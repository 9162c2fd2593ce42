"""A panel's database that fails at a chosen step of a request, whatever kind it is."""

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from core.panel import Panel
from core.storage.tables import Base
from tests.worlds.drivers import Driver, driver_of

BEGIN, COMMIT = "BEGIN IMMEDIATE", "COMMIT"
_CHANGES = ("INSERT", "UPDATE", "DELETE")
# what a connection is told once, and what a process asks once a minute: a request may find it done or not
_NOW_AND_THEN = ("PRAGMA", "PREPARE", "SELECT table_name AS name, engine")
_TARGET = re.compile(r"(INTO|UPDATE|DELETE FROM)\s+[`\"]?(\w+)")
_TABLES = {table.name for table in Base.metadata.sorted_tables}
# by table: those whose rows change together with one that is deleted, without a statement
_FOLLOWING = {
    name: {
        table.name
        for table in Base.metadata.sorted_tables
        for key in table.foreign_keys
        if key.ondelete and key.column.table.name == name
    }
    for name in _TABLES
}


def is_served() -> bool:
    """Whether this thread answers a request."""
    return threading.current_thread().name.startswith("waitress")


def is_waited_for() -> bool:
    """Whether a request waits for this thread, which carries out its job."""
    return threading.current_thread().name.startswith("job-")


Fault = Callable[[str, Any], None]


@dataclass
class Steps:
    """What the requests ask of a database, in order, and how it fails at the ``at``-th step (from 0).

    ``changed``: the tables in which anybody has changed rows since it was cleared.
    """

    driver: Driver
    seen: list[str] = field(default_factory=list)
    #: which of them were those of jobs
    of_jobs: set[int] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    at: int | None = None
    _fault: Fault | None = None
    _now: Fault | None = None
    _is_answer_lost: bool = False
    is_gone: bool = False
    #: called once when a statement has failed
    at_failure: Callable[[], None] | None = None
    #: what new connections are told
    prepared: str | None = None

    def forget(self) -> None:
        self.seen, self.of_jobs, self.at, self._fault, self._now = [], set(), None, None, None
        self._is_answer_lost = self.is_gone = False
        self.at_failure = None

    def _fail(self, at: int, fault: Fault) -> None:
        self.forget()
        self.at, self._fault = at, fault

    def busy_once(self, at: int) -> None:
        """Another one has the lock, or the transaction is the victim of a deadlock: once."""
        passing = self.driver.passing[at % len(self.driver.passing)]

        def fail(_sql: str, _connection: Any) -> None:
            raise passing()

        self._fail(at, fail)

    def gone_from(self, at: int) -> None:
        """From then on nothing can be read or written, by anybody."""

        def fail(_sql: str, connection: Any) -> None:
            self.is_gone = True
            self._now = lambda _, connection: self.driver.cut(connection)
            self.driver.cut(connection)

        self._fail(at, fail)

    def lost_once(self, at: int) -> None:
        """The connection is lost before the statement; the server has gone nowhere."""
        self._fail(at, lambda _, connection: self.driver.cut(connection))

    def unanswered(self, at: int) -> None:
        """A commit is done, and the connection lost before its answer."""

        def fail(_sql: str, _connection: Any) -> None:
            self._is_answer_lost = True

        self._fail(at, fail)

    def never_takes(self, at: int) -> None:
        """That statement is refused whoever sends it, as by a trigger."""

        def fail(refused: str, connection: Any) -> None:
            if not refused.startswith(_CHANGES):
                # a step more than where nothing failed: the next change it is
                self._now = fail
                return

            def again(sql: str, _connection: Any) -> None:
                if sql == refused:
                    raise self.driver.refusal()

            self._now = again
            again(refused, connection)

        self._fail(at, fail)

    def call_at(self, at: int, act: Callable[[], None]) -> None:
        self._fail(at, lambda _sql, _connection: act())

    # what the driver tells

    def step(self, sql: str, connection: Any) -> None:
        if sql.startswith(_NOW_AND_THEN):
            return
        self._note_changes(sql)
        if self._now is not None:
            self._now(sql, connection)
        if not is_served() and not is_waited_for():
            return
        if is_waited_for():
            self.of_jobs.add(len(self.seen))
        self.seen.append(sql)
        if self._fault is not None and self.at == len(self.seen) - 1:
            fault, self.at = self._fault, None
            fault(sql, connection)

    def failed(self) -> None:
        if (act := self.at_failure) is not None:
            self.at_failure = None
            act()

    def commit(self, connection: Any, commit: Callable[[], None]) -> None:
        self.step(COMMIT, connection)
        commit()
        if self._is_answer_lost:
            self._is_answer_lost = False
            self.driver.cut(connection)
            # finds that the connection is lost
            commit()

    def _note_changes(self, sql: str) -> None:
        if not sql.startswith("SELECT"):
            for verb, name in _TARGET.findall(sql):
                if name in _TABLES:
                    self.changed |= {name} | (_FOLLOWING[name] if verb == "DELETE FROM" else set())


# where it makes a difference that a database fails


def busy_places(seen: Sequence[str], *, says_begin: bool) -> list[int]:
    """Where somebody else's lock is met: a file's where transactions that write begin, a server's at each of their
    statements; and changes that are transactions by themselves."""
    within = _within(seen)
    if says_begin:
        return sorted({number for number, sql in enumerate(seen) if sql == BEGIN} | _alone(seen))
    return sorted({number for number in within if seen[number] != BEGIN} | _alone(seen))


def ends(seen: Sequence[str]) -> list[int]:
    """Where a database that is gone makes a difference: where a transaction that writes begins and ends, and at the
    first read after it. What fails within one is as if its end did."""
    edges = {number for number, sql in enumerate(seen) if sql in (BEGIN, COMMIT)} | _alone(seen)
    reads = {number + 1 for number in edges if number + 1 < len(seen)} - _within(seen)
    return sorted(edges | reads)


def commits(seen: Sequence[str]) -> list[int]:
    return [number for number, sql in enumerate(seen) if sql == COMMIT]


def changes(seen: Sequence[str]) -> list[int]:
    """The statements that change rows, the first of each spelling."""
    first = {sql: number for number, sql in reversed(list(enumerate(seen)))}
    return sorted(number for sql, number in first.items() if sql.startswith(_CHANGES))


def effects(seen: Sequence[str]) -> list[int]:
    """The steps after which others see what was changed."""
    return sorted({*commits(seen)} | _alone(seen))


def _within(seen: Sequence[str]) -> set[int]:
    """The statements of transactions that write, but for their ends."""
    found, is_within = set(), False
    for number, sql in enumerate(seen):
        is_within = (is_within or sql == BEGIN) and sql != COMMIT
        if is_within:
            found.add(number)
    return found


def _alone(seen: Sequence[str]) -> set[int]:
    """The changes that are transactions by themselves."""
    return {number for number, sql in enumerate(seen) if sql.startswith(_CHANGES)} - _within(seen)


@contextmanager
def breakable(panel: Panel) -> Iterator[Steps]:
    """The panel's database, each statement of which is a step that can fail. All connections are made anew."""
    engine, driver = panel.database.engine, driver_of(panel.database)
    steps = Steps(driver)

    def connect(_dialect: Any, _record: Any, _args: Any, options: dict[str, Any]) -> Any:
        return driver.connect(steps, options)

    def connected(connection: Any, _record: Any) -> None:
        if steps.prepared is not None:
            cursor = connection.cursor()
            cursor.execute(steps.prepared)
            cursor.close()
        connection.is_ready = True

    def began(connection: sa.Connection) -> None:
        if connection.get_execution_options().get("sbx_write"):
            own: Any = connection.connection.dbapi_connection
            own.is_writing = True
            steps.step(BEGIN, own)

    sa.event.listen(engine, "do_connect", connect)
    # before the engine's own, the first of which connects; ``insert`` is not heeded here
    engine.dialect.dispatch.do_connect.listeners.rotate(1)
    if not driver.says_begin:
        sa.event.listen(engine, "connect", connected)
        sa.event.listen(engine, "begin", began)
    panel.database.dispose()
    try:
        yield steps
    finally:
        sa.event.remove(engine, "do_connect", connect)
        if not driver.says_begin:
            sa.event.remove(engine, "connect", connected)
            sa.event.remove(engine, "begin", began)
        panel.database.dispose()
        driver.close()
