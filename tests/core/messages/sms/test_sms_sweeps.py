"""The nightly text messages (jobs J4 and J5): golden cases 28 and 35 to 39 of contract chapter 60."""

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core.config import load_config
from core.jobs.claims import INTERRUPTED
from core.jobs.locks import named_lock
from core.jobs.scheduled import Options, run_job
from core.messages.delivery import settle_interrupted
from core.messages.sms.outbox import Message, Stage, deliver
from core.messages.sms.settings import sender_of
from core.messages.sms.sweeps import LOCK, SMS_EXPIRY, SMS_STAGES
from core.panel import Panel
from core.storage.tables import Account, Claim, SmsLog, SmsReminderTracking, SmsSettings, User
from core.workers.schedule import JOBS
from simulators.faults import Answer, HangUp
from simulators.wire import Response
from tests.conftest import MakeWorld
from tests.worlds.harness import user_row
from tests.worlds.sms import DAY, MAC, MORNING, NUMBER, STAGES, TOKEN, Lines, Sms, configured, sms_world

ANN, BOB, YES = (NUMBER(1), NUMBER(2), NUMBER(5))


@pytest.fixture
def sms(make_world: MakeWorld, kind: str) -> Iterator[Sms]:
    with sms_world(make_world, kind) as made:
        yield made


@pytest.fixture
def sqlite_sms(make_world: MakeWorld) -> Iterator[Sms]:
    with sms_world(make_world, "sqlite") as made:
        yield made


@pytest.mark.parametrize("job", [SMS_EXPIRY, SMS_STAGES], ids=lambda job: job.name)
def test_28_without_a_database(job: Any) -> None:
    url = "mysql://panel:hunter2@127.0.0.1:1/panel"
    panel, lines = Panel(load_config(None, {"SHOWBOX_DATABASE_URL": url})), Lines()
    assert run_job(panel, job, Options(), lines) == 1
    assert "ERROR" in lines.text
    assert "hunter2" not in lines.text
    panel.close()


def test_both_jobs_are_in_the_list_by_name_and_by_script() -> None:
    assert [(job.name, job.script) for job in JOBS if job.lock == LOCK] == [
        ("sms-expiry", "cron_send_expiry_sms.php"),
        ("sms-stages", "cron_multistage_expiry_reminders.php"),
    ]


def test_35_36_37_each_stage_once_and_again_after_a_renewal(sms: Sms) -> None:
    sms.configure(1)
    sms.add_templates(1, *STAGES, "Expiry Reminder")
    code, lines = sms.job("sms-stages")
    assert code == 0
    assert sms.provider.texts == [
        (ANN, "T Ann Example 7 2025-11-29"),
        (BOB, "T Bob Example 7 2025-11-29"),
        (YES, "T Yes Example 0 2025-11-21"),
    ]
    assert sms.tracked == [(MAC(1), "7days"), (MAC(2), "7days"), (MAC(5), "expired")]
    assert [(row["message_type"], row["status"], row["sent_by"]) for row in sms.logs] == [
        ("expiry_reminder", "sent", 1)
    ] * 3
    assert [line[22:] for line in lines.lines[-3:]] == ["Total sent: 3", "Total skipped: 0", "Total failed: 0"]
    assert TOKEN not in lines.text
    assert "T Ann" not in lines.text
    assert lines.steps == [(1, 2), (2, 2), (1, 1)]
    # nothing is sent twice, by neither job, whatever the account's id
    assert sms.job("sms-stages")[1].lines[-3].endswith("Total sent: 0")
    sms.world.execute("UPDATE _accounts SET id = id + 100")
    sms.world.execute(sa.update(SmsReminderTracking).values(mac=sa.func.lower(SmsReminderTracking.mac)))
    sms.world.execute(sa.delete(Claim))
    for name in ("sms-stages", "sms-expiry"):
        code, lines = sms.job(name)
        assert (code, len(sms.provider.sent)) == (0, 3), name
    assert "sent before 2" in lines.text
    sms.world.execute(sa.update(Account).where(Account.id == 111).values(end_date=date(2026, 1, 5)))
    sms.forward = 37 * DAY
    sms.job("sms-stages")
    assert sms.provider.texts[3:] == [(ANN, "T Ann Example 7 2026-01-05")]


def test_the_last_valid_day_is_not_expired_and_the_day_after_is(sms: Sms) -> None:
    sms.configure(1)
    sms.add_templates(1, "Account Expired", "1 Day Before Expiry", text="{name}")
    sms.world.execute(sa.update(Account).where(Account.id == 15).values(status=0))
    sms.job("sms-stages")
    assert sms.provider.texts == [(YES, "Yes Example")]
    sms.forward = DAY
    sms.job("sms-stages")
    assert sms.provider.texts[1:] == [(NUMBER(4), "Tod Example")]
    # missed days are made up for as far as is configured, and each account is told once
    sms.provider.forget()
    sms.world.execute(sa.delete(Claim))
    sms.world.execute(sa.delete(SmsReminderTracking))
    with configured(sms.world, sms.provider, expired_days=2):
        sms.job("sms-stages")
        sms.job("sms-stages")
    assert sms.provider.texts == [(NUMBER(4), "Tod Example"), (YES, "Yes Example")]


def test_36_one_stage_with_the_texts_that_apply(sms: Sms) -> None:
    sms.configure(1, expiry_template="  ", days_before_expiry=5)
    sms.configure(2, expiry_template="own {name}")
    sms.configure(3)
    sms.configure(4, auto_send_enabled=0, expiry_template="never")
    sms.add_templates(1, "Expiry Reminder", text="five {days}")
    sms.add_accounts((18, "five", NUMBER(8), None, "", date(2025, 11, 27), 1))
    code, lines = sms.job("sms-expiry")
    assert code == 0
    # a reseller admin's own accounts only, of which there are none; and there is no template
    assert sms.provider.texts == [(NUMBER(8), "five 5"), (BOB, "own Bob Example")]
    assert [row["sent_by"] for row in sms.logs] == [1, 2]
    assert "SKIP: user radm, 7days - no template" in lines.text
    assert sms.job("sms-expiry")[1].lines[-3].endswith("Total sent: 0")
    # what the PHP panel has logged today counts for a number of days without a stage
    sms.world.execute(sa.delete(Claim))
    sms.job("sms-expiry")
    assert len(sms.provider.sent) == 2
    code, lines = sms.job("sms-expiry", days=2)
    assert "2 days: found 0" in lines.text


def test_whose_account_is_used_and_who_is_left_out(sms: Sms) -> None:
    sms.configure(1, auto_send_enabled=0)
    sms.configure(3, api_token=None, sender_number="")
    sms.configure(4, api_token=" ")
    sms.configure(5, api_token="observers-token")
    sms.configure(2, enable_multistage_reminders=0, api_token="token-of-two")
    for user_id in (2, 3, 4, 5):
        sms.add_templates(user_id, *STAGES)
    sms.add_accounts((18, "of-radm", NUMBER(8), 3, "Rad Example", date(2025, 11, 25), 1))
    code, lines = sms.job("sms-stages")
    assert code == 0
    assert [(item.number, item.token) for item in sms.provider.sent] == [(NUMBER(8), TOKEN)]
    assert sms.logs[0]["sent_by"] == 1
    for line in (
        "SKIP: user stbres - no API token or sender number",
        "SKIP: user obs - observers send nothing",
        "User res1: stages are switched off",
    ):
        assert line in lines.text


def test_numbers_that_cannot_be_used_are_skipped(sms: Sms) -> None:
    sms.configure(1)
    sms.add_templates(1, *STAGES)
    end = date(2025, 11, 25)
    for id, phone in [(18, "12"), (19, "09121234567"), (20, "00 44 20 1234-5678"), (21, "")]:
        sms.add_accounts((id, f"n{id}", phone, 1, f"N{id}", end, 1))
    with configured(sms.world, sms.provider, country_code="98"):
        _, lines = sms.job("sms-stages")
    assert [number for number, text in sms.provider.texts if text.startswith("T N")] == [
        "+989121234567",
        "+442012345678",
    ]
    assert "3days: found 3, sent before 0, without usable number 1" in lines.text


def test_38_an_emoji_on_an_old_table(sms: Sms) -> None:
    if sms.panel.database.dialect == "mysql":
        sms.world.execute("ALTER TABLE _sms_logs MODIFY message TEXT CHARACTER SET utf8mb3 NOT NULL")
    sms.panel.database.forget_columns()
    try:
        sms.configure(1)
        sms.add_templates(1, "7 Days Before Expiry", text="⏰📺 {name}")
        for _ in range(2):
            assert sms.job("sms-stages")[0] == 0
        assert sms.provider.texts == [(ANN, "⏰📺 Ann Example"), (BOB, "⏰📺 Bob Example")]
        stored = "⏰\N{REPLACEMENT CHARACTER} Ann" if sms.panel.database.dialect == "mysql" else "⏰📺 Ann"
        assert sms.logs[0]["message"].startswith(stored)
        assert [row["status"] for row in sms.logs] == ["sent", "sent"]
    finally:
        if sms.panel.database.dialect == "mysql":
            sms.world.execute("ALTER TABLE _sms_logs MODIFY message TEXT CHARACTER SET utf8mb4 NOT NULL")
        sms.panel.database.forget_columns()


def test_39_what_the_provider_refuses_is_tried_again(sms: Sms) -> None:
    sms.configure(1)
    sms.add_templates(1, *STAGES)
    sms.provider.accept_tokens("another")
    code, lines = sms.job("sms-stages", strict=True)
    assert code == 2
    assert {(row["status"], row["error_message"]) for row in sms.logs} == {("failed", "the token is not valid")}
    assert "FAIL: User admin, 7days - the token is not valid" in lines.text
    assert (sms.tracked, sms.world.rows(sa.select(Claim.name))) == ([], [])
    sms.provider.accept_tokens()
    assert sms.job("sms-stages")[0] == 0
    assert len(sms.provider.sent) == len(sms.tracked) == 3


def test_what_may_have_gone_out_is_not_sent_again(sms: Sms) -> None:
    sms.configure(1)
    sms.add_templates(1, *STAGES)
    sms.provider.fail(HangUp(effect=True), after=1)
    sms.provider.fail(Answer(Response(b"<html>busy</html>", 503)), after=2)
    for _ in range(2):
        assert sms.job("sms-stages")[0] == 0
    assert sms.provider.counts == {ANN: 1, BOB: 1, YES: 1}
    states = [(row["recipient_number"], row["status"]) for row in sms.logs]
    assert states == [(ANN, "sent"), (BOB, "failed"), (YES, "failed"), (YES, "sent")]
    assert "may have been delivered" in sms.logs[1]["error_message"]


def test_a_provider_that_is_down_ends_a_users_run_early(sqlite_sms: Sms) -> None:
    sms = sqlite_sms
    sms.configure(1)
    sms.add_templates(1, *STAGES)
    sms.add_accounts(*((id, f"n{id}", NUMBER(id), 1, f"N{id}", date(2025, 11, 25), 1) for id in range(20, 30)))
    sms.provider.stop_listening()
    code, lines = sms.job("sms-stages")
    assert code == 0
    assert "Total failed: 13" in lines.text
    assert {row["status"] for row in sms.logs} == {"failed"}
    assert "127.0.0.1" not in f"{lines.text}{sms.logs}"
    sms.provider.forget()
    sms.job("sms-stages")
    assert set(sms.provider.counts.values()) == {1}
    assert len(sms.provider.sent) == 13


def test_two_jobs_at_once_share_one_lock(sms: Sms) -> None:
    sms.configure(1)
    sms.add_templates(1, *STAGES, "Expiry Reminder")
    with named_lock(sms.panel, LOCK):
        for name in ("sms-stages", "sms-expiry"):
            code, lines = sms.job(name)
            assert (code, len(lines.lines)) == (0, 1)
            assert "already running" in lines.text
    ended: list[tuple[int, Lines]] = []
    threads = [
        threading.Thread(target=lambda name=name: ended.append(sms.job(name)))
        for name in ("sms-stages", "sms-expiry") * 2
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [code for code, _ in ended] == [0] * 4, [lines.text for _, lines in ended]
    assert max(sms.provider.counts.values()) == 1


def test_even_without_the_lock_each_message_goes_out_once(sms: Sms) -> None:
    sms.configure(1)
    messages = [
        Message(f"expiry:{n}", NUMBER(n), f"text {n}", "expiry_reminder", n, MAC(n), None, Stage("7days", date.min))
        for n in range(10, 30)
    ]
    with sms.panel.database.read() as connection:
        sender = sender_of(sms.panel, connection, 1, inherits=False)
    assert sender is not None
    tallies: list[Any] = []

    def run() -> None:
        tallies.append(deliver(sms.panel, sender, 1, messages, 5.0))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [tally.done for tally in tallies] == [20, 20, 20]
    assert sum(tally.sent for tally in tallies) == 20
    assert sms.provider.counts == {NUMBER(n): 1 for n in range(10, 30)}
    assert len(sms.logs) == len(sms.tracked) == 20


def test_what_the_php_panel_tracked_meanwhile_is_skipped(sms: Sms) -> None:
    sms.configure(1)
    sms.add_templates(1, "7 Days Before Expiry")
    row = {"reminder_stage": "7days", "sent_at": sms.panel.clock.now(), "end_date": date(2025, 11, 29)}
    # the one under a MAC, the other under an id only; and one that we cannot have seen when we looked
    sms.world.insert(SmsReminderTracking, [{**row, "account_id": 99, "mac": MAC(1).lower()}])
    sms.world.insert(SmsReminderTracking, [{**row, "account_id": 12, "mac": None}])
    _, lines = sms.job("sms-stages")
    assert sms.provider.requests == []
    assert "7days: found 2, sent before 2" in lines.text
    sms.world.execute(sa.update(SmsReminderTracking).values(mac="other"))
    sms.job("sms-stages")
    assert sms.provider.texts == [(ANN, "T Ann Example 7 2025-11-29")]


def test_what_was_cut_short_is_closed_and_says_so(sms: Sms) -> None:
    now = sms.panel.clock.now()
    for number, (owner, age) in enumerate([("gone:1:2:3", 1000), ("gone:1:2:4", 10), (None, 1000)], start=1):
        sms.world.insert(
            SmsLog,
            [{"id": number, "recipient_number": "+44", "message": "m", "sent_by": 1, "sent_at": now}],
        )
        stamp = sms.panel.clock.stamp() - age
        claim = {"channel": "sms", "name": f"c{number}", "row_id": number, "owner": owner, "claimed_at": stamp}
        sms.world.insert(Claim, [{**claim, "lease_until": stamp + 900}])
    settle_interrupted(sms.panel)
    assert [(row["status"], row["error_message"]) for row in sms.logs] == [
        ("failed", INTERRUPTED),
        ("pending", None),
        ("pending", None),
    ]


def test_a_dry_run_sends_nothing(sqlite_sms: Sms) -> None:
    sms = sqlite_sms
    sms.configure(1)
    sms.add_templates(1, *STAGES)
    code, lines = sms.job("sms-stages", dry_run=True)
    assert code == 0
    assert "7days: would send 2" in lines.text
    assert (sms.provider.requests, sms.logs, sms.tracked) == ([], [], [])


@pytest.mark.parametrize(
    ("moment", "ends"),
    [
        # 00:30 of the next day in Tehran
        (datetime(2025, 11, 22, 21, 0, tzinfo=UTC), date(2025, 11, 30)),
        (datetime(2024, 2, 22, 6, 0, tzinfo=UTC), date(2024, 2, 29)),
        (datetime(2025, 12, 28, 6, 0, tzinfo=UTC), date(2026, 1, 4)),
    ],
    ids=["zone", "leap day", "new year"],
)
def test_days_are_those_of_the_panels_zone(sqlite_sms: Sms, moment: datetime, ends: date) -> None:
    sms = sqlite_sms
    sms.configure(1)
    sms.add_templates(1, "7 Days Before Expiry", text="{date} {days}")
    ids = range(30, 33)
    sms.add_accounts(
        *((id, f"d{id}", NUMBER(id), 1, "", ends + timedelta(days=id - 31), 1) for id in ids),
    )
    sms.forward = moment.timestamp() - MORNING
    sms.job("sms-stages")
    assert (NUMBER(31), f"{ends} 7") in sms.provider.texts
    assert not {NUMBER(30), NUMBER(32)} & set(sms.provider.counts)


def test_dates_with_a_time_of_day_and_dates_that_never_were(sms: Sms) -> None:
    sms.configure(1)
    sms.add_templates(1, "7 Days Before Expiry", text="{expiry_date}")
    dialect = sms.panel.database.dialect
    if dialect == "mysql":
        sms.world.execute("ALTER TABLE _accounts MODIFY end_date DATETIME NULL")
    elif dialect == "postgresql":
        sms.world.execute("ALTER TABLE _accounts ALTER end_date TYPE timestamp")
    try:
        sms.world.execute("UPDATE _accounts SET end_date = '2025-11-29 23:59:59' WHERE id = 11")
        sms.world.execute("UPDATE _accounts SET end_date = '2025-11-30 00:00:00' WHERE id = 12")
        sms.job("sms-stages")
    finally:
        if dialect == "mysql":
            sms.world.execute("ALTER TABLE _accounts MODIFY end_date DATE NULL")
        elif dialect == "postgresql":
            sms.world.execute("ALTER TABLE _accounts ALTER end_date TYPE date")
    assert sms.provider.texts == [(ANN, "2025-11-29")]


def test_names_are_filled_in_once_and_printed_in_one_line(sqlite_sms: Sms) -> None:
    sms = sqlite_sms
    sms.configure(1)
    sms.add_templates(1, "7 Days Before Expiry", text="{name} {mac} {unknown}")
    sms.world.execute(sa.update(Account).where(Account.id == 11).values(full_name="{mac}"))
    sms.world.execute(sa.update(Account).where(Account.id == 12).values(full_name=""))
    sms.world.insert(User, [user_row(9, "radmin") | {"username": "two\nlines"}])
    sms.configure(9)
    _, lines = sms.job("sms-stages")
    assert sms.provider.texts == [(ANN, f"{{mac}} {MAC(1)} {{unknown}}"), (BOB, f"Customer {MAC(2)} {{unknown}}")]
    assert all("\n" not in line for line in lines.lines)
    assert sms.world.rows(sa.select(SmsSettings.user_id)) != []
