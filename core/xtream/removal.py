"""Deleting streams, movies and episodes: from one server, or with the last assignment altogether.

The servers are told to stop first, outside of any transaction; then everything goes in one transaction. A stop that
could not be delivered is stored and retried (:mod:`core.xtream.pending`). What is gone already counts as deleted, so
that two operators or a repeated script see no failure. Source: contract chapter 95 §6 and §16.5.
"""

from collections.abc import Collection
from time import monotonic
from typing import Any

import orjson
from sqlalchemy import Connection, Table, delete, or_, select, update

from core.errors import InvalidInput
from core.panel import Panel
from core.xtream import pending
from core.xtream.command_log import Asked, Caller, logged
from core.xtream.families import Tables
from core.xtream.node_client import STOP
from core.xtream.nodes import Command, send_all
from core.xtream.permissions import require_advanced
from core.xtream.registry import read_commanded
from core.xtream.store import store, tell_nodes
from core.xtream.streams import ALL_SERVERS, NO_SERVER, Kind, find_stream, require_kind

# kept for the transaction that follows the stops
_TRANSACTION_SECONDS = 2.0
_BOUQUET_COLUMNS = ("bouquet_channels", "bouquet_movies", "bouquet_radios")


def remove(panel: Panel, caller: Caller, kind: Kind, stream_id: int, server_id: int, until: float) -> None:
    """``server_id`` -1: from every server; 0: a stream that is on none. Raises InvalidInput, NotFound."""
    require_advanced(caller.member, kind.advanced)
    with logged(panel, caller, Asked(kind.action, "delete", str(stream_id), server_id)) as entry:
        found = find_stream(panel, stream_id)
        if found is None:
            return
        require_kind(kind, found)
        leaving = _leaving(found.servers, server_id)
        failed = _stop(panel, kind, stream_id, leaving, until)
        if store(panel).is_bound:
            # before the deletion, which is in another database: one that comes to nothing is dropped by the worker
            pending.add(panel, kind.node_kind, stream_id, failed)

        def act(connection: Connection) -> list[int]:
            extra = _remove(panel, connection, stream_id, server_id, leaving)
            if not store(panel).is_bound:
                pending.add_in(panel, connection, kind.node_kind, stream_id, {*failed, *extra})
                entry.write_in(connection)
            return extra

        extra = store(panel).transact(act)
        if store(panel).is_bound and extra:
            pending.add(panel, kind.node_kind, stream_id, extra)
        if failed or extra:
            pending.ring(panel)


def _leaving(assigned: Collection[int], server_id: int) -> tuple[int, ...]:
    """The servers whose assignment goes."""
    if server_id == NO_SERVER and assigned:
        raise InvalidInput("Invalid server_id")
    return tuple(server for server in assigned if server_id in (ALL_SERVERS, server))


def _stop(panel: Panel, kind: Kind, stream_id: int, servers: Collection[int], until: float) -> list[int]:
    """Those that could not be told to stop; a server that is gone has nothing to stop."""
    if not servers:
        return []
    nodes = read_commanded(panel, servers)
    command = Command(STOP, stream_id, kind.node_kind)
    before = max(monotonic(), until - _TRANSACTION_SECONDS)
    return sorted(send_all(panel, nodes, dict.fromkeys(nodes, command), before))


def _remove(panel: Panel, connection: Connection, stream_id: int, server_id: int, told: Collection[int]) -> list[int]:
    """The deletion itself; the servers that lost the stream without having been told."""
    tables = store(panel).tables
    streams, assignments = tables.streams, tables.assignments
    if connection.execute(select(streams.c.id).where(streams.c.id == stream_id).with_for_update()).first() is None:
        return []
    on = assignments.c.stream_id == stream_id
    present = set(connection.scalars(select(assignments.c.server_id).where(on).with_for_update()))
    gone = _leaving(sorted(present), server_id)
    if gone:
        connection.execute(delete(assignments).where(on, assignments.c.server_id.in_(gone)))
    if present == set(gone):
        _remove_altogether(connection, tables, stream_id)
    tell_nodes(connection, tables, "update_stream", stream_id, panel.clock.stamp())
    return [server for server in gone if server not in told]


def _remove_altogether(connection: Connection, tables: Tables, stream_id: int) -> None:
    connection.execute(delete(tables.episodes).where(tables.episodes.c.stream_id == stream_id))
    if tables.options is not None and "stream_id" in tables.options.c:
        connection.execute(delete(tables.options).where(tables.options.c.stream_id == stream_id))
    _leave_bouquets(connection, tables.bouquets, stream_id)
    connection.execute(delete(tables.streams).where(tables.streams.c.id == stream_id))


def _leave_bouquets(connection: Connection, bouquets: Table, stream_id: int) -> None:
    columns = [bouquets.c[name] for name in _BOUQUET_COLUMNS if name in bouquets.c]
    # a first sieve: 5 is in 51, too
    holding = or_(*(column.like(f"%{stream_id}%") for column in columns))
    rows = connection.execute(select(bouquets.c.id, *columns).where(holding).with_for_update())
    for row in list(rows):
        changed = {
            column.name: shorter
            for column in columns
            if (shorter := without(getattr(row, column.name), stream_id)) is not None
        }
        if changed:
            connection.execute(update(bouquets).where(bouquets.c.id == row.id).values(**changed))


def without(stored: str | None, id: int) -> str | None:
    """The JSON list ``stored`` without ``id``, its order kept; None when it does not hold it or is no list."""
    try:
        ids: Any = orjson.loads(stored or "[]")
    except orjson.JSONDecodeError:
        return None
    if not isinstance(ids, list):
        return None
    kept = [item for item in ids if str(item) != str(id)]
    return None if len(kept) == len(ids) else orjson.dumps(kept).decode()
