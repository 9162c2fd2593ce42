"""Databases that fail at a chosen step of a request: SQLite as a driver connection of ours, servers behind a proxy."""

import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
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


class Wire:
    """The way to a database server, on a loopback port, on which the ``at``-th commit (from 0) can be lost: before it
    arrives, or its answer when it is done. Only without TLS, as tests connect."""

    def __init__(self, database: Database) -> None:
        self._server = (database.url.host or "127.0.0.1", database.url.port or _PORTS[database.dialect])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self.commits = 0
        self._at: int | None = None
        self._arrives = False
        threading.Thread(target=self._listen, name="wire", daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def forget(self) -> None:
        self.commits, self._at = 0, None

    def lose(self, at: int, *, arrives: bool) -> None:
        self.commits, self._at, self._arrives = 0, at, arrives

    def close(self) -> None:
        for side in (self._listener, *self._sockets):
            _end(side)

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                for side in (client, server):
                    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._sockets.append(side)
                lost = threading.Event()
                threading.Thread(target=self._questions, args=(client, server, lost), daemon=True).start()
                threading.Thread(target=self._answers, args=(server, client, lost), daemon=True).start()

    def _questions(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 16):
                if COMMIT.encode() in data and self._is_lost():
                    lost.set()
                    if not self._arrives:
                        break
                server.sendall(data)
                if lost.is_set():
                    # the other thread hangs up when the answer is there
                    return
        _end(client)
        _end(server)

    def _answers(self, server: socket.socket, client: socket.socket, lost: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                if lost.is_set():
                    break
                client.sendall(data)
        _end(client)
        _end(server)

    def _is_lost(self) -> bool:
        with self._lock:
            self.commits += 1
            return self._at == self.commits - 1


_PORTS = {"mysql": 3306, "postgresql": 5432}


def _end(side: socket.socket) -> None:
    with suppress(OSError):
        side.shutdown(socket.SHUT_RDWR)
    side.close()


@contextmanager
def wired(panel: Panel) -> Iterator[Wire]:
    """The panel reaches its database server through a :class:`Wire`."""
    wire = Wire(panel.database)

    def connecting(_dialect: Any, _record: Any, _args: Any, options: dict[str, Any]) -> None:
        options.update(host="127.0.0.1", port=wire.port)

    try:
        with _connecting(panel.database, connecting):
            yield wire
    finally:
        wire.close()


class Held:
    """All rows of ``tables``, in a stranger's transaction: nobody else can write."""

    def __init__(self, database: Database, tables: Sequence[str]) -> None:
        self._engine = sa.create_engine(database.url, poolclass=sa.pool.NullPool)
        self._statements = {
            # a whole table with the gaps between its rows
            "mysql": [f"SELECT * FROM {table} FOR UPDATE" for table in tables],
            "postgresql": [f"LOCK TABLE {', '.join(tables)} IN EXCLUSIVE MODE"],
        }[database.dialect]

    def __enter__(self) -> None:
        self._connection = self._engine.connect()
        for statement in self._statements:
            self._connection.exec_driver_sql(statement)

    def __exit__(self, *_: object) -> None:
        self._connection.rollback()
        self._connection.close()
        self._engine.dispose()


class Crossing:
    """A stranger on MariaDB whose transaction crosses that of a request: the server ends the request's, which is the
    lighter one. At the first change of the ``at``-th transaction (from 0) of the requests that changes something."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._engine = sa.create_engine(database.url, poolclass=sa.pool.NullPool)
        self._seen: list[int] = []
        self._at: int | None = None
        self.met = 0

    def __enter__(self) -> "Crossing":
        with self._engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE IF EXISTS crossing")
            connection.exec_driver_sql("CREATE TABLE crossing (id INTEGER PRIMARY KEY, n INTEGER)")
            rows = ", ".join(f"({number}, 0)" for number in range(40))
            connection.exec_driver_sql(f"INSERT INTO crossing VALUES {rows}")
        for name in ("do_execute", "do_executemany"):
            sa.event.listen(self._database.engine, name, self._cross)
        return self

    def __exit__(self, *_: object) -> None:
        for name in ("do_execute", "do_executemany"):
            sa.event.remove(self._database.engine, name, self._cross)
        with self._engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE crossing")
        self._engine.dispose()

    def forget(self) -> None:
        self._seen, self._at, self.met = [], None, 0

    def cross(self, at: int) -> None:
        self.forget()
        self._at = at

    @property
    def transactions(self) -> int:
        """How many of those that changed something there were."""
        return len(self._seen)

    def _cross(self, cursor: Any, sql: str, _parameters: Any, context: Any) -> None:
        if not is_served() or not sql.startswith(_CHANGES):
            return
        transaction = id(context.root_connection.get_transaction())
        if self._seen[-1:] == [transaction]:
            return
        self._seen.append(transaction)
        if self._at == len(self._seen) - 1:
            self._at = None
            self.met += 1
            self._meet(cursor)

    def _meet(self, cursor: Any) -> None:
        cursor.execute("UPDATE crossing SET n = n + 1 WHERE id = 0")
        with self._engine.connect() as stranger:
            stranger.exec_driver_sql("UPDATE crossing SET n = n + 1 WHERE id > 0")

            def follow() -> None:
                stranger.exec_driver_sql("UPDATE crossing SET n = n + 1 WHERE id = 0")

            following = threading.Thread(target=follow)
            following.start()
            try:
                cursor.execute("UPDATE crossing SET n = n + 1 WHERE id = 1")
            finally:
                following.join()
                stranger.rollback()
