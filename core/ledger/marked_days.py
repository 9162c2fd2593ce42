"""On which days of a range there is something to see, for the calendars of the frontend.

Source: contract chapter 40 §3.12. A page asks some 300 times at once: one statement each, over an index.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam, func, select

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
from core.storage.caching import freshness
from core.storage.lookups import AnySelect
from core.storage.tables import AuditEntry, ExpiryReminder, ResellerPayment, SmsLog, Transaction
from core.values.days import day_of_a_filter

# zones change at full quarters of an hour only, so all moments of one are of one day
_QUARTER_HOUR = 900
# what the column holds, whole days of any zone
_FIRST_DAY, _LAST_DAY = date(1901, 12, 15), date(2038, 1, 17)
_LEDGER = freshness.Watched(select(Transaction.id), ("transactions",), (Transaction.__tablename__,), ())


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
    find: Callable[[Panel, "_Source", int | None, date, date], set[date]]

    def owned(self, owner: int | None) -> list[Any]:
        """Conditions for the rows of that user, or for all."""
        return [] if owner is None or self.owner is None else [self.owner == owner]


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
    return Days(sorted(source.find(panel, source, owner, first, last)), first, last)


def _range(today: date, start: str, end: str) -> tuple[date, date]:
    first = day_of_a_filter(start, "start_date") if start else today.replace(day=1)
    following = (today.replace(day=28) + timedelta(days=4)).replace(day=1)
    last = day_of_a_filter(end, "end_date") if end else following - timedelta(days=1)
    if first > last:
        raise InvalidInput("The {field} is after the end_date", field="start_date")
    return first, last


def _dates(panel: Panel, source: _Source, owner: int | None, first: date, last: date) -> set[date]:
    return _distinct(panel, source.column, [*source.owned(owner), source.column.between(first, last)])


def _moments(panel: Panel, source: _Source, owner: int | None, first: date, last: date) -> set[date]:
    start, end = (datetime.combine(day, time.min) for day in (first, last))
    column = source.column
    # not "before the next day": the last day of the calendar has none
    in_range = [column >= start, column <= end.replace(hour=23, minute=59, second=59, microsecond=999999)]
    return _distinct(panel, func.date(column), [*source.owned(owner), *in_range])


def _ledger_days(panel: Panel, _source: _Source, owner: int | None, first: date, last: date) -> set[date]:
    """Kept as long as the ledger can be told to be unchanged: to find them, half of its index may be read."""
    stamp = freshness.settled_stamp(panel.database, _LEDGER)
    if stamp is None:
        return _stamps(panel, owner, first, last)
    key, facts = (owner, first, last), panel.answer_cache.facts
    proof = facts.get((_ledger_days, key))
    if proof is None or not proof.holds(stamp):
        proof = facts.keep((_ledger_days, key), freshness.Proof.of(stamp, _stamps(panel, owner, first, last)))
    days: set[date] = proof.told
    return days


def _stamps(panel: Panel, owner: int | None, first: date, last: date) -> set[date]:
    """The database cannot tell the zone's days: it tells the quarters of an hour, and these are few."""
    clock = panel.clock
    if first > _LAST_DAY or last < _FIRST_DAY:
        return set()
    start = clock.first_stamp(max(first, _FIRST_DAY))
    end = clock.first_stamp(min(last, _LAST_DAY) + timedelta(days=1))
    owned = {} if owner is None else {"owner": owner}
    quarters = panel.database.all(_quarters(owner is not None), start=start, end=end, **owned)
    return {clock.local(int(stamp)).date() for (stamp,) in quarters}


@cache
def _quarters(owned: bool) -> AnySelect:
    column = Transaction.timestamp
    quarters = select((column - column % _QUARTER_HOUR).label("quarter")).distinct()
    quarters = quarters.where(column >= bindparam("start"), column < bindparam("end"))
    return quarters.where(Transaction.for_user == bindparam("owner")) if owned else quarters


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
    "transactions": _Source(Transaction.timestamp, Transaction.for_user, READ_LEDGER_DATES, _ledger_days),
}
