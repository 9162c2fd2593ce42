"""Notifications to users' devices: who has which, what a message holds, sending with retries, and dead subscriptions.

One request is :mod:`core.messages.push.client`; who is told of what, and when, is the business of those who call.
Source: contract chapter 70, "Push helper".
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Self

import orjson
from sqlalchemy import Connection, delete, select

from core.access.actors import RESELLER_ADMIN_FIELD, has_field
from core.messages.placeholders import without_controls
from core.messages.push.client import CONNECTIONS, Device, Outcome, PushClient
from core.panel import Panel
from core.storage.tables import PushSubscription, User

TABLE = PushSubscription.__tablename__
# what waits between the tries of one message, where the push service does not say
RETRY_SECONDS = (2.0, 8.0)
_HEARTBEAT_SECONDS = 60.0
_VALUE_CHARACTERS = 200
_LARGEST_PAYLOAD = 3000
_CUT_BODY = 300
_ICON, _BADGE = "/assets/icons/icon-192x192.png", "/assets/icons/icon-72x72.png"


@dataclass(frozen=True, slots=True)
class Message:
    """``tag`` is unique per event: a device shows a second message of one tag in place of the first. ``data``: of the
    click, with ``type`` and ``url``. ``is_urgent``: delivered also to a device that saves its battery."""

    title: str
    body: str
    tag: str
    data: Mapping[str, str]
    is_urgent: bool = False

    def payload(self, milliseconds: int) -> bytes:
        """At most 3000 bytes of JSON, as the panels' service workers read it."""
        whole = self._encoded(self.data, self.body, milliseconds)
        return whole if len(whole) <= _LARGEST_PAYLOAD else self.short_payload(milliseconds)

    def short_payload(self, milliseconds: int) -> bytes:
        """What a service gets that refused the whole as too large."""
        data = {key: value for key, value in self.data.items() if key in ("type", "url")}
        return self._encoded(data, self.body[:_CUT_BODY], milliseconds)

    def _encoded(self, data: Mapping[str, str], body: str, milliseconds: int) -> bytes:
        return orjson.dumps(
            {
                "title": self.title,
                "body": body,
                "icon": _ICON,
                "badge": _BADGE,
                # the workers make the notification's tag of it
                "type": self.tag,
                "tag": self.tag,
                "data": dict(data),
                "timestamp": milliseconds,
            }
        )


@dataclass(frozen=True, slots=True)
class Counts:
    """Devices that were reached, and that were not."""

    sent: int = 0
    failed: int = 0


def shown_value(text: str) -> str:
    """``text`` as a message may hold it: one line of at most 200 characters."""
    return " ".join(without_controls(text).split())[:_VALUE_CHARACTERS]


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
        with panel.database.write() as connection:
            connection.execute(delete(PushSubscription).where(PushSubscription.user_id.not_in(select(User.id))))


class Sender:
    """Sends one message after the other, each to several devices at once. To be used as a context manager.

    A device that was not reached after all tries is tried once for each further message, so that one dead service
    does not hold up the others. Raises KeyNotStored when made.
    """

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._client = PushClient(panel)
        self._pool = ThreadPoolExecutor(CONNECTIONS, "push")
        self._tired: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._client.close()

    def send(
        self, audience: Audience, devices: Sequence[Device], message: Message, alive: Callable[[], None]
    ) -> Counts:
        """``alive`` is called now and then while services make us wait. Ended subscriptions are deleted."""
        tasks = {self._pool.submit(self._deliver, device, message): device for device in devices}
        pending = set(tasks)
        while pending:
            done, pending = wait(pending, _HEARTBEAT_SECONDS, FIRST_COMPLETED)
            if not done:
                alive()
        outcomes = [(device, task.result()) for task, device in tasks.items()]
        gone = [device for device, outcome in outcomes if outcome is Outcome.GONE]
        if gone:
            self._delete(gone)
            audience.forget(gone)
        sent = sum(outcome is Outcome.SENT for _, outcome in outcomes)
        return Counts(sent, len(outcomes) - sent)

    def _deliver(self, device: Device, message: Message) -> Outcome:
        now = int(self._panel.clock.seconds() * 1000)
        payload, urgency = message.payload(now), "high" if message.is_urgent else "normal"
        waits = [] if device.id in self._tired else list(RETRY_SECONDS)
        is_short = False
        while True:
            answer = self._client.send(device, payload, urgency)
            if answer.outcome is Outcome.TOO_LARGE and not is_short:
                payload, is_short = message.short_payload(now), True
            elif answer.outcome is Outcome.LATER and waits:
                usual = waits.pop(0)
                time.sleep(usual if answer.wait is None else answer.wait)
            else:
                break
        if answer.outcome is Outcome.LATER:
            self._tired.add(device.id)
        return answer.outcome

    def _delete(self, gone: Iterable[Device]) -> None:
        """A browser that subscribed again meanwhile has new keys, and keeps its row."""
        with self._panel.database.write() as connection:
            for device in gone:
                row = delete(PushSubscription).where(PushSubscription.id == device.id)
                connection.execute(row.where(PushSubscription.auth == device.auth))
