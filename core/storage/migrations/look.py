"""What a database has: its tables, their columns and their indexes by name, each told by one question.

SQLAlchemy's inspector knows far more, and asks for each table by itself: a tenth of a second at each start. It is
there for who needs more (:attr:`Look.inspector`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import sqlalchemy as sa
from sqlalchemy import Connection, Inspector

_KEPT = "showbox: what was seen of the structure"

# of the tables of the database that the connection is in, each with the name of what it has
_COLUMNS = {
    "sqlite": "SELECT t.name, c.name FROM sqlite_master AS t, pragma_table_xinfo(t.name) AS c WHERE t.type = 'table'",
    "mysql": "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE()",
    "postgresql": "SELECT t.relname, a.attname FROM pg_attribute AS a JOIN pg_class AS t ON t.oid = a.attrelid"
    " JOIN pg_namespace AS n ON n.oid = t.relnamespace"
    " WHERE n.nspname = current_schema() AND t.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped",
}
_INDEXES = {
    "sqlite": "SELECT tbl_name, name FROM sqlite_master WHERE type = 'index'",
    "mysql": "SELECT DISTINCT table_name, index_name FROM information_schema.statistics"
    " WHERE table_schema = DATABASE()",
    "postgresql": "SELECT t.relname, i.relname FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid"
    " JOIN pg_class AS t ON t.oid = x.indrelid JOIN pg_namespace AS n ON n.oid = t.relnamespace"
    " WHERE n.nspname = current_schema()",
}


class Look:
    """What was seen on this connection, each thing at its first use."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @cached_property
    def inspector(self) -> Inspector:
        found: Inspector = sa.inspect(self._connection)
        return found

    @cached_property
    def tables(self) -> frozenset[str]:
        """Without views."""
        return frozenset(self.inspector.get_table_names())

    @cached_property
    def columns(self) -> dict[str, frozenset[str]]:
        """Table → its columns."""
        return {table: names for table, names in self._by_table(_COLUMNS).items() if table in self.tables}

    @cached_property
    def indexes(self) -> dict[str, frozenset[str]]:
        """Table → its indexes, with those that keep a key unique."""
        return self._by_table(_INDEXES)

    def _by_table(self, questions: dict[str, str]) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for table, name in self._connection.exec_driver_sql(questions[self._connection.dialect.name]):
            found.setdefault(table, set()).add(name)
        return {table: frozenset(names) for table, names in found.items()}


def look_at(connection: Connection) -> Look:
    """Anew, unless the connection is within :func:`looking`."""
    found: Look = connection.info.get(_KEPT) or Look(connection)
    return found


def look_again(connection: Connection) -> None:
    """Something was changed."""
    if _KEPT in connection.info:
        connection.info[_KEPT] = Look(connection)


@contextmanager
def looking(connection: Connection) -> Iterator[None]:
    """Meanwhile each thing is looked for once, and again only after :func:`look_again`: nobody else changes it."""
    # kept, for a connection that was lost has none
    info = connection.info
    info[_KEPT] = Look(connection)
    try:
        yield
    finally:
        del info[_KEPT]
