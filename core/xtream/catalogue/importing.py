"""Storing an import file: all of it or nothing, ids as they are given. Source: contract chapter 95 §15.

A repeated import changes rows by their ids and deletes none; with ``replace`` the tables whose keys are in the file
hold afterwards what the file holds.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Table, bindparam, delete, insert, select, update

from core.errors import InvalidInput, PanelError
from core.panel import Panel
from core.storage.tables import User
from core.xtream.catalogue.file_format import TYPES, File
from core.xtream.catalogue.rows import Target, targets
from core.xtream.families import OWN
from core.xtream.store import store

# the stock groups that every Xtream panel begins with
_STOCK = (
    {"group_id": 1, "group_name": "Administrators", "is_admin": 1},
    {"group_id": 4, "group_name": "Resellers", "is_reseller": 1},
)
_BATCH = 1000


class NotOwn(PanelError):
    default_text = "An Xtream database is configured: its own panel adds to it; import works on tables of our own only"


def import_file(panel: Panel, file: File, *, replace: bool = False) -> dict[str, int]:
    """Store it; the number of items by key. Raises InvalidInput naming the place, NotOwn."""
    if store(panel).is_bound:
        raise NotOwn
    panel.layout  # noqa: B018 - creates our tables where they are missing

    def act(connection: Connection) -> None:
        _give_stock_groups(connection)
        users = _user_ids(connection, file)
        _require_references(connection, file, users, replace=replace)
        for target in targets(panel, file, users):
            if target.rows is not None:
                _store(connection, target, replace=replace)
        _store_assignments(connection, file, replace=replace)
        _store_devices(connection, file, replace=replace)
        if replace:
            _remove_orphans(connection)

    panel.database.transact(act)
    return {key: len(items) for key, items in file if items is not None}


def _give_stock_groups(connection: Connection) -> None:
    if connection.execute(select(OWN.groups.c.group_id).limit(1)).first() is None:
        for group in _STOCK:
            connection.execute(insert(OWN.groups).values(**group))


def _user_ids(connection: Connection, file: File) -> dict[str, int]:
    """The ids of the panel's users that the file names, the lowest where a name stands twice."""
    names = {member.username for member in file.members or []} | {line.member for line in file.lines or []}
    names |= {member.owner for member in file.members or []}
    found: dict[str, int] = {}
    wanted = sorted(name for name in names if name is not None)
    for batch in _batches(wanted):
        rows = connection.execute(
            select(User.id, User.username).where(User.username.in_(batch)).order_by(User.id.desc())
        )
        found |= {row.username: row.id for row in rows}
    return found


def _require_references(connection: Connection, file: File, users: Mapping[str, int], *, replace: bool) -> None:
    known: dict[str, Collection[Any]] = {"users": users}
    tables = {"servers": (OWN.servers, "id"), "groups": (OWN.groups, "group_id"), "streams": (OWN.streams, "id")}
    tables["lines"] = (OWN.lines, "id")
    for key, (table, column) in tables.items():
        given = getattr(file, key)
        ids = {item.id for item in given or []}
        is_whole = given is not None and replace
        known[key] = ids if is_whole else ids | set(connection.scalars(select(table.c[column])))
    for place, kind, value in _references(file):
        if value is not None and value not in known[kind]:
            raise InvalidInput(f"{place}: there is no such {kind.removesuffix('s')}")
    _require_episodes(connection, file)


def _references(file: File) -> Iterator[tuple[str, str, Any]]:
    """Each place that refers to something, what it refers to, and the id or name."""
    fields: dict[str, dict[str, str]] = {
        "members": {"username": "users", "owner": "users", "group": "groups"},
        "streams": {"servers": "servers"},
        "series_episodes": {"stream": "streams"},
        "bouquets": {"channels": "streams", "movies": "streams", "radios": "streams"},
        "lines": {"member": "users"},
        "devices": {"line": "lines"},
        "connections": {"line": "lines", "stream": "streams", "server": "servers"},
    }
    for key, names in fields.items():
        for number, item in enumerate(getattr(file, key) or []):
            for name, kind in names.items():
                value, place = getattr(item, name), f"{key}[{number}].{name}"
                if isinstance(value, list):
                    yield from ((f"{place}[{index}]", kind, one) for index, one in enumerate(value))
                else:
                    yield place, kind, value


def _require_episodes(connection: Connection, file: File) -> None:
    kinds = {stream.id: TYPES[stream.kind] for stream in file.streams or []}
    for number, episode in enumerate(file.series_episodes or []):
        type = kinds.get(episode.stream)
        if type is None:
            type = connection.scalar(select(OWN.streams.c.type).where(OWN.streams.c.id == episode.stream))
        if type != TYPES["episode"]:
            raise InvalidInput(f"series_episodes[{number}].stream: this stream is no episode")


def _store(connection: Connection, target: Target, *, replace: bool) -> None:
    table, rows = target.table, target.rows or []
    key = table.c[target.key]
    ids = {row[target.key] for row in rows}
    stored = set(connection.scalars(select(key)))
    new = [row for row in rows if row[target.key] not in stored]
    for batch in _batches(new):
        for columns in {tuple(row) for row in batch}:
            connection.execute(insert(table), [dict(row) for row in batch if tuple(row) == columns])
    for row in rows:
        if row[target.key] in stored:
            values = {name: value for name, value in row.items() if name not in (target.key, "created_at")}
            connection.execute(update(table).where(key == row[target.key]).values(**values))
    if replace:
        _delete(connection, table, key, stored - ids)


def _delete(connection: Connection, table: Table, key: sa.Column[Any], ids: Collection[Any]) -> None:
    for batch in _batches(sorted(ids)):
        connection.execute(delete(table).where(key.in_(batch)))


def _store_assignments(connection: Connection, file: File, *, replace: bool) -> None:
    table = OWN.assignments
    if file.streams is None:
        return
    wanted = {(stream.id, server) for stream in file.streams for server in stream.servers}
    stored = set(map(tuple, connection.execute(select(table.c.stream_id, table.c.server_id))))
    new = [{"stream_id": stream, "server_id": server} for stream, server in sorted(wanted - stored)]
    for batch in _batches(new):
        connection.execute(insert(table), batch)
    if replace:
        gone = [{"one_stream": stream, "one_server": server} for stream, server in sorted(stored - wanted)]
        if gone:
            one = (table.c.stream_id == bindparam("one_stream"), table.c.server_id == bindparam("one_server"))
            connection.execute(delete(table).where(*one), gone)


def _store_devices(connection: Connection, file: File, *, replace: bool) -> None:
    if file.devices is None:
        return
    for kind, table in (("mag", OWN.mags), ("enigma2", OWN.enigmas)):
        wanted = {(device.line, device.mac) for device in file.devices if device.kind == kind}
        key = next(iter(table.primary_key.columns))
        stored = {
            (row.user_id, row.mac): row[0] for row in connection.execute(select(key, table.c.user_id, table.c.mac))
        }
        new = [{"user_id": line, "mac": mac} for line, mac in sorted(wanted - stored.keys())]
        for batch in _batches(new):
            connection.execute(insert(table), batch)
        if replace:
            _delete(connection, table, key, [id for pair, id in stored.items() if pair not in wanted])


def _remove_orphans(connection: Connection) -> None:
    """What belonged to rows that the file no longer has."""
    references = (
        (OWN.assignments.c.stream_id, OWN.streams.c.id),
        (OWN.assignments.c.server_id, OWN.servers.c.id),
        (OWN.episodes.c.stream_id, OWN.streams.c.id),
        (OWN.live.c.user_id, OWN.lines.c.id),
        (OWN.live.c.server_id, OWN.servers.c.id),
        (OWN.outputs.c.user_id, OWN.lines.c.id),
        (OWN.mags.c.user_id, OWN.lines.c.id),
        (OWN.enigmas.c.user_id, OWN.lines.c.id),
    )
    for column, wanted in references:
        connection.execute(delete(column.table).where(column.not_in(select(wanted))))


def _batches(items: Sequence[Any] | Iterable[Any]) -> Iterator[list[Any]]:
    whole = list(items)
    for start in range(0, len(whole), _BATCH):
        yield whole[start : start + _BATCH]
