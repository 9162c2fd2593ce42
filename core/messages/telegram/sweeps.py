"""What the bot tells by the clock: accounts that end soon or have ended, beside J1 and J2, and the daily report.

One message for each recipient, device, kind and end date; the claims of the outbox remember them. Source: contract
chapter 80, "Who is told", and README, "Telegram on jobs J1/J2".
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, select

from core.access.actors import RESELLER_ADMIN_FIELD, has_field
from core.accounts.end_dates import ends_on, stored_day
from core.jobs.events import hears
from core.jobs.jobs import Work
from core.jobs.scheduled import Run, ScheduledJob
from core.messages.events import EndsAheadSwept, ExpiredSwept
from core.messages.telegram import templates
from core.messages.telegram.audience import DASH, Notice, is_in_use, listeners, tell_all
from core.panel import Panel
from core.storage.tables import Account, User
from core.values import money
from core.values.currencies import shown_currency

_SOON_DAYS = 7


@hears(EndsAheadSwept, job="telegram_expiring")
def expiring(work: Work, event: EndsAheadSwept) -> None:
    """Admins and owners, of active accounts."""
    key = templates.EXPIRY_1 if event.days <= 1 else templates.EXPIRY_3 if event.days <= 3 else templates.EXPIRY_7
    day = event.today + timedelta(days=event.days)
    _tell(work.panel, [day], Account.status == 1, "expiry_reminder", key, "notify_expiry", str(event.days))


@hears(ExpiredSwept, job="telegram_expired")
def expired(work: Work, event: ExpiredSwept) -> None:
    """Admins and owners, of accounts in any state: the nightly job has usually switched them off by then."""
    _tell(work.panel, event.days, sa.true(), "expired", templates.EXPIRED, "notify_expired", "0")


def _tell(
    panel: Panel, ends: Sequence[date], where: sa.ColumnElement[bool], kind: str, template: str, switch: str, days: str
) -> None:
    token = is_in_use(panel)
    if token is None or not ends:
        return
    with panel.database.read() as connection:
        # nobody listens on most panels
        rows = _accounts(connection, ends, where) if listeners(panel, connection, switch) else []
    tell_all(panel, token, _notices(rows, kind, template, switch, days))


def _accounts(connection: Connection, ends: Sequence[date], where: sa.ColumnElement[bool]) -> Sequence[Any]:
    found = (
        select(
            Account.id,
            Account.username,
            Account.full_name,
            Account.mac,
            Account.reseller,
            stored_day(Account.end_date).label("day"),
            User.username.label("owner"),
        )
        .outerjoin(User, User.id == Account.reseller)
        .where(sa.or_(*(ends_on(Account.end_date, day) for day in ends)), where)
    )
    return connection.execute(found.order_by(Account.id)).all()


def _notices(rows: Sequence[Any], kind: str, template: str, switch: str, days: str) -> Iterator[Notice]:
    for row in rows:
        mac = (row.mac or "").strip().upper()
        values = {
            "name": row.full_name or row.username or "",
            "mac": mac,
            "expiry_date": row.day,
            "days": days,
            "reseller_name": row.owner or DASH,
        }
        yield Notice(
            claim=f"{kind}:{mac or f'#{row.id}'}:{row.day}",
            kind=kind,
            template=template,
            switch=switch,
            values=values,
            user_ids=frozenset({row.reseller} if row.reseller else ()),
            to_admins=True,
            account_id=row.id,
            mac=mac or None,
        )


# the daily report


def _report(run: Run) -> int:
    """How many reports did not go out."""
    panel = run.panel
    panel.layout  # noqa: B018 - prepares the database
    token = is_in_use(panel)
    if token is None:
        run.stamped("Telegram is not set up")
        return 0
    with panel.database.read() as connection:
        wanted = [who.user_id for who in listeners(panel, connection, "notify_daily_report")]
        notices = [_report_of(panel, connection, user_id) for user_id in wanted]
    if run.options.dry_run:
        run.stamped(f"Would send: {len(notices)}")
        return 0
    tally = tell_all(panel, token, notices)
    run.stamped(f"Sent: {tally.sent}, already sent: {tally.known}, failed: {tally.failed}")
    return tally.failed


def _report_of(panel: Panel, connection: Connection, user_id: int) -> Notice:
    """Of the user's accounts; of all for those who see all."""
    today = panel.clock.today()
    columns = (User.balance, User.currency_id, User.super_user, User.permissions)
    user = connection.execute(select(*columns).where(User.id == user_id)).one()
    sees_all = user.super_user == 1 or has_field(user.permissions, RESELLER_ADMIN_FIELD)
    mine = [] if sees_all else [Account.reseller == user_id]

    def count(*where: sa.ColumnElement[bool]) -> str:
        return str(connection.scalar(select(sa.func.count()).select_from(Account).where(*mine, *where)) or 0)

    midnight = datetime.combine(today, time(), panel.clock.zone).timestamp()
    soon = sa.and_(Account.end_date >= today, Account.end_date < today + timedelta(days=_SOON_DAYS + 1))
    currency = shown_currency(user.currency_id) or ""
    values = {
        "date": today.isoformat(),
        "active_accounts": count(Account.status == 1),
        "expiring_soon": count(Account.status == 1, soon),
        "expired_today": count(ends_on(Account.end_date, today - timedelta(days=1))),
        "new_today": count(Account.timestamp >= int(midnight)),
        "balance": money.shown(Decimal(str(user.balance or 0)), currency),
        "currency": currency,
    }
    return Notice(
        claim=f"daily_report:{today}",
        kind=templates.DAILY_REPORT,
        template=templates.DAILY_REPORT,
        switch="notify_daily_report",
        values=values,
        user_ids=frozenset({user_id}),
    )


DAILY_REPORT = ScheduledJob(
    name="telegram-report",
    script="cron_telegram_daily_report.php",
    lock="telegram-report",
    usual="0 21 * * *",
    summary="The day's numbers by Telegram, to users who wish them",
    run=_report,
)
