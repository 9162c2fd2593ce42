"""Users in the place of users: the rows of a dump take that of the panel's, and sessions of whom they change end.

Row by row and not all at once, because deleting a user would take along what other tables hold of that user.
Source: contract chapter 70, import steps 7 and 8.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from core.access.credentials import renew_credential
from core.panel import Panel
from core.storage.database import json_integer
from core.storage.tables import Base, Credential, StoredSession, User
from core.storage.tables.texts import as_it_stands

_BATCH = 500
# what sessions are bound to
_USERS = as_it_stands(Base.metadata.tables[User.__tablename__])
_IDENTITY = ("username", "password", "super_user", "is_observer", "permissions")


def replace_users(panel: Panel, connection: Connection, users: Sequence[Mapping[str, Any]]) -> None:
    """Afterwards there are exactly ``users``; whose name, password or role is another one is logged out."""
    before = _identities(panel, connection)
    after = {user["id"]: user for user in users}
    gone = [user_id for user_id in before if user_id not in after]
    for ids in _batches(gone):
        connection.execute(delete(User).where(User.id.in_(ids)))
        connection.execute(delete(Credential).where(Credential.user_id.in_(ids)))
    kept = [user for user in users if user["id"] in before]
    _free_names(connection, [user["id"] for user in kept if before[user["id"]]["username"] != user["username"]])
    _update(connection, kept)
    for batch in _batches([user for user in users if user["id"] not in before]):
        connection.execute(insert(_USERS), batch)
    changed = [user for user in kept if _differs(before[user["id"]], user)]
    _end_sessions(panel, connection, changed, gone)


def _identities(panel: Panel, connection: Connection) -> dict[int, Mapping[str, Any]]:
    columns = [User.__table__.c[name] for name in _IDENTITY if panel.layout.has_column("_users", name)]
    rows = connection.execute(select(User.id, *columns).with_for_update()).mappings()
    return {row["id"]: dict(row) for row in rows}


def _differs(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return any(before[name] != after.get(name) for name in before)


def _free_names(connection: Connection, ids: Sequence[int]) -> None:
    """Two users may have exchanged their names."""
    for user_id in ids:
        connection.execute(update(User).where(User.id == user_id).values(username=f"~{user_id}~"))


def _update(connection: Connection, users: Sequence[Mapping[str, Any]]) -> None:
    if not users:
        return
    # names of their own, for those of columns are taken by the statement itself
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in users[0] if name != "id"}
    statement = update(_USERS).where(_USERS.c.id == bindparam("user_id")).values(values)
    for batch in _batches(users):
        rows = [{"user_id" if name == "id" else f"new_{name}": value for name, value in user.items()} for user in batch]
        connection.execute(statement, rows)


def _end_sessions(
    panel: Panel, connection: Connection, changed: Sequence[Mapping[str, Any]], gone: Sequence[int]
) -> None:
    now, key = panel.clock.stamp(), panel.fingerprint_key
    for user in changed:
        renew_credential(connection, key, user["id"], user["password"], changed_at=now)
    owner = json_integer(StoredSession.data, "user_id", panel.database.dialect)
    for ids in _batches([*gone, *(user["id"] for user in changed)]):
        theirs = connection.scalars(sa.select(StoredSession.id).where(owner.in_(ids))).all()
        for sessions in _batches(theirs):
            connection.execute(delete(StoredSession).where(StoredSession.id.in_(sessions)))


def _batches(items: Sequence[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), _BATCH):
        yield list(items[start : start + _BATCH])


def ids_of(users: Iterable[Mapping[str, Any]]) -> frozenset[int]:
    return frozenset(user["id"] for user in users)
