"""The devices that users enter and remove themselves. Source: contract chapter 70, ``push_subscribe.php``.

A device has one row, whoever entered it last: who shares it with another gets the notifications while logged in. Its
address and keys are secrets: they are told to nobody, and never logged.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, delete, insert, select, update

from core.access.actors import Actor
from core.access.audit import By
from core.errors import DatabaseFailed, InvalidInput
from core.messages.push.client import is_endpoint
from core.panel import Panel
from core.storage.one_at_a_time import serialise
from core.storage.tables import PushSubscription

TABLE = PushSubscription.__tablename__
MOST_DEVICES = 20
_KEY_CHARACTERS = 255
_AGENT_CHARACTERS = 500
_LOCK = "push_subscriptions"


def count_devices(panel: Panel, actor: Actor) -> int:
    """The actor's own."""
    if not panel.layout.has_table(TABLE):
        return 0
    own = select(sa.func.count()).select_from(PushSubscription).where(PushSubscription.user_id == actor.id)
    with panel.database.read() as connection:
        return connection.scalar(own) or 0


def subscribe(panel: Panel, by: By, endpoint: object, keys: object) -> None:
    """Enter a device, or give it to who calls, with new keys. Keys that are none are found when they are used.

    Raises InvalidInput, naming what is wrong.
    """
    if not isinstance(endpoint, str) or not is_endpoint(endpoint, panel.config.push.allow_insecure):
        raise InvalidInput("This is no subscription: endpoint must be an https:// address")
    if not isinstance(keys, Mapping):
        raise InvalidInput("This is no subscription: keys are missing")
    if not panel.layout.has_table(TABLE):
        raise DatabaseFailed("This database has no table for devices yet; run the database upgrade first")
    values = {
        "user_id": by.actor.id,
        "endpoint": endpoint,
        "p256dh": _key(keys, "p256dh"),
        "auth": _key(keys, "auth"),
        "user_agent": by.origin.user_agent[:_AGENT_CHARACTERS] or None,
    }
    # pages enter their device at every load
    with panel.database.read() as connection:
        if [_known(row) for row in _rows(connection, endpoint)] == [values]:
            return

    def act(connection: Connection) -> None:
        _store(panel, connection, values)

    panel.database.transact(act)


def unsubscribe(panel: Panel, actor: Actor, endpoint: object) -> None:
    """Remove the actor's device with this address, None: all of the actor's. Another's stays. Raises InvalidInput."""
    if endpoint is not None and not isinstance(endpoint, str):
        raise InvalidInput("The endpoint must be a text")
    if not panel.layout.has_table(TABLE):
        return

    def act(connection: Connection) -> None:
        own = PushSubscription.user_id == actor.id
        if endpoint is not None:
            own &= PushSubscription.id.in_([row.id for row in _rows(connection, endpoint)])
        connection.execute(delete(PushSubscription).where(own))

    panel.database.transact(act)


def _key(keys: Mapping[Any, Any], name: str) -> str:
    value = keys.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _KEY_CHARACTERS:
        raise InvalidInput(f"This is no subscription: keys.{name} must be a text of 1 to {_KEY_CHARACTERS} characters")
    return value


def _store(panel: Panel, connection: Connection, values: dict[str, Any]) -> None:
    """The panel's table has no unique key to lean on: one at a time."""
    serialise(panel.database, connection, _LOCK)
    now = panel.clock.now()
    rows = _rows(connection, values["endpoint"])
    if not rows:
        connection.execute(insert(PushSubscription).values(**values, created_at=now, updated_at=now))
    else:
        newest = rows[-1].id
        connection.execute(
            update(PushSubscription).where(PushSubscription.id == newest).values(**values, updated_at=now)
        )
        # a panel beside us may have stored it twice at once
        others = [row.id for row in rows[:-1]]
        connection.execute(delete(PushSubscription).where(PushSubscription.id.in_(others)))
    _drop_oldest(connection, values["user_id"])


def _drop_oldest(connection: Connection, user_id: int) -> None:
    model = PushSubscription
    newest_first = (sa.func.coalesce(model.updated_at, model.created_at).desc(), model.id.desc())
    ids = connection.scalars(select(model.id).where(model.user_id == user_id).order_by(*newest_first)).all()
    if len(ids) > MOST_DEVICES:
        connection.execute(delete(model).where(model.id.in_(ids[MOST_DEVICES:])))


def _rows(connection: Connection, endpoint: str) -> list[Any]:
    """Of just this address, oldest first: databases may compare texts regardless of case."""
    found = select(*PushSubscription.__table__.c).where(PushSubscription.endpoint == endpoint)
    rows = connection.execute(found.order_by(PushSubscription.id))
    return [row for row in rows if row.endpoint == endpoint]


def _known(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("user_id", "endpoint", "p256dh", "auth", "user_agent")}
