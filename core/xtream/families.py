"""Which tables hold what: one mapping over our own tables and those of the two families of Xtream databases.

A bound database's family is told by the tables that it has, and never guessed. Nothing in it is created or altered;
columns that it lacks are left out. Source: contract chapter 95 §0 and §9.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from core.errors import DatabaseUnavailable
from core.storage.tables.texts import Manner, hold
from core.storage.tables.xtream import (
    XtreamAssignment,
    XtreamBouquet,
    XtreamConnection,
    XtreamEnigma,
    XtreamEpisode,
    XtreamGroup,
    XtreamLine,
    XtreamMag,
    XtreamOutput,
    XtreamServer,
    XtreamStream,
)
from core.xtream.node_client import XC_NEW, XC_OLD


class Family(StrEnum):
    """Our own tables, or those of the newer or the older Xtream panels."""

    OWN = "own"
    NEW = XC_NEW
    OLD = XC_OLD


class UnknownXtreamDatabase(DatabaseUnavailable):
    default_text = (
        "The configured Xtream database has the tables of neither family of Xtream panels; nothing was changed."
    )


@dataclass(frozen=True)
class Tables:
    """``accounts`` None: the accounts are the panel's users. Those that may be None stand last."""

    family: Family
    servers: Table
    streams: Table
    assignments: Table
    episodes: Table
    bouquets: Table
    lines: Table
    live: Table
    outputs: Table
    mags: Table
    enigmas: Table
    groups: Table
    accounts: Table | None = None
    settings: Table | None = None
    admin_settings: Table | None = None
    options: Table | None = None
    signals: Table | None = None
    history: Table | None = None
    user_log: Table | None = None

    @property
    def is_own(self) -> bool:
        return self.family is Family.OWN


def _table(model: type[Any]) -> Table:
    table: Table = model.__table__
    return table


OWN = Tables(
    family=Family.OWN,
    servers=_table(XtreamServer),
    streams=_table(XtreamStream),
    assignments=_table(XtreamAssignment),
    episodes=_table(XtreamEpisode),
    bouquets=_table(XtreamBouquet),
    lines=_table(XtreamLine),
    live=_table(XtreamConnection),
    outputs=_table(XtreamOutput),
    mags=_table(XtreamMag),
    enigmas=_table(XtreamEnigma),
    groups=_table(XtreamGroup),
)
# the physical names that differ between the families
_NAMES: Mapping[Family, Mapping[str, str]] = {
    Family.NEW: {"servers": "servers", "assignments": "streams_servers", "lines": "lines", "live": "lines_live"},
    Family.OLD: {
        "servers": "streaming_servers",
        "assignments": "streams_sys",
        "lines": "users",
        "live": "user_activity_now",
    },
}
_COMMON = {
    "streams": "streams",
    "episodes": "series_episodes",
    "bouquets": "bouquets",
    "outputs": "user_output",
    "mags": "mag_devices",
    "enigmas": "enigma2_devices",
    "groups": "member_groups",
    "accounts": "reg_users",
    "settings": "settings",
}
_OPTIONAL = {
    "admin_settings": "admin_settings",
    "options": "streams_options",
    "signals": "signals",
    "history": "user_activity",
    "user_log": "reg_userlog",
}
# what they say of an action is cut to their columns
_LOGS = frozenset({"reg_userlog", "user_activity"})
# without these columns no action could be carried out
_NEEDED = {
    "servers": "id server_ip http_broadcast_port",
    "streams": "id type",
    "assignments": "stream_id server_id pid stream_status",
    "episodes": "stream_id",
    "bouquets": "id bouquet_channels",
    "lines": "id member_id username enabled admin_enabled is_isplock isp_desc",
    "live": "activity_id user_id server_id pid container",
    "outputs": "user_id",
    "mags": "user_id",
    "enigmas": "user_id",
    "groups": "group_id is_banned is_admin is_reseller delete_users allowed_pages",
    "accounts": "id username member_group_id status owner_id",
}


def read_tables(connection: Connection) -> Tables:
    """The tables of a bound database. Raises UnknownXtreamDatabase."""
    present = set(sa.inspect(connection).get_table_names())
    family = _family(present)
    metadata = sa.MetaData()

    def reflected(name: str) -> Table:
        table = Table(name, metadata, autoload_with=connection, resolve_fks=False)
        # these, too, may be in an old server's character sets
        hold(table, sa.Enum, manner=Manner.LOG if name in _LOGS else Manner.EXACT)
        return table

    found = {role: reflected(name) for role, name in {**_COMMON, **_NAMES[family]}.items()}
    if any(not set(needed.split()) <= set(found[role].c.keys()) for role, needed in _NEEDED.items()):
        raise UnknownXtreamDatabase
    optional = {role: reflected(name) for role, name in _OPTIONAL.items() if name in present}
    return Tables(family=family, **found, **optional)


def _family(present: set[str]) -> Family:
    fitting = [family for family, names in _NAMES.items() if {*names.values(), *_COMMON.values()} <= present]
    if len(fitting) != 1:
        raise UnknownXtreamDatabase
    return fitting[0]


def columns_of(table: Table, *names: str) -> list[sa.ColumnElement[Any]]:
    """The columns of these names; NULL under its name for one that this database lacks."""
    return [table.c[name] if name in table.c else sa.null().label(name) for name in names]


def known(table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` without columns that this database lacks."""
    return {name: value for name, value in values.items() if name in table.c}


def cleared(table: Table, *names: str) -> dict[str, Any]:
    """Values that empty these columns: NULL, or the empty text or 0 where NULL is not allowed."""
    return {name: _empty(table.c[name]) for name in names if name in table.c}


def _empty(column: sa.Column[Any]) -> Any:
    if column.nullable:
        return None
    return 0 if isinstance(column.type, sa.Numeric | sa.Integer) else ""
