"""What goes out by itself after accounts and payments, by Telegram and by mail (contract chapter 80, "Who is told")."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from core.jobs import jobs
from core.messages.telegram.templates import seed
from core.storage.tables import (
    Account,
    Claim,
    Job,
    MailLog,
    MailSettings,
    MailTemplate,
    TelegramLog,
    TelegramNotificationSettings,
    TelegramSettings,
    User,
)
from core.storage.tables.secret_columns import BOT, MAIL
from core.workers import workers
from simulators.faults import Hang
from simulators.telegram import TOKEN, BotApi
from tests.conftest import MakeWorld
from tests.worlds import mail_server
from tests.worlds.accounts import MAC, Accounts, accounts_world, new_account
from tests.worlds.channels import outside
from tests.worlds.mail_server import PASSWORD, USER, MailServer

ADMIN, RESELLER1, RADMIN, RESELLER2 = 1, 2, 3, 4
CHATS = {ADMIN: 101, RESELLER1: 102, RADMIN: 103, RESELLER2: 104}


class Notices:
    """Accounts before a bot and a mail server; jobs run when the test says so."""

    def __init__(self, accounts: Accounts, api: BotApi, mail: MailServer) -> None:
        self.accounts, self.api, self.mail = accounts, api, mail
        self.world, self.panel = accounts.world, accounts.panel

    def work(self) -> int:
        return jobs.work_off(self.panel, workers.KINDS)

    def rows(self, model: Any) -> list[dict[str, Any]]:
        return self.world.rows(sa.select(*model.__table__.c).order_by(model.id))

    def add(self, who: str, number: int = 0x10, **fields: Any) -> dict[str, Any]:
        answer = self.accounts.post(who, "add_account", **new_account(number, plan="78-GBP", **fields))
        assert answer["error"] == 0, answer
        return answer

    def use_telegram(self, *user_ids: int) -> None:
        token = self.panel.sealer.sealed(TOKEN, BOT.place({}))
        self.world.insert(TelegramSettings, [{"bot_token": token, "bot_username": "B"}])
        with self.panel.database.write() as connection:
            seed(self.panel, connection)
        for user_id in user_ids:
            linked = sa.update(User).where(User.id == user_id).values(telegram_chat_id=CHATS[user_id])
            self.world.execute(linked)

    def switch(self, user_id: int, **switches: int) -> None:
        self.world.insert(TelegramNotificationSettings, [{"user_id": user_id, **switches}])

    def use_mail(self, **values: Any) -> None:
        row = {
            "user_id": ADMIN,
            "smtp_host": "127.0.0.1",
            "smtp_port": self.mail.port,
            "smtp_secure": "none",
            "smtp_username": USER,
            "from_name": "ShowBox",
        }
        row |= values
        password = self.panel.sealer.sealed(PASSWORD, MAIL.place(row))
        self.world.insert(MailSettings, [{"smtp_password": password} | row])
        body = "<p>{name} {mac} {expiry_date} {plan_name} {username} [{password}]</p>"
        for name in ("New Account Welcome", "Renewal Confirmation"):
            template = {"user_id": ADMIN, "name": name, "subject": f"{name} {{name}}", "body_html": body}
            self.world.insert(MailTemplate, [template])
        for user_id, email in ((ADMIN, "admin@panel.example.com"), (RESELLER1, "res@panel.example.com")):
            self.world.execute(sa.update(User).where(User.id == user_id).values(email=email))


@pytest.fixture(scope="module")
def _outside() -> Iterator[tuple[BotApi, MailServer]]:
    with BotApi() as api, MailServer() as mail:
        yield api, mail


@contextmanager
def _notices(make_world: MakeWorld, kind: str, api: BotApi, mail: MailServer) -> Iterator[Notices]:
    api.forget()
    mail.forget()
    with (
        accounts_world(make_world, kind, SHOWBOX_JOBS_IN_PROCESS="no") as accounts,
        outside(accounts.world, api),
    ):
        yield Notices(accounts, api, mail)


@pytest.fixture
def notices(make_world: MakeWorld, kind: str, _outside: tuple[BotApi, MailServer]) -> Iterator[Notices]:
    with _notices(make_world, kind, *_outside) as made:
        yield made


@pytest.fixture
def sqlite_notices(make_world: MakeWorld, _outside: tuple[BotApi, MailServer]) -> Iterator[Notices]:
    with _notices(make_world, "sqlite", *_outside) as made:
        yield made


# Telegram


@pytest.mark.every_kind
def test_6_a_new_account_is_told_to_admins_owner_and_actor(notices: Notices) -> None:
    notices.use_telegram(ADMIN, RESELLER1, RADMIN, RESELLER2)
    notices.switch(RADMIN, notify_new_account=0)
    answer = notices.add("reseller1", name="Ali_Test*")
    assert notices.api.requests == []
    notices.work()
    assert notices.api.counts == {CHATS[ADMIN]: 1, CHATS[RESELLER1]: 1}
    message = notices.api.messages[0]
    assert "Ali\\_Test\\*" in message.raw
    assert "Ali_Test*" in message.text
    assert f"`{MAC('10')}`" in message.raw
    assert {"2025-02-16", "Premium Monthly", "reseller1"} <= {
        part for line in message.text.splitlines() for part in line.split(": ")
    }
    logs = notices.rows(TelegramLog)
    assert [row["user_id"] for row in logs] == [ADMIN, RESELLER1]
    assert {
        (row["message_type"], row["status"], row["related_account_id"], row["related_account_mac"]) for row in logs
    } == {("new_account", "sent", answer["account_id"], MAC("10"))}
    notices.work()
    assert len(notices.api.messages) == 2


def test_6_a_renewal_is_told_to_the_owner_too(sqlite_notices: Notices) -> None:
    notices = sqlite_notices
    notices.use_telegram(RESELLER1, RESELLER2)
    answer = notices.accounts.post("admin", "edit_account", username="user001", plan="1")
    assert answer["error"] == 0, answer
    notices.work()
    # without a row of his own: on; nobody else has to do with it
    assert notices.api.counts == {CHATS[RESELLER1]: 1}
    assert [(row["message_type"], row["user_id"]) for row in notices.rows(TelegramLog)] == [("renewal", RESELLER1)]
    answer = notices.accounts.post("admin", "edit_account", username="user001", name="Other Name")
    assert answer["error"] == 0
    notices.work()
    assert len(notices.api.messages) == 1


def test_little_balance_is_told_to_who_has_a_stored_wish(sqlite_notices: Notices) -> None:
    notices = sqlite_notices
    notices.use_telegram(RESELLER1)
    notices.switch(RESELLER1, notify_new_account=0, notify_low_balance=1)
    notices.world.execute(sa.update(User).where(User.id == RESELLER1).values(balance=52, max_users=0))
    notices.add("reseller1", 0x10)
    notices.work()
    # 41.50 pay for three more
    assert notices.api.messages == []
    notices.add("reseller1", 0x11)
    notices.work()
    [message] = notices.api.messages
    assert "31" in message.text
    assert message.text.splitlines()[-1].endswith(": 2")
    assert [row["message_type"] for row in notices.rows(TelegramLog)] == ["low_balance"]


@pytest.mark.every_kind
def test_a_payment_is_told_to_admins_who_have_a_stored_wish(notices: Notices) -> None:
    notices.use_telegram(ADMIN, RADMIN, RESELLER1)
    notices.switch(ADMIN)
    fields = {
        "reseller_id": RESELLER1,
        "amount": "25.00",
        "currency": "GBP",
        "payment_date": "2025-01-10",
        "bank_name": "Bank Melli Iran",
        "reference_number": "R-1",
        "description": "first_half",
    }
    answer = notices.accounts.post("admin", "add_reseller_payment", "multipart", **fields)
    assert answer["error"] == 0, answer
    notices.work()
    assert notices.api.counts == {CHATS[ADMIN]: 1}
    assert "first_half" in notices.api.messages[0].text
    assert "25" in notices.api.messages[0].text
    assert [row["message_type"] for row in notices.rows(TelegramLog)] == ["new_payment"]


def test_faults_of_telegram_end_in_the_log_and_the_rest_is_given_up(sqlite_notices: Notices) -> None:
    notices = sqlite_notices
    notices.use_telegram(ADMIN, RESELLER1, RADMIN)
    notices.api.stop_listening()
    started = time.monotonic()
    notices.add("reseller1")
    assert time.monotonic() - started < 5
    notices.work()
    logs = notices.rows(TelegramLog)
    assert [(row["status"], row["error_message"]) for row in logs] == [("failed", "Telegram is unreachable")] * 3
    assert notices.world.rows(sa.select(Claim.name).where(Claim.channel == "telegram")) == []


def test_nothing_happens_without_a_bot_or_a_template(sqlite_notices: Notices) -> None:
    notices = sqlite_notices
    notices.add("reseller1")
    notices.work()
    notices.use_telegram(ADMIN)
    notices.world.execute("DELETE FROM _telegram_templates")
    notices.add("reseller1", 0x11)
    notices.work()
    assert (notices.api.requests, notices.rows(TelegramLog), notices.rows(MailLog)) == ([], [], [])
    assert {row["state"] for row in notices.rows(Job)} == {"done"}


# mail


def test_7_a_new_customer_is_welcomed_once(notices: Notices) -> None:
    notices.use_mail()
    notices.add("reseller1", email="c@example.com", name="<b>Ann")
    assert notices.mail.received == []
    notices.work()
    [received] = notices.mail.received
    assert received.recipients == ["c@example.com", "admin@panel.example.com", "res@panel.example.com"]
    assert received.message["Cc"] == "admin@panel.example.com, res@panel.example.com"
    user = f"{MAC('10')} 2025-02-16 Premium Monthly"
    assert user in received.html
    assert "[]" in received.html
    assert "<b>" not in received.html
    [row] = notices.rows(MailLog)
    assert (row["message_type"], row["sent_by"], row["status"]) == ("new_account", RESELLER1, "sent")
    notices.work()
    assert len(notices.mail.received) == 1


def test_7_copies_and_flags(sqlite_notices: Notices) -> None:
    notices = sqlite_notices
    notices.use_mail(notify_reseller=0, notify_admin=0, auto_send_renewal=0)
    notices.add("reseller1", email="c@example.com")
    notices.work()
    assert notices.mail.received[0].recipients == ["c@example.com"]
    assert notices.accounts.post("admin", "edit_account", username="user001", plan="1")["error"] == 0
    notices.work()
    assert [row["message_type"] for row in notices.rows(MailLog)] == ["new_account"]
    notices.world.execute(sa.update(MailSettings).values(auto_send_renewal=1, auto_send_new_account=0))
    assert notices.accounts.post("admin", "edit_account", username="user001", name="Other")["error"] == 0
    notices.add("reseller1", 0x11, email="d@example.com")
    notices.work()
    assert len(notices.mail.received) == 1
    assert notices.accounts.post("admin", "edit_account", username="user001", plan="2")["error"] == 0
    notices.work()
    assert notices.mail.received[1].message["Subject"].startswith("Renewal Confirmation")
    assert notices.mail.received[1].recipients == ["j@example.com"]


def test_7_nothing_without_an_address_and_failed_without_settings(sqlite_notices: Notices) -> None:
    notices = sqlite_notices
    notices.use_mail(smtp_password="")
    notices.add("reseller1")
    notices.work()
    assert notices.rows(MailLog) == []
    notices.add("reseller1", 0x11, email="c@example.com")
    notices.work()
    [row] = notices.rows(MailLog)
    assert (row["status"], "not configured" in row["error_message"]) == ("failed", True)
    assert notices.mail.sessions == 0


def test_7_a_mail_server_that_hangs_delays_nobody(sqlite_notices: Notices, monkeypatch: pytest.MonkeyPatch) -> None:
    notices = sqlite_notices
    monkeypatch.setattr("core.messages.mail.smtp.TOTAL_SECONDS", 0.3)
    notices.use_mail()
    notices.mail.on_data = mail_server.hang
    started = time.monotonic()
    notices.add("reseller1", email="c@example.com")
    assert time.monotonic() - started < 5
    notices.work()
    [row] = notices.rows(MailLog)
    assert (row["status"], "may have been delivered" in row["error_message"]) == ("failed", True)
    notices.mail.on_data = None
    notices.work()
    assert len(notices.mail.received) == 1


# exactly once


@pytest.mark.every_kind
def test_two_workers_and_a_sync_send_nothing_twice(notices: Notices) -> None:
    notices.use_telegram(ADMIN, RESELLER1)
    notices.use_mail()
    for number in range(0x10, 0x13):
        notices.add("admin", number, email=f"c{number}@example.com")
    # as a sync of the PHP panel leaves it
    notices.world.execute(sa.update(Account).where(Account.id > 12).values(id=Account.id + 100))
    threads = [threading.Thread(target=notices.work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    notices.work()
    assert notices.api.counts == {CHATS[ADMIN]: 3}
    assert sorted(notices.mail.counts.values()) == [1, 1, 1]


def test_a_job_that_runs_again_repeats_no_message(sqlite_notices: Notices) -> None:
    """As after a kill between the last message and the job's end."""
    notices = sqlite_notices
    notices.use_telegram(ADMIN, RESELLER1)
    notices.use_mail()
    notices.add("reseller1", email="c@example.com")
    notices.work()
    sent = (len(notices.api.messages), len(notices.mail.received))
    notices.world.execute(sa.update(Job).values(state="waiting", owner=None, lease_until=0))
    assert notices.work() > 0
    assert (len(notices.api.messages), len(notices.mail.received)) == sent == (2, 1)


def test_requests_do_not_wait_for_messages(sqlite_notices: Notices) -> None:
    """Nothing outside is asked before the answer, whatever hangs."""
    notices = sqlite_notices
    notices.use_telegram(ADMIN)
    notices.use_mail()
    rule = notices.api.fail(Hang(), times=None)
    notices.add("reseller1", email="c@example.com")
    assert (notices.api.requests, notices.mail.sessions) == ([], 0)
    rule.times = 0
