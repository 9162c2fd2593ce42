"""What resellers owe: sales less payments, for all time, a year or a month. Source: contract chapter 30 D.

Not the credit of ``_users.balance``: that is another book, which this one never touches.
"""

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, select

from core.access.actors import Actor
from core.access.user_rows import require_reseller
from core.errors import InvalidInput
from core.ledger import sales
from core.panel import Panel
from core.payments import payments
from core.storage.tables import ResellerPayment, Transaction, User
from core.values.clock import following
from core.values.days import FIRST_YEAR, LAST_YEAR


@dataclass(frozen=True, slots=True)
class Period:
    """A Gregorian year or month, or all time (``year`` None)."""

    year: int | None = None
    month: int | None = None

    @property
    def kind(self) -> str:
        if self.year is None:
            return "all_time"
        return "yearly" if self.month is None else "monthly"

    @property
    def first(self) -> date | None:
        return None if self.year is None else date(self.year, self.month or 1, 1)

    @property
    def following(self) -> date | None:
        """The day after the last one."""
        if self.year is None:
            return None
        month = self.month or 12
        return following(date(self.year, month, calendar.monthrange(self.year, month)[1]))


@dataclass(frozen=True, slots=True)
class Balance:
    """One reseller's figures; ``opening`` is what was owed before the period."""

    reseller: Any
    opening: Decimal
    sales: Decimal
    payments: Decimal
    sale_count: int
    payment_count: int

    @property
    def closing(self) -> Decimal:
        return self.opening + self.sales - self.payments

    @property
    def status(self) -> str:
        if self.closing == 0:
            return "settled"
        return "debtor" if self.closing > 0 else "creditor"


def period_of(year: int | None, month: int | None) -> Period:
    """Raises InvalidInput."""
    if year is None and month is not None:
        raise InvalidInput.missing("year", "of the month")
    if year is not None and not FIRST_YEAR <= year <= LAST_YEAR:
        raise InvalidInput.of("year", f"expected {FIRST_YEAR} to {LAST_YEAR} (Gregorian calendar)")
    if month is not None and not 1 <= month <= 12:
        raise InvalidInput.of("month", "expected 1 to 12")
    return Period(year, month)


def read_balances(panel: Panel, actor: Actor, reseller_id: int | None, period: Period) -> list[Balance]:
    """Of ``reseller_id``, or of all resellers by name; a plain reseller only sees the own. Raises NotFound."""
    wanted = (reseller_id or None) if payments.sees_all(actor) else actor.id
    with panel.database.read() as connection:
        if wanted is not None:
            require_reseller(panel, connection, wanted)
        resellers = connection.execute(_resellers(panel, wanted)).all()
        sold = _sums(connection, _sales(panel, period, wanted))
        paid = _sums(connection, _payments(period, wanted)) if panel.layout.has_table(payments.TABLE) else {}
    return [_balance(row, sold.get(row.id), paid.get(row.id)) for row in resellers]


_NEVER: sa.ColumnElement[bool] = sa.false()
_ALWAYS: sa.ColumnElement[bool] = sa.true()


def _resellers(panel: Panel, wanted: int | None) -> sa.Select[*tuple[Any, ...]]:
    statement = select(User.id, User.name, User.username, User.currency_id)
    if wanted is not None:
        return statement.where(User.id == wanted)
    statement = statement.where(sa.func.coalesce(User.super_user, 0) != 1)
    statement = statement.where(sa.func.coalesce(panel.layout.column(User.is_observer), 0) != 1)
    return statement.order_by(User.name, User.id)


def _sales(panel: Panel, period: Period, reseller_id: int | None) -> sa.Select[*tuple[Any, ...]]:
    """Per reseller: owner, worth before the period and in it, number of sales in it."""
    worth = sales.Value.of(panel.layout)
    first, following = period.first, period.following
    moment = Transaction.timestamp
    before, inside = _NEVER, _ALWAYS
    conditions = [sales.IS_SALE, sa.not_(worth.is_voided)]
    if first is not None and following is not None:
        start, end = (sa.literal(panel.clock.first_stamp(day), sa.BigInteger) for day in (first, following))
        before, inside = moment < start, moment >= start
        conditions.append(moment < end)
    if reseller_id is not None:
        conditions.append(Transaction.for_user == reseller_id)
    return _grouped(Transaction.for_user, worth.net, before, inside).select_from(sales.LEDGER).where(*conditions)


def _payments(period: Period, reseller_id: int | None) -> sa.Select[*tuple[Any, ...]]:
    """As :func:`_sales`, of active payments."""
    first, following = period.first, period.following
    day = ResellerPayment.payment_date
    before, inside = _NEVER, _ALWAYS
    conditions = [sa.func.coalesce(ResellerPayment.status, payments.ACTIVE) == payments.ACTIVE]
    if first is not None and following is not None:
        before, inside = day < first, day >= first
        conditions.append(day < following)
    if reseller_id is not None:
        conditions.append(ResellerPayment.reseller_id == reseller_id)
    return _grouped(ResellerPayment.reseller_id, ResellerPayment.amount, before, inside).where(*conditions)


def _grouped(owner: Any, amount: Any, before: Any, inside: Any) -> sa.Select[*tuple[Any, ...]]:
    columns = (owner, sales.total(amount, where=before), sales.total(amount, where=inside), sales.count(inside))
    return select(*columns).group_by(owner)


def _sums(connection: Connection, statement: sa.Select[*tuple[Any, ...]]) -> Mapping[int, tuple[Decimal, Decimal, int]]:
    return {
        owner: (sales.from_cents(before), sales.from_cents(inside), int(number))
        for owner, before, inside, number in connection.execute(statement)
    }


_NOTHING = (Decimal(0), Decimal(0), 0)


def _balance(row: Any, sold: tuple[Decimal, Decimal, int] | None, paid: tuple[Decimal, Decimal, int] | None) -> Balance:
    sold_before, sold_inside, sale_count = sold or _NOTHING
    paid_before, paid_inside, payment_count = paid or _NOTHING
    return Balance(row, sold_before - paid_before, sold_inside, paid_inside, sale_count, payment_count)
