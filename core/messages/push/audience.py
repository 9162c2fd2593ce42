"""Whose devices there are, and who hears of what by office. Source: contract chapter 70, "Recipients, exactly".

Users enter and remove their own devices in :mod:`core.messages.push.subscriptions`.
"""

from collections.abc import Collection, Iterable
from typing import Self

from sqlalchemy import Connection, delete, select

from core.access.actors import RESELLER_ADMIN_FIELD, has_field
from core.messages.push.client import Device
from core.panel import Panel
from core.storage.tables import PushSubscription, User

TABLE = PushSubscription.__tablename__


class Audience:
    """All devices with their users, loaded once."""

    def __init__(self, devices: Iterable[Device], super_admins: Iterable[int], reseller_admins: Iterable[int]) -> None:
        self._devices: dict[int, list[Device]] = {}
        for device in devices:
            self._devices.setdefault(device.user_id, []).append(device)
        self.super_admins = frozenset(super_admins)
        self.reseller_admins = frozenset(reseller_admins)

    @classmethod
    def load(cls, panel: Panel) -> Self:
        """Reseller admins: whose third field is 1, and who are no super admins."""
        if not panel.layout.has_table(TABLE):
            return cls((), (), ())
        with panel.database.read() as connection:
            users = connection.execute(select(User.id, User.permissions, User.super_user)).all()
            devices = _devices(connection)
        supers = [row.id for row in users if row.super_user == 1]
        admins = [row.id for row in users if row.super_user != 1 and has_field(row.permissions, RESELLER_ADMIN_FIELD)]
        return cls(devices, supers, admins)

    def devices_of(self, user_ids: Iterable[int]) -> list[Device]:
        """Of all these users, each once."""
        return [device for user_id in sorted(set(user_ids)) for device in self._devices.get(user_id, ())]

    def forget(self, gone: Iterable[Device]) -> None:
        for device in gone:
            self._devices[device.user_id].remove(device)


def devices_by_id(panel: Panel, ids: Collection[int]) -> list[Device]:
    """Those of ``ids`` that there still are, as they are stored now."""
    with panel.database.read() as connection:
        return [device for device in _devices(connection) if device.id in ids]


def _devices(connection: Connection) -> list[Device]:
    """Of users that there are. A device that is stored twice belongs to who stored it last (a panel's race)."""
    model = PushSubscription
    rows = connection.execute(
        select(model.id, model.user_id, model.endpoint, model.p256dh, model.auth)
        .join(User, User.id == model.user_id)
        .order_by(model.id)
    )
    return list({row.endpoint: Device(*row) for row in rows}.values())


def forget_orphans(panel: Panel) -> None:
    """Delete the devices of users who are gone."""
    if panel.layout.has_table(TABLE):

        def act(connection: Connection) -> None:
            connection.execute(delete(PushSubscription).where(PushSubscription.user_id.not_in(select(User.id))))

        panel.database.transact(act)


def forget_ended(panel: Panel, ended: Iterable[Device]) -> None:
    """Delete subscriptions that their services say have ended. A browser that subscribed again meanwhile has new keys,
    and keeps its row."""

    def act(connection: Connection) -> None:
        for device in ended:
            row = delete(PushSubscription).where(PushSubscription.id == device.id)
            connection.execute(row.where(PushSubscription.auth == device.auth))

    panel.database.transact(act)
