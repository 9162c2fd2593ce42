"""The rows that an import file means, table by table. Storing them: :mod:`core.xtream.catalogue.importing`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Table

from core.panel import Panel
from core.storage.tables.secret_columns import streaming_server_place
from core.storage.tables.xtream import XtreamMember, XtreamServerControl
from core.xtream.catalogue.file_format import TYPES, File
from core.xtream.families import OWN

Row = Mapping[str, Any]
_MEMBERS: Table = XtreamMember.__table__  # type: ignore[assignment]
_CONTROLS: Table = XtreamServerControl.__table__  # type: ignore[assignment]


@dataclass(frozen=True)
class Target:
    """A table, its key, and the rows that it is to hold; None: left alone."""

    table: Table
    key: str
    rows: Sequence[Row] | None


def targets(panel: Panel, file: File, users: Mapping[str, int]) -> Iterator[Target]:
    yield Target(OWN.servers, "id", _servers(file))
    yield Target(_CONTROLS, "server_id", _controls(panel, file))
    yield Target(OWN.groups, "group_id", _groups(file))
    yield Target(_MEMBERS, "user_id", _members(file, users))
    yield Target(OWN.streams, "id", _streams(file))
    yield Target(OWN.episodes, "id", _episodes(file))
    yield Target(OWN.bouquets, "id", _bouquets(file))
    yield Target(OWN.lines, "id", _lines(panel, file, users))
    yield Target(OWN.live, "activity_id", _connections(file))


def _servers(file: File) -> list[Row] | None:
    return (
        None
        if file.servers is None
        else [
            {
                "id": one.id,
                "server_name": one.name,
                "server_ip": one.host,
                "http_broadcast_port": one.port if one.scheme == "http" else 0,
                "https_broadcast_port": one.port if one.scheme == "https" else 0,
                "is_main": int(one.is_main),
                "can_delete": int(one.can_delete),
            }
            for one in file.servers
        ]
    )


def _controls(panel: Panel, file: File) -> list[Row] | None:
    sealed = panel.sealer.everywhere.sealed
    return (
        None
        if file.servers is None
        else [
            {
                "server_id": one.id,
                "dialect": one.dialect,
                "scheme": one.scheme,
                "tls_verify": int(one.tls_verify),
                "enabled": int(one.enabled),
                # an export without secrets, read again, must not make the servers forget theirs
                **({"secret": sealed(secret, streaming_server_place(one.id))} if secret else {}),
            }
            for one in file.servers
            for secret in (one.secret.get_secret_value(),)
        ]
    )


def _groups(file: File) -> list[Row] | None:
    flags = ("is_admin", "is_reseller", "is_banned", "delete_users", "edit_isplock")
    return (
        None
        if file.groups is None
        else [
            {
                "group_id": one.id,
                "group_name": one.name,
                "allowed_pages": orjson.dumps(one.advanced).decode(),
                **{name: int(getattr(one, name)) for name in flags},
            }
            for one in file.groups
        ]
    )


def _members(file: File, users: Mapping[str, int]) -> list[Row] | None:
    return (
        None
        if file.members is None
        else [
            {
                "user_id": users[one.username],
                "member_group_id": one.group,
                "owner_id": users[one.owner] if one.owner is not None else None,
                "status": int(one.enabled),
            }
            for one in file.members
        ]
    )


def _streams(file: File) -> list[Row] | None:
    return (
        None
        if file.streams is None
        else [
            {
                "id": one.id,
                "type": TYPES[one.kind],
                "stream_display_name": one.name,
                "direct_source": int(one.direct),
                "target_container": one.container or ("mp4" if one.kind == "movie" else "ts"),
            }
            for one in file.streams
        ]
    )


def _episodes(file: File) -> list[Row] | None:
    return (
        None
        if file.series_episodes is None
        else [
            {
                "id": one.id,
                "series_id": one.series,
                "season_num": one.season,
                "sort": one.sort,
                "stream_id": one.stream,
            }
            for one in file.series_episodes
        ]
    )


def _bouquets(file: File) -> list[Row] | None:
    lists = ("channels", "movies", "radios", "series")
    return (
        None
        if file.bouquets is None
        else [
            {
                "id": one.id,
                "bouquet_name": one.name,
                **{f"bouquet_{name}": orjson.dumps(getattr(one, name)).decode() for name in lists},
            }
            for one in file.bouquets
        ]
    )


def _lines(panel: Panel, file: File, users: Mapping[str, int]) -> list[Row] | None:
    flags = ("enabled", "admin_enabled", "is_mag", "is_e2", "is_isplock")
    now = panel.clock.stamp()
    return (
        None
        if file.lines is None
        else [
            {
                "id": one.id,
                "member_id": users[one.member] if one.member is not None else None,
                "username": one.username,
                "password": one.password.get_secret_value(),
                "exp_date": one.exp_date,
                "max_connections": one.max_connections,
                "isp_desc": one.isp,
                "created_at": now,
                **{name: int(getattr(one, name)) for name in flags},
            }
            for one in file.lines
        ]
    )


def _connections(file: File) -> list[Row] | None:
    return (
        None
        if file.connections is None
        else [
            {
                "activity_id": one.id,
                "user_id": one.line,
                "stream_id": one.stream,
                "server_id": one.server,
                "pid": one.pid,
                "container": one.container,
                "user_ip": one.ip,
                "user_agent": one.user_agent,
                "date_start": one.started,
            }
            for one in file.connections
        ]
    )
