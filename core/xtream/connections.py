"""Ending what is open: a line's connections, one connection by its process, and any process of a server.

A row goes only when its server has confirmed the end, and no other row with it. Source: contract chapter 95 §6 and
§10.4, §16.10.
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, insert, select, update
from sqlalchemy.exc import DBAPIError

from core.errors import NotAllowed, NotFound, PanelError
from core.panel import Panel
from core.xtream.command_log import Asked, Caller, logged
from core.xtream.families import Tables, known
from core.xtream.members import is_own_line
from core.xtream.node_client import NodeFailed, Trouble
from core.xtream.nodes import Command, require_done, send_all
from core.xtream.permissions import Member, require_advanced, require_reseller_or_advanced
from core.xtream.registry import exists, read_nodes
from core.xtream.store import is_on, read_settings, store

log = logging.getLogger(__name__)

LOGS, PROCESSES = "connection_logs", "process_monitor"
# 0, 1 and what is below would end groups of processes, or everything
LEAST_PID = 2
# of a stream that has lost its process
_DOWN = 1


class ConnectionsInRedis(PanelError):
    """The bound panel keeps its open connections where we do not look."""

    code: ClassVar[int] = 8
    default_text = "This panel keeps its connections in Redis; they cannot be closed from here"


@dataclass(frozen=True, slots=True)
class Open:
    """An open connection; ``row`` is as it is stored."""

    id: int
    server_id: int
    pid: int | None
    container: str
    row: Mapping[str, Any]

    @property
    def is_hls(self) -> bool:
        """Its process, if it names one, is a shared worker that must live on."""
        return self.container == "hls" or self.container.endswith("(HLS)")

    @property
    def has_process(self) -> bool:
        return not self.is_hls and self.pid is not None and self.pid >= LEAST_PID


def is_in_redis(connection: Connection, tables: Tables) -> bool:
    return not tables.is_own and is_on(read_settings(connection, tables), "redis_handler")


def read_connections(
    panel: Panel, connection: Connection, *conditions: ColumnElement[bool], member: Member | None = None
) -> list[Open]:
    """Those that meet the conditions, oldest first; only those that ``member`` may close. Raises ConnectionsInRedis."""
    tables = store(panel).tables
    if is_in_redis(connection, tables):
        raise ConnectionsInRedis
    live, lines = tables.live, tables.lines
    wanted = select(live).where(*conditions).order_by(live.c.activity_id)
    if member is not None and not member.is_admin:
        wanted = wanted.join(lines, lines.c.id == live.c.user_id).where(is_own_line(tables, member))
    return [_open(row) for row in connection.execute(wanted).mappings()]


def read_connections_of_line(panel: Panel, connection: Connection, member: Member, line_id: int) -> list[Open] | None:
    """None where there is no such line that ``member`` may work on."""
    tables = store(panel).tables
    live, lines = tables.live, tables.lines
    if is_in_redis(connection, tables):
        raise ConnectionsInRedis
    rows = connection.execute(
        select(live)
        .select_from(lines.outerjoin(live, live.c.user_id == lines.c.id))
        .where(lines.c.id == line_id, is_own_line(tables, member))
        .order_by(live.c.activity_id)
    )
    found = list(rows.mappings())
    return [_open(row) for row in found if row["activity_id"] is not None] if found else None


def _open(row: Mapping[Any, Any]) -> Open:
    pid = row["pid"]
    return Open(
        id=row["activity_id"],
        server_id=row["server_id"],
        pid=None if pid is None else int(pid),
        container=str(row["container"] or ""),
        row={str(key): value for key, value in row.items()},
    )


def kill_connection(
    panel: Panel, caller: Caller, *, pid: int | None, server_id: int | None, activity_id: int | None, until: float
) -> None:
    """Close one connection: the oldest that fits, of those that the caller may close. Raises NotFound, NotAllowed."""
    member = caller.member
    require_reseller_or_advanced(member, LOGS)
    xtream = store(panel)
    live = xtream.tables.live
    given = {live.c.pid: pid, live.c.server_id: server_id, live.c.activity_id: activity_id}
    conditions = [column == value for column, value in given.items() if value is not None]
    target = f"pid {pid}" if activity_id is None else f"activity {activity_id}"
    with logged(panel, caller, Asked("user_activity", "kill", target, server_id)):
        with xtream.read() as connection:
            found = read_connections(panel, connection, *conditions, member=member)[:1]
        if not found:
            raise NotFound("Connection not found") if member.is_admin else NotAllowed()
        require_done([found[0].server_id], close_connections(panel, found, until))


def kill_process(panel: Panel, caller: Caller, server_id: int, pid: int, until: float) -> None:
    """End any process (``pid`` ≥ 2) of a server."""
    require_advanced(caller.member, PROCESSES)
    with logged(panel, caller, Asked("process", None, f"pid {pid}", server_id)):
        if not exists(panel, server_id):
            raise NotFound("Server not found")
        failed = send_all(panel, read_nodes(panel, [server_id]), {server_id: Command("kill", pid)}, until)
        require_done([server_id], failed)
        _note_ended(panel, server_id, pid)


def _note_ended(panel: Panel, server_id: int, pid: int) -> None:
    xtream = store(panel)
    tables = xtream.tables
    live, assignments = tables.live, tables.assignments

    def act(connection: Connection) -> None:
        if not is_in_redis(connection, tables):
            here = (live.c.server_id == server_id, live.c.pid == pid)
            rows = read_connections(panel, connection, *here)
            _remove(panel, connection, [one for one in rows if not one.is_hls])
        connection.execute(
            update(assignments)
            .where(and_(assignments.c.server_id == server_id, assignments.c.pid == pid))
            .values(pid=None, stream_status=_DOWN)
        )

    xtream.transact(act)


def close_connections(panel: Panel, open_ones: Sequence[Open], until: float) -> dict[int, NodeFailed]:
    """Close each, all servers at once; the servers that did not do it. What was closed loses its row."""
    failed: dict[int, NodeFailed] = {}
    by_process: dict[tuple[int, int], list[Open]] = defaultdict(list)
    closed: list[Open] = []
    for one in open_ones:
        if one.container == "rtmp":
            if _drop_rtmp(panel, one):
                closed.append(one)
            else:
                failed[one.server_id] = NodeFailed(Trouble.REJECTED)
        elif one.has_process and one.pid is not None:
            by_process[one.server_id, one.pid].append(one)
        else:
            closed.append(one)
    numbered = dict(enumerate(by_process))
    servers = read_nodes(panel, {server for server, _ in by_process}) if by_process else {}
    commands = {number: Command("kill", pid) for number, (_, pid) in numbered.items()}
    here = {number: servers.get(server) for number, (server, _) in numbered.items()}
    unkilled = send_all(panel, here, commands, until) if commands else {}
    for number, key in numbered.items():
        if number in unkilled:
            failed[key[0]] = unkilled[number]
        else:
            closed += by_process[key]
    if closed:
        store(panel).transact(lambda connection: _remove(panel, connection, closed))
    return failed


def _drop_rtmp(panel: Panel, one: Open) -> bool:
    """Have the node drop an RTMP client, which it does on a sign in a database that it shares with the panel."""
    xtream = store(panel)
    signals = xtream.tables.signals
    if not xtream.is_bound or signals is None or "rtmp" not in signals.c:
        return False
    values = {"pid": one.pid, "server_id": one.server_id, "rtmp": 1, "time": panel.clock.stamp()}
    sign = insert(signals).values(known(signals, values))
    xtream.transact(lambda connection: connection.execute(sign))
    return True


def _remove(panel: Panel, connection: Connection, closed: Collection[Open]) -> None:
    tables = store(panel).tables
    if not closed:
        return
    if tables.history is not None and is_on(read_settings(connection, tables), "save_closed_connection"):
        _write_history(panel, connection, tables.history, closed)
    connection.execute(delete(tables.live).where(tables.live.c.activity_id.in_([one.id for one in closed])))


def _write_history(panel: Panel, connection: Connection, history: Table, closed: Collection[Open]) -> None:
    """The rows as the bound panel keeps them of ended connections; a history that wants more goes without them."""
    ended = {"date_end": panel.clock.stamp()}
    rows = [known(history, {**one.row, **ended}) for one in closed]
    for row in rows:
        row.pop("activity_id", None)
    try:
        with connection.begin_nested():
            connection.execute(insert(history), rows)
    except DBAPIError as error:
        log.warning("closed connections could not be kept in the history: %s", type(error.orig).__name__)
