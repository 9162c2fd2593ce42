"""Lists of what resellers paid. Source: contract chapter 30 D. Recording and cancelling are in
:mod:`core.payments.payments`."""

from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select

from core.access.actors import Actor
from core.errors import InvalidInput
from core.ledger import sales
from core.panel import Panel
from core.payments.payments import ACTIVE, CANCELLED, TABLE, sees_all
from core.storage.tables import ResellerPayment, User
from core.values import money
from core.values.days import checked_date

ANY = "all"
MOST_ROWS = 500


@dataclass(frozen=True, slots=True)
class Filter:
    """Which payments to list; None and "" are no restriction."""

    reseller_id: int | None
    start_date: str
    end_date: str
    status: str
    limit: int


@dataclass(frozen=True, slots=True)
class ListedPayment:
    """A payment as stored, with the names of now: ``reseller_name`` is the user name of who has none.

    A day or moment that was never set may be a text in a legacy database.
    """

    id: int
    reseller_id: int
    amount: Decimal
    currency: str
    payment_date: date | None
    bank_name: str
    reference_number: str | None
    receipt_path: str | None
    description: str | None
    recorded_by: int
    recorded_by_username: str
    created_at: datetime | None
    updated_at: datetime | None
    status: str
    cancelled_by: int | None
    cancelled_at: datetime | None
    cancellation_reason: str | None
    reseller_name: str | None
    reseller_username: str | None
    reseller_currency: str | None
    recorder_name: str | None


@dataclass(frozen=True, slots=True)
class Payments:
    """``rows``: newest first; the sums and counts are over all that match, also beyond the limit."""

    rows: list[ListedPayment]
    active: Decimal
    cancelled: Decimal
    count_active: int
    count_cancelled: int


def list_payments(panel: Panel, actor: Actor, wanted: Filter) -> Payments:
    """Payments that the actor may see. Raises InvalidInput. Where the legacy database has no payments yet: none."""
    if wanted.limit < 1:
        raise InvalidInput.of("limit", "expected 1 or more")
    if wanted.status not in (ACTIVE, CANCELLED, ANY):
        raise InvalidInput.of("status", "expected active, cancelled or all")
    conditions = _conditions(actor, wanted)
    if not panel.layout.has_table(TABLE):
        return Payments([], Decimal(0), Decimal(0), 0, 0)
    with panel.database.read() as connection:
        rows = connection.execute(_listed(conditions, min(wanted.limit, MOST_ROWS))).mappings().all()
        active, cancelled = (_has_status(status) for status in (ACTIVE, CANCELLED))
        amount = ResellerPayment.__table__.c.amount
        sums = connection.execute(
            select(
                sales.total(amount, where=active),
                sales.total(amount, where=cancelled),
                sales.count(active),
                sales.count(cancelled),
            ).where(*conditions)
        ).one()
    active_sum, cancelled_sum, *counts = sums
    totals = (sales.from_cents(active_sum), sales.from_cents(cancelled_sum))
    return Payments([_payment(row) for row in rows], *totals, *map(int, counts))


def _has_status(status: str) -> sa.ColumnElement[bool]:
    return sa.func.coalesce(ResellerPayment.status, ACTIVE) == status


def _conditions(actor: Actor, wanted: Filter) -> list[sa.ColumnElement[bool]]:
    reseller_id = wanted.reseller_id if sees_all(actor) else actor.id
    conditions: list[sa.ColumnElement[bool]] = []
    if reseller_id:
        conditions.append(ResellerPayment.reseller_id == sa.literal(reseller_id, sa.BigInteger))
    if wanted.start_date:
        conditions.append(ResellerPayment.payment_date >= checked_date(wanted.start_date, "start_date"))
    if wanted.end_date:
        conditions.append(ResellerPayment.payment_date <= checked_date(wanted.end_date, "end_date"))
    if wanted.status != ANY:
        conditions.append(_has_status(wanted.status))
    return conditions


_RESELLER, _RECORDER = sa.alias(User.__table__, "reseller"), sa.alias(User.__table__, "recorder")


def _select() -> sa.Select[*tuple[Any, ...]]:
    return (
        select(
            *ResellerPayment.__table__.c,
            _RESELLER.c.name.label("reseller_name"),
            _RESELLER.c.username.label("reseller_username"),
            _RESELLER.c.currency_id.label("reseller_currency"),
            _RECORDER.c.name.label("recorder_name"),
        )
        .outerjoin(_RESELLER, _RESELLER.c.id == ResellerPayment.reseller_id)
        .outerjoin(_RECORDER, _RECORDER.c.id == ResellerPayment.recorded_by)
    )


def _listed(conditions: list[sa.ColumnElement[bool]], limit: int) -> sa.Select[*tuple[Any, ...]]:
    newest_first = (ResellerPayment.payment_date.desc(), ResellerPayment.id.desc())
    return _select().where(*conditions).order_by(*newest_first).limit(limit)


def _payment(row: sa.RowMapping) -> ListedPayment:
    values = {field.name: row[field.name] for field in fields(ListedPayment)}
    name = row["reseller_name"] or row["reseller_username"]
    changed = {"amount": money.stored(row["amount"]), "status": row["status"] or ACTIVE, "reseller_name": name}
    return ListedPayment(**{**values, **changed})
