"""What every channel tells of new accounts, renewals and payments goes out once, also when its process is killed.

``SHOWBOX_TEST_KILLS=20`` makes more rounds of it. Why at most once: core.messages.delivery.
"""

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.accounts.events import AccountCreated, AccountEvent, AccountRenewed
from core.config import load_config
from core.jobs import jobs
from core.jobs.events import announce
from core.ledger.events import PaymentRecorded
from core.messages.mail import settings as mail_settings
from core.messages.sms import first_templates
from core.messages.telegram import templates
from core.panel import Panel
from core.storage.tables import (
    Account,
    Claim,
    Job,
    MailSettings,
    MailTemplate,
    Plan,
    PushSubscription,
    ResellerPayment,
    SmsSettings,
    SmsTemplate,
    TelegramNotificationSettings,
    TelegramSettings,
    User,
)
from core.storage.tables.secret_columns import BOT, MAIL
from core.workers import workers
from simulators.push_service import PushService
from simulators.sms_provider import SmsProvider
from simulators.telegram import TOKEN, BotApi
from tests.worlds.databases import prepared_database
from tests.worlds.forked import Forked
from tests.worlds.killed import start_worker
from tests.worlds.mail_server import PASSWORD, USER, MailServer
from tests.worlds.sms import NUMBER, SENDER
from tests.worlds.waiting import until

ROUNDS = int(os.environ.get("SHOWBOX_TEST_KILLS", "1"))
ADMIN, BOB = 1, 2
ACCOUNTS = range(1, 5)


@dataclass
class _Services:
    """One of each kind; at the ``at``-th call of any, ``victim`` is killed before it learns what became of it."""

    telegram: BotApi
    mail: MailServer
    sms: SmsProvider
    push: PushService
    at: int = 0
    victim: Forked | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, at: int) -> None:
        for service in (self.telegram, self.mail, self.sms, self.push):
            service.forget()
        self.at, self.victim = at, None

        def look(_: Any) -> bool:
            self._seen()
            return False

        async def seen(_: Any) -> str:
            self._seen()
            return "250 OK"

        for service in (self.telegram, self.sms, self.push):
            service.fail(None, look, times=0)  # type: ignore[arg-type]
        self.mail.on_data = seen

    def _seen(self) -> None:
        with self._lock:
            self.at -= 1
            if self.at == 0:
                until(lambda: self.victim, "the worker is known").kill()

    @property
    def arrived(self) -> Counter[tuple[str, ...]]:
        """How often each message came to each recipient."""
        told = [("telegram", str(message.chat_id), message.text) for message in self.telegram.messages]
        told += [("sms", message.number, message.text) for message in self.sms.sent]
        told += [("push", shown.device, shown.payload["body"]) for shown in self.push.shown]
        told += [
            ("mail", recipient, mail.plain + str(mail.message["Subject"]))
            for mail in self.mail.received
            for recipient in mail.recipients
        ]
        return Counter(told)


@pytest.fixture
def services() -> Iterator[_Services]:
    with BotApi() as telegram, MailServer() as mail, SmsProvider() as sms, PushService() as push:
        yield _Services(telegram, mail, sms, push)


@pytest.fixture
def panel(services: _Services, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Panel]:
    """Of which other processes have the configuration too; nobody works but who is started."""
    settings = {
        "SHOWBOX_DATABASE_URL": prepared_database("sqlite", "killed_events"),
        "SHOWBOX_PANEL_DATA_DIRECTORY": str(tmp_path),
        "SHOWBOX_JOBS_IN_PROCESS": "no",
        "SHOWBOX_TELEGRAM_API_BASE": services.telegram.base_url,
        "SHOWBOX_SMS_PROVIDER_HOSTS": services.sms.address,
        "SHOWBOX_SMS_ALLOW_PRIVATE": "yes",
        "SHOWBOX_SMS_CALLS_PER_SECOND": "10000",
        "SHOWBOX_PUSH_ALLOW_INSECURE": "yes",
        "SHOWBOX_SECURITY_APPLICATION_KEY": "a-key-for-the-tests-of-killing",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    panel = Panel(load_config(None))
    _fill(panel, services)
    yield panel
    panel.close()


def _fill(panel: Panel, services: _Services) -> None:
    """An admin and a reseller who wish to be told of everything, by every channel."""
    panel.layout  # noqa: B018 - the tables are looked at before they are written to
    seal = panel.sealer.sealed
    mail = {"smtp_host": "127.0.0.1", "smtp_port": services.mail.port, "smtp_secure": "none"}
    texts = (mail_settings.WELCOME, mail_settings.RENEWAL)
    rows: list[tuple[Any, list[dict[str, Any]]]] = [
        (
            User,
            [
                {"id": ADMIN, "username": "admin", "password": "", "super_user": 1, "telegram_chat_id": 1},
                {"id": BOB, "username": "bob", "password": "", "super_user": 0, "telegram_chat_id": 2}
                | {"permissions": "1|1|0|1|0|1|0", "balance": 5, "currency_id": "GBP"}
                | {"email": "bob@example.com"},
            ],
        ),
        (TelegramNotificationSettings, [{"user_id": id} for id in (ADMIN, BOB)]),
        (Plan, [{"name": "Monthly", "price": 5, "currency_id": "GBP", "days": 30}]),
        (Account, [{"id": n, "email": f"c{n}@example.com", **_account(n)} for n in ACCOUNTS]),
        (ResellerPayment, [_payment(n) for n in ACCOUNTS]),
        (TelegramSettings, [{"bot_token": seal(TOKEN, BOT.place({})), "bot_username": "ExampleBot"}]),
        (
            MailSettings,
            [{"user_id": ADMIN, "smtp_username": USER, "smtp_password": seal(PASSWORD, MAIL.place(mail))} | mail],
        ),
        (
            MailTemplate,
            [{"user_id": ADMIN, "name": n, "subject": n, "body_html": "{name}", "body_plain": "{name}"} for n in texts],
        ),
        (
            SmsSettings,
            [
                {"user_id": BOB, "api_token": "abcdefgh1234", "sender_number": SENDER, "auto_send_enabled": 1}
                | {"base_url": services.sms.base_url}
            ],
        ),
        (
            SmsTemplate,
            [
                {"user_id": BOB, "name": name, "template": f"{name}: {{name}}"}
                for name in (first_templates.WELCOME, first_templates.RENEWAL)
            ],
        ),
        # one device: those of an event are told at once, and what is on its way at a kill is not repeated
        (PushSubscription, [{"user_id": BOB, **services.push.subscribe("phone").keys}]),
    ]
    with panel.database.write() as connection:
        for model, values in rows:
            for row in values:
                connection.execute(sa.insert(model).values(row))
    templates.give_missing(panel)


def _by_channel(arrived: Counter[tuple[str, ...]]) -> Counter[str]:
    return Counter(channel for channel, *_ in arrived.elements())


def _account(number: int) -> dict[str, Any]:
    return {
        "username": f"a{number}",
        "mac": f"00:1A:79:00:00:{number:02X}",
        "full_name": f"Customer {number}",
        "reseller": BOB,
        "end_date": date(2027, 1, number),
    }


def _payment(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "reseller_id": BOB,
        "amount": 10 * number,
        "currency": "GBP",
        "payment_date": date(2026, 11, number),
        "bank_name": "Bank",
        "recorded_by": ADMIN,
        "recorded_by_username": "admin",
    }


def _announce(panel: Panel) -> None:
    """Four new accounts, their renewals, and four payments; nobody has heard of them yet."""
    with panel.database.write() as connection:
        for model in (Job, Claim):
            connection.execute(sa.delete(model))
        for number in ACCOUNTS:
            account = _account(number)
            owner = account.pop("reseller")
            about = account | {"account_id": number, "owner_id": owner, "actor_id": owner, "actor_name": "bob"}
            for event in (AccountCreated, AccountRenewed):
                happened: AccountEvent = event(plan_name="Monthly", phone=NUMBER(number), **about)
                announce(panel, connection, happened)
            day, amount = date(2026, 11, number), Decimal(10 * number)
            announce(panel, connection, PaymentRecorded(ADMIN, number, BOB, amount, "GBP", day))


def test_a_killed_worker_s_messages_are_finished_and_none_is_repeated(panel: Panel, services: _Services) -> None:
    services.begin(0)
    _announce(panel)
    jobs.work_off(panel, workers.KINDS)
    wanted, calls = services.arrived, -services.at
    # of an account both chats and the owner's device are told, the customer by mail and text message, the owner by
    # mail and of his low balance; of a payment the admin's chat and the reseller's device
    assert _by_channel(wanted) == Counter(telegram=28, push=12, mail=16, sms=8)
    for _ in range(ROUNDS):
        at = random.randint(1, calls)
        services.begin(at)
        _announce(panel)
        services.victim = start_worker()
        assert services.victim.wait(60) == -signal.SIGKILL
        services.victim.close()
        workers_at_once = [threading.Thread(target=jobs.work_off, args=(panel, workers.KINDS)) for _ in range(2)]
        for worker in workers_at_once:
            worker.start()
        for worker in workers_at_once:
            worker.join()
        assert services.arrived == wanted, f"killed at call {at}"
        assert jobs.open_jobs(panel) == []
