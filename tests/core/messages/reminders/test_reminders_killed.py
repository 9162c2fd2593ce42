"""A sweep of 500 reminders that is killed at a random message and started again sends each message once.

``SHOWBOX_TEST_KILLS=20`` makes more rounds of it. Source: contract chapter 60 S7; core.messages.reminders.store says
why.
"""

import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.config import load_config
from core.jobs.claims import INTERRUPTED
from core.jobs.scheduled import Options, run_job
from core.panel import Panel
from core.storage.tables import Account, ExpiryReminder, ReminderSettings, User
from core.workers.schedule import find
from simulators.recording import RecordedRequest
from simulators.stalker import StalkerPortal
from tests.worlds.databases import prepared_database
from tests.worlds.forked import Forked
from tests.worlds.reminders import Lines
from tests.worlds.served import environment

ROUNDS = int(os.environ.get("SHOWBOX_TEST_KILLS", "2"))
# the full number where many rounds are asked for
ACCOUNTS = 500 if ROUNDS > 2 else 150


def _mac(number: int) -> str:
    return f"00:1A:79:00:{number // 256:02X}:{number % 256:02X}"


def _fill(panel: Panel) -> None:
    now, target = panel.clock.now(), panel.clock.today() + timedelta(days=7)
    panel.layout  # noqa: B018 - creates the tables
    with panel.database.write() as connection:
        connection.execute(sa.insert(User).values(id=1, username="admin", password="", super_user=1))
        connection.execute(
            sa.insert(ReminderSettings).values(
                user_id=1, auto_send_enabled=1, message_template="{name}", created_at=now, updated_at=now
            )
        )
        connection.execute(
            sa.insert(Account),
            [
                {"id": n, "username": f"u{n}", "mac": _mac(n), "full_name": f"N{n}", "end_date": target, "status": 1}
                for n in range(1, ACCOUNTS + 1)
            ],
        )


class _Killer:
    """Ends a process when the portal has got its ``at``-th message, ``delay`` seconds after it came.

    Without delay that is before the process could get the answer.
    """

    def __init__(self, portal: StalkerPortal, at: int, delay: float) -> None:
        self._at, self._delay, self._seen = at, delay, 0
        self.pid: int | None = None
        portal.fail(self._look, None, times=0)  # type: ignore[arg-type]

    def _look(self, request: RecordedRequest) -> bool:
        self._seen += 1
        if self._seen == self._at:
            if self._delay:
                threading.Timer(self._delay, self._kill).start()
            else:
                self._kill()
        return False

    def _kill(self) -> None:
        assert self.pid is not None
        os.kill(self.pid, signal.SIGKILL)


@pytest.mark.parametrize("delay", ["on receipt", "at any moment"])
def test_a_killed_sweep_is_finished_without_repeating(tmp_path: Path, delay: str) -> None:
    url = prepared_database("sqlite", f"killed_{delay[:2]}")
    with StalkerPortal() as portal:
        for number in range(1, ACCOUNTS + 1):
            portal.add_user(f"u{number}", _mac(number))
        settings = {
            "SHOWBOX_DATABASE_URL": url,
            "SHOWBOX_PORTAL_PRIMARY_API_URL": portal.base_url,
            "SHOWBOX_JOBS_MESSAGE_PAUSE_MS": "0",
        }
        panel = Panel(load_config(None, settings))
        _fill(panel)
        rounds = ROUNDS if delay == "on receipt" else max(1, ROUNDS // 2)
        lost = sum(_round(panel, portal, settings, tmp_path, delay == "on receipt") for _ in range(rounds))
        panel.close()
    sys.stdout.write(f"{rounds} kills {delay}: {lost} messages lost, none repeated\n")


def _round(panel: Panel, portal: StalkerPortal, settings: dict[str, str], cwd: Path, on_receipt: bool) -> int:
    """How many messages never arrived."""
    with panel.database.write() as connection:
        connection.execute(sa.delete(ExpiryReminder))
    portal.forget_requests()
    portal.clear_faults()
    # far enough from the end that no late kill comes after it
    at = random.randint(1, ACCOUNTS - 50)
    killer = _Killer(portal, at, 0.0 if on_receipt else random.uniform(0.0001, 0.02))
    process = Forked("flask", ["job", "reminders"], cwd=cwd, environment=environment(**settings))
    killer.pid = process.pid
    try:
        printed = process.stdout.read()
        assert process.wait(120) == -signal.SIGKILL, printed[-500:] + process.stderr[-500:]
    finally:
        process.close()
    sent_before = len(portal.requests)
    assert at <= sent_before < ACCOUNTS

    job, output, started = find("reminders"), Lines(), time.monotonic()
    assert job is not None
    assert run_job(panel, job, Options(), output) == 0, output.text[-500:]
    assert time.monotonic() - started < 60

    counts = Counter(call.rpartition("/")[2] for call in portal.calls)
    assert max(counts.values()) == 1, f"killed at message {at}"
    with panel.database.read() as connection:
        rows = connection.execute(sa.select(ExpiryReminder.mac, ExpiryReminder.status, ExpiryReminder.error_message))
        stored = {row.mac: (row.status, row.error_message) for row in rows}
    assert len(stored) == ACCOUNTS
    unfinished = {mac for mac, outcome in stored.items() if outcome == ("failed", INTERRUPTED)}
    assert {outcome for mac, outcome in stored.items() if mac not in unfinished} == {("sent", None)}
    # only what was on its way when the process died is in doubt, and the history says so
    assert len(unfinished) == 1 if on_receipt else len(unfinished) <= 1
    lost = {_mac(number) for number in range(1, ACCOUNTS + 1)} - set(counts)
    assert lost <= unfinished
    if on_receipt:
        assert lost == set()
    # a third run finds nothing to do
    run_job(panel, job, Options(), Lines())
    assert len(portal.requests) == ACCOUNTS - len(lost)
    return len(lost)
