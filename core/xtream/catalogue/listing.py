"""What there is, for the command line: servers, streams and lines, of either mode; and taking servers away."""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, select

from core.errors import NotFound, PanelError
from core.panel import Panel
from core.storage.tables.xtream import XtreamServerControl
from core.xtream.catalogue.importing import NotOwn
from core.xtream.families import columns_of
from core.xtream.registry import read_nodes
from core.xtream.store import store

_BATCH = 1000


class ServerInUse(PanelError):
    default_text = "Streams are assigned to this server; delete them from it first"


class ListedServer(NamedTuple):
    """``is_usable``: switched on, and with address and secret."""

    id: int
    name: str
    url: str
    dialect: str
    is_usable: bool


class ListedStream(NamedTuple):
    """``servers``: how many it is on."""

    id: int
    type: int
    name: str
    servers: int


class ListedLine(NamedTuple):
    id: int
    username: str
    member_id: int | None
    is_enabled: bool
    is_banned: bool


def servers(panel: Panel) -> list[ListedServer]:
    """Each server as it is called, without its secret."""
    xtream = store(panel)
    table = xtream.tables.servers
    with xtream.read() as connection:
        names = {row.id: row.server_name for row in connection.execute(select(*columns_of(table, "id", "server_name")))}
    return [
        ListedServer(node.server_id, names[node.server_id], node.url, node.dialect, node.is_complete)
        for node in read_nodes(panel).values()
    ]


def streams(panel: Panel) -> Iterator[ListedStream]:
    """Each stream with the number of its servers."""
    xtream = store(panel)
    table, assignments = xtream.tables.streams, xtream.tables.assignments
    counted = (
        select(assignments.c.stream_id, func.count().label("servers")).group_by(assignments.c.stream_id).subquery()
    )
    wanted = (
        select(*columns_of(table, "id", "type", "stream_display_name"), counted.c.servers)
        .select_from(table.outerjoin(counted, counted.c.stream_id == table.c.id))
        .order_by(table.c.id)
    )
    with xtream.read() as connection:
        for row in connection.execution_options(yield_per=_BATCH).execute(wanted):
            yield ListedStream(row.id, row.type, row.stream_display_name, row.servers or 0)


def lines(panel: Panel) -> Iterator[ListedLine]:
    """Each line, without its password."""
    xtream = store(panel)
    table = xtream.tables.lines
    wanted = select(table.c.id, table.c.username, table.c.member_id, table.c.enabled, table.c.admin_enabled)
    with xtream.read() as connection:
        for row in connection.execution_options(yield_per=_BATCH).execute(wanted.order_by(table.c.id)):
            yield ListedLine(row.id, row.username, row.member_id, bool(row.enabled), not row.admin_enabled)


def remove_server(panel: Panel, server_id: int) -> None:
    """Raises NotFound, ServerInUse; NotOwn where another panel keeps the servers."""
    xtream = store(panel)
    if xtream.is_bound:
        raise NotOwn
    table, assignments = xtream.tables.servers, xtream.tables.assignments

    def act(connection: Connection) -> None:
        if connection.execute(select(table.c.id).where(table.c.id == server_id).with_for_update()).first() is None:
            raise NotFound("Server not found")
        if connection.execute(select(assignments.c.stream_id).where(assignments.c.server_id == server_id)).first():
            raise ServerInUse
        connection.execute(delete(XtreamServerControl).where(XtreamServerControl.server_id == server_id))
        connection.execute(delete(table).where(table.c.id == server_id))

    xtream.transact(act)
