"""Telling exactly whether the rows of a statement have changed, whoever changed them, the PHP panel included.

A cache may keep an answer with the token that was read before it, and show it again only for an equal token.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, func, select

from core.models import Version

_ABSENT = "\x1e"
_BETWEEN = "\x1f"


def token(connection: Connection, rows: sa.Select[Any], tables: Sequence[str]) -> tuple[Any, ...]:
    """What stays equal only as long as ``rows`` would give the same result.

    SQLite: the versions that triggers keep of ``tables``, exact and cheap. Elsewhere, where other writers share the
    tables and triggers would make them wait for each other, the server digests the result itself: much cheaper than
    fetching and encoding it.
    """
    dialect = connection.dialect.name
    if dialect == "sqlite":
        versions = select(Version.version).where(Version.name.in_(tables)).order_by(Version.name)
        found = tuple(connection.execute(versions).scalars())
        # a database that was not made by us has no triggers: then nothing is known, and nothing may be kept
        return found if len(found) == len(tables) else (object(),)
    digest = _mysql_digest(rows) if dialect in ("mysql", "mariadb") else _postgresql_digest(rows)
    return tuple(connection.execute(digest).one())


def _mysql_digest(rows: sa.Select[Any]) -> sa.Executable:
    content = rows.order_by(None).subquery()
    columns = [func.ifnull(sa.cast(column, sa.CHAR), _ABSENT) for column in content.c]
    md5 = func.md5(func.concat_ws(_BETWEEN, *columns))
    halves = [
        func.bit_xor(sa.cast(func.conv(func.substr(md5, start, 16), 16, 10), sa.dialects.mysql.BIGINT(unsigned=True)))
        for start in (1, 17)
    ]
    return select(func.count(), *halves).select_from(content)


def _postgresql_digest(rows: sa.Select[Any]) -> sa.Executable:
    content = rows.order_by(None).subquery("content")
    text = sa.cast(sa.literal_column("content"), sa.Text)
    sums = [func.sum(func.hashtextextended(text, seed)) for seed in (0, 1)]
    return select(func.count(), *sums).select_from(content)
