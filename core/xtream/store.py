"""The database of the Xtream room: our own tables beside the panel's, or the Xtream database that is configured.

The mode comes from the configuration alone. Source: contract chapter 95 §9 and §16.1.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from core.errors import DatabaseUnavailable
from core.panel import Panel
from core.storage.database import Database
from core.xtream import families
from core.xtream.families import Family, Tables

Done = TypeVar("Done")

_BOUND_CONNECTIONS = 4


class Store:
    """``tables`` is the mapping; ``read`` and ``write`` are transactions of the database that they are in."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        url = panel.config.xtream.database_url.get_secret_value()
        self.is_bound = bool(url)
        self._bound = self._open(url) if url else None
        self._tables: Tables | None = None
        self._lock = threading.Lock()

    @staticmethod
    def _open(url: str) -> Database:
        try:
            return Database(url, pool_size=_BOUND_CONNECTIONS, must_exist=True)
        except ValueError:
            raise DatabaseUnavailable("The configured Xtream database is not there") from None

    @property
    def database(self) -> Database:
        return self._bound or self._panel.database

    @property
    def tables(self) -> Tables:
        """Raises UnknownXtreamDatabase when what is bound belongs to neither family."""
        if self._bound is None:
            self._panel.layout  # noqa: B018 - creates our tables where they are missing
            return families.OWN
        with self._lock:
            if self._tables is None:
                with self._bound.read() as connection:
                    self._tables = families.read_tables(connection)
            return self._tables

    def read(self) -> AbstractContextManager[Connection]:
        return self.database.read()

    def transact(self, act: Callable[[Connection], Done]) -> Done:
        return self.database.transact(act)

    def close(self) -> None:
        if self._bound is not None:
            self._bound.dispose()


def store(panel: Panel) -> Store:
    """The store of this process."""
    return panel.own(Store)


def read_settings(connection: Connection, tables: Tables) -> dict[str, Any]:
    """The settings of a bound database, from its two tables of them; empty in own mode."""
    found: dict[str, Any] = {}
    if tables.admin_settings is not None and {"type", "value"} <= set(tables.admin_settings.c.keys()):
        found |= _pairs(connection, tables.admin_settings, "type")
    if tables.settings is not None:
        if {"name", "value"} <= set(tables.settings.c.keys()):
            found |= _pairs(connection, tables.settings, "name")
        else:
            row = connection.execute(sa.select(tables.settings).limit(1)).mappings().first()
            found |= dict(row or {})
    return found


def _pairs(connection: Connection, table: Table, key: str) -> dict[str, Any]:
    return {row[0]: row[1] for row in connection.execute(sa.select(table.c[key], table.c.value))}


def is_on(settings: Mapping[str, Any], name: str) -> bool:
    """Whether a setting is on; one that is absent is off."""
    return str(settings.get(name) or "0").strip() not in ("", "0")


def tell_nodes(connection: Connection, tables: Tables, kind: str, id: int, now: int) -> None:
    """Have the nodes of a bound database forget what they keep of a line or stream (``kind``: update_line, …)."""
    if tables.family is not Family.NEW or tables.signals is None:
        return
    settings = read_settings(connection, tables)
    if not is_on(settings, "enable_cache"):
        return
    main = main_server(connection, tables)
    data = f'{{"type":"{kind}","id":{id}}}'
    values = {"server_id": main, "cache": 1, "time": now, "custom_data": data, "pid": 0, "rtmp": 0}
    connection.execute(sa.insert(tables.signals).values(families.known(tables.signals, values)))


def main_server(connection: Connection, tables: Tables) -> int | None:
    """The main server's id: the older family marks it by ``can_delete`` = 0."""
    servers = tables.servers
    if "is_main" in servers.c:
        condition: sa.ColumnElement[bool] = servers.c.is_main == 1
    elif "can_delete" in servers.c:
        condition = servers.c.can_delete == 0
    else:
        return None
    return connection.scalar(sa.select(servers.c.id).where(condition).order_by(servers.c.id).limit(1))
