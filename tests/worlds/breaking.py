"""An SQLite database that fails at a chosen step of a request: the driver's connection is one of ours."""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from core.panel import Panel
from core.storage.database import Database

BEGIN, COMMIT = "BEGIN IMMEDIATE", "COMMIT"
_CHANGES = ("INSERT", "UPDATE", "DELETE")


def _error(kind: type[sqlite3.Error], text: str, code: int) -> sqlite3.Error:
    error = kind(text)
    error.sqlite_errorcode = code
    return error


def is_served() -> bool:
    """Whether this thread answers a request, as opposed to work in the background."""
    return threading.current_thread().name.startswith("waitress")


@dataclass
class Steps:
    """What the requests ask of an SQLite database, in order, and how it fails at the ``at``-th step (from 0)."""

    seen: list[str] = field(default_factory=list)
    at: int | None = None
    _fault: Callable[[str], None] | None = None
    _now: Callable[[str], None] | None = None

    def forget(self) -> None:
        self.seen, self.at, self._fault, self._now = [], None, None, None

    def busy_once(self, at: int) -> None:
        """Another one holds the lock, once."""
        self.forget()
        self.at = at

        def fail(_: str) -> None:
            self.at = None
            raise _error(sqlite3.OperationalError, "database is locked", sqlite3.SQLITE_BUSY)

        self._fault = fail

    def gone_from(self, at: int) -> None:
        """From then on nothing can be read or written, by anybody."""
        self.forget()
        self.at = at

        def fail(_: str) -> None:
            self._now = fail
            raise _error(sqlite3.OperationalError, "disk I/O error", sqlite3.SQLITE_IOERR)

        self._fault = fail

    def never_takes(self, at: int) -> None:
        """That statement is refused whoever sends it, as by a trigger."""
        self.forget()
        self.at = at

        def fail(refused: str) -> None:
            def again(sql: str) -> None:
                if sql == refused:
                    raise _error(sqlite3.IntegrityError, "CHECK constraint failed", sqlite3.SQLITE_CONSTRAINT)

            self._now = again
            again(refused)

        self._fault = fail

    def step(self, sql: str) -> None:
        if sql.startswith("PRAGMA"):
            return
        if self._now is not None:
            self._now(sql)
        if not is_served():
            return
        self.seen.append(sql)
        if self._fault is not None and self.at == len(self.seen) - 1:
            self._fault(sql)


def transactions(seen: Sequence[str]) -> list[int]:
    """Where a lock of somebody else is met: where transactions that write begin, and changes that are one each."""
    return [number for number, sql in enumerate(seen) if sql == BEGIN or (number in _alone(seen))]


def ends(seen: Sequence[str]) -> list[int]:
    """Where a database that is gone makes a difference: where a transaction that writes begins and ends, and at the
    first read after it. What fails within one is as if its end did."""
    edges = {number for number, sql in enumerate(seen) if sql in (BEGIN, COMMIT)} | _alone(seen)
    reads = {number + 1 for number in edges if number + 1 < len(seen)} - _within(seen)
    return sorted(edges | reads)


def _within(seen: Sequence[str]) -> set[int]:
    """The statements within transactions that write."""
    found, is_within = set(), False
    for number, sql in enumerate(seen):
        is_within = (is_within or sql == BEGIN) and sql != COMMIT
        if is_within:
            found.add(number)
    return found


def _alone(seen: Sequence[str]) -> set[int]:
    """The changes that are transactions by themselves."""
    return {number for number, sql in enumerate(seen) if sql.startswith(_CHANGES)} - _within(seen)


def changes(seen: Sequence[str]) -> list[int]:
    """The statements that change rows, the first of each spelling."""
    first = {sql: number for number, sql in reversed(list(enumerate(seen)))}
    return sorted(number for sql, number in first.items() if sql.startswith(_CHANGES))


@contextmanager
def breakable_sqlite(panel: Panel) -> Iterator[Steps]:
    """The panel's SQLite database, each statement of which is a step that can fail."""
    steps = Steps()

    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            steps.step(sql)
            return super().execute(sql, *values)

        def executemany(self, sql: str, values: Any) -> sqlite3.Cursor:
            steps.step(sql)
            return super().executemany(sql, values)

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def commit(self) -> None:
            if self.in_transaction:
                steps.step(COMMIT)
            super().commit()

    def connecting(_dialect: Any, _record: Any, _args: Any, options: dict[str, Any]) -> None:
        options["factory"] = Connection

    with _connecting(panel.database, connecting):
        yield steps


@contextmanager
def _connecting(database: Database, change: Callable[..., None]) -> Iterator[None]:
    """All connections are made anew, and ``change`` sees how."""
    sa.event.listen(database.engine, "do_connect", change)
    database.dispose()
    try:
        yield
    finally:
        sa.event.remove(database.engine, "do_connect", change)
        database.dispose()
