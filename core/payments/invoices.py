"""A reseller's bill of one month: every sale in it, by either calendar. Source: contract chapter 30 D.

What a sale is and what it is worth is decided in :mod:`core.ledger.sales`; what its text says, in
:mod:`core.ledger.sale_text`.
"""

import calendar
from collections.abc import Iterable, Iterator
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
from core.ledger.sale_text import Subject, read_subject
from core.panel import Panel
from core.payments.payments import sees_all
from core.storage.database import same_text_in
from core.storage.tables import Account, LedgerNote, Transaction
from core.values import money, shamsi
from core.values.clock import following, shown
from core.values.currencies import shown_currency
from core.values.days import FIRST_YEAR, LAST_YEAR
from core.values.escaping import plain

SHAMSI, GREGORIAN = "shamsi", "gregorian"
DEFAULT_CURRENCY = "GBP"
_NAMES_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Month:
    """A month of one calendar, with its first and last Gregorian day."""

    calendar: str
    year: int
    month: int
    first: date
    last: date

    @property
    def display(self) -> str:
        names = shamsi.MONTHS if self.calendar == SHAMSI else calendar.month_name[1:]
        return f"{names[self.month - 1]} {self.year}"


@dataclass(frozen=True, slots=True)
class Line:
    """One sale. ``net`` is 0 when it was voided; ``correction`` is None where there is none."""

    id: int
    timestamp: int
    is_renewal: bool
    subject: Subject
    mac: str
    original: Decimal
    correction: Decimal | None
    net: Decimal
    currency: str
    status: str
    correction_note: str | None
    corrected_by: str | None
    corrected_at: str | None

    @property
    def has_correction(self) -> bool:
        return self.status != sales.ACTIVE or self.correction is not None


@dataclass(frozen=True, slots=True)
class Invoice:
    month: Month
    reseller: Actor
    currency: str
    lines: list[Line]

    @property
    def total(self) -> Decimal:
        return sum((line.net for line in self.lines), Decimal(0))

    @property
    def renewals(self) -> int:
        return sum(line.is_renewal for line in self.lines)


def month_of(kind: str, year: int | None, month: int | None) -> Month:
    """``kind``: SHAMSI, or anything else for Gregorian. Raises InvalidInput."""
    if year is None or month is None:
        raise InvalidInput.missing("year" if year is None else "month")
    is_shamsi = kind == SHAMSI
    first_year, last_year = (shamsi.FIRST_YEAR, shamsi.LAST_YEAR) if is_shamsi else (FIRST_YEAR, LAST_YEAR)
    if not first_year <= year <= last_year:
        raise InvalidInput.of(
            "year", f"expected {first_year} to {last_year} ({'Shamsi' if is_shamsi else 'Gregorian'} calendar)"
        )
    if not 1 <= month <= 12:
        raise InvalidInput.of("month", "expected 1 to 12")
    if is_shamsi:
        return Month(SHAMSI, year, month, *shamsi.days_of_month(year, month))
    days = calendar.monthrange(year, month)[1]
    return Month(GREGORIAN, year, month, date(year, month, 1), date(year, month, days))


def read_invoice(panel: Panel, actor: Actor, reseller_id: int | None, month: Month) -> Invoice:
    """The sales of ``month``, oldest first; a plain reseller only sees the own. Raises InvalidInput, NotFound."""
    wanted = reseller_id if sees_all(actor) else actor.id
    if not wanted:
        raise InvalidInput.missing("reseller_id")
    with panel.database.read() as connection:
        reseller = require_reseller(panel, connection, wanted)
        rows = connection.execute(_sales(panel, reseller.id, month)).mappings().all()
        subjects = [_subject(row) for row in rows]
        accounts = _accounts(panel, connection, {subject.username for subject in subjects if subject.username})
    currency = reseller.currency or DEFAULT_CURRENCY
    lines = [
        _line(row, subject, accounts.get(subject.username.casefold()), currency)
        for row, subject in zip(rows, subjects, strict=True)
    ]
    return Invoice(month, reseller, currency, lines)


def _sales(panel: Panel, reseller_id: int, month: Month) -> sa.Select[*tuple[Any, ...]]:
    worth = sales.Value.of(panel.layout)
    start, end = (panel.clock.first_stamp(day) for day in (month.first, following(month.last)))
    return (
        select(
            Transaction.id,
            Transaction.timestamp,
            Transaction.currency,
            Transaction.details,
            sales.IS_RENEWAL.label("is_renewal"),
            worth.original.label("original"),
            worth.correction.label("correction"),
            worth.net.label("net"),
            worth.status.label("status"),
            worth.note.label("correction_note"),
            worth.corrected_by.label("corrected_by"),
            worth.corrected_at.label("corrected_at"),
            LedgerNote.username,
            LedgerNote.mac,
            LedgerNote.full_name,
            LedgerNote.plan_name,
        )
        .select_from(sales.LEDGER)
        .where(
            sales.IS_SALE,
            Transaction.for_user == reseller_id,
            Transaction.timestamp >= sa.literal(start, sa.BigInteger),
            Transaction.timestamp < sa.literal(end, sa.BigInteger),
        )
        .order_by(Transaction.timestamp, Transaction.id)
    )


def _subject(row: sa.RowMapping) -> Subject:
    """What was sold to whom: by our note, and what it leaves open by the row's text."""
    said = read_subject(row["details"] or "")
    return Subject(
        username=row["username"] or said.username,
        plan=row["plan_name"] or said.plan,
        full_name=row["full_name"] or said.full_name,
        mac=row["mac"] or said.mac,
        text=said.text,
    )


def _accounts(panel: Panel, connection: Connection, usernames: Iterable[str]) -> dict[str, Any]:
    """Casefolded user name → the account of that name, the oldest if there are several."""
    found: dict[str, Any] = {}
    for names in _slices(sorted(usernames)):
        condition = same_text_in(Account.username, names, panel.database.dialect)
        columns = (Account.username, Account.mac, Account.full_name)
        for row in connection.execute(select(*columns).where(condition).order_by(Account.id)):
            found.setdefault(row.username.casefold(), row)
    return found


def _slices(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), _NAMES_AT_ONCE):
        yield names[start : start + _NAMES_AT_ONCE]


def _line(row: sa.RowMapping, subject: Subject, account: Any, currency: str) -> Line:
    if account is not None and account.full_name:
        subject = subject.named(account.full_name)
    mac = (account.mac if account is not None else "") or subject.mac
    return Line(
        id=row["id"],
        timestamp=row["timestamp"],
        is_renewal=bool(row["is_renewal"]),
        subject=subject,
        mac=plain(mac).upper(),
        original=money.stored(row["original"]),
        correction=None if row["correction"] is None else money.stored(row["correction"]),
        net=money.stored(row["net"]),
        currency=plain(shown_currency(row["currency"]) or currency),
        status=row["status"] or sales.ACTIVE,
        correction_note=row["correction_note"] and plain(row["correction_note"]),
        corrected_by=row["corrected_by"],
        corrected_at=shown(row["corrected_at"]),
    )
