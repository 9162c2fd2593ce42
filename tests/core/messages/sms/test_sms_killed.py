"""A sweep of 500 text messages that is killed at a random message and started again sends none twice.

``SHOWBOX_TEST_KILLS=20`` makes more rounds of it. Source: contract chapter 60 S7; core.messages.sms.outbox says why.
"""

import os
import random
import signal
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from core.config import load_config
from core.jobs.claims import INTERRUPTED
from core.jobs.scheduled import Options, run_job
from core.messages.sms.sweeps import SMS_STAGES
from core.panel import Panel
from core.storage.tables import Account, Claim, SmsLog, SmsReminderTracking, SmsSettings, SmsTemplate, User
from simulators.recording import RecordedRequest
from simulators.sms_provider import SmsProvider
from tests.worlds.databases import prepared_database
from tests.worlds.forked import Forked
from tests.worlds.places import ROOT
from tests.worlds.sms import Lines
from tests.worlds.waiting import until

ROUNDS = int(os.environ.get("SHOWBOX_TEST_KILLS", "1"))
# the full number where many rounds are asked for
ACCOUNTS = 500 if ROUNDS > 1 else 60

_SWEEP = """
from core.config import load_config
from core.panel import Panel
from core.jobs.scheduled import Options, run_job
from core.messages.sms.sweeps import SMS_STAGES
class Silent:
    def line(self, text): ...
    def progress(self, done, total): ...
run_job(Panel(load_config(None)), SMS_STAGES, Options(), Silent())
"""


@pytest.fixture
def provider() -> Iterator[SmsProvider]:
    with SmsProvider() as made:
        yield made


def _fill(panel: Panel, base_url: str) -> None:
    target = panel.clock.today() + timedelta(days=7)
    settings = {"api_token": "a-token-of-mine", "sender_number": "+44", "base_url": base_url, "auto_send_enabled": 1}
    panel.layout  # noqa: B018 - creates the tables
    with panel.database.write() as connection:
        connection.execute(sa.insert(User).values(id=1, username="admin", password="", super_user=1))
        connection.execute(sa.insert(SmsSettings).values(user_id=1, **settings))
        connection.execute(sa.insert(SmsTemplate).values(user_id=1, name="7 Days Before Expiry", template="{name}"))
        connection.execute(
            sa.insert(Account),
            [
                {
                    "id": n,
                    "username": f"u{n}",
                    "mac": f"00:1A:79:00:{n // 256:02X}:{n % 256:02X}",
                    "full_name": f"N{n}",
                    "phone_number": f"+44{n:09}".replace("+440", "+441"),
                    "end_date": target,
                    "status": 1,
                }
                for n in range(1, ACCOUNTS + 1)
            ],
        )


class _Killer:
    """Ends a process ``delay`` seconds after the provider got its ``at``-th message; 0: before it is answered."""

    def __init__(self, provider: SmsProvider, at: int, delay: float) -> None:
        self._at, self._delay, self._seen = at, delay, 0
        self.process: Forked | None = None
        provider.fail(None, self._look, times=0)  # type: ignore[arg-type]

    def _look(self, request: RecordedRequest) -> bool:
        self._seen += 1
        if self._seen == self._at:
            assert self.process is not None
            if self._delay:
                threading.Timer(self._delay, self.process.kill).start()
            else:
                self.process.kill()
        return False


@pytest.mark.parametrize("on_receipt", [True, False], ids=["on receipt", "at any moment"])
def test_a_killed_sweep_is_finished_without_repeating(provider: SmsProvider, on_receipt: bool) -> None:
    settings = {
        "SHOWBOX_DATABASE_URL": prepared_database("sqlite", f"sms_killed_{on_receipt}"),
        "SHOWBOX_SMS_PROVIDER_HOSTS": provider.address,
        "SHOWBOX_SMS_ALLOW_PRIVATE": "yes",
        "SHOWBOX_SMS_CALLS_PER_SECOND": "10000",
    }
    panel = Panel(load_config(None, settings))
    _fill(panel, provider.base_url)
    lost = sum(_round(panel, provider, settings, on_receipt) for _ in range(ROUNDS))
    panel.close()
    sys.stdout.write(f"{ROUNDS} kills: {lost} messages lost, none repeated\n")


def _until_counted(provider: SmsProvider, at: int) -> None:
    """The provider counts a message after it was looked at: the sender may be dead by then."""
    until(lambda: len(provider.sent) >= at, f"{at} messages came")


def _round(panel: Panel, provider: SmsProvider, settings: dict[str, str], on_receipt: bool) -> int:
    """How many messages never arrived."""
    with panel.database.write() as connection:
        for model in (SmsLog, Claim, SmsReminderTracking):
            connection.execute(sa.delete(model))
    provider.forget()
    # a timer may be late on a busy machine: it needs some sweep left to interrupt
    at = random.randint(1, ACCOUNTS - 1 if on_receipt else ACCOUNTS // 3)
    killer = _Killer(provider, at, 0.0 if on_receipt else random.uniform(0.0001, 0.02))
    killer.process = Forked("-c", [_SWEEP], cwd=ROOT, environment={**os.environ, **settings})
    assert killer.process.wait(120) == -signal.SIGKILL
    killer.process.close()
    _until_counted(provider, at)
    assert len(provider.sent) < ACCOUNTS
    lines = Lines()
    assert run_job(panel, SMS_STAGES, Options(), lines) == 0, lines.text[-500:]
    counts = provider.counts
    assert max(counts.values()) == 1, f"killed at message {at}"
    with panel.database.read() as connection:
        rows = connection.execute(sa.select(SmsLog.recipient_number, SmsLog.status, SmsLog.error_message)).all()
        tracked = connection.scalar(sa.select(sa.func.count()).select_from(SmsReminderTracking))
    assert len({row.recipient_number for row in rows}) == len(rows) == tracked == ACCOUNTS
    # only what was on its way when the process died is in doubt, and the log says so
    doubtful = {row.recipient_number for row in rows if (row.status, row.error_message) == ("failed", INTERRUPTED)}
    assert {row.status for row in rows if row.recipient_number not in doubtful} == {"sent"}
    assert len(doubtful) == 1 if on_receipt else len(doubtful) <= 1
    lost = {row.recipient_number for row in rows} - set(counts)
    assert lost <= doubtful
    if on_receipt:
        assert lost == set()
    return len(lost)
