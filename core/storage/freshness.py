"""Telling exactly whether the rows of a statement have changed, whoever changed them, the PHP panel included.

A cache may keep an answer with the token that was read before it, and show it again only for an equal token.
"""

from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import func, select

from core.storage.database import Database
from core.storage.lookups import AnySelect
from core.storage.tables import Version

_ABSENT = "\x1e"
_BETWEEN = "\x1f"


def token(database: Database, rows: AnySelect, tables: tuple[str, ...], **parameters: Any) -> tuple[Any, ...]:
    """What stays equal only as long as ``rows`` (a select that is made once) would give the same result.

    SQLite: the versions that triggers keep of ``tables``, exact and cheap. Elsewhere, where other writers share the
    tables and triggers would make them wait for each other, the server digests the result itself: much cheaper than
    fetching and encoding it. Must be taken before the rows are read.
    """
    if database.dialect != "sqlite":
        return tuple(database.first(_digest(rows, database.dialect), **parameters))
    found, versions = database.first(_versions(tables))
    # a database that was not made by us has no triggers: then nothing is known, and nothing may be kept
    return (versions,) if found == len(tables) else (object(),)


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
