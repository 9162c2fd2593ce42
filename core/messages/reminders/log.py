"""The reminders that were sent, as the panel shows them by day, and their deletion after some time.

Source: contract chapter 60, ``get_reminder_history.php`` and J7.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection, delete, func, select
from sqlalchemy.orm import aliased

from core.access.actors import Actor
from core.access.permissions import READ_REMINDERS, Scope, require, scope_of
from core.accounts.end_dates import stored_day
from core.jobs.scheduled import Run, ScheduledJob
from core.messages.reminders.store import SENT
from core.panel import Panel
from core.storage.tables import Account, ExpiryReminder
from core.values.clock import following

TABLE = ExpiryReminder.__tablename__
KEPT_DAYS = 90


class LogRow(NamedTuple):
    """A row as stored. ``end_day``: a day, or what a legacy database has instead; ``reseller``: the account's present
    owner."""

    id: int
    account_id: int
    mac: str
    username: str
    full_name: str | None
    end_day: str
    days_before: int
    sent_at: datetime
    sent_by: int
    message: str | None
    status: str | None
    error_message: str | None
    reseller: int | None

    @property
    def is_sent(self) -> bool:
        return self.status == SENT

    @property
    def reminder_day(self) -> str:
        """Old panels stored the end date itself, so the column tells nothing."""
        try:
            return (date.fromisoformat(self.end_day) - timedelta(days=self.days_before)).isoformat()
        except (ValueError, OverflowError):
            return self.end_day


def read_log(panel: Panel, actor: Actor, day: date) -> list[LogRow]:
    """What was sent on ``day``, newest first. What others sent is shown to admins only. Raises NotAllowed."""
    require(actor, READ_REMINDERS)
    if not panel.layout.has_table(TABLE):
        return []
    start = datetime.combine(day, time())
    chosen = _ROWS.where(
        ExpiryReminder.sent_at >= start, ExpiryReminder.sent_at < datetime.combine(following(day), time())
    )
    if scope_of(actor, READ_REMINDERS) is not Scope.ALL:
        chosen = chosen.where(ExpiryReminder.sent_by == actor.id)
    with panel.database.read() as connection:
        return [LogRow._make(row) for row in connection.execute(chosen)]


_BY_ID, _BY_MAC, _SAME_MAC = aliased(Account), aliased(Account), aliased(Account)
# an id may be stale after another panel's sync; a MAC may belong to several accounts, of which the oldest is meant
_OLDEST = select(func.min(_SAME_MAC.id)).where(_SAME_MAC.mac == ExpiryReminder.mac).scalar_subquery()
_ROWS = (
    select(
        ExpiryReminder.id,
        ExpiryReminder.account_id,
        ExpiryReminder.mac,
        ExpiryReminder.username,
        ExpiryReminder.full_name,
        stored_day(ExpiryReminder.end_date),
        ExpiryReminder.days_before,
        ExpiryReminder.sent_at,
        ExpiryReminder.sent_by,
        ExpiryReminder.message,
        ExpiryReminder.status,
        ExpiryReminder.error_message,
        sa.case((_BY_ID.id.is_not(None), _BY_ID.reseller), else_=_BY_MAC.reseller),
    )
    .outerjoin(_BY_ID, _BY_ID.id == ExpiryReminder.account_id)
    .outerjoin(_BY_MAC, sa.and_(_BY_ID.id.is_(None), _BY_MAC.mac == ExpiryReminder.mac, _BY_MAC.id == _OLDEST))
    .order_by(ExpiryReminder.sent_at.desc(), ExpiryReminder.id.desc())
)


# the monthly clean-up, J7


def _clean_up(run: Run) -> int:
    panel = run.panel
    if not panel.layout.has_table(TABLE):
        run.stamped("There is no reminder history")
        return 0
    old = ExpiryReminder.sent_at < panel.clock.now() - timedelta(days=KEPT_DAYS)
    if run.options.dry_run:
        with panel.database.read() as connection:
            run.stamped(f"Would delete: {connection.scalar(_COUNT.where(old))}")
        return 0
    for label, count in _delete(panel, old):
        run.stamped(f"{label}: {count}")
    return 0


def clear_log(panel: Panel) -> int:
    """Delete every row, and return how many. Reminders that are due today may be sent once more after it."""
    return dict(_delete(panel, sa.true()))["Deleted"]


_COUNT = select(func.count()).select_from(ExpiryReminder)


def _delete(panel: Panel, which: sa.ColumnElement[bool]) -> Iterator[tuple[str, int]]:
    def act(connection: Connection) -> tuple[int, int]:
        before = connection.scalar(_COUNT) or 0
        deleted = connection.execute(delete(ExpiryReminder).where(which)).rowcount
        return before, deleted

    before, deleted = panel.database.transact(act)
    yield from (("Before", before), ("Deleted", deleted), ("After", before - deleted))


CLEANUP = ScheduledJob(
    name="cleanup-reminders",
    script="cleanup_old_reminders.php",
    lock="cleanup-reminders",
    usual="0 2 1 * *",
    summary=f"Delete reminders that were sent more than {KEPT_DAYS} days ago",
    run=_clean_up,
)
