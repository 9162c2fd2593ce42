"""Starting and stopping streams, movies and episodes on their servers. Deleting them: :mod:`core.xtream.removal`.

True only if every server that was meant did it. Source: contract chapter 95 §6 and §16.5.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, and_, select, update

from core.errors import InvalidInput, NotFound
from core.panel import Panel
from core.xtream.command_log import Asked, Caller, logged
from core.xtream.families import cleared, known
from core.xtream.node_client import START, STOP, STREAM, VOD
from core.xtream.nodes import Command, require_done, send_all
from core.xtream.permissions import require_advanced
from core.xtream.registry import read_commanded
from core.xtream.store import store

ALL_SERVERS = -1
NO_SERVER = 0
_RUNTIME = ("pid", "monitor_pid", "bitrate", "current_source", "stream_started", "stream_info")


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the three actions: what it is called, which types of streams it means, and what nodes call it."""

    action: str
    noun: str
    types: tuple[int, ...]
    node_kind: str
    advanced: str
    subs: tuple[str, ...]


KINDS: Mapping[str, Kind] = {
    kind.action: kind
    for kind in (
        Kind("stream", "Stream", (1, 3, 4), STREAM, "edit_stream", ("start", "stop", "restart", "delete")),
        Kind("movie", "Movie", (2,), VOD, "edit_movie", ("start", "stop", "delete")),
        Kind("episode", "Episode", (5,), VOD, "edit_episode", ("start", "stop", "delete")),
    )
}


@dataclass(frozen=True, slots=True)
class Found:
    """A stored stream and the servers that it is assigned to."""

    type: int
    servers: tuple[int, ...]


def find_stream(panel: Panel, stream_id: int) -> Found | None:
    xtream = store(panel)
    streams, assignments = xtream.tables.streams, xtream.tables.assignments
    wanted = (
        select(streams.c.type, assignments.c.server_id)
        .select_from(streams.outerjoin(assignments, assignments.c.stream_id == streams.c.id))
        .where(streams.c.id == stream_id)
        .order_by(assignments.c.server_id)
    )
    with xtream.read() as connection:
        rows = list(connection.execute(wanted))
    if not rows:
        return None
    return Found(rows[0].type, tuple(dict.fromkeys(row.server_id for row in rows if row.server_id is not None)))


def require_kind(kind: Kind, found: Found | None) -> Found:
    """Raises NotFound, also for a stream that another action means."""
    if found is None or found.type not in kind.types:
        raise NotFound(f"{kind.noun} not found")
    return found


def control(panel: Panel, caller: Caller, kind: Kind, sub: str, stream_id: int, server_id: int, until: float) -> None:
    """``sub``: start, stop, or restart, which is a start; ``server_id`` -1: on every server that it is assigned to."""
    require_advanced(caller.member, kind.advanced)
    if server_id == NO_SERVER:
        raise InvalidInput("Invalid server_id")
    with logged(panel, caller, Asked(kind.action, sub, str(stream_id), server_id)):
        found = require_kind(kind, find_stream(panel, stream_id))
        wanted = found.servers if server_id == ALL_SERVERS else (server_id,)
        servers = read_commanded(panel, wanted)
        if server_id != ALL_SERVERS and server_id not in servers:
            raise NotFound("Server not found")
        targets = [server for server in found.servers if server in wanted]
        if not targets:
            raise NotFound(f"{kind.noun} is not assigned to this server")
        function = STOP if sub == "stop" else START
        command = Command(function, stream_id, kind.node_kind)
        failed = send_all(panel, servers, dict.fromkeys(targets, command), until)
        _note(panel, stream_id, [server for server in targets if server not in failed], function)
        require_done(targets, failed)


def _note(panel: Panel, stream_id: int, server_ids: Collection[int], function: str) -> None:
    """In own mode nobody else writes down what runs; nodes of a bound database do so themselves."""
    xtream = store(panel)
    if xtream.is_bound or not server_ids:
        return
    table = xtream.tables.assignments
    values: dict[str, Any] = {**cleared(table, *_RUNTIME), "stream_status": 0}
    if function == START:
        values["stream_started"] = panel.clock.stamp()
    rows = and_(table.c.stream_id == stream_id, table.c.server_id.in_(server_ids))
    note = update(table).where(rows).values(known(table, values))
    xtream.transact(partial(Connection.execute, statement=note))
