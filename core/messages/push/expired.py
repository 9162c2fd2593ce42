"""J2: owners and reseller admins are told by push that an account has expired. Source: contract chapters 70 and 60, J2.

The way of a message is :mod:`core.messages.delivery`'s; ``_push_expiry_tracking`` remembers what was told. When no
device was reached it forgets it again, and the next run within the window tries once more.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

import sqlalchemy as sa
from sqlalchemy import Connection, delete, select

from core.accounts.end_dates import ends_on, stored_day
from core.jobs import jobs
from core.jobs.events import announce
from core.jobs.scheduled import Run, ScheduledJob
from core.messages.delivery import Channel, Claimed, Delivery, Outbox, Outcome, settle_interrupted
from core.messages.events import ExpiredSwept
from core.messages.push.audience import TABLE as DEVICES
from core.messages.push.audience import Audience, forget_orphans
from core.messages.push.client import Device
from core.messages.push.message import Message, shown_value
from core.messages.push.sending import Sender
from core.panel import Panel
from core.storage.tables import Account, PushExpiryTracking
from core.storage.writing import insert_if_absent

log = logging.getLogger(__name__)

TRACKING = PushExpiryTracking.__tablename__
_KEPT = timedelta(days=30)
_WHOLE_DAY = ("", "00:00", "23:59")


@dataclass(frozen=True, slots=True)
class Expired:
    """An account whose last valid day was ``day``; ``shown_end``: with the hour, where the column tells one."""

    id: int
    username: str
    full_name: str
    mac: str
    owner: int | None
    day: date
    shown_end: str

    @property
    def shown_name(self) -> str:
        return shown_value(self.full_name) or self.username

    @property
    def key(self) -> str:
        return self.mac.upper() or f"#{self.id}"

    def message(self) -> Message:
        return Message(
            title="⚠️ Account expired",
            body=f"⚠️ {self.shown_name} has expired ({self.shown_end})",
            tag=f"expiry-{self.mac or self.id}-{self.day}",
            data={
                "type": "expiry",
                "account": self.shown_name,
                "username": shown_value(self.username),
                "expiry": self.day.isoformat(),
                "url": "/dashboard.php?tab=accounts",
            },
        )


class _Tracking(Channel[Expired, Delivery]):
    """What was told already, and what this run adds to it."""

    name = "push-expired"
    # _push_expiry_tracking remembers
    keeps_claims = False

    def __init__(self, panel: Panel, days: Sequence[date]) -> None:
        self._panel = panel
        self._has_mac = _prepare(panel)
        with panel.database.read() as connection:
            self._told = self._read(connection, days)

    def _read(self, connection: Connection, days: Sequence[date]) -> set[tuple[str, date]]:
        model = PushExpiryTracking
        mac = model.mac if self._has_mac else sa.null().label("mac")
        rows = connection.execute(
            select(model.account_id, model.expiry_date, mac).where(model.expiry_date.in_(days))
        ).all()
        by_id = {(f"#{row.account_id}", row.expiry_date) for row in rows}
        return by_id | {(row.mac.upper(), row.expiry_date) for row in rows if row.mac}

    def has(self, account: Expired) -> bool:
        return not self._told.isdisjoint({(f"#{account.id}", account.day), (account.key, account.day)})

    def claim_name(self, message: Expired) -> str:
        return f"{message.key}:{message.day}"

    def write_down(self, connection: Connection, message: Expired) -> int | None:
        """None: somebody else, such as a panel beside us, has told it meanwhile."""
        values: dict[str, object] = {
            "account_id": message.id,
            "expiry_date": message.day,
            "notified_at": self._panel.clock.now(),
        }
        if self._has_mac:
            values["mac"] = message.mac or None
        self._told.add((message.key, message.day))
        return 0 if insert_if_absent(connection, PushExpiryTracking, **values) else None

    def settle(self, connection: Connection, claimed: Sequence[Claimed[Expired]], delivery: Delivery) -> None:
        if delivery.outcome is not Outcome.REFUSED:
            return
        model = PushExpiryTracking
        for account, _ in claimed:
            row = (model.account_id == account.id) & (model.expiry_date == account.day)
            connection.execute(delete(model).where(row))
            self._told.discard((account.key, account.day))


def _prepare(panel: Panel) -> bool:
    """Forget what is old; make the table where an old panel lacks it. Whether the table has our column."""
    if not panel.layout.has_table(TRACKING):
        create = partial(PushExpiryTracking.__table__.create, checkfirst=True)  # type: ignore[attr-defined]
        panel.database.transact(create)
        return True

    def act(connection: Connection) -> None:
        old = panel.clock.now() - _KEPT
        connection.execute(delete(PushExpiryTracking).where(PushExpiryTracking.notified_at < old))

    panel.database.transact(act)
    return panel.layout.has_column(TRACKING, "mac")


def last_days(panel: Panel) -> list[date]:
    """The last valid days of accounts that are to be reported now, newest first."""
    clock, today = panel.clock, panel.clock.today()
    since = clock.stamp() - 3600 * panel.config.push.expired_hours
    days = [today - timedelta(days=1)]
    # a day's end is the next one's beginning
    while clock.first_stamp(days[-1]) > since:
        days.append(days[-1] - timedelta(days=1))
    return days


def expired_accounts(panel: Panel, days: Sequence[date]) -> list[Expired]:
    """All that ended on one of ``days``, whatever their status, the newest first."""
    end = sa.func.substr(sa.cast(Account.end_date, sa.String(20)), 12, 5)
    rows = (
        select(
            Account.id,
            Account.username,
            Account.full_name,
            Account.mac,
            Account.reseller,
            stored_day(Account.end_date).label("day"),
            end.label("hour"),
        )
        .where(sa.or_(*(ends_on(Account.end_date, day) for day in days)))
        .order_by(Account.end_date.desc(), Account.id)
    )
    with panel.database.read() as connection:
        return [
            Expired(
                row.id,
                row.username or "",
                row.full_name or "",
                (row.mac or "").strip(),
                row.reseller or None,
                date.fromisoformat(row.day),
                row.day if (row.hour or "") in _WHOLE_DAY else f"{row.day} {row.hour}",
            )
            for row in connection.execute(rows)
        ]


@dataclass(slots=True)
class _Counts:
    sent: int = 0
    skipped: int = 0
    failed: int = 0


def _run(run: Run) -> int:
    panel, counts = run.panel, _Counts()
    days = last_days(panel)
    panel.layout  # noqa: B018 - creates our tables where they are missing
    accounts = expired_accounts(panel, days)
    if not panel.layout.has_table(DEVICES):
        counts.skipped = len(accounts)
    elif run.options.dry_run:
        tracking, audience = _Tracking(panel, days), Audience.load(panel)
        due = [account for account in accounts if not tracking.has(account) and _devices(audience, account)]
        run.line(f"Would send: {len(due)}")
        return 0
    else:
        settle_interrupted(panel)
        forget_orphans(panel)
        _tell_all(run, accounts, _Tracking(panel, days), counts)
    if accounts and not run.options.dry_run:

        def act(connection: Connection) -> None:
            announce(panel, connection, ExpiredSwept(0, tuple(days)))

        panel.database.transact(act)
        jobs.ring(panel)
    told = f"Sent: {counts.sent}, Skipped: {counts.skipped}, Failed: {counts.failed}"
    run.line(f"{panel.clock.now().isoformat(sep=' ')} - Expired accounts reported by push. {told}")
    return counts.failed


def _tell_all(run: Run, accounts: Sequence[Expired], tracking: _Tracking, counts: _Counts) -> None:
    audience, outbox = Audience.load(run.panel), Outbox(run.panel, tracking)
    with Sender(run.panel) as sender:
        for number, account in enumerate(accounts, start=1):
            devices = _devices(audience, account)
            if tracking.has(account) or not devices:
                counts.skipped += 1
                continue
            call = partial(_tell, run, sender, audience, devices)
            _, delivery = outbox.deliver([account], call)
            if delivery is None:
                counts.skipped += 1
            elif delivery.outcome is Outcome.SENT:
                counts.sent += 1
            else:
                counts.failed += 1
            run.step(number, len(accounts))


def _tell(
    run: Run, sender: Sender, audience: Audience, devices: Sequence[Device], accounts: Sequence[Expired]
) -> Delivery:
    """Refused when no device was reached, however that came: the contract wants it tried again."""
    [account] = accounts
    reached = sender.send(devices, account.message(), run.held.renew, patiently=True)
    audience.forget(reached.ended)
    log.info("account %d: %d devices reached, %d not", account.id, reached.sent, reached.failed)
    return Delivery(Outcome.SENT if reached.sent else Outcome.REFUSED)


def _devices(audience: Audience, account: Expired) -> list[Device]:
    """Of the owner, unless that is a super admin, and of all reseller admins."""
    owner = set() if account.owner is None else {account.owner} - audience.super_admins
    return audience.devices_of(owner | audience.reseller_admins)


PUSH_EXPIRED = ScheduledJob(
    name="push-expired",
    script="cron_check_expired.php",
    lock="push-expired",
    usual="*/10 * * * *",
    summary="Tell owners and reseller admins by push that accounts have expired",
    run=_run,
)
