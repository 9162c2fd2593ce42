"""Databases that other connections hold up: short waits for locks, and a foreign lock to wait for."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from core.panel import Panel
from simulators.faults import Exchange, Fault, Respond
from tests.worlds.strangers import strange_engine

# a connection waits so long for a lock; MariaDB knows whole seconds
_WAITS = {
    "sqlite": "PRAGMA busy_timeout = 300",
    "mysql": "SET SESSION innodb_lock_wait_timeout = 1",
    "postgresql": "SET SESSION lock_timeout = '300ms'",
}


@contextmanager
def impatient(panel: Panel) -> Iterator[None]:
    """The panel's connections give up soon where another one holds a lock."""
    engine, wait = panel.database.engine, _WAITS[panel.database.dialect]

    def prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(wait)
        cursor.close()
        if panel.database.dialect == "postgresql":
            connection.commit()

    sa.event.listen(engine, "connect", prepare)
    engine.dispose()
    try:
        yield
    finally:
        sa.event.remove(engine, "connect", prepare)
        engine.dispose()


class ForeignLock:
    """Rows that a stranger's transaction has changed and does not commit; on SQLite that is the whole database."""

    def __init__(self, panel: Panel, statement: str) -> None:
        self._engine = strange_engine(panel.database.url)
        self._dialect = panel.database.dialect
        self._statement = statement
        self._connection: Connection | None = None
        self._lock = threading.Lock()

    def take(self) -> None:
        connection = self._engine.connect()
        if self._dialect == "sqlite":
            connection.exec_driver_sql("PRAGMA busy_timeout = 5000")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        connection.exec_driver_sql(self._statement)
        self._connection = connection

    def let_go(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.rollback()
            connection.close()


class Locks(Fault):
    """The portal does what it is asked, and before it answers a stranger locks our rows, for ``seconds`` if given."""

    def __init__(self, lock: ForeignLock, seconds: float | None = None) -> None:
        self._lock = lock
        self._seconds = seconds

    def act(self, exchange: Exchange, respond: Respond) -> None:
        response = respond()
        self._lock.take()
        if self._seconds is not None:
            threading.Timer(self._seconds, self._lock.let_go).start()
        exchange.send(response)
