"""Telling whether the rows of a statement have changed, whoever changed them, the PHP panel included.

A cache may keep an answer with the token that was read before it, and show it again only for an equal token. What is
promised, and by which rule, stands in docs/database.md.
"""

import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import func, select

from core.errors import DatabaseFailed, DatabaseUnavailable
from core.storage.database import Database
from core.storage.lookups import AnySelect
from core.storage.tables import Version

_ABSENT = "\x1e"
_BETWEEN = "\x1f"
# however certain a stamp looks: a server's clock may have been set back meanwhile
DIGEST_AT_LEAST_EVERY_SECONDS = 60
# MariaDB tells open transactions as they were up to 0.1 s ago, and stamps in whole seconds
_JUST_NOW_SECONDS = 2

Token = tuple[Any, ...]


@dataclass(frozen=True)
class Watched:
    """``rows`` (a select that is made once), and how a change of them is told.

    ``tables``: the groups whose versions SQLite's triggers count. ``large``: the name of the one table that is too
    large to be read for that; ``small``: what ``rows`` needs of all its other tables.
    """

    rows: AnySelect
    tables: tuple[str, ...]
    large: str
    small: tuple[AnySelect, ...]

    def __hash__(self) -> int:
        return id(self)


def token(database: Database, watched: Watched, **parameters: Any) -> Token:
    """What stays equal only as long as the rows would be the same. Must be taken before the rows are read.

    SQLite: the versions that triggers keep, exact and cheap. Elsewhere, where other writers share the tables and
    triggers would make them wait for each other, the server digests the result itself; on MariaDB only where the
    large table's time of change leaves a doubt.
    """
    if database.dialect == "sqlite":
        found, versions = database.first(_versions(watched.tables))
        # a database that was not made by us has no triggers: then nothing is known, and nothing may be kept
        return (versions,) if found == len(watched.tables) else (object(),)
    digest = _digest(watched.rows, database.dialect)
    if not database.is_mariadb:
        return tuple(database.first(digest, **parameters))
    stamp = _read_stamp(database, watched)
    key = (watched, *sorted(parameters.items()))
    proof: _Proof | None = database.proofs.get(key)
    if proof is None or not proof.holds(stamp):
        proof = _Proof(stamp, tuple(database.first(digest, **parameters)), time.monotonic())
        database.proofs[key] = proof
    return proof.token


@dataclass(frozen=True, slots=True)
class _Stamp:
    """``changed``: the second of the statement that last changed the large table (None: unknown); ``now``: the
    server's clock; ``settled``: no transaction of that second can still be open; ``small``: the other tables' digest.
    """

    changed: int | None
    now: int
    settled: bool
    small: Token


@dataclass(frozen=True, slots=True)
class _Proof:
    """What the rows were when ``stamp`` had been read just before."""

    stamp: _Stamp
    token: Token
    taken_at: float

    def holds(self, stamp: _Stamp) -> bool:
        """Whether nothing can have changed since. An equal stamp is no proof while its own second is not over, or a
        transaction of that second may still be committed."""
        return (
            stamp.changed is not None
            and self.stamp.settled
            and stamp.changed == self.stamp.changed
            and stamp.small == self.stamp.small
            and stamp.now >= self.stamp.now
            and time.monotonic() - self.taken_at < DIGEST_AT_LEAST_EVERY_SECONDS
        )


def _read_stamp(database: Database, watched: Watched) -> _Stamp:
    if database.sees_transactions:
        try:
            [(changed, now, open_changes, *small)] = database.all(_stamp(watched, True))
        except DatabaseUnavailable:
            raise
        except DatabaseFailed:
            # the account lacks the right (PROCESS)
            database.sees_transactions = False
        else:
            settled = changed is not None and not open_changes and changed <= now - _JUST_NOW_SECONDS
            return _Stamp(changed, now, settled, tuple(small))
    [(changed, now, *small)] = database.all(_stamp(watched, False))
    settled = changed is not None and changed <= now - database.longest_transaction
    return _Stamp(changed, now, settled, tuple(small))


@cache
def _stamp(watched: Watched, with_transactions: bool) -> AnySelect:
    changed = (
        "(SELECT UNIX_TIMESTAMP(update_time) FROM information_schema.tables"  # noqa: S608 - our own table's name
        f" WHERE table_schema = DATABASE() AND table_name = '{watched.large}')"
    )
    columns: list[Any] = [sa.literal_column(changed), sa.literal_column("UNIX_TIMESTAMP()")]
    if with_transactions:
        is_open = "(SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_rows_modified > 0)"
        columns.append(sa.literal_column(is_open))
    digests = [_mysql_digest(rows).subquery() for rows in watched.small]
    # each is one row
    return select(*columns, *(column for digest in digests for column in digest.c)).select_from(*digests)


@cache
def _versions(tables: tuple[str, ...]) -> AnySelect:
    # each only ever grows, so that their sum tells of a change of any
    return select(func.count().label("found"), func.sum(Version.version).label("versions")).where(
        Version.name.in_(tables)
    )


@cache
def _digest(rows: AnySelect, dialect: str) -> AnySelect:
    return _postgresql_digest(rows) if dialect == "postgresql" else _mysql_digest(rows)


def _mysql_digest(rows: AnySelect) -> AnySelect:
    content = rows.order_by(None).subquery()
    columns = [func.ifnull(sa.cast(column, sa.CHAR), _ABSENT) for column in content.c]
    md5 = func.md5(func.concat_ws(_BETWEEN, *columns))
    halves = [
        func.bit_xor(sa.cast(func.conv(func.substr(md5, start, 16), 16, 10), sa.dialects.mysql.BIGINT(unsigned=True)))
        for start in (1, 17)
    ]
    return select(func.count(), *halves).select_from(content)


def _postgresql_digest(rows: AnySelect) -> AnySelect:
    content = rows.order_by(None).subquery("content")
    text = sa.cast(sa.literal_column("content"), sa.Text)
    sums = [func.sum(func.hashtextextended(text, seed)) for seed in (0, 1)]
    return select(func.count(), *sums).select_from(content)
