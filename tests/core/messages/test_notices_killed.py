"""The jobs J2 (push) and J6 (mail), killed at a random message and started again, send each message once.

``SHOWBOX_TEST_KILLS=20`` makes more rounds of it, with 120 accounts in place of 30. Source: contract chapter 60 S7.
"""

import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.config import load_config
from core.jobs.claims import INTERRUPTED
from core.jobs.scheduled import Options, run_job
from core.panel import Panel
from core.storage.tables import (
    Account,
    MailLog,
    MailReminderTracking,
    MailSettings,
    MailTemplate,
    PushExpiryTracking,
    PushSubscription,
    User,
)
from core.workers.schedule import find
from simulators.push_service import PushService
from simulators.recording import RecordedRequest
from tests.worlds.databases import prepared_database
from tests.worlds.forked import Forked
from tests.worlds.mail_server import PASSWORD, USER, MailServer
from tests.worlds.reminders import Lines
from tests.worlds.served import environment
from tests.worlds.waiting import until

ROUNDS = int(os.environ.get("SHOWBOX_TEST_KILLS", "1"))
# a mail every fifth of a second
ACCOUNTS = 120 if ROUNDS > 2 else 30


class _Victim:
    """The process that is to be killed at its ``at``-th message."""

    def __init__(self, at: int) -> None:
        self._left = at
        self.process: Forked | None = None

    def message(self) -> None:
        self._left -= 1
        if self._left == 0:
            until(lambda: self.process, "the process is known").kill()


Ambush = Callable[[_Victim], None]


@pytest.fixture
def panel(tmp_path: Path) -> Iterator[Panel]:
    """``ACCOUNTS`` accounts with addresses that ended yesterday, and an owner."""
    panel = Panel(load_config(None, _settings(tmp_path, prepared_database("sqlite", "killed_notices"))))
    panel.layout  # noqa: B018 - creates the tables
    ended = panel.clock.today() - timedelta(days=1)
    with panel.database.write() as connection:
        connection.execute(sa.insert(User).values(id=1, username="res", password="", super_user=0, permissions="1|1"))
        connection.execute(
            sa.insert(Account),
            [
                {
                    "id": n,
                    "username": f"u{n}",
                    "mac": f"00:1A:79:00:00:{n:02X}",
                    "email": f"u{n}@example.com",
                    "reseller": 1,
                    "end_date": ended,
                    "status": 0,
                }
                for n in range(1, ACCOUNTS + 1)
            ],
        )
    yield panel
    panel.close()


def _settings(tmp_path: Path, url: str) -> dict[str, str]:
    return {
        "SHOWBOX_DATABASE_URL": url,
        "SHOWBOX_PANEL_DATA_DIRECTORY": str(tmp_path),
        "SHOWBOX_PUSH_ALLOW_INSECURE": "yes",
    }


def _round(panel: Panel, name: str, tmp_path: Path, ambush: Ambush, counts: Callable[[], Counter[Any]]) -> set[str]:
    """One kill and one run after it; the names of those whose message never arrived."""
    at = random.randint(1, ACCOUNTS - 1)
    victim = _Victim(at)
    ambush(victim)
    settings = _settings(tmp_path, panel.config.database.url.get_secret_value())
    victim.process = Forked("flask", ["job", name], cwd=tmp_path, environment=environment(**settings))
    assert victim.process.wait(120) == -signal.SIGKILL
    victim.process.close()
    job = find(name)
    assert job is not None
    for _ in range(2):
        output = Lines()
        assert run_job(panel, job, Options(), output) == 0, output.text[-500:]
    assert max(counts().values()) == 1, f"killed at message {at}"
    return {f"u{n}" for n in range(1, ACCOUNTS + 1)} - {str(key) for key in counts()}


def test_a_killed_push_is_not_repeated(panel: Panel, tmp_path: Path) -> None:
    with PushService() as service:
        with panel.database.write() as connection:
            connection.execute(sa.insert(PushSubscription).values(user_id=1, **service.subscribe("res").keys))

        def ambush(victim: _Victim) -> None:
            def look(_: RecordedRequest) -> bool:
                victim.message()
                return False

            service.fail(None, look, times=0)  # type: ignore[arg-type]

        for _ in range(ROUNDS):
            service.forget()
            with panel.database.write() as connection:
                connection.execute(sa.delete(PushExpiryTracking))
            counts = lambda: Counter(item.payload["data"]["username"] for item in service.shown)  # noqa: E731
            assert _round(panel, "push-expired", tmp_path, ambush, counts) == set()


def test_a_killed_mail_run_is_not_repeated(panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mail had arrived; the log says that nobody knows."""
    monkeypatch.setattr("core.messages.mail.sweep.PAUSE_SECONDS", 0.0)
    with MailServer() as server:
        row = {"user_id": 1, "smtp_host": "127.0.0.1", "smtp_port": server.port, "smtp_secure": "none"}
        text = {"user_id": 1, "name": "Account Expired", "subject": "s", "body_html": "b"}
        with panel.database.write() as connection:
            connection.execute(sa.insert(MailTemplate).values(**text))
            connection.execute(sa.insert(MailSettings).values(smtp_username=USER, smtp_password=PASSWORD, **row))

        def ambush(victim: _Victim) -> None:
            async def arrived(_: object) -> str:
                victim.message()
                return "250 OK"

            server.on_data = arrived

        for _ in range(ROUNDS):
            server.forget()
            with panel.database.write() as connection:
                connection.execute(sa.delete(MailReminderTracking))
                connection.execute(sa.delete(MailLog))
            counts = lambda: Counter(mail.recipients[0].partition("@")[0] for mail in server.received)  # noqa: E731
            assert _round(panel, "mail-expiry", tmp_path, ambush, counts) == set()
            with panel.database.read() as connection:
                logs = connection.execute(sa.select(MailLog.status, MailLog.error_message)).all()
            assert Counter(map(tuple, logs)) == {("sent", None): ACCOUNTS - 1, ("failed", INTERRUPTED): 1}
