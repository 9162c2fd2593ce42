"""Stops that could not be delivered when their stream was deleted: stored with the deletion, retried by a job.

A row waits until ``next_at``; it goes when the stop was delivered, when the stream is assigned to that server again,
when the server is gone, and after a day. Stops may be repeated, so a worker that dies in the middle does no harm. The
end of a process is never kept for later: its id may belong to another by then. Source: contract chapter 95 §10.5.
"""

import logging
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from core.jobs import jobs
from core.jobs.bell import bell
from core.panel import Panel
from core.storage.tables.xtream import XtreamPending
from core.storage.writing import insert_if_absent
from core.xtream.node_client import STOP, NodeSettings
from core.xtream.nodes import Command, deadline, send_all
from core.xtream.registry import read_commanded
from core.xtream.store import store

log = logging.getLogger(__name__)

KIND = "xtream_stop"
FIRST_SECONDS = 5
LONGEST_SECONDS = 300
KEPT_SECONDS = 24 * 3600
# so many at once; the next run takes the others
_BATCH = 100


def add(panel: Panel, node_kind: str, stream_id: int, servers: Collection[int]) -> None:
    """Store stops in a transaction of their own; see :func:`add_in`."""
    if servers:

        def act(connection: Connection) -> None:
            add_in(panel, connection, node_kind, stream_id, servers)

        panel.database.transact(act)


def add_in(panel: Panel, connection: Connection, node_kind: str, stream_id: int, servers: Collection[int]) -> None:
    """Store that ``servers`` are still to be told to stop. Call :func:`ring` after the commit."""
    now = panel.clock.stamp()
    for server_id in servers:
        insert_if_absent(
            connection,
            XtreamPending,
            server_id=server_id,
            kind=f"{node_kind}_{STOP}",
            stream_id=stream_id,
            created_at=now,
            attempts=0,
            next_at=now + FIRST_SECONDS,
            expires_at=now + KEPT_SECONDS,
        )
    if servers:
        jobs.add(panel, connection, KIND, {}, due_in=FIRST_SECONDS)


def ring(panel: Panel) -> None:
    bell(panel).ring(FIRST_SECONDS)


def deliver_due(panel: Panel) -> int:
    """Send all stops that are due; how many were delivered."""
    panel.layout  # noqa: B018 - creates our tables where they are missing
    now = panel.clock.stamp()
    with panel.database.read() as connection:
        due = select(XtreamPending.__table__).where(XtreamPending.next_at <= now).order_by(XtreamPending.next_at)
        rows = list(connection.execute(due.limit(_BATCH)))
    if not rows:
        return 0
    servers = read_commanded(panel, {row.server_id for row in rows})
    wanted = [row for row in rows if not _drop_reason(panel, row, servers, now)]
    stopped = 0
    for row in wanted:
        command = Command(STOP, row.stream_id, row.kind.removesuffix(f"_{STOP}"))
        failed = send_all(panel, servers, {row.server_id: command}, deadline())
        stopped += not failed
        _settle(panel, row, delivered=not failed)
    return stopped


def _drop_reason(panel: Panel, row: Any, servers: Mapping[int, NodeSettings], now: int) -> str:
    """Empty while the stop still makes sense; else it is forgotten, and why is logged."""
    reason = ""
    if row.expires_at <= now:
        reason = "it is too old"
    elif row.server_id not in servers:
        reason = "there is no such server any more"
    elif _is_assigned(panel, row.stream_id, row.server_id):
        reason = "it is assigned to that server again"
    if reason:
        log.warning("stop of stream %d on server %d given up: %s", row.stream_id, row.server_id, reason)
        _forget(panel, row)
    return reason


def _is_assigned(panel: Panel, stream_id: int, server_id: int) -> bool:
    xtream = store(panel)
    table = xtream.tables.assignments
    with xtream.read() as connection:
        on = (table.c.stream_id == stream_id, table.c.server_id == server_id)
        return connection.execute(select(table.c.stream_id).where(*on)).first() is not None


def _settle(panel: Panel, row: Any, *, delivered: bool) -> None:
    if delivered:
        _forget(panel, row)
        return
    wait = min(FIRST_SECONDS * 2 ** min(row.attempts + 1, 10), LONGEST_SECONDS)

    def act(connection: Connection) -> None:
        connection.execute(
            update(XtreamPending)
            .where(XtreamPending.id == row.id)
            .values(attempts=row.attempts + 1, next_at=panel.clock.stamp() + wait)
        )

    panel.database.transact(act)


def _forget(panel: Panel, row: Any) -> None:
    def act(connection: Connection) -> None:
        connection.execute(delete(XtreamPending).where(XtreamPending.id == row.id))

    panel.database.transact(act)


def _run(work: jobs.Work) -> Mapping[str, Any]:
    panel = work.panel
    stopped = deliver_due(panel)

    def act(connection: Connection) -> int | None:
        """In how many seconds the next one is due."""
        next_at = connection.scalar(select(func.min(XtreamPending.next_at)))
        if next_at is None:
            return None
        due_in: int = max(1, next_at - panel.clock.stamp())
        jobs.add(panel, connection, KIND, {}, due_in=due_in)
        return due_in

    wait = panel.database.transact(act)
    if wait is not None:
        bell(panel).ring(wait)
    return {"delivered": stopped}


KINDS: dict[str, jobs.Kind] = {KIND: jobs.Kind(_run, attempts=100)}
