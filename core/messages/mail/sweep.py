"""J6: customers are reminded by mail 7, 3 and 1 days before their account ends, and told when it has ended.

Source: contract chapters 60, J6, and 80, ``cron_send_expiry_mail.php``. No customer's address is printed.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import select

from core.accounts.end_dates import ends_on, stored_day
from core.jobs.scheduled import Run, ScheduledJob
from core.messages.delivery import Delivery, Outbox, Outcome, settle_interrupted
from core.messages.mail.message import Mail, NotSendable, customer_values, encoded, filled
from core.messages.mail.outbox import Letter, Subject, Tracking, copies, forget_old
from core.messages.mail.settings import (
    EXPIRED,
    EXPIRY,
    MailBook,
    MailServer,
    Settings,
    Template,
    has_mail,
    usable_address,
)
from core.messages.mail.smtp import MailSession
from core.messages.pace import Pace
from core.panel import Panel
from core.storage.tables import Account, Plan

PAUSE_SECONDS = 0.2
# days before the end → stage
_STAGES = {7: 1, 3: 2, 1: 3}
_EXPIRED_STAGE = 4


@dataclass(frozen=True, slots=True)
class Due:
    """An account with an address that ends, or ended, on a day that some stage may be about."""

    id: int
    username: str
    full_name: str
    mac: str
    email: str
    owner: int | None
    day: date
    is_active: bool
    plan_name: str = ""

    def values(self, days: int) -> dict[str, str]:
        return customer_values(
            name=self.full_name,
            username=self.username,
            mac=self.mac,
            end_date=self.day,
            days=days,
            plan_name=self.plan_name,
        )


@dataclass(frozen=True, slots=True)
class Item:
    """One mail of a run."""

    due: Due
    stage: int
    days: int
    sender_id: int
    settings: Settings

    @property
    def subject(self) -> Subject:
        return Subject(self.due.id, self.due.mac, self.stage, self.due.day)

    @property
    def template_name(self) -> str:
        return EXPIRED if self.stage == _EXPIRED_STAGE else EXPIRY


@dataclass(slots=True)
class _Counts:
    processed: int = 0
    sent: int = 0
    already_sent: int = 0
    failed: int = 0


@dataclass(slots=True)
class _Servers:
    """One session and one outbox for each mail server, so that one which is given up hinders no other."""

    panel: Panel
    tracking: Tracking
    stack: ExitStack
    sessions: dict[MailServer, MailSession] = field(default_factory=dict)
    outboxes: dict[MailServer, Outbox[Letter, Delivery]] = field(default_factory=dict)

    def session(self, server: MailServer) -> MailSession:
        if server not in self.sessions:
            session = MailSession(server, verify_tls=self.panel.config.mail.verify_tls)
            self.sessions[server] = self.stack.enter_context(session)
        return self.sessions[server]

    def outbox(self, server: MailServer) -> Outbox[Letter, Delivery]:
        if server not in self.outboxes:
            self.outboxes[server] = Outbox(self.panel, self.tracking)
        return self.outboxes[server]


def plan(panel: Panel, book: MailBook) -> list[Item]:
    """Who is to be written to today, stage by stage; what was sent already is still among them."""
    today, lookback = panel.clock.today(), panel.config.mail.expired_days
    ahead = {*_STAGES, *(settings.days for settings in book.all_settings if not settings.is_multistage)}
    past = [today - timedelta(days=back) for back in range(1, lookback + 1)]
    items = [
        item
        for due in _accounts(panel, [today + timedelta(days=days) for days in sorted(ahead)], past)
        if (item := _item(book, due, today)) is not None
    ]
    return sorted(items, key=lambda item: (item.stage, item.due.id))


def _accounts(panel: Panel, ahead: Sequence[date], past: Sequence[date]) -> Iterator[Due]:
    """Of those that have ended also the inactive ones: the nightly job has usually switched them off by then."""
    before = sa.and_(Account.status == 1, sa.or_(*(ends_on(Account.end_date, day) for day in ahead)))
    after = sa.or_(*(ends_on(Account.end_date, day) for day in past))
    chosen = (
        select(
            Plan.name.label("plan_name"),
            Account.id,
            Account.username,
            Account.full_name,
            Account.mac,
            Account.email,
            Account.reseller,
            stored_day(Account.end_date).label("day"),
            Account.status,
        )
        .join_from(Account, Plan, Plan.id == Account.plan, isouter=True)
        .where(Account.email != "", sa.or_(before, after))
    )
    with panel.database.read() as connection:
        rows = connection.execute(chosen.order_by(Account.id)).all()
    for row in rows:
        if (email := usable_address(row.email)) is not None:
            mac, day = (row.mac or "").strip(), date.fromisoformat(row.day)
            yield Due(
                row.id,
                row.username or "",
                row.full_name or "",
                mac,
                email,
                row.reseller or None,
                day,
                row.status == 1,
                row.plan_name or "",
            )


def _item(book: MailBook, due: Due, today: date) -> Item | None:
    """None when the settings that apply want no mail about this account today."""
    sender_id = book.sender_for(due.owner)
    settings = None if sender_id is None else book.settings_for(sender_id)
    if sender_id is None or settings is None or not settings.sends_expiry:
        return None
    days = (due.day - today).days
    if days < 0:
        stage: int | None = _EXPIRED_STAGE
    elif settings.is_multistage:
        stage = _STAGES.get(days)
    else:
        # the only stage before the end is tracked as the first
        stage = 1 if days == settings.days else None
    return None if stage is None else Item(due, stage, max(0, days), sender_id, settings)


def _run(run: Run) -> int:
    """How many mails failed."""
    panel, started = run.panel, time.monotonic()
    panel.layout  # noqa: B018 - prepares the database
    if not has_mail(panel):
        run.stamped("This database has no tables for mail")
        return 0
    book = MailBook.load(panel)
    if not book.all_settings:
        run.stamped("Mail is not configured")
    lookback = timedelta(days=panel.config.mail.expired_days - 1)
    if not run.options.dry_run and (interrupted := settle_interrupted(panel)):
        run.stamped(f"{interrupted} messages of an interrupted run may have arrived, and are not sent again")
    tracking, counts = Tracking(panel, panel.clock.today() - lookback), _Counts()
    with ExitStack() as stack:
        _send_all(run, book, plan(panel, book), _Servers(panel, tracking, stack), counts)
    if not run.options.dry_run:
        forget_old(panel)
    run.stamped(f"Processed: {counts.processed}")
    run.stamped(f"Sent: {counts.sent}")
    run.stamped(f"Already sent: {counts.already_sent}")
    run.stamped(f"Failed: {counts.failed}")
    run.stamped(f"Time: {time.monotonic() - started:.1f} s")
    return counts.failed


def _send_all(run: Run, book: MailBook, items: Sequence[Item], servers: _Servers, counts: _Counts) -> None:
    pace, stage = Pace(PAUSE_SECONDS), 0
    for number, item in enumerate(items, start=1):
        if item.stage != stage:
            stage = item.stage
            run.stamped(f"Stage {stage}: {sum(other.stage == stage for other in items)} accounts")
        counts.processed += 1
        template = book.template_for(item.sender_id, item.template_name)
        if servers.tracking.has(item.subject):
            counts.already_sent += 1
        elif template is None:
            run.stamped(f"SKIP: {item.due.username} - no template {item.template_name}")
        elif run.options.dry_run:
            run.stamped(f"WOULD SEND: {item.due.username}, stage {item.stage}")
        elif servers.outbox(item.settings.server).is_given_up:
            counts.failed += 1
            run.stamped(f"FAIL: {item.due.username} - not tried: the mail server failed again and again")
        else:
            _send(run, book, item, template, servers, counts, pace)
            run.step(number, len(items))


def _send(
    run: Run,
    book: MailBook,
    item: Item,
    template: Template,
    servers: _Servers,
    counts: _Counts,
    pace: Pace,
) -> None:
    panel, mail = run.panel, _mail(run.panel, book, item, template)
    try:
        message = encoded(mail, item.settings, datetime.fromtimestamp(panel.clock.stamp(), panel.clock.zone))
    except NotSendable:
        counts.failed += 1
        run.stamped(f"FAIL: {item.due.username} - the mail cannot be written with these settings")
        return
    server = item.settings.server

    def call(_: Sequence[Letter]) -> Delivery:
        pace.wait()
        delivery = servers.session(server).send(item.settings.from_email, mail.envelope, message)
        pace.sent()
        return delivery

    _, delivery = servers.outbox(server).deliver([Letter(item.subject, mail, item.sender_id)], call)
    if delivery is None:
        counts.already_sent += 1
    elif delivery.outcome is Outcome.SENT:
        counts.sent += 1
        run.stamped(f"SENT: {item.due.username}, stage {item.stage}")
    else:
        counts.failed += 1
        run.stamped(f"FAIL: {item.due.username} - {delivery.error}")


def _mail(panel: Panel, book: MailBook, item: Item, template: Template) -> Mail:
    """Copies go to the owner only, never to the admins: they would get one for each customer."""
    text = filled(template, item.due.values(item.days))
    owner = book.address_of(item.sender_id) if item.settings.notifies_reseller else None
    return Mail(
        recipient=item.due.email,
        recipient_name=item.due.full_name,
        subject=text.subject,
        html=text.html,
        plain=text.plain,
        copies=copies([owner], item.due.email),
        are_copies_hidden=panel.config.mail.copy_mode == "bcc",
    )


MAIL_EXPIRY = ScheduledJob(
    name="mail-expiry",
    script="cron_send_expiry_mail.php",
    lock="mail-expiry",
    usual="0 9 * * *",
    summary="Mail to customers 7, 3 and 1 days before their account ends, and after it",
    run=_run,
)
