"""On which days of a range there is something to see, for the calendars of the frontend.

Source: contract chapter 40 §3.12. A page asks some 300 times at once: one statement each, over an index.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import func, select

from core.access.actors import Actor
from core.access.permissions import (
    READ_AUDIT_DATES,
    READ_LEDGER_DATES,
    READ_MESSAGE_DATES,
    Right,
    Scope,
    require,
    scope_of,
)
from core.errors import DatabaseFailed, InvalidInput
from core.panel import Panel
from core.storage.tables import AuditEntry, ExpiryReminder, ResellerPayment, SmsLog, Transaction
from core.values.days import day_of_a_filter

# zones change at full quarters of an hour only, so all moments of one are of one day
_QUARTER_HOUR = 900
# what the column holds, whole days of any zone
_FIRST_DAY, _LAST_DAY = date(1901, 12, 15), date(2038, 1, 17)


@dataclass(frozen=True, slots=True)
class Days:
    """The days (ascending) from ``start`` to ``end``, both included, that have data."""

    found: list[date]
    start: date
    end: date


@dataclass(frozen=True, slots=True)
class _Source:
    """``column``: a date, a local date-time or Unix seconds. ``owner``: the column of the user whose rows they are."""

    column: Any
    owner: Any
    right: Right
    find: Callable[[Panel, "_Source", list[Any], date, date], set[date]]


def dates_with_data(
    panel: Panel, actor: Actor, *, kind: str, start: str = "", end: str = "", reseller_id: int | None = None
) -> Days:
    """Days with rows of ``kind`` that the actor may see; the range defaults to the current month.

    ``reseller_id`` narrows what an admin sees, and nobody else's view. Raises InvalidInput, NotAllowed, DatabaseFailed.
    """
    first, last = _range(panel.clock.today(), start, end)
    source = _SOURCES.get(kind)
    if source is None:
        raise InvalidInput.of("type", "expected one of " + ", ".join(_SOURCES))
    require(actor, source.right)
    if not panel.layout.has_table(source.column.class_.__tablename__):
        raise DatabaseFailed("This database has no table for these dates yet; run the database upgrade first")
    narrowed = reseller_id if actor.super_user or not actor.is_observer else None
    owner = actor.id if scope_of(actor, source.right) is Scope.OWN else narrowed
    owned = [] if owner is None or source.owner is None else [source.owner == owner]
    return Days(sorted(source.find(panel, source, owned, first, last)), first, last)


def _range(today: date, start: str, end: str) -> tuple[date, date]:
    first = day_of_a_filter(start, "start_date") if start else today.replace(day=1)
    following = (today.replace(day=28) + timedelta(days=4)).replace(day=1)
    last = day_of_a_filter(end, "end_date") if end else following - timedelta(days=1)
    if first > last:
        raise InvalidInput("The {field} is after the end_date", field="start_date")
    return first, last


def _dates(panel: Panel, source: _Source, owned: list[Any], first: date, last: date) -> set[date]:
    return _distinct(panel, source.column, [*owned, source.column.between(first, last)])


def _moments(panel: Panel, source: _Source, owned: list[Any], first: date, last: date) -> set[date]:
    start, end = (datetime.combine(day, time.min) for day in (first, last))
    column = source.column
    # not "before the next day": the last day of the calendar has none
    in_range = [column >= start, column <= end.replace(hour=23, minute=59, second=59, microsecond=999999)]
    return _distinct(panel, func.date(column), [*owned, *in_range])


def _stamps(panel: Panel, source: _Source, owned: list[Any], first: date, last: date) -> set[date]:
    """The database cannot tell the zone's days: it tells the quarters of an hour, and these are few."""
    column, clock = source.column, panel.clock
    if first > _LAST_DAY or last < _FIRST_DAY:
        return set()
    start = clock.first_stamp(max(first, _FIRST_DAY))
    end = clock.first_stamp(min(last, _LAST_DAY) + timedelta(days=1))
    quarter = column - column % _QUARTER_HOUR
    with panel.database.read() as connection:
        quarters = connection.scalars(select(quarter).distinct().where(*owned, column >= start, column < end)).all()
    return {clock.local(int(stamp)).date() for stamp in quarters}


def _distinct(panel: Panel, day: sa.ColumnElement[Any], conditions: list[Any]) -> set[date]:
    with panel.database.read() as connection:
        found = connection.scalars(select(day).distinct().where(*conditions)).all()
    # SQLite's function gives text
    return {date.fromisoformat(str(value)[:10]) for value in found}


_SOURCES = {
    "sms_history": _Source(SmsLog.sent_at, SmsLog.sent_by, READ_MESSAGE_DATES, _moments),
    "reminder_history": _Source(ExpiryReminder.sent_at, ExpiryReminder.sent_by, READ_MESSAGE_DATES, _moments),
    "audit_log": _Source(AuditEntry.timestamp, None, READ_AUDIT_DATES, _moments),
    "payments": _Source(ResellerPayment.payment_date, ResellerPayment.reseller_id, READ_LEDGER_DATES, _dates),
    "transactions": _Source(Transaction.timestamp, Transaction.for_user, READ_LEDGER_DATES, _stamps),
}
