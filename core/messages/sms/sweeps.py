"""The nightly text messages about accounts that end: jobs J4 (one stage) and J5 (four stages) of contract chapter 60.

Both share one lock and one memory of what went out (S6), so that both may stand in one crontab.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, select

from core.access.actors import RESELLER_ADMIN_FIELD, has_field
from core.accounts.end_dates import ends_on, stored_day
from core.jobs.scheduled import Run, ScheduledJob
from core.messages.delivery import claimed_names, settle_interrupted
from core.messages.placeholders import render
from core.messages.sms.first_templates import DAY_1, DAYS_3, DAYS_7, EXPIRED, EXPIRY
from core.messages.sms.numbers import provider_number
from core.messages.sms.outbox import Message, SmsChannel, Stage, Tally, deliver
from core.messages.sms.recipients import Recipient, recipient_values
from core.messages.sms.settings import DEFAULT_DAYS, Sender, has_sms, sender_in, sender_of
from core.messages.sms.templates import find_templates
from core.panel import Panel
from core.storage.tables import Account, SmsLog, SmsReminderTracking, SmsSettings, User

LOCK = "sms"
REMINDER = "expiry_reminder"
_CALL_SECONDS = 30.0
_EXPIRED = "expired"
# days before the end → the stage as the tracking table names it, and the template that it uses
_STAGES = {7: ("7days", DAYS_7), 3: ("3days", DAYS_3), 1: ("1day", DAY_1)}


@dataclass(frozen=True, slots=True)
class _Subscriber:
    """A user who wants reminders sent: for which accounts, from whose account at the provider, with which texts."""

    user_id: int
    username: str
    sees_all: bool
    sender: Sender | None
    days: int
    expiry_template: str
    is_multistage: bool
    is_observer: bool


@dataclass(frozen=True, slots=True)
class _Due:
    """Accounts that ended on one of ``ends`` (last valid days): ``word`` of the tracking table, None for a number of
    days that it does not know; ``days``: what the texts say."""

    ends: tuple[date, ...]
    days: int
    word: str | None
    only_active: bool

    def claim(self, account: Recipient) -> str:
        return f"expiry:{account.device}:{self.word or self.days}:{account.end_date}"


@dataclass(slots=True)
class _Totals:
    sent: int = 0
    failed: int = 0
    skipped: int = 0


def send_one_stage(run: Run) -> int:
    """J4: each user's own number of days, or the run's. Returns how many messages failed."""

    def plan(connection: Connection, user: _Subscriber, today: date) -> list[tuple[_Due, str | None]]:
        days = run.options.days or user.days
        texts = find_templates(connection, user.user_id, (EXPIRY,))
        word, _ = _STAGES.get(days, (None, ""))
        due = _Due((today + timedelta(days=days),), days, word, only_active=True)
        return [(due, user.expiry_template.strip() or texts.get(EXPIRY))]

    return _sweep(run, "SMS before the end", plan)


def send_stages(run: Run) -> int:
    """J5: 7, 3 and 1 days before the end, and after it. Returns how many messages failed."""
    lookback = run.panel.config.sms.expired_days

    def plan(connection: Connection, user: _Subscriber, today: date) -> list[tuple[_Due, str | None]]:
        if not user.is_multistage:
            run.stamped(f"User {user.username}: stages are switched off")
            return []
        names = (*(template for _, template in _STAGES.values()), EXPIRED)
        texts = find_templates(connection, user.user_id, names)
        stages = [
            (_Due((today + timedelta(days=days),), days, word, only_active=True), texts.get(template))
            for days, (word, template) in _STAGES.items()
        ]
        past = tuple(today - timedelta(days=back) for back in range(1, lookback + 1))
        # whatever their status: the nightly job has usually switched them off by then
        return [*stages, (_Due(past, 0, _EXPIRED, only_active=False), texts.get(EXPIRED))]

    return _sweep(run, "SMS before and after the end, by stages", plan)


def _sweep(run: Run, title: str, plan: Callable[[Connection, _Subscriber, date], list[tuple[_Due, str | None]]]) -> int:
    """All users in turn; the provider's failure at one is no other's."""
    panel, totals = run.panel, _Totals()
    run.stamped(f"{title}: begun")
    if not has_sms(panel):
        run.stamped("This database has no tables for SMS")
        return 0
    settle_interrupted(panel)
    today = panel.clock.today()
    for user in _subscribers(panel):
        if user.is_observer or user.sender is None:
            why = "observers send nothing" if user.is_observer else "no API token or sender number"
            run.stamped(f"SKIP: user {user.username} - {why}")
            continue
        with panel.database.read() as connection:
            planned = plan(connection, user, today)
        for due, text in planned:
            if text is None:
                run.stamped(f"SKIP: user {user.username}, {_title(due)} - no template")
            else:
                _send(run, user, user.sender, due, text, totals)
    run.stamped(f"Total sent: {totals.sent}")
    run.stamped(f"Total skipped: {totals.skipped}")
    run.stamped(f"Total failed: {totals.failed}")
    return totals.failed


def _send(run: Run, user: _Subscriber, sender: Sender, due: _Due, text: str, totals: _Totals) -> None:
    panel = run.panel
    with panel.database.read() as connection:
        accounts = _accounts(connection, user, due)
        informed = _informed(panel, connection, due, accounts)
    messages, unusable = _messages(panel, due, text, [item for item in accounts if item.id not in informed])
    head = f"User {user.username}, {_title(due)}"
    run.stamped(f"{head}: found {len(accounts)}, sent before {len(informed)}, without usable number {unusable}")
    totals.skipped += len(informed) + unusable
    if not messages:
        return
    if run.options.dry_run:
        run.stamped(f"{head}: would send {len(messages)}")
        return
    run.stamped(f"{head}: sending {len(messages)}")
    tally = deliver(
        panel,
        sender,
        sender.user_id,
        messages,
        _CALL_SECONDS,
        lambda tally: run.step(tally.done, len(messages)),
    )
    _tell(run, head, tally)
    totals.sent += tally.sent
    totals.failed += tally.failed
    totals.skipped += tally.known


def _tell(run: Run, head: str, tally: Tally) -> None:
    if tally.error:
        run.stamped(f"FAIL: {head} - {tally.error}")
    run.stamped(
        f"{head}: Sent={tally.sent}, Skipped={tally.known}, Failed={tally.failed}, logged {tally.sent + tally.failed}"
    )


def _title(due: _Due) -> str:
    return due.word or f"{due.days} days"


def _subscribers(panel: Panel) -> list[_Subscriber]:
    """Whoever has switched sending on, oldest settings first."""
    layout = panel.layout
    columns = [c for c in SmsSettings.__table__.c if layout.has_column("_sms_settings", c.name)]
    observer = User.is_observer if layout.has_column("_users", "is_observer") else sa.null().label("is_observer")
    rows = select(*columns, User.username, User.permissions, User.super_user, observer)
    with panel.database.read() as connection:
        inherited = sender_of(panel, connection, None, inherits=True)
        found = connection.execute(
            rows.join_from(SmsSettings, User, User.id == SmsSettings.user_id)
            .where(SmsSettings.auto_send_enabled == 1)
            .order_by(SmsSettings.id)
        ).all()
    return [_subscriber(panel, row, inherited) for row in found]


def _subscriber(panel: Panel, row: Any, inherited: Sender | None) -> _Subscriber:
    is_admin = has_field(row.permissions, RESELLER_ADMIN_FIELD)
    return _Subscriber(
        row.user_id,
        row.username,
        row.super_user == 1,
        sender_in(panel, row) or (inherited if is_admin else None),
        row.days_before_expiry or DEFAULT_DAYS,
        row.expiry_template or "",
        getattr(row, "enable_multistage_reminders", 1) != 0,
        row.is_observer == 1,
    )


def _accounts(connection: Connection, user: _Subscriber, due: _Due) -> list[Recipient]:
    found = select(
        Account.id,
        Account.username,
        Account.full_name,
        Account.mac,
        Account.phone_number,
        stored_day(Account.end_date).label("day"),
    ).where(sa.or_(*(ends_on(Account.end_date, day) for day in due.ends)), Account.phone_number != "")
    if due.only_active:
        found = found.where(Account.status == 1)
    if not user.sees_all:
        found = found.where(Account.reseller == user.user_id)
    return [Recipient.of(row) for row in connection.execute(found.order_by(Account.id))]


def _informed(panel: Panel, connection: Connection, due: _Due, accounts: Sequence[Recipient]) -> set[int]:
    """The ids of those of ``accounts`` that got this reminder before, from us or from the PHP panel."""
    if not accounts:
        return set()
    found = claimed_names(connection, SmsChannel, [due.claim(account) for account in accounts])
    devices = _tracked(panel, connection, due) if due.word else _texted_today(panel, connection)
    return {
        account.id
        for account in accounts
        if due.claim(account) in found
        or (account.device, account.end_date) in devices
        or (f"#{account.id}", account.end_date) in devices
        or (account.device, None) in devices
    }


def _tracked(panel: Panel, connection: Connection, due: _Due) -> set[tuple[str, date | None]]:
    """MACs (and ids, as ``#1``) with the end dates that the tracking table has for this stage."""
    if not panel.layout.has_table("_sms_reminder_tracking"):
        return set()
    has_mac = panel.layout.has_column("_sms_reminder_tracking", "mac")
    rows = connection.execute(
        select(
            SmsReminderTracking.account_id,
            SmsReminderTracking.mac if has_mac else sa.null().label("mac"),
            SmsReminderTracking.end_date,
        ).where(SmsReminderTracking.reminder_stage == due.word, SmsReminderTracking.end_date.in_(due.ends))
    )
    return {((row.mac or "").strip().upper() or f"#{row.account_id}", row.end_date) for row in rows}


def _texted_today(panel: Panel, connection: Connection) -> set[tuple[str, date | None]]:
    """MACs that got any reminder today: all that the PHP panel remembers of a number of days without a stage."""
    start = datetime.combine(panel.clock.today(), time())
    macs = connection.scalars(
        select(SmsLog.mac).where(
            SmsLog.message_type == REMINDER, SmsLog.status == "sent", SmsLog.sent_at >= start, SmsLog.mac.is_not(None)
        )
    )
    return {(mac.strip().upper(), None) for mac in macs if mac}


def _messages(panel: Panel, due: _Due, text: str, accounts: Sequence[Recipient]) -> tuple[list[Message], int]:
    """The messages, and how many accounts have no usable number."""
    messages: list[Message] = []
    for account in accounts:
        number = provider_number(account.phone, panel.config.country_code)
        if number is None or account.end_date is None:
            continue
        values = recipient_values(account, panel.clock.today(), days=due.days)
        messages.append(
            Message(
                claim=due.claim(account),
                number=number,
                text=render(text, values),
                kind=REMINDER,
                account_id=account.id,
                mac=account.mac,
                recipient=account.name or None,
                stage=Stage(due.word, account.end_date) if due.word else None,
            )
        )
    return messages, len(accounts) - len(messages)


SMS_EXPIRY = ScheduledJob(
    "sms-expiry",
    "cron_send_expiry_sms.php",
    LOCK,
    "0 9 * * *",
    "SMS to customers whose account ends in each user's number of days",
    send_one_stage,
)
SMS_STAGES = ScheduledJob(
    "sms-stages",
    "cron_multistage_expiry_reminders.php",
    LOCK,
    "0 9 * * *",
    "SMS to customers 7, 3 and 1 days before their account ends, and after it",
    send_stages,
)
