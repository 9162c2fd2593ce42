"""Telling whether the rows of a statement have changed, whoever changed them, the PHP panel included.

A cache may keep an answer with the token that was read before it, and show it again only for an equal token. What is
promised, and by which rule, stands in docs/database.md.
"""

import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy import func, select

from core.storage.caching.open_transactions import OpenTransactions
from core.storage.database import Database
from core.storage.lookups import AnySelect
from core.storage.tables import Version

_ABSENT = "\x1e"
_BETWEEN = "\x1f"
# however certain a stamp looks: a server's clock may have been set back meanwhile
DIGEST_AT_LEAST_EVERY_SECONDS = 60

Token = tuple[Any, ...]
Kept = TypeVar("Kept")


@dataclass(frozen=True)
class Watched:
    """``rows`` (a select that is made once), and how a change of them is told.

    ``tables``: the groups whose versions SQLite's triggers count. ``large``: the names of the tables that are too
    large to be read for that; ``small``: what ``rows`` needs of all its other tables. ``digests``: what MariaDB and
    MySQL are asked where the change of a large table must be told from its rows; None where it never must.
    """

    rows: AnySelect
    tables: tuple[str, ...]
    large: tuple[str, ...]
    small: tuple[AnySelect, ...]
    digests: AnySelect | None = None

    def __hash__(self) -> int:
        return id(self)


def token(database: Database, watched: Watched, **parameters: Any) -> Token:
    """What stays equal only as long as the rows would be the same. Must be taken before the rows are read.

    SQLite: the versions that triggers keep, exact and cheap. Elsewhere, where other writers share the tables and
    triggers would make them wait for each other, the server digests the result itself; on MariaDB only where the
    large table's time of change leaves a doubt. On MariaDB and MySQL the second item is the rows of ``digests``.
    """
    if database.dialect == "sqlite":
        versions = _counted(database, watched)
        return (object(),) if versions is None else (versions,)
    if database.dialect == "postgresql":
        return tuple(database.first(_postgresql_digest(watched.rows), **parameters))
    stamp = _read_stamp(database, watched)
    if not database.is_mariadb:
        return stamp.small, _digests(database, watched, parameters)
    key = (watched, *sorted(parameters.items()))
    return kept(database, key, stamp, lambda: (stamp.small, _digests(database, watched, parameters)))


def _counted(database: Database, watched: Watched) -> int | None:
    """SQLite: a number that grows with each change; None for a database that was not made by us and has no triggers:
    then nothing is known, and nothing may be kept."""
    found, versions = database.first(_versions(watched.tables))
    return int(versions) if found == len(watched.tables) else None


def _digests(database: Database, watched: Watched, parameters: Mapping[str, Any]) -> Token:
    assert watched.digests is not None  # noqa: S101 - whoever asks for a token has them
    return tuple(map(tuple, database.all(watched.digests, **parameters)))


def kept(database: Database, key: Hashable, stamp: "Stamp", read: Callable[[], Kept]) -> Kept:
    """What ``read`` gives, or gave under ``key`` when the same stamp had been read just before, if that proves that
    nothing has changed since. MariaDB only; what is kept must be small."""
    proof: Proof | None = database.proofs.get(key)
    if proof is None or not proof.holds(stamp):
        proof = Proof.of(stamp, read())
        database.proofs[key] = proof
    told: Kept = proof.told
    return told


def _have_ended(database: Database, second: int, now: int) -> bool:
    """Whether no transaction that began in ``second`` can still be open."""
    # longer than any lasts
    if second < now - database.longest_transaction:
        return True
    return OpenTransactions.of(database).have_ended(second, now)


@dataclass(frozen=True, slots=True)
class Stamp:
    """``changed``: the seconds in which those transactions began that last changed the large tables (None: unknown);
    ``now``: the server's clock; ``settled``: no transaction of those seconds can still be open; ``small``: the other
    tables' digest."""

    changed: tuple[int | None, ...]
    now: int
    settled: bool
    small: Token = ()

    @classmethod
    def of(cls, database: Database, changed: Iterable[int | None], now: int, small: Token = ()) -> Self:
        """Of what :func:`changed_at` and :data:`SERVER_NOW` give."""
        seconds = tuple(changed)
        settled = all(second is not None and _have_ended(database, second, now) for second in seconds)
        return cls(seconds, now, settled, small)


@dataclass(frozen=True, slots=True)
class Proof:
    """``told``: what was read when ``stamp`` had been read just before; ``taken_at`` by the process's own clock."""

    stamp: Stamp
    told: Any
    taken_at: float

    @classmethod
    def of(cls, stamp: Stamp, told: Any = None) -> Self:
        return cls(stamp, told, time.monotonic())

    def holds(self, stamp: Stamp) -> bool:
        """Whether nothing can have changed since. An equal stamp is no proof while its own second is not over, or a
        transaction of that second may still be committed."""
        return (
            self.stamp.settled
            and stamp.changed == self.stamp.changed
            and stamp.small == self.stamp.small
            and stamp.now >= self.stamp.now
            and time.monotonic() - self.taken_at < DIGEST_AT_LEAST_EVERY_SECONDS
        )


def _read_stamp(database: Database, watched: Watched) -> Stamp:
    [row] = database.all(_stamp(watched))
    seconds = len(watched.large)
    return Stamp.of(database, row[:seconds], row[seconds], tuple(row[seconds + 1 :]))


def settled_stamp(database: Database, watched: Watched) -> Stamp | None:
    """The stamp of now, None where it proves nothing (see :class:`Proof`), and on PostgreSQL and MySQL.

    On SQLite it is the number of changes so far. On MariaDB, after a change it proves nothing for as long as a
    transaction may last, and is not asked for again until then.
    """
    if database.dialect == "sqlite":
        versions = _counted(database, watched)
        return None if versions is None else Stamp((versions,), now=0, settled=True)
    if not database.is_mariadb or time.monotonic() < database.proofs.get((settled_stamp, watched), 0.0):
        return None
    stamp = _read_stamp(database, watched)
    if stamp.settled:
        return stamp
    database.proofs[settled_stamp, watched] = time.monotonic() + _until_worth_asking(database, stamp)
    return None


def _until_worth_asking(database: Database, stamp: Stamp) -> float:
    """In how many seconds ``stamp``, if it stays equal, may be settled."""
    longest = database.longest_transaction
    if None in stamp.changed:
        # whatever comes of it
        return longest + 1
    latest = max(second for second in stamp.changed if second is not None)
    # it is told in whole seconds
    by_itself = min(max(longest - (stamp.now - latest), 0), longest) + 1
    return min(by_itself, OpenTransactions.of(database).seconds_until_worth_asking(latest, stamp.now))


def changed_at(table: str) -> sa.ColumnElement[int | None]:
    """MariaDB: the second in which the transaction began that was the last to change ``table``, one of our own names;
    NULL where unknown.

    A tenth of what it costs to count the rows of a large table.
    """
    return sa.literal_column(
        "(SELECT UNIX_TIMESTAMP(update_time) FROM information_schema.tables"  # noqa: S608 - our own table's name
        f" WHERE table_schema = DATABASE() AND table_name = '{table}')"
    )


SERVER_NOW: sa.ColumnElement[int] = sa.literal_column("UNIX_TIMESTAMP()")


@cache
def _stamp(watched: Watched) -> AnySelect:
    digests = [_mysql_digest(rows).subquery() for rows in watched.small]
    # each is one row
    return select(
        *map(changed_at, watched.large), SERVER_NOW, *(column for digest in digests for column in digest.c)
    ).select_from(*digests)


@cache
def _versions(tables: tuple[str, ...]) -> AnySelect:
    # each only ever grows, so that their sum tells of a change of any
    return select(func.count().label("found"), func.sum(Version.version).label("versions")).where(
        Version.name.in_(tables)
    )


def _mysql_digest(rows: AnySelect) -> AnySelect:
    """How many rows, and the sum of their checksums, each weighted by the row's id (its first column), so that what is
    changed in two rows does not outweigh itself."""
    content = rows.order_by(None).subquery()
    return select(func.count(), func.sum(row_checksum(content.c) * content.c[0])).select_from(content)


def row_checksum(columns: Iterable[Any]) -> sa.ColumnElement[int]:
    """MariaDB and MySQL: the CRC-32 of a row's values; MD5 takes three times as long."""
    texts = [func.ifnull(in_one_set(column), _ABSENT) for column in columns]
    return func.crc32(func.concat_ws(_BETWEEN, *texts))


def in_one_set(column: Any) -> Any:
    """A column of MariaDB as it may be put together with others, whose texts may be in other character sets."""
    return column if isinstance(column.type, sa.Integer | sa.Date) else sa.cast(column, sa.CHAR)


@cache
def _postgresql_digest(rows: AnySelect) -> AnySelect:
    content = rows.order_by(None).subquery("content")
    text = sa.cast(sa.literal_column("content"), sa.Text)
    sums = [func.sum(func.hashtextextended(text, seed)) for seed in (0, 1)]
    return select(func.count(), *sums).select_from(content)
