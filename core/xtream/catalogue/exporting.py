"""Our own tables as an import file, without secrets and passwords. Source: contract chapter 95 §15."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, Table, select

from core.panel import Panel
from core.storage.tables import User
from core.storage.tables.xtream import XtreamMember, XtreamServerControl
from core.xtream.catalogue.file_format import TYPES
from core.xtream.catalogue.importing import NotOwn
from core.xtream.families import OWN
from core.xtream.node_client import XC_NEW
from core.xtream.store import store

_KINDS = {number: kind for kind, number in TYPES.items()}


def export_file(panel: Panel) -> dict[str, list[dict[str, Any]]]:
    """What an import of it would store again. Raises NotOwn."""
    if store(panel).is_bound:
        raise NotOwn
    panel.layout  # noqa: B018 - creates our tables where they are missing
    with panel.database.read() as connection:
        names = {row.id: row.username for row in connection.execute(select(User.id, User.username))}
        return {
            "servers": _servers(connection),
            "groups": _groups(connection),
            "members": _members(connection, names),
            "streams": _streams(connection),
            "series_episodes": [
                {
                    "id": row.id,
                    "series": row.series_id,
                    "season": row.season_num,
                    "sort": row.sort,
                    "stream": row.stream_id,
                }
                for row in _all(connection, OWN.episodes)
            ],
            "bouquets": [
                {"id": row.id, "name": row.bouquet_name, **{name: _list(row, name) for name in _LISTS}}
                for row in _all(connection, OWN.bouquets)
            ],
            "lines": _lines(connection, names),
            "devices": _devices(connection),
            "connections": _connections(connection),
        }


_LISTS = ("channels", "movies", "radios", "series")


def _list(row: Any, name: str) -> list[Any]:
    found: list[Any] = orjson.loads(getattr(row, f"bouquet_{name}") or "[]")
    return found


def _all(connection: Connection, table: Table) -> list[Any]:
    return list(connection.execute(select(table).order_by(*table.primary_key.columns)))


def _servers(connection: Connection) -> list[dict[str, Any]]:
    controls = {row.server_id: row for row in connection.execute(select(XtreamServerControl.__table__))}
    return [_server(row, controls.get(row.id)) for row in _all(connection, OWN.servers)]


def _server(row: Any, control: Any) -> dict[str, Any]:
    scheme = (control and control.scheme) or "http"
    return {
        "id": row.id,
        "name": row.server_name,
        "host": row.server_ip,
        "port": row.https_broadcast_port if scheme == "https" else row.http_broadcast_port,
        "scheme": scheme,
        "dialect": (control and control.dialect) or XC_NEW,
        "is_main": bool(row.is_main),
        "can_delete": bool(row.can_delete),
        "tls_verify": control is None or bool(control.tls_verify),
        "enabled": control is None or bool(control.enabled),
    }


def _groups(connection: Connection) -> list[dict[str, Any]]:
    flags = ("is_admin", "is_reseller", "is_banned", "delete_users", "edit_isplock")
    return [
        {
            "id": row.group_id,
            "name": row.group_name,
            **{name: bool(getattr(row, name)) for name in flags},
            "advanced": orjson.loads(row.allowed_pages or "[]"),
        }
        for row in _all(connection, OWN.groups)
    ]


def _members(connection: Connection, names: Mapping[int, str]) -> list[dict[str, Any]]:
    links = connection.execute(select(XtreamMember.__table__).order_by(XtreamMember.user_id))
    return [
        {
            "username": names[row.user_id],
            "group": row.member_group_id,
            "owner": names.get(row.owner_id),
            "enabled": bool(row.status),
        }
        for row in links
        if row.user_id in names and row.member_group_id is not None
    ]


def _streams(connection: Connection) -> list[dict[str, Any]]:
    servers: dict[int, list[int]] = defaultdict(list)
    for row in connection.execute(select(OWN.assignments).order_by(OWN.assignments.c.server_id)):
        servers[row.stream_id].append(row.server_id)
    return [
        {
            "id": row.id,
            "name": row.stream_display_name,
            "kind": _KINDS[row.type],
            "servers": servers[row.id],
            "direct": bool(row.direct_source),
            "container": row.target_container,
        }
        for row in _all(connection, OWN.streams)
    ]


def _lines(connection: Connection, names: Mapping[int, str]) -> list[dict[str, Any]]:
    flags = ("enabled", "admin_enabled", "is_mag", "is_e2", "is_isplock")
    return [
        {
            "id": row.id,
            "username": row.username,
            "member": names.get(row.member_id),
            "exp_date": row.exp_date,
            "max_connections": row.max_connections,
            **{name: bool(getattr(row, name)) for name in flags},
            "isp": row.isp_desc,
        }
        for row in _all(connection, OWN.lines)
    ]


def _devices(connection: Connection) -> list[dict[str, Any]]:
    return [
        {"line": row.user_id, "kind": kind, "mac": row.mac}
        for kind, table in (("mag", OWN.mags), ("enigma2", OWN.enigmas))
        for row in _all(connection, table)
    ]


def _connections(connection: Connection) -> list[dict[str, Any]]:
    return [
        {
            "id": row.activity_id,
            "line": row.user_id,
            "stream": row.stream_id,
            "server": row.server_id,
            "pid": row.pid,
            "container": row.container,
            "ip": row.user_ip or "",
            "user_agent": row.user_agent or "",
            "started": row.date_start or 0,
        }
        for row in _all(connection, OWN.live)
    ]
