"""Where attempts are counted, so that all processes count the same: a storage for ``limits`` in the panel's database.

With Redis: :mod:`core.security.redis_counters`. Times are of the servers' clocks, not of the panel's, which
tests and administrators set.
"""

import hashlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import sqlalchemy as sa
from limits.storage import MovingWindowSupport, Storage
from sqlalchemy import Connection, bindparam, case, delete, select, update
from sqlalchemy.dialects import mysql, postgresql, sqlite

from core.storage.database import Database
from core.storage.tables import Counter
from core.storage.writing import insert_if_absent

_ROW = select(Counter.count, Counter.ends, Counter.hits).where(Counter.name == bindparam("name"))
_MYSQL = mysql.insert(Counter).on_duplicate_key_update(name=Counter.name)
_LOCKING = {
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "postgresql": postgresql.insert(Counter).on_conflict_do_update(
        index_elements=["name"], set_={"name": Counter.name}
    ),
}
_COUNT = select(Counter.count).where(Counter.name == bindparam("name"))
# a window that has ended begins anew with what is counted
_HAS_ENDED = Counter.ends <= bindparam("now")
_SUM = Counter.count + bindparam("amount", type_=sa.Integer)
_CHANGES = [
    # in this order: MariaDB takes the new values of the columns before
    ("count", case((_HAS_ENDED, bindparam("first")), (_SUM < 0, 0), else_=_SUM)),
    ("ends", case((_HAS_ENDED, bindparam("until")), else_=Counter.ends)),
]
_NEW: dict[str, Any] = {"name": bindparam("name"), "count": bindparam("first"), "ends": bindparam("until")}
_COUNTING_IN_MYSQL = mysql.insert(Counter).values(_NEW).on_duplicate_key_update(_CHANGES)
_COUNTING = {
    "mysql": _COUNTING_IN_MYSQL,
    "mariadb": _COUNTING_IN_MYSQL,
    "postgresql": postgresql.insert(Counter)
    .values(_NEW)
    .on_conflict_do_update(index_elements=["name"], set_=dict(_CHANGES)),
    "sqlite": sqlite.insert(Counter).values(_NEW).on_conflict_do_update(index_elements=["name"], set_=dict(_CHANGES)),
}
_MILLISECOND = 1000
_LONGEST_NAME = 250


class DatabaseCounters(Storage, MovingWindowSupport):
    """One row a counter. ``prepare``: called before the first look, since our tables may still be missing."""

    STORAGE_SCHEME = None

    def __init__(self, database: Database, prepare: Callable[[], object]) -> None:
        super().__init__()
        self._database = database
        self._prepare = prepare

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        return ()

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count ``amount`` more (or fewer, never below 0), in a window that began with the first; how many now."""
        self._prepare()
        return self._database.transact(partial(_counted, name=_name(key), seconds=expiry, amount=amount))

    def get(self, key: str) -> int:
        row = self._row(key)
        return 0 if row is None or row.ends <= _now() else int(row.count)

    def get_expiry(self, key: str) -> float:
        row = self._row(key)
        return time.time() if row is None else row.ends / _MILLISECOND

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        self._prepare()
        return self._database.transact(partial(_entered, name=_name(key), limit=limit, seconds=expiry, amount=amount))

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        row = self._row(key)
        since = _now() - expiry * _MILLISECOND
        hits = [] if row is None else [hit for hit in _hits(row) if hit > since][-limit:]
        return (hits[0] if hits else _now()) / _MILLISECOND, len(hits)

    def check(self) -> bool:
        return True

    def reset(self) -> int | None:
        return self._database.transact(lambda connection: connection.execute(delete(Counter)).rowcount)

    def clear(self, key: str) -> None:
        row = Counter.name == _name(key)
        self._database.transact(lambda connection: connection.execute(delete(Counter).where(row)))

    def forget_old(self) -> None:
        """Without the windows that have ended."""
        self._database.transact(lambda connection: connection.execute(delete(Counter).where(Counter.ends <= _now())))

    def _row(self, key: str) -> Any:
        self._prepare()
        return self._database.first(_ROW, name=_name(key))


def _name(key: str) -> str:
    """What a counter is stored under: what somebody typed as a user name may be anything, of any length."""
    if key.isascii() and key.isprintable() and len(key) <= _LONGEST_NAME:
        return key
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def _counted(connection: Connection, *, name: str, seconds: int, amount: int) -> int:
    now = _now()
    values = {
        "name": name,
        "amount": amount,
        "first": max(0, amount),
        "now": now,
        "until": now + seconds * _MILLISECOND,
    }
    connection.execute(_COUNTING[connection.dialect.name], values)
    return int(connection.execute(_COUNT, {"name": name}).scalar_one())


def _entered(connection: Connection, *, name: str, limit: int, seconds: int, amount: int) -> bool:
    row = _locked(connection, name)
    now = _now()
    hits = [hit for hit in _hits(row) if hit > now - seconds * _MILLISECOND]
    if len(hits) + amount > limit:
        return False
    told = " ".join(map(str, [*hits, *[now] * amount]))
    values = {"hits": told, "ends": now + seconds * _MILLISECOND}
    connection.execute(update(Counter).where(Counter.name == name).values(**values))
    return True


def _locked(connection: Connection, name: str) -> Any:
    """The counter's row, made where it is missing; nobody else counts there until the transaction ends."""
    dialect = connection.dialect.name
    if dialect == "sqlite":
        insert_if_absent(connection, Counter, name=name, count=0, ends=0)
    else:
        # locks what is there at once: two that first looked and then wrote would wait for each other
        connection.execute(_LOCKING[dialect], {"name": name, "count": 0, "ends": 0})
    return connection.execute(_ROW, {"name": name}).one()


def _hits(row: Any) -> list[int]:
    return [int(hit) for hit in (row.hits or "").split()]


def _now() -> int:
    return time.time_ns() // 1_000_000
