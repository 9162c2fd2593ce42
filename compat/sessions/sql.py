"""Sessions in a table of any of our databases; the table itself is the caller's.

Idle time: the touch mark is written only when it is older than a minute, so that a burst of requests
writes nothing. The mark may then lie up to a minute before the last request; both the idle time and the
lifetime subtract that minute, so a session is never taken for older than it is.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa
from flask import Flask, Request
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from compat.sessions.interface import PhpSessionInterface, SessionUnavailable, SomeTimes, hashed_id
from compat.sessions.php_values import Unreadable
from compat.sessions.session import Changes, StoredSession

_MOMENT_MS = 200
TOUCH_SECONDS = 60
PURGE_SECONDS = 300
_PURGE_ROWS = 1000

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SqlSessions:
    """``table`` has the columns id (text, primary key), data (text) and touched_at (integer, indexed).

    On SQLite the engine must answer the execution option ``sbx_write`` with BEGIN IMMEDIATE.
    ``lifetime`` in seconds. ``find`` may do the look-up of every request in the caller's own way: it gives the three
    columns of an id and what the caller wants to know beside them (``PhpSession.beside``), or None; it raises
    SessionUnavailable. ``replace`` may do the same for a change of what was found; ``explain`` gives a text for
    failures that do not pass by themselves.
    """

    engine: sa.Engine
    table: sa.Table
    lifetime: int
    now: Callable[[], float] = time.time
    find: "Find | None" = None
    replace: "Replace | None" = None
    explain: Callable[[SQLAlchemyError], str | None] = lambda _: None

    def interface(self, app: Flask, secure: Callable[[Request], bool]) -> "SqlSessionInterface":
        return SqlSessionInterface(app, self, secure)


Find = Callable[[str], tuple[str, str, int, Any] | None]


class Replace(Protocol):
    def __call__(self, sid: str, old: str, new: str, touched_at: int) -> bool:
        """Store the data ``new`` unless it is no longer exactly ``old``; whether it was. Raises SessionUnavailable."""


class SqlSessionInterface(PhpSessionInterface):
    # Flask-Session then offers the command `flask session_cleanup`
    ttl = False

    def __init__(self, app: Flask, settings: SqlSessions, secure: Callable[[Request], bool]) -> None:
        super().__init__(app, lifetime=settings.lifetime, now=settings.now, secure=secure)
        self._engine = settings.engine
        self._table = table = settings.table
        self._one = table.c.id == sa.bindparam("sid")
        self._select = sa.select(table.c.id, table.c.data, table.c.touched_at).where(self._one)
        self._explain = settings.explain
        self._find = settings.find or self._select_one
        self._replace = settings.replace
        self._purging = SomeTimes(PURGE_SECONDS)

    def _retrieve_session_data(self, store_id: str, *, counts: bool = True) -> StoredSession | None:
        return self._stored(store_id, self._find(store_id))

    def _get_store_id(self, sid: str) -> str:
        return hashed_id(sid)

    def _read(self, sid: str, counts: bool) -> StoredSession | None:
        found = super()._read(sid, counts)
        if found is not None or self._select_one(sid) is None:
            return found
        # stored by an older version, under the id itself
        with self._write() as connection:
            renamed = sa.update(self._table).where(self._one).values(id=hashed_id(sid))
            connection.execute(renamed, {"sid": sid})
        return super()._read(sid, counts)

    def _stored_sessions(self) -> Iterator[tuple[str, StoredSession]]:
        try:
            with self._engine.connect() as connection:
                rows = connection.execute(
                    sa.select(self._table.c.id, self._table.c.data, self._table.c.touched_at)
                ).all()
        except SQLAlchemyError as error:
            raise SessionUnavailable(self._explain(error)) from error
        for row in rows:
            stored = self._stored(row[0], (*row, None))
            if stored is not None:
                yield row[0], stored

    def _select_one(self, store_id: str) -> tuple[str, str, int, Any] | None:
        try:
            with self._engine.connect() as connection:
                row = connection.execute(self._select, {"sid": store_id}).first()
        except SQLAlchemyError as error:
            raise SessionUnavailable(self._explain(error)) from error
        return None if row is None else (*row, None)

    def _stored(self, store_id: str, row: tuple[str, str, int, Any] | None) -> StoredSession | None:
        # a database may compare ids without regard to case; we do not
        if row is None or row[0] != store_id:
            return None
        idle = max(0, int(self.now()) - row[2] - TOUCH_SECONDS)
        if idle > self.lifetime:
            return None
        try:
            return StoredSession(
                self.serializer.decode(row[1]), idle_seconds=idle, mark=_Mark(row[1], row[2]), beside=row[3]
            )
        except Unreadable:
            return None

    def _insert_session(self, store_id: str, data: Mapping[str, Any]) -> None:
        with self._write() as connection:
            connection.execute(self._table.insert(), {"id": store_id, **self._columns(data)})
        self._purge_sometimes()

    def _merge_session(self, store_id: str, stored: StoredSession, changes: Changes) -> None:
        if self._replace is not None:
            # most often nobody else has changed it meanwhile
            columns = self._columns(changes.apply(stored))
            if self._replace(store_id, stored.mark.data, columns["data"], columns["touched_at"]):
                return
        with self._write() as connection:
            row = connection.execute(self._select.with_for_update(), {"sid": store_id}).first()
            current = self._stored(store_id, None if row is None else (*row, None))
            if current is None:
                return
            merged = self._columns(changes.apply(current))
            connection.execute(sa.update(self._table).where(self._one).values(merged), {"sid": store_id})

    def _touch_session(self, store_id: str, stored: StoredSession) -> None:
        now = int(self.now())
        if now - stored.mark.touched_at < TOUCH_SECONDS:
            return
        with self._write(patient=False) as connection:
            if connection.dialect.name != "sqlite":
                # not waited for: whoever holds the row is about to stamp it, too
                connection.execute(self._select.with_for_update(nowait=True), {"sid": store_id}).first()
            connection.execute(sa.update(self._table).where(self._one).values(touched_at=now), {"sid": store_id})

    def _delete_session(self, store_id: str) -> None:
        with self._write() as connection:
            connection.execute(sa.delete(self._table).where(self._one), {"sid": store_id})

    def _adopt(self, sid: str, data: Mapping[str, Any], idle_seconds: int) -> bool:
        columns = self._columns(data) | {"touched_at": int(self.now()) - idle_seconds}
        try:
            with self._write() as connection:
                # also as an older version stored it, under the id itself
                known = sa.select(self._table.c.id).where(self._table.c.id.in_([sid, hashed_id(sid)]))
                if connection.execute(known).first() is not None:
                    return False
                connection.execute(self._table.insert(), {"id": hashed_id(sid), **columns})
        except SessionUnavailable as error:
            if isinstance(error.__cause__, IntegrityError):
                return False
            raise
        return True

    def clear(self) -> int:
        return self._delete_expired_sessions()

    def _delete_expired_sessions(self) -> int:
        """Deletes up to a thousand sessions past their lifetime."""
        expired = self._table.c.touched_at < int(self.now()) - self.lifetime - TOUCH_SECONDS
        with self._write() as connection:
            # found first and deleted by key: a delete by age would lock rows that it does not delete
            ids = connection.scalars(sa.select(self._table.c.id).where(expired).limit(_PURGE_ROWS)).all()
            if ids:
                connection.execute(sa.delete(self._table).where(self._table.c.id.in_(sorted(ids)), expired))
            return len(ids)

    def _purge_sometimes(self) -> None:
        if not self._purging.is_time(self.now()):
            return
        try:
            self._delete_expired_sessions()
        except SessionUnavailable:
            # the new session is stored; rubbish that stays a while longer is no reason to refuse a login
            _log.warning("expired sessions could not be deleted", exc_info=True)

    def _columns(self, data: Mapping[str, Any]) -> dict[str, Any]:
        return {"data": self.serializer.encode(data).decode("utf-8"), "touched_at": int(self.now())}

    @contextmanager
    def _write(self, *, patient: bool = True) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect() as connection, nullcontext() if patient else _impatient(connection):
                connection = connection.execution_options(sbx_write=True)
                with connection.begin():
                    yield connection
        except SQLAlchemyError as error:
            raise SessionUnavailable(self._explain(error)) from error


class _Mark(NamedTuple):
    """A session as it was found."""

    data: str
    touched_at: int


@contextmanager
def _impatient(connection: sa.Connection) -> Iterator[None]:
    """SQLite's one lock for all writers is waited for no longer than a moment."""
    if connection.dialect.name != "sqlite":
        yield
        return
    # past SQLAlchemy, which would begin a transaction first
    driver = connection.connection.cursor()
    (usual,) = driver.execute("PRAGMA busy_timeout").fetchone()
    driver.execute(f"PRAGMA busy_timeout={_MOMENT_MS}")
    try:
        yield
    finally:
        driver.execute(f"PRAGMA busy_timeout={int(usual)}")
        driver.close()
