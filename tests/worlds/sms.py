"""The world of the SMS tests: the fixture of contract chapter 60's golden cases before a real simulated provider."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa

from core.jobs.scheduled import Options, run_job
from core.messages.sms.provider import make_provider
from core.panel import Panel
from core.storage.tables import Account, SmsLog, SmsReminderTracking, SmsSettings, SmsTemplate, User
from core.values.clock import Clock
from core.workers.schedule import find
from simulators.sms_provider import SmsProvider
from tests.conftest import MakeWorld
from tests.worlds.harness import Client, World, user_row
from tests.worlds.logged_in import logged_in

# 09:00 in Tehran
MORNING = datetime(2025, 11, 22, 5, 30, tzinfo=UTC).timestamp()
DAY = 24 * 3600
TOKEN = "abcdefgh1234"
SENDER = "+440000000000"
STAGES = ("7 Days Before Expiry", "3 Days Before Expiry", "1 Day Before Expiry", "Account Expired")
MAC = "00:1A:79:00:00:{:02}".format
NUMBER = "+4400000000{:02}".format


class Lines:
    """What a job tells."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.steps: list[tuple[int, int]] = []

    def line(self, text: str) -> None:
        self.lines.append(text)

    def progress(self, done: int, total: int) -> None:
        self.steps.append((done, total))

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class Sms:
    """One served panel with its provider; ``forward`` moves its clock by seconds."""

    def __init__(self, world: World, provider: SmsProvider) -> None:
        self.world = world
        self.provider = provider
        self.forward = 0.0
        self._clients: dict[str, Client] = {}
        self._started = time.time()

    @property
    def panel(self) -> Panel:
        return self.world.panel

    def now(self) -> float:
        return MORNING + time.time() - self._started + self.forward

    def client(self, who: str) -> Client:
        """Logged in once, with a session of its own."""
        if who not in self._clients:
            self._clients[who] = logged_in(self.world, who)
        return self._clients[who]

    def post(self, who: str, endpoint: str, encoding: str = "form", /, **fields: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.client(who).post(f"/api/{endpoint}.php", fields, encoding).json()
        return answer

    def get(self, who: str, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.client(who).get(f"/api/{path}").json()
        return answer

    def job(self, name: str, **options: Any) -> tuple[int, Lines]:
        """Exit code and lines."""
        job = find(name)
        assert job is not None
        lines = Lines()
        return run_job(self.panel, job, Options(**options), lines), lines

    def configure(self, user_id: int, **values: Any) -> None:
        """The settings row of a user who has an account at the provider."""
        row = {
            "user_id": user_id,
            "api_token": TOKEN,
            "sender_number": SENDER,
            "base_url": self.provider.base_url,
            "auto_send_enabled": 1,
        }
        self.world.insert(SmsSettings, [row | values])

    def add_templates(self, user_id: int, *names: str, text: str = "T {name} {days} {expiry_date}") -> None:
        self.world.insert(SmsTemplate, [{"user_id": user_id, "name": name, "template": text} for name in names])

    def add_accounts(self, *rows: tuple[int, str, str | None, int | None, str, date | None, int]) -> None:
        self.world.insert(
            Account,
            [
                {
                    "id": id,
                    "username": username,
                    "mac": MAC(id - 10),
                    "phone_number": phone,
                    "reseller": owner,
                    "full_name": name,
                    "end_date": end,
                    "status": status,
                }
                for id, username, phone, owner, name, end, status in rows
            ],
        )

    def rows(self, model: Any) -> list[dict[str, Any]]:
        return self.world.rows(sa.select(*model.__table__.c).order_by(model.id))

    @property
    def logs(self) -> list[dict[str, Any]]:
        return self.rows(SmsLog)

    @property
    def tracked(self) -> list[tuple[str, str]]:
        return [(row["mac"], row["reminder_stage"]) for row in self.rows(SmsReminderTracking)]

    @property
    def settings(self) -> dict[int, dict[str, Any]]:
        return {row["user_id"]: row for row in self.rows(SmsSettings)}

    def audits(self, target: str) -> list[dict[str, Any]]:
        query = "SELECT action, new_value, details FROM _audit_log WHERE target_type = :t ORDER BY id"
        return self.world.rows(sa.text(query).bindparams(t=target))


@contextmanager
def sms_world(make_world: MakeWorld, kind: str, **settings: str) -> Iterator[Sms]:
    """``settings``: of :func:`make_world`."""
    world = make_world(kind, **settings)
    with SmsProvider() as provider, configured(world, provider):
        sms = Sms(world, provider)
        original = world.panel.clock
        world.panel.clock = Clock("Asia/Tehran", source=sms.now)
        try:
            _fill(sms)
            yield sms
        finally:
            world.panel.clock = original


@contextmanager
def configured(world: World, provider: SmsProvider, **changes: Any) -> Iterator[None]:
    """The world's panel may call ``provider``, as fast as it can; ``changes``: of the section [sms]."""
    panel, original = world.panel, world.panel.config
    settings = original.sms.model_copy(
        update={"provider_hosts": (provider.address,), "allow_private": True, "calls_per_second": 10_000, **changes}
    )
    panel.config = original.model_copy(update={"sms": settings})
    client = make_provider(panel)
    try:
        with panel.lend(make_provider, client):
            yield
    finally:
        client.close()
        panel.config = original


def _fill(sms: Sms) -> None:
    sms.world.insert(
        User,
        [
            user_row(1, "admin", name="Admin", super_user=1, permissions="1|1|1|1|1|1|1"),
            user_row(2, "resa", permissions="1|1|0|0|0|0|0") | {"username": "res1"},
            user_row(3, "radm", permissions="1|1|1|1|0|1|1"),
            user_row(4, "reseller1", permissions="1|1|0|0|1|0|1") | {"username": "stbres"},
            user_row(5, "obs", is_observer=1, permissions="1|1|0|0|1|0|1"),
        ],
    )
    sms.add_accounts(
        (11, "u7a", NUMBER(1), 4, "Ann Example", date(2025, 11, 29), 1),
        (12, "u7b", NUMBER(2), 2, "Bob Example", date(2025, 11, 29), 1),
        (13, "u7off", NUMBER(3), 2, "Off Example", date(2025, 11, 29), 0),
        (14, "utoday", NUMBER(4), 2, "Tod Example", date(2025, 11, 22), 1),
        (15, "uyest", NUMBER(5), 2, "Yes Example", date(2025, 11, 21), 1),
        (16, "uold", NUMBER(6), 2, "Old Example", date(2024, 10, 18), 0),
        (17, "u1", None, 2, "", date(2025, 11, 23), 1),
    )
