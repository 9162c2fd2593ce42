"""How each streaming server is called: its row, and what was set for it here. Secrets are unsealed on the way out only.

Addresses come from here, never from a request. Source: contract chapter 95 §9, §10.1 and §10.6.
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy import select

from core.errors import PanelError
from core.panel import Panel
from core.storage.tables.secret_columns import streaming_server_place
from core.storage.tables.xtream import XtreamServerControl
from core.xtream.families import Family, columns_of
from core.xtream.node_client import XC_NEW, NodeSettings
from core.xtream.store import Store, main_server, read_settings, store

log = logging.getLogger(__name__)

_CONTROL = XtreamServerControl.__table__
_SHARED_SECRET = "live_streaming_pass"  # noqa: S105 - the name of a setting


def read_nodes(panel: Panel, server_ids: Collection[int] | None = None) -> dict[int, NodeSettings]:
    """The servers of these ids that exist (None: all)."""
    xtream = store(panel)
    servers = xtream.tables.servers
    wanted = select(*columns_of(servers, "id", "server_ip", "http_broadcast_port", "https_broadcast_port")).order_by(
        servers.c.id
    )
    if server_ids is not None:
        wanted = wanted.where(servers.c.id.in_(server_ids))
    settings: Mapping[str, Any] = {}
    with xtream.read() as connection:
        rows = list(connection.execute(wanted))
        if xtream.is_bound:
            settings = read_settings(connection, xtream.tables)
    controls = _controls(panel, [row.id for row in rows])
    shared = str(settings.get(_SHARED_SECRET) or "")
    return {row.id: _settings(panel, xtream, row, controls.get(row.id), shared) for row in rows}


def read_commanded(panel: Panel, server_ids: Collection[int]) -> dict[int, NodeSettings]:
    """As :func:`read_nodes`, for starts and stops: with [xtream] via_main they go through the main server."""
    nodes = read_nodes(panel, server_ids)
    if not panel.config.xtream.via_main:
        return nodes
    xtream = store(panel)
    settings: Mapping[str, Any] = {}
    with xtream.read() as connection:
        main_id = main_server(connection, xtream.tables)
        if xtream.is_bound:
            settings = read_settings(connection, xtream.tables)
    main = read_nodes(panel, [main_id]).get(main_id) if main_id is not None else None
    configured = panel.config.xtream.api_pass.get_secret_value()
    key = SecretStr(configured or str(settings.get("api_pass") or ""))
    if main is None:
        return {id: replace(node, enabled=False) for id, node in nodes.items()}
    return {
        id: replace(main, server_id=id, secret=key, enabled=node.enabled, via_main=True) for id, node in nodes.items()
    }


def _controls(panel: Panel, server_ids: Collection[int]) -> dict[int, Any]:
    if not server_ids:
        return {}
    panel.layout  # noqa: B018 - creates our tables where they are missing
    with panel.database.read() as connection:
        rows = connection.execute(select(_CONTROL).where(_CONTROL.c.server_id.in_(server_ids)))
        return {row.server_id: row for row in rows}


def _settings(panel: Panel, xtream: Store, row: Any, control: Any, shared: str) -> NodeSettings:
    family = xtream.tables.family
    scheme = (control.scheme if control else None) or "http"
    port = row.https_broadcast_port if scheme == "https" else row.http_broadcast_port
    found = NodeSettings(
        server_id=row.id,
        dialect=(control.dialect if control else None) or (XC_NEW if family is Family.OWN else family.value),
        scheme=scheme,
        host=(control.host if control else None) or str(row.server_ip or ""),
        port=(control.port if control else None) or int(port or 0),
        secret=SecretStr(_secret(panel, row.id, control) or shared),
    )
    if control is None:
        return found
    return replace(
        found,
        tls_verify=bool(control.tls_verify),
        tls_ca=control.tls_ca,
        connect_seconds=float(control.connect_timeout or found.connect_seconds),
        read_seconds=float(control.read_timeout or found.read_seconds),
        enabled=bool(control.enabled),
    )


def _secret(panel: Panel, server_id: int, control: Any) -> str:
    if control is None or not control.secret:
        return ""
    try:
        return panel.sealer.everywhere.unsealed(control.secret, streaming_server_place(server_id))
    except PanelError as error:
        log.error("the secret of streaming server %d: %s", server_id, error.text)
        return ""


def exists(panel: Panel, server_id: int) -> bool:
    """Whether there is such a server."""
    xtream = store(panel)
    with xtream.read() as connection:
        found = connection.scalar(
            select(sa.literal(1)).select_from(xtream.tables.servers).where(xtream.tables.servers.c.id == server_id)
        )
    return found is not None
