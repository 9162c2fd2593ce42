"""Reading the ledger page by page, each row with its owner, its account and what it means.

Source: contract chapter 40 §2.4 and §3.9. What was paid and owed in all is summed elsewhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import bindparam, case, func, select

from core.access.user_rows import LAYOUTS
from core.ledger import ledger
from core.ledger.named_accounts import named_accounts
from core.ledger.row_text import LONG_TEXT, NEW_ACCOUNT, RENEWAL, first_mac, read_details, sentence
from core.ledger.sales import ACTIVE, IS_SALE, LEDGER, VOIDED
from core.panel import Panel
from core.storage.caching import freshness
from core.storage.caching.answer_cache import EncodedAnswer
from core.storage.lookups import AnySelect
from core.storage.schema import Layout
from core.storage.tables import Account, LedgerNote, Transaction, User
from core.values import money
from core.values.clock import Clock
from core.values.currencies import currency_code

# of which what is shown is kept: some pages of everybody's ledger
_KEPT_ROWS = 4000
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


# a note is written with its row, in one transaction, and never changed
_WATCHED = freshness.Watched(
    select(Transaction.id),
    ("accounts", "transactions", "users"),
    (Transaction.__tablename__, Account.__tablename__),
    (select(User.id, User.name, User.username, User.currency_id),),
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


# told apart by being, not by what is in them: what is made of one may be kept with it
@dataclass(frozen=True, slots=True, eq=False)
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


Encode = Callable[[LedgerPage], EncodedAnswer]


def kept_transactions(
    panel: Panel, scope: int | None, *, limit: int, offset: int, encode: Encode
) -> LedgerPage | EncodedAnswer:
    """What ``encode`` makes of :func:`list_transactions`, where that was kept and proves to be right still, or can be
    kept now; else the page. Equal ``encode`` make equal answers."""
    stamp = freshness.settled_stamp(panel.database, _WATCHED)
    if stamp is None:
        return list_transactions(panel, scope, limit=limit, offset=offset)
    key = (kept_transactions, scope, limit, offset, encode)
    kept = panel.answer_cache.find(key)
    if kept is not None and kept[0].holds(stamp):
        return kept[1]
    proof = freshness.Proof.of(stamp)
    answer = encode(list_transactions(panel, scope, limit=limit, offset=offset))
    panel.answer_cache.keep(key, proof, answer)
    return answer


def list_transactions(panel: Panel, scope: int | None, *, limit: int, offset: int) -> LedgerPage:
    """The ledger of user ``scope``, of everybody for None, newest row first; at most two statements."""
    owner = {} if scope is None else {"owner": scope}
    rows = panel.database.rows(_page(panel.layout, scope is not None), limit=limit, offset=offset, **owner)
    if not rows:
        return LedgerPage([], panel.database.first(_total(scope is not None), **owner).total if offset else 0)
    told = {row.id: read_details(row.details or "") for row in rows if row.kind is None}
    accounts = named_accounts(panel, told.values())
    listed = []
    for row in rows:
        text = told.get(row.id)
        listed.append(_listed(panel.clock, row, None if text is None else accounts.described(text, row.details or "")))
    return LedgerPage(listed, rows[0].total)


@cache
def _total(owned: bool) -> AnySelect:
    total = select(func.count().label("total")).select_from(Transaction)
    return total.where(Transaction.for_user == bindparam("owner")) if owned else total


@lru_cache(2 * LAYOUTS)
def _page(layout: Layout, owned: bool) -> AnySelect:
    page = select(Transaction.id).order_by(Transaction.id.desc()).limit(bindparam("limit")).offset(bindparam("offset"))
    if owned:
        page = page.where(Transaction.for_user == bindparam("owner"))
    # the ids first: what is skipped is then neither joined nor read, however the server plans
    ids = page.subquery("page")
    return (
        select(*_columns(layout), _total(owned).scalar_subquery().label("total"))
        .select_from(LEDGER)
        .join(ids, ids.c.id == Transaction.id)
        .outerjoin(User, User.id == Transaction.for_user)
        .order_by(Transaction.id.desc())
    )


def _columns(layout: Layout) -> list[Any]:
    return [
        Transaction.id,
        Transaction.creator,
        Transaction.for_user,
        Transaction.amount,
        Transaction.currency,
        Transaction.type,
        Transaction.details,
        Transaction.timestamp,
        *_correction_columns(layout),
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
    return _correction_columns(panel.layout)


def _correction_columns(layout: Layout) -> list[Any]:
    return [layout.column(column) for column in _CORRECTION]


def read_correction(row: Any) -> Corrected:
    return Corrected(
        amount=money.stored(row.correction_amount) or None,
        note=row.correction_note,
        by=row.corrected_by,
        by_username=row.corrected_by_username,
        at=row.corrected_at,
        status=row.status if row.status in STATUSES else ACTIVE,
    )


def _listed(clock: Clock, row: Any, described: tuple[str, str] | None) -> LedgerRow:
    """The row as it is shown, the same object as long as nothing in it changes: the newest are asked for all day.

    ``described``: MAC and description of a row that a panel wrote.
    """
    if len(row.details or "") > LONG_TEXT:
        return _read(clock, row, described)
    # the total is no fact of the row
    return _read_once(clock, row._replace(total=None), described)


def _read(clock: Clock, row: Any, described: tuple[str, str] | None) -> LedgerRow:
    details = row.details or ""
    mac, description = described or _noted(row, details)
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
        date=None if row.timestamp is None else clock.local(row.timestamp),
        owner_name=row.owner_name,
        owner_username=row.owner_username,
        mac=mac,
        description=description,
        correction=read_correction(row),
    )


_read_once = lru_cache(_KEPT_ROWS)(_read)


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
