"""The databases of live panels, made once for a test process; who is lent one finds it as its PHP left it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymysql.cursors import Cursor

from tests.worlds.databases import DUMPS, create_database, drop_database, dump_statements, load_dump
from tests.worlds.harness import World
from tests.worlds.strangers import mysql_connection

# by which caches know that something has changed, so they only go on
_KEPT = {"_sbx_state", "_sbx_versions"}
_COLUMNS = """
SELECT table_name, column_name, column_type, column_default, is_nullable, column_key
FROM information_schema.columns WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position
"""


class LivePanel:
    """The extract of one version's dump, with our tables beside the panel's."""

    def __init__(self, version: str, settings: dict[str, str]) -> None:
        self._version, self._settings = version, settings
        self._known: World | None = None
        self._url = ""
        self._columns: tuple[tuple[Any, ...], ...] = ()
        self._sums: dict[str, int] = {}

    @contextmanager
    def lent(self) -> Iterator[World]:
        """A served panel on it. Changed rows are inserted anew afterwards; if tables were changed, all is made anew."""
        if self._known is None:
            self._make()
        world = World(self._url, self._settings, known=self._known)
        try:
            yield world
        finally:
            world.close()
            if not self._is_restored():
                self.close()

    def close(self) -> None:
        if self._known is not None:
            self._known.close()
            self._known = None
            drop_database(self._url)

    def _make(self) -> None:
        self._url = create_database("mariadb", f"live_{self._version.replace('.', '_')}")
        load_dump(self._url, DUMPS[self._version])
        self._known = World(self._url, self._settings)
        with mysql_connection(self._url) as connection, connection.cursor() as cursor:
            self._columns = _columns(cursor)
            self._sums = _sums(cursor, {row[0] for row in self._columns} - _KEPT)

    def _is_restored(self) -> bool:
        with mysql_connection(self._url) as connection, connection.cursor() as cursor:
            if _columns(cursor) != self._columns:
                return False
            cursor.execute("SET foreign_key_checks = 0")
            changed = {name for name, found in _sums(cursor, set(self._sums)).items() if found != self._sums[name]}
            for name in changed:
                cursor.execute(f"DELETE FROM `{name}`")
            for statement in dump_statements(DUMPS[self._version], whole=False):
                inserting = re.match(r"INSERT INTO `(\w+)`", statement)
                if inserting is not None and inserting[1] in changed:
                    cursor.execute(statement)
            connection.commit()
            # not so where a row is none of the dump's
            return _sums(cursor, changed) == {name: self._sums[name] for name in changed}


def _columns(cursor: Cursor) -> tuple[tuple[Any, ...], ...]:
    cursor.execute(_COLUMNS)
    return tuple(cursor.fetchall())


def _sums(cursor: Cursor, names: set[str]) -> dict[str, int]:
    if not names:
        return {}
    ordered = sorted(names)
    cursor.execute(f"CHECKSUM TABLE {', '.join(f'`{name}`' for name in ordered)}")
    return dict(zip(ordered, (row[1] for row in cursor.fetchall()), strict=True))
