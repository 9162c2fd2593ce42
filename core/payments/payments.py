"""What resellers paid: recording and cancelling. Source: contract chapter 30 D.

A payment is a line in the book of debts and never moves ``_users.balance``. Lists are in
:mod:`core.payments.payment_list`, what is owed in :mod:`core.payments.balances`, the receipts' files in
:mod:`core.payments.receipts`.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, select, update

from core.access.actors import Actor
from core.access.audit import By
from core.access.permissions import READ_BOOKS, RECORD_PAYMENTS, Scope, require, scope_of
from core.access.user_rows import require_reseller
from core.errors import CommitUncertain, DatabaseFailed, InvalidInput, NotFound
from core.jobs import jobs
from core.jobs.events import announce
from core.ledger.events import PaymentRecorded
from core.panel import Panel
from core.payments import receipts
from core.storage.tables import ResellerPayment, User
from core.storage.undoable import refuse_money_without_undo
from core.storage.writing import insert_row
from core.values import money
from core.values.checks import clean_text
from core.values.currencies import CURRENCY_NUMBERS, currency_code
from core.values.days import checked_date

ACTIVE, CANCELLED = "active", "cancelled"
TABLE = ResellerPayment.__tablename__
# of a reseller without a currency
DEFAULT_CURRENCY = "IRR"
_WORD_CHARACTERS, _TEXT_CHARACTERS = 100, 5000


@dataclass(frozen=True, slots=True)
class NewPayment:
    """A payment as the form says it: texts, trimmed and empty where nothing was said; ``receipt`` the file's bytes."""

    reseller_id: int | None
    amount: str
    currency: str
    payment_date: str
    bank_name: str
    reference_number: str
    description: str
    receipt: bytes


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment that was just recorded."""

    id: int
    reseller: Actor
    amount: Decimal
    currency: str
    payment_date: date
    bank_name: str
    reference_number: str
    description: str
    receipt_path: str | None

    @property
    def reseller_name(self) -> str:
        return self.reseller.name or self.reseller.username


def record_payment(panel: Panel, by: By, wish: NewPayment) -> Payment:
    """Store a payment with its receipt. Raises NotAllowed, InvalidInput, NotFound, DatabaseFailed."""
    require(by.actor, RECORD_PAYMENTS)
    _require_table(panel)
    draft = _checked(panel, wish)
    receipt = receipts.kind_of(wish.receipt) if wish.receipt else None
    path = None if receipt is None else receipts.store(panel, wish.receipt, receipt)
    try:

        def act(connection: Connection) -> Payment:
            refuse_money_without_undo(connection)
            return _insert(panel, connection, by, draft, path)

        payment = panel.database.transact(act)
    except CommitUncertain:
        # a payment that may be stored keeps its receipt
        raise
    except BaseException:
        if path is not None:
            receipts.remove(panel, path)
        raise
    jobs.ring(panel)
    return payment


def cancel_payment(panel: Panel, by: By, payment_id: int | None, reason: str) -> int:
    """Mark a payment as cancelled, for good; returns its id. Raises NotAllowed, InvalidInput, NotFound."""
    require(by.actor, RECORD_PAYMENTS)
    if payment_id is None or payment_id <= 0:
        raise InvalidInput.missing("payment_id")
    reason = _checked_reason(reason)
    _require_table(panel)
    now = panel.clock.now()

    def act(connection: Connection) -> None:
        refuse_money_without_undo(connection)
        # of two clicks, one finds the payment active
        changed = connection.execute(
            update(ResellerPayment)
            # an id that no column holds is no payment, not a fault
            .where(
                ResellerPayment.id == sa.literal(payment_id, sa.BigInteger),
                sa.func.coalesce(ResellerPayment.status, ACTIVE) != CANCELLED,
            )
            .values(
                status=CANCELLED,
                cancelled_by=by.actor.id,
                cancelled_at=now,
                cancellation_reason=reason,
                updated_at=now,
            )
        )
        row = connection.execute(_CANCELLED, {"id": payment_id}).first()
        if row is None:
            raise NotFound("Payment not found")
        if changed.rowcount != 1:
            raise InvalidInput("The payment is cancelled already")
        _audit_cancellation(panel, connection, by, row, reason)

    panel.database.transact(act)
    return payment_id


def _checked_reason(text: str) -> str:
    reason = clean_text(text, "reason", _TEXT_CHARACTERS)
    if not reason:
        raise InvalidInput.missing("reason", "why the payment is cancelled")
    return reason


def receipt_owner(panel: Panel, path: str) -> int | None:
    """The reseller whose payment has the receipt ``path``; None when no payment has it."""
    if not panel.layout.has_table(TABLE):
        return None
    with panel.database.read() as connection:
        return connection.execute(
            select(ResellerPayment.reseller_id).where(ResellerPayment.receipt_path == path).limit(1)
        ).scalar()


def may_edit(actor: Actor) -> bool:
    """Whether the page draws its buttons to cancel."""
    return scope_of(actor, RECORD_PAYMENTS) is Scope.ALL


def sees_all(actor: Actor) -> bool:
    """Whether the actor reads everybody's books, not only the own."""
    return scope_of(actor, READ_BOOKS) is Scope.ALL


_CANCELLED = (
    select(
        ResellerPayment.id,
        ResellerPayment.amount,
        ResellerPayment.currency,
        User.name.label("reseller_name"),
        User.username.label("reseller_username"),
    )
    .outerjoin(User, User.id == ResellerPayment.reseller_id)
    .where(ResellerPayment.id == sa.bindparam("id", type_=sa.BigInteger))
)


def _require_table(panel: Panel) -> None:
    if not panel.layout.has_table(TABLE):
        raise DatabaseFailed("This database has no payments table yet; run the database upgrade first")


def _checked(panel: Panel, wish: NewPayment) -> dict[str, Any]:
    """The values of the row to be, checked in the order that the contract gives."""
    if wish.reseller_id is None or wish.reseller_id <= 0:
        raise InvalidInput.missing("reseller_id")
    amount = money.read_amount(wish.amount, "amount", least=money.CENT, grouped=True)
    bank_name = clean_text(wish.bank_name, "bank_name", _WORD_CHARACTERS)
    if not wish.payment_date:
        raise InvalidInput.missing("payment_date", "YYYY-MM-DD")
    if not bank_name:
        raise InvalidInput.missing("bank_name")
    day = checked_date(wish.payment_date, "payment_date")
    with panel.database.read() as connection:
        reseller = require_reseller(panel, connection, wish.reseller_id)
    return {
        "reseller_id": reseller.id,
        "amount": amount,
        "currency": _currency(wish.currency, reseller),
        "payment_date": day,
        "bank_name": bank_name,
        "reference_number": clean_text(wish.reference_number, "reference_number", _WORD_CHARACTERS),
        "description": clean_text(wish.description, "description", _TEXT_CHARACTERS),
    }


def _currency(said: str, reseller: Actor) -> str:
    """The reseller's currency. Raises InvalidInput when another one was said: payments add up without conversion."""
    own = currency_code(reseller.currency) or DEFAULT_CURRENCY
    if said and currency_code(CURRENCY_NUMBERS.get(said, said)) != own:
        raise InvalidInput(f"The {{field}} of a payment must be the reseller's: {own}", field="currency")
    return own


def _insert(panel: Panel, connection: Connection, by: By, draft: dict[str, Any], path: str | None) -> Payment:
    # again, for the reseller may have been removed meanwhile
    reseller = require_reseller(panel, connection, draft["reseller_id"])
    row = {
        **draft,
        **{name: draft[name] or None for name in ("reference_number", "description")},
        "receipt_path": path,
        "recorded_by": by.actor.id,
        "recorded_by_username": by.actor.username,
        "created_at": panel.clock.now(),
        "status": ACTIVE,
    }
    payment_id = insert_row(connection, ResellerPayment, row)
    values = {key: value for key, value in draft.items() if key != "reseller_id"}
    payment = Payment(id=payment_id, reseller=reseller, receipt_path=path, **values)
    by.write_audit(
        panel,
        connection,
        "create",
        "reseller_payment",
        target_id=payment.id,
        target_name=f"Payment #{payment.id} - {payment.reseller_name}"[:255],
        new={
            "reseller_id": reseller.id,
            "reseller_name": payment.reseller_name,
            "amount": str(payment.amount),
            "currency": payment.currency,
            "payment_date": payment.payment_date.isoformat(),
            "bank_name": payment.bank_name,
            "reference_number": payment.reference_number,
        },
        details=f"Payment of {payment.amount} {payment.currency} by {payment.reseller_name} recorded",
    )
    event = PaymentRecorded(
        by.actor.id, payment.id, reseller.id, payment.amount, payment.currency, payment.payment_date
    )
    announce(panel, connection, event)
    return payment


def _audit_cancellation(panel: Panel, connection: Connection, by: By, row: Any, reason: str) -> None:
    name, amount = row.reseller_name or row.reseller_username or "", str(money.stored(row.amount))
    by.write_audit(
        panel,
        connection,
        "update",
        "reseller_payment",
        target_id=row.id,
        target_name=f"Payment #{row.id} cancelled",
        old={"status": ACTIVE, "amount": amount, "reseller_name": name},
        new={"status": CANCELLED, "cancelled_by": by.actor.username, "cancellation_reason": reason},
        details=f"Payment of {amount} {row.currency} by {name} cancelled: {reason}",
    )
