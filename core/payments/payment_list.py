"""Lists of what resellers paid. Source: contract chapter 30 D. Recording and cancelling are in
:mod:`core.payments.payments`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select

from core.access.actors import Actor
from core.errors import InvalidInput
from core.ledger import sales
from core.panel import Panel
from core.payments.payments import ACTIVE, CANCELLED, TABLE, sees_all
from core.storage.tables import ResellerPayment, User
from core.values import money, shamsi, sinks
from core.values.checks import checked_date
from core.values.clock import shown
from core.values.currencies import shown_currency

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
class Payments:
    """``rows`` as the page reads them, newest first; ``summary`` over all that match, also beyond the limit."""

    rows: list[dict[str, Any]]
    summary: Mapping[str, Any]


def list_payments(panel: Panel, actor: Actor, wanted: Filter) -> Payments:
    """Payments that the actor may see. Raises InvalidInput. Where the legacy database has no payments yet: none."""
    if wanted.limit < 1:
        raise InvalidInput("The limit must be at least 1")
    if wanted.status not in (ACTIVE, CANCELLED, ANY):
        raise InvalidInput("The status is active, cancelled or all")
    conditions = _conditions(actor, wanted)
    if not panel.layout.has_table(TABLE):
        return Payments([], _summary(0, 0, 0, 0))
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
    return Payments([_row(row) for row in rows], _summary(*sums))


def _has_status(status: str) -> sa.ColumnElement[bool]:
    return sa.func.coalesce(ResellerPayment.status, ACTIVE) == status


def _conditions(actor: Actor, wanted: Filter) -> list[sa.ColumnElement[bool]]:
    reseller_id = wanted.reseller_id if sees_all(actor) else actor.id
    conditions: list[sa.ColumnElement[bool]] = []
    if reseller_id:
        conditions.append(ResellerPayment.reseller_id == sa.literal(reseller_id, sa.BigInteger))
    if wanted.start_date:
        conditions.append(ResellerPayment.payment_date >= checked_date(wanted.start_date))
    if wanted.end_date:
        conditions.append(ResellerPayment.payment_date <= checked_date(wanted.end_date))
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


def _row(row: sa.RowMapping) -> dict[str, Any]:
    day = row["payment_date"]
    name = row["reseller_name"] or row["reseller_username"]
    payment = {
        "id": row["id"],
        "reseller_id": row["reseller_id"],
        "amount": f"{money.stored(row['amount']):.2f}",
        "currency": shown_currency(row["currency"]) or "",
        "payment_date": None if day is None else str(day)[:10],
        "bank_name": row["bank_name"],
        "reference_number": row["reference_number"],
        "receipt_path": row["receipt_path"],
        "description": row["description"],
        "recorded_by": row["recorded_by"],
        "recorded_by_username": row["recorded_by_username"],
        "created_at": shown(row["created_at"]),
        "updated_at": shown(row["updated_at"]),
        "status": row["status"] or ACTIVE,
        "cancelled_by": row["cancelled_by"],
        "cancelled_at": shown(row["cancelled_at"]),
        "cancellation_reason": row["cancellation_reason"],
        "reseller_name": name,
        "reseller_username": row["reseller_username"],
        "reseller_currency": shown_currency(row["reseller_currency"]),
        "recorder_name": row["recorder_name"],
        "payment_date_shamsi": shamsi.shown(day),
    }
    return sinks.shown("payment", payment)


def _summary(active: int, cancelled: int, count_active: int, count_cancelled: int) -> dict[str, Any]:
    return {
        "total_active": sales.from_cents(active),
        "total_cancelled": sales.from_cents(cancelled),
        "count_active": int(count_active),
        "count_cancelled": int(count_cancelled),
    }
