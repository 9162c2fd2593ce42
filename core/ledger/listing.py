"""Reading the ledger page by page, each row with its owner, its account and what it means.

Source: contract chapter 40 §2.4 and §3.9. What was paid and owed in all is summed elsewhere.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, case, func, or_, select

from core.ledger import ledger
from core.ledger.row_text import NEW_ACCOUNT, RENEWAL, Told, first_mac, read_details, sentence
from core.ledger.sales import ACTIVE, IS_SALE, LEDGER, VOIDED
from core.panel import Panel
from core.portal import normal_mac
from core.storage.database import same_text_in
from core.storage.tables import Account, LedgerNote, Transaction, User
from core.values import money
from core.values.currencies import currency_code
from core.values.macs import mac_spellings

CORRECTED = "corrected"
STATUSES = (ACTIVE, CORRECTED, VOIDED)
# what every frontend shows for a code that is not known
_NO_CURRENCY = "IRR"
_CORRECTION = (
    Transaction.correction_amount,
    Transaction.correction_note,
    Transaction.corrected_by,
    Transaction.corrected_by_username,
    Transaction.corrected_at,
    Transaction.status,
)


@dataclass(frozen=True, slots=True)
class Corrected:
    """The latest correction of a row; ``amount`` None: none, or zero. ``at``: naive local time."""

    amount: Decimal | None
    note: str | None
    by: int | None
    by_username: str | None
    at: datetime | None
    status: str

    def net(self, original: Decimal) -> Decimal:
        """What is left of ``original``, in its sign."""
        return Decimal(0) if self.status == VOIDED else original + (self.amount or 0)

    @property
    def exists(self) -> bool:
        return self.status in (CORRECTED, VOIDED) or self.amount is not None


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A row as stored, with what it means. ``signed``: its effect on the owner's credit as the row says it;
    ``description``: the text with the account's name; ``mac`` may be empty; ``date`` is naive local time."""

    id: int
    creator: str | None
    for_user: int | None
    amount: Decimal
    currency: str
    type: int
    signed: Decimal
    details: str
    timestamp: int | None
    date: datetime | None
    owner_name: str | None
    owner_username: str | None
    mac: str
    description: str
    correction: Corrected

    @property
    def is_credit(self) -> bool:
        return self.signed > 0 or (self.signed == 0 and self.type == ledger.CREDIT)


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """``total``: rows of the whole selection."""

    rows: list[LedgerRow]
    total: int


def list_transactions(panel: Panel, scope: int | None, *, limit: int, offset: int) -> LedgerPage:
    """The ledger of user ``scope``, of everybody for None, newest row first; at most three statements."""
    owned = [] if scope is None else [Transaction.for_user == scope]
    total = select(func.count()).select_from(Transaction).where(*owned)
    # the ids first: what is skipped is then neither joined nor read, however the server plans
    page = select(Transaction.id, total.scalar_subquery().label("total")).where(*owned)
    with panel.database.read() as connection:
        found = connection.execute(page.order_by(Transaction.id.desc()).limit(limit).offset(offset)).all()
        if not found:
            return LedgerPage([], connection.scalar(total) or 0)
        rows = connection.execute(
            select(*_columns(panel))
            .select_from(LEDGER)
            .outerjoin(User, User.id == Transaction.for_user)
            .where(Transaction.id.in_([row.id for row in found]))
            .order_by(Transaction.id.desc())
        ).all()
        told = {row.id: read_details(row.details or "") for row in rows if row.kind is None}
        accounts = _Accounts(panel, connection, told.values())
    return LedgerPage([_read(panel, row, told.get(row.id), accounts) for row in rows], found[0].total)


def _columns(panel: Panel) -> list[Any]:
    return [
        Transaction.id,
        Transaction.creator,
        Transaction.for_user,
        Transaction.amount,
        Transaction.currency,
        Transaction.type,
        Transaction.details,
        Transaction.timestamp,
        *correction_columns(panel),
        case((IS_SALE, 1), else_=0).label("is_sale"),
        LedgerNote.kind,
        LedgerNote.mac,
        LedgerNote.full_name,
        LedgerNote.plan_name,
        User.name.label("owner_name"),
        User.username.label("owner_username"),
        User.currency_id.label("owner_currency"),
    ]


def correction_columns(panel: Panel) -> list[Any]:
    """The columns of :func:`read_correction`; NULL where the panel is too old to have them."""
    return [panel.layout.column(column) for column in _CORRECTION]


def read_correction(row: Any) -> Corrected:
    return Corrected(
        amount=money.stored(row.correction_amount) or None,
        note=row.correction_note,
        by=row.corrected_by,
        by_username=row.corrected_by_username,
        at=row.corrected_at,
        status=row.status if row.status in STATUSES else ACTIVE,
    )


def _read(panel: Panel, row: Any, told: Told | None, accounts: "_Accounts") -> LedgerRow:
    details = row.details or ""
    mac, description = _noted(row, details) if told is None else accounts.described(told, details)
    amount = money.stored(row.amount)
    return LedgerRow(
        id=row.id,
        creator=row.creator,
        for_user=row.for_user,
        amount=amount,
        currency=currency_code(row.currency) or currency_code(row.owner_currency) or _NO_CURRENCY,
        type=row.type or 0,
        signed=_signed(amount, row),
        details=details,
        timestamp=row.timestamp,
        date=None if row.timestamp is None else panel.clock.local(row.timestamp),
        owner_name=row.owner_name,
        owner_username=row.owner_username,
        mac=mac,
        description=description,
        correction=read_correction(row),
    )


def _signed(amount: Decimal, row: Any) -> Decimal:
    if row.is_sale:
        return -abs(amount)
    return {ledger.CREDIT: amount, ledger.DEBIT: -amount}.get(row.type, Decimal(0))


def _noted(row: Any, details: str) -> tuple[str, str]:
    """MAC and description of a row of ours."""
    label = {ledger.SALE: NEW_ACCOUNT, ledger.RENEWAL: RENEWAL}.get(row.kind)
    mac = (row.mac or "").upper() or first_mac(details)
    if label is None or not row.plan_name:
        return mac, details
    return mac, sentence(label, row.plan_name, row.full_name)


class _Accounts:
    """The accounts that the texts of a page name, fetched at once."""

    def __init__(self, panel: Panel, connection: Connection, told: Iterable[Told]) -> None:
        sales = [item for item in told if item.label is not None]
        names = sorted({item.username for item in sales if item.username})
        macs = sorted({item.mac for item in sales if item.mac and not item.username})
        self._by_name: dict[str, tuple[str, str]] = {}
        self._by_mac: dict[str, tuple[str, str]] = {}
        if names or macs:
            self._fetch(panel, connection, names, macs)

    def _fetch(self, panel: Panel, connection: Connection, names: Sequence[str], macs: Sequence[str]) -> None:
        wanted = []
        if names:
            wanted.append(same_text_in(Account.username, names, panel.database.dialect))
        if macs:
            wanted.append(Account.mac.in_([text for mac in macs for text in mac_spellings(mac)]))
        rows = connection.execute(
            select(Account.username, Account.mac, Account.full_name).where(or_(*wanted)).order_by(Account.id)
        )
        for row in rows:
            found = (normal_mac(row.mac) or row.mac.upper(), row.full_name or "")
            # of two accounts with one name the oldest is meant
            self._by_name.setdefault(row.username.casefold(), found)
            self._by_mac.setdefault(found[0], found)

    def described(self, told: Told, details: str) -> tuple[str, str]:
        """MAC and description of a panel's row."""
        if told.label is None:
            return told.mac, details
        known: Mapping[str, tuple[str, str]] = self._by_name if told.username else self._by_mac
        key = told.username.casefold() if told.username else told.mac
        mac, full_name = known.get(key, (told.mac, told.full_name))
        return mac, sentence(told.label, told.plan, full_name)
