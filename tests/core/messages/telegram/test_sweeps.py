"""What the bot tells by the clock: beside J1 and J2, the daily report, and logins (contract chapter 80)."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from commands.telegram import telegram_command
from core.jobs import jobs
from core.messages.telegram.templates import seed
from core.storage.tables import (
    Account,
    ReminderSettings,
    TelegramLog,
    TelegramNotificationSettings,
    TelegramSettings,
    User,
)
from core.storage.tables.secret_columns import WEBHOOK
from core.workers import workers
from core.workers.schedule import find
from simulators.portal.settings import Dialect
from simulators.stalker import StalkerPortal
from simulators.telegram import BotApi
from tests.conftest import MakeWorld
from tests.worlds.accounts import configured
from tests.worlds.channels import ADMIN, BOB, CHATS, RITA, SAM, Channels, channels_world
from tests.worlds.mail_server import MailServer
from tests.worlds.notices import Options, run_job
from tests.worlds.reminders import Lines
from tests.worlds.waiting import until

# jobs run when the test says so
BY_HAND = {"SHOWBOX_JOBS_IN_PROCESS": "no"}
KINDS = {name: kind for name, kind in workers.KINDS.items() if name.startswith("telegram_")}


@pytest.fixture(scope="module")
def _outside() -> Iterator[tuple[BotApi, MailServer]]:
    with BotApi() as api, MailServer() as mail:
        yield api, mail


@pytest.fixture
def panel(make_world: MakeWorld, kind: str, _outside: tuple[BotApi, MailServer]) -> Iterator[Channels]:
    with channels_world(make_world, kind, *_outside, **BY_HAND) as channels:
        yield _prepared(channels)


@pytest.fixture
def sqlite_panel(make_world: MakeWorld, _outside: tuple[BotApi, MailServer]) -> Iterator[Channels]:
    with channels_world(make_world, "sqlite", *_outside, **BY_HAND) as channels:
        yield _prepared(channels)


def _prepared(panel: Channels) -> Channels:
    """Today is 2026-11-22; admin, bob and sam are linked, the latter without a wish."""
    panel.api.forget()
    panel.set_bot()
    with panel.panel.database.write() as connection:
        seed(panel.panel, connection)
    ends = {1: date(2026, 11, 29), 2: date(2026, 11, 23), 3: date(2026, 11, 21), 4: date(2026, 11, 22)}
    rows = [
        {"id": n, "username": f"u{n}", "mac": f"00:1A:79:00:00:0{n}", "full_name": f"N_{n}", "reseller": BOB}
        | {"end_date": end, "status": int(n != 3), "timestamp": int(panel.moment) if n == 1 else 0}
        for n, end in ends.items()
    ]
    panel.world.insert(Account, rows)
    panel.link(ADMIN, BOB, notify_expiry=1, notify_expired=1, notify_daily_report=1)
    panel.link(SAM)
    return panel


def run(panel: Channels, name: str, **options: Any) -> str:
    job, lines = find(name), Lines()
    assert job is not None
    assert run_job(panel.panel, job, Options(**options), lines) == 0
    jobs.work_off(panel.panel, KINDS)
    return lines.text


def test_accounts_that_end_soon_are_told_once_beside_j1(panel: Channels) -> None:
    wish: dict[str, Any] = {"user_id": ADMIN, "days_before_expiry": 7, "auto_send_enabled": 1, "message_template": "x"}
    wish |= {"created_at": datetime.fromisoformat("2026-01-01"), "updated_at": datetime.fromisoformat("2026-01-01")}
    panel.world.insert(ReminderSettings, [wish])
    with StalkerPortal(dialect=Dialect.PANEL) as portal, configured(panel.world, [portal], 5.0):
        _j1(panel)


def _j1(panel: Channels) -> None:
    run(panel, "reminders", dry_run=True)
    assert panel.api.messages == []
    run(panel, "reminders")
    until(lambda: len(panel.api.messages) == 2, "the messages")
    assert panel.api.counts == {CHATS[ADMIN]: 1, CHATS[BOB]: 1}
    assert "N_1" in panel.api.messages[0].text
    assert "2026-11-29" in panel.api.messages[0].text
    assert ": 7" in panel.api.messages[0].text
    # one for each recipient, device, kind and end date, whatever the id is after a sync
    panel.world.execute(sa.update(Account).where(Account.id == 1).values(id=101))
    run(panel, "reminders")
    run(panel, "reminders", days=1)
    until(lambda: len(panel.api.messages) == 4, "the messages of the other day")
    until(lambda: len(panel.telegram_logs) == 4, "their rows")
    assert "N_2" in panel.api.messages[3].text
    assert panel.api.messages[3].text.startswith("\U0001f6a8")
    assert {row["message_type"] for row in panel.telegram_logs} == {"expiry_reminder"}


def test_accounts_that_have_ended_are_told_once_beside_j2(panel: Channels) -> None:
    for _ in range(2):
        run(panel, "push-expired")
    until(lambda: len(panel.telegram_logs) == 2, "the messages")
    assert [(row["user_id"], row["message_type"], row["related_account_id"]) for row in panel.telegram_logs] == [
        (ADMIN, "expired", 3),
        (BOB, "expired", 3),
    ]
    assert "N_3" in panel.api.messages[0].text
    assert panel.api.counts == {CHATS[ADMIN]: 1, CHATS[BOB]: 1}


def test_the_daily_report(panel: Channels) -> None:
    assert "Would send: 2" in run(panel, "telegram-report", dry_run=True)
    assert "Sent: 2, already sent: 0, failed: 0" in run(panel, "telegram-report")
    assert "Sent: 0, already sent: 2" in run(panel, "telegram-report")
    admin, bob = panel.api.messages
    numbers = [line.rpartition(": ")[2] for line in bob.text.splitlines()[1:]]
    # active, ending within a week, ended, new, balance
    assert numbers == ["3", "3", "1", "1", "500.00 GBP"]
    assert admin.text.splitlines()[-1].endswith("1,000.00 GBP")
    assert {row["message_type"] for row in panel.rows(TelegramLog)} == {"daily_report"}


def test_no_report_without_a_bot(sqlite_panel: Channels) -> None:
    sqlite_panel.world.execute("DELETE FROM _telegram_settings")
    assert "not set up" in run(sqlite_panel, "telegram-report")


def test_a_login_is_told_to_who_wishes_it(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    panel.link(RITA, notify_login=1)
    for username, password in (("rita", "radm-pass"), ("bob", "resa-pass"), ("sam", "resb-pass")):
        client = panel.world.client(user_agent="Fire_fox <x>")
        assert client.login(username, password)
    jobs.work_off(panel.panel, KINDS)
    until(lambda: panel.api.messages, "the message")
    [message] = panel.api.messages
    assert message.chat_id == CHATS[RITA]
    assert {"rita", "127.0.0.1", "Fire_fox <x>", "2026-11-22 10:30:00"} == {
        line.partition(": ")[2] for line in message.text.splitlines()[1:]
    }
    until(lambda: panel.telegram_logs, "its row")
    assert panel.telegram_logs[0]["message_type"] == "login_alert"


def test_wishes_of_users_who_have_no_chat_are_nobodys(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    panel.world.execute(sa.update(User).values(telegram_chat_id=None))
    panel.world.execute(sa.update(TelegramNotificationSettings).values(notify_login=1))
    assert panel.world.client("bob", "resa-pass")
    run(panel, "telegram-report")
    run(panel, "push-expired")
    assert panel.api.requests == []


def test_the_webhook_gets_a_secret_with_its_address(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    runner = Flask("cli").test_cli_runner()
    command = telegram_command(panel.panel)
    result = runner.invoke(command, ["webhook", "https://panel.example.com/"])
    assert result.exit_code == 0, result.output
    [row] = panel.rows(TelegramSettings)
    assert row["webhook_url"] == "https://panel.example.com/api/telegram/webhook.php"
    secret = panel.panel.unsealed(row["webhook_secret"], WEBHOOK.place({}))
    assert panel.api.webhook["secret_token"] == secret
    assert len(secret) > 30
    assert secret != row["webhook_secret"]
    assert secret not in result.output
    refused = runner.invoke(command, ["webhook", "http://panel.example.com"])
    assert refused.exit_code == 1
    assert "https://" in refused.output
    assert panel.rows(TelegramSettings) == [row]
