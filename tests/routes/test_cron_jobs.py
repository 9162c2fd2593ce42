"""Golden cases 24 to 28 and 31 to 33 of contract chapter 60: the jobs J1, J3 and J7, on every database."""

import datetime
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from core.accounts import disable_expired, recovery
from core.config import load_config
from core.jobs import locks
from core.jobs.bell import bell
from core.jobs.locks import named_lock
from core.jobs.scheduled import Options, Run, ScheduledJob, run_job
from core.panel import Panel
from core.storage.tables import Lock, ReminderSettings, State
from core.workers import workers
from core.workers.schedule import JOBS, is_time
from simulators.faults import Answer, Refuse
from simulators.wire import Response
from tests.conftest import MakeWorld
from tests.worlds.reminders import DAY, MAC, REFUSED, Lines, Reminders, reminders_world

STAMPED = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] \S")
# whose MAC it is comes first (chapter 90 §13 M1)
LOOK, PUT = f"GET accounts/{MAC(5)}", f"PUT accounts/{MAC(5)}"


@pytest.fixture
def panel(make_world: MakeWorld, kind: str) -> Iterator[Reminders]:
    with reminders_world(make_world, kind) as reminders:
        yield reminders


@pytest.fixture
def sqlite_panel(make_world: MakeWorld) -> Iterator[Reminders]:
    with reminders_world(make_world, "sqlite") as reminders:
        yield reminders


# J1


def test_24_nobody_has_switched_it_on(panel: Reminders) -> None:
    panel.settings(1, auto_send_enabled=0)
    code, text = panel.job("reminders")
    assert (code, panel.portal.calls) == (0, [])
    assert "Total sent: 0" in text


def test_25_26_reminders_of_all_who_switched_it_on(panel: Reminders) -> None:
    for user_id in (1, 2, 4, 5, 99):
        panel.settings(user_id)
    code, text = panel.job("reminders")
    assert code == 0
    lines = text.splitlines()
    assert all(STAMPED.match(line) for line in lines), lines
    told = [line[22:] for line in lines]
    assert [line for line in told if line.startswith(("SENT", "SKIP:", "FAIL"))] == [
        "SENT: u7a (Ann Example)",
        "FAIL: u7b - Empty stb list",
        "SKIP: u7a - Already sent reminder for this expiry date",
    ]
    for line in (
        "User res1 skipped: no STB control permission",
        "User stbobs skipped: no STB control permission",
        "User 99 skipped: no STB control permission",
        "User admin: Sent=1, Skipped=0, Failed=1",
    ):
        assert line in told
    assert told[-3:] == ["Total sent: 1", "Total skipped: 1", "Total failed: 1"]
    assert "Dear Ann" not in text
    assert panel.texts == [(MAC(1), "Dear Ann Example, 7 days"), (REFUSED, "Dear Bob Example, 7 days")]
    assert [row["sent_by"] for row in panel.reminders] == [1, 1]
    swept = panel.world.rows(sa.select(ReminderSettings.user_id).where(ReminderSettings.last_sweep_at.is_not(None)))
    assert [row["user_id"] for row in swept] == [1, 4]
    assert panel.job("reminders", strict=True)[0] == 2


def test_25_other_numbers_of_days_are_other_reminders(panel: Reminders) -> None:
    panel.settings(1)
    panel.settings(4, days_before_expiry=3)
    panel.change(11, end_date=datetime.date(2025, 11, 25))
    panel.job("reminders")
    panel.moment -= 4 * DAY
    panel.job("reminders")
    assert sorted(text for mac, text in panel.texts if mac == MAC(1)) == [
        "Dear Ann Example, 3 days",
        "Dear Ann Example, 7 days",
    ]


def test_27_another_number_of_days_for_this_run(panel: Reminders) -> None:
    panel.settings(1)
    assert "SENT: u1 (u1)" in panel.job("reminders", days=1)[1]
    assert panel.texts == [(MAC(7), "Dear u1, 1 days")]
    assert panel.job("reminders", days=91)[0] == 1


def test_a_dry_run_sends_and_writes_nothing(panel: Reminders) -> None:
    panel.settings(1)
    code, text = panel.job("reminders", dry_run=True)
    assert (code, panel.portal.calls, panel.reminders, panel.audits) == (0, [], [], [])
    assert "WOULD SEND: u7a (Ann Example)" in text


def test_names_stay_on_their_line(sqlite_panel: Reminders) -> None:
    sqlite_panel.settings(1)
    sqlite_panel.change(11, full_name="علی\nSENT: \x1b[31mnobody")
    lines = sqlite_panel.job("reminders")[1].splitlines()
    assert any("SENT: u7a (علی SENT:  [31mnobody)" in line for line in lines), lines


# J3


def test_31_expired_accounts_are_switched_off(panel: Reminders) -> None:
    code, text = panel.job("disable-expired")
    assert code == 0
    assert "SUCCESS - uyest" in text
    assert text.splitlines()[-1].endswith("Total: 1 | Success: 1 | Failed: 0")
    assert panel.portal.calls == [LOOK, PUT]
    assert [request.body for request in panel.portal.requests] == [b"", b"status=0"]
    assert [panel.account(id)["status"] for id in (14, 15)] == [1, 0]
    [audit] = panel.audits
    assert {name: audit[name] for name in ("user_id", "username", "user_type", "action", "target_type")} == {
        "user_id": 0,
        "username": "system_cron",
        "user_type": "system",
        "action": "auto_disable",
        "target_type": "account",
    }
    assert (audit["target_id"], audit["target_name"]) == (MAC(5), "Yes Example")
    assert (orjson.loads(audit["old_value"]), orjson.loads(audit["new_value"])) == ({"status": 1}, {"status": 0})
    assert panel.job("disable-expired")[1].splitlines()[-1].endswith("Total: 0 | Success: 0 | Failed: 0")
    panel.moment = datetime.datetime(2025, 11, 22, 20, 30, 5, tzinfo=datetime.UTC).timestamp()
    panel.job("disable-expired")
    assert panel.account(14)["status"] == 0


_PORTAL_FAULTS = {
    "refused": Refuse(),
    "error": Answer(Response(body=b'{"status":"ERROR","results":null,"error":"Not today"}')),
    "html": Answer(Response(body=b"<html>")),
}


@pytest.mark.parametrize("fault", _PORTAL_FAULTS)
def test_32_what_the_portal_refuses_stays_on(panel: Reminders, fault: str) -> None:
    panel.portal.fail("PUT accounts", _PORTAL_FAULTS[fault], times=None)
    code, text = panel.job("disable-expired")
    assert (code, panel.account(15)["status"], panel.audits) == (0, 1, [])
    assert "ERROR - uyest" in text
    assert text.splitlines()[-1].endswith("Total: 1 | Success: 0 | Failed: 1")
    assert panel.job("disable-expired", strict=True)[0] == 2
    panel.portal.clear_faults()
    panel.moment += 3600
    panel.job("disable-expired")
    assert panel.account(15)["status"] == 0


def test_33_a_dry_run_changes_nothing(panel: Reminders) -> None:
    code, text = panel.job("disable-expired", dry_run=True)
    assert (code, panel.portal.calls, panel.account(15)["status"]) == (0, [], 1)
    assert "WOULD DISABLE - uyest" in text


def test_an_account_that_the_portal_lacks_is_off_here(panel: Reminders) -> None:
    panel.change(15, mac=MAC(0x55))
    text = panel.job("disable-expired")[1]
    assert "WARN - uyest" in text
    assert (panel.account(15)["status"], len(panel.audits)) == (0, 1)
    assert recovery.open_operations(panel.panel) == []


def test_server_2_is_told_again_by_the_next_run(make_world: MakeWorld, kind: str) -> None:
    with reminders_world(make_world, kind, dual=True) as panel:
        panel.portals[1].fail("PUT accounts", Answer(Response(status=500, body=b"")))
        assert "WARN - uyest" in panel.job("disable-expired")[1]
        assert panel.account(15)["status"] == 0
        panel.moment += 3600
        panel.job("disable-expired")
        user = panel.portals[1].user_by_mac(MAC(5))
        assert user is not None
        assert user.status == 0
        assert recovery.open_operations(panel.panel) == []


def test_an_account_that_was_renewed_meanwhile_stays_on(panel: Reminders, monkeypatch: Any) -> None:
    found = disable_expired.expired_accounts

    def then_renewed(panel_: Panel) -> list[Any]:
        accounts = found(panel_)
        panel.change(15, end_date=datetime.date(2025, 12, 21))
        return accounts

    monkeypatch.setattr(disable_expired, "expired_accounts", then_renewed)
    assert panel.job("disable-expired")[0] == 0
    assert (panel.account(15)["status"], panel.portal.calls, panel.audits) == (1, [], [])


# J7


@pytest.mark.every_kind
def test_old_reminders_are_deleted(panel: Reminders) -> None:
    panel.sweep()
    panel.moment += 89 * DAY
    assert "Deleted: 0" in panel.job("cleanup-reminders")[1]
    panel.moment += 2 * DAY
    assert "Would delete: 2" in panel.job("cleanup-reminders", dry_run=True)[1]
    code, text = panel.job("cleanup-reminders")
    assert code == 0
    assert [line[22:] for line in text.splitlines()] == ["Before: 2", "Deleted: 2", "After: 0"]
    assert panel.reminders == []


# all


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_28_the_database_is_down(job: ScheduledJob) -> None:
    panel = Panel(load_config(None, {"SHOWBOX_DATABASE_URL": "mysql://nobody:hunter2@127.0.0.1:1/panel"}))
    output = Lines()
    assert run_job(panel, job, Options(), output) == 1
    assert "ERROR" in output.lines[0]
    assert "hunter2" not in output.text
    panel.close()


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_a_run_beside_another_does_nothing(sqlite_panel: Reminders, job: ScheduledJob) -> None:
    with named_lock(sqlite_panel.panel, job.lock):
        assert sqlite_panel.job(job.name)[0] == 0
        sqlite_panel.world.execute(sa.update(Lock).values(taken_at=Lock.taken_at - locks.STALE_SECONDS - 1))
        code, text = sqlite_panel.job(job.name)
        assert (code, "ERROR" in text) == (1, True)


def test_a_fault_of_ours_is_told_without_internals(sqlite_panel: Reminders) -> None:
    def fail(run: Run) -> int:
        raise ValueError("hunter2")

    output = Lines()
    job = ScheduledJob("x", "x.php", "x", "* * * * *", "", fail)
    assert run_job(sqlite_panel.panel, job, Options(), output) == 1
    assert ("ERROR" in output.text, "hunter2" in output.text) == (True, False)


@pytest.mark.parametrize(
    ("usual", "moment", "due"),
    [
        ("0 9 * * *", "2025-11-22 09:00", True),
        ("0 9 * * *", "2025-11-22 09:01", False),
        ("0 9 * * *", "2025-11-22 21:00", False),
        ("*/10 * * * *", "2025-11-22 09:50", True),
        ("*/10 * * * *", "2025-11-22 09:55", False),
        ("0 2 1 * *", "2025-12-01 02:00", True),
        ("0 2 1 * *", "2025-12-02 02:00", False),
    ],
)
def test_usual_times(usual: str, moment: str, due: bool) -> None:
    assert is_time(usual, datetime.datetime.fromisoformat(moment)) is due


# what workers look at each minute, whether they start the jobs or not
EACH_MINUTE = {"minute", "xtream"}


def _tasks(panel: Panel) -> dict[str, Any]:
    """The queue's periodic tasks by name."""
    return {type(task).__name__: task for task in bell(panel)._huey._registry.periodic_tasks}


def test_the_built_in_scheduler_starts_jobs_at_their_time(make_world: MakeWorld) -> None:
    # no worker of this process may start anything by itself
    settings = {"SHOWBOX_JOBS_SCHEDULER": "yes", "SHOWBOX_JOBS_IN_PROCESS": "no", "SHOWBOX_BACKUP_DAILY": "yes"}
    with reminders_world(make_world, "sqlite", **settings) as panel:
        workers.attach(panel.panel)
        tasks = _tasks(panel.panel)
        assert {f"job-{job.name}" for job in JOBS} | EACH_MINUTE == set(tasks)
        now = datetime.datetime.now(datetime.UTC)

        def due() -> set[str]:
            return {name for name, task in tasks.items() if task.validate_datetime(now)}

        at_9 = {f"job-{job.name}" for job in JOBS if is_time(job.usual, panel.panel.clock.now())}
        # workers of other panels on this database, whose clocks are later, may have had theirs just now
        panel.world.execute(sa.delete(State).where(State.name.startswith("turn/")))
        assert due() == at_9 | EACH_MINUTE
        assert {"job-reminders", "job-disable-expired"} <= at_9
        panel.moment += 60
        assert due() == EACH_MINUTE
        tasks["job-disable-expired"].execute()
        for thread in list(panel.panel._threads):
            if thread.name == "disable-expired":
                thread.join(60)
        assert panel.account(15)["status"] == 0


def test_the_built_in_scheduler_is_off_by_default(tmp_path: Path) -> None:
    panel = Panel(load_config(None, {"SHOWBOX_DATABASE_URL": f"sqlite:///{tmp_path}/panel.db"}))
    workers.attach(panel)
    assert set(_tasks(panel)) == EACH_MINUTE
    panel.close()


def test_a_job_that_is_switched_off_is_not_started_by_the_clock(tmp_path: Path) -> None:
    settings = {"SHOWBOX_DATABASE_URL": f"sqlite:///{tmp_path}/panel.db", "SHOWBOX_JOBS_SCHEDULER": "yes"}
    panel = Panel(load_config(None, settings))
    workers.attach(panel)
    assert set(_tasks(panel)) == {f"job-{job.name}" for job in JOBS if job.name != "backup"} | EACH_MINUTE
    panel.close()
