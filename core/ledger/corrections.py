"""Correcting and voiding ledger rows: the original never changes, the correction stands beside it.

Neither moves the balance: a correction changes reports, invoices and what a reseller owes, not the prepaid credit.
Source: contract chapter 40 §3.11.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, insert, select, update

from core.access.audit import By
from core.access.permissions import CORRECT_TRANSACTIONS, require
from core.errors import InvalidInput, NotFound
from core.ledger.listing import CORRECTED, STATUSES, Corrected, correction_columns, read_correction
from core.ledger.manual_rows import TEXT_CHARACTERS
from core.panel import Panel
from core.storage.schema import LacksColumns
from core.storage.tables import Correction, Transaction
from core.storage.undoable import refuse_money_without_undo
from core.values import money
from core.values.checks import clean_text

_TARGET_CHARACTERS = 255
_TOO_LARGE = "The correction is too large for this database; run the database upgrade first"


@dataclass(frozen=True, slots=True)
class CorrectedRow:
    """A ledger row after its correction; ``at``: naive local time."""

    id: int
    original: Decimal
    correction: Corrected
    at: datetime

    @property
    def net(self) -> Decimal:
        return self.correction.net(self.original)


def correct_transaction(
    panel: Panel, by: By, *, number: int | None, amount: str, note: str, status: str
) -> CorrectedRow:
    """Set the correction of a ledger row, in place of an earlier one; status ``active`` without amount undoes it.

    Raises NotAllowed, InvalidInput, NotFound, LacksColumns.
    """
    require(by.actor, CORRECT_TRANSACTIONS)
    if not number:
        raise InvalidInput.missing("transaction_id")
    note = clean_text(note, "correction_note", TEXT_CHARACTERS)
    if not note:
        raise InvalidInput.missing("correction_note", "what explains the correction")
    status = status.lower() or CORRECTED
    if status not in STATUSES:
        raise InvalidInput.of("status", "expected active, corrected or voided")
    now = panel.clock.now()
    wanted = Corrected(_amount(amount), note, by.actor.id, by.actor.username, now, status)
    if not panel.layout.has(Transaction.correction_amount):
        raise LacksColumns("This database has no columns for corrections yet; run the database upgrade first")

    def act(connection: Connection) -> CorrectedRow:
        refuse_money_without_undo(connection)
        before = _locked(panel, connection, number)
        _store(connection, number, wanted)
        row = CorrectedRow(number, money.stored(before.amount), wanted, now)
        _audit(panel, connection, by, before, row)
        return row

    return panel.database.transact(act)


def _amount(text: str) -> Decimal | None:
    """None for an empty text and for zero. Raises InvalidInput."""
    return (money.read_amount(text, "correction_amount", grouped=True) or None) if text else None


def _locked(panel: Panel, connection: Connection, number: int) -> Any:
    row = connection.execute(
        select(Transaction.amount, Transaction.details, *correction_columns(panel))
        .where(Transaction.id == number)
        .with_for_update()
    ).first()
    if row is None:
        raise NotFound("Transaction not found")
    return row


def _store(connection: Connection, number: int, wanted: Corrected) -> None:
    values = {
        "correction_amount": wanted.amount,
        "correction_note": wanted.note,
        "corrected_by": wanted.by,
        "corrected_by_username": wanted.by_username,
        "corrected_at": wanted.at,
        "status": wanted.status,
    }
    row = Transaction.id == number
    try:
        connection.execute(update(Transaction).where(row).values(**values))
    except sa.exc.DataError:
        raise InvalidInput(_TOO_LARGE) from None
    # a server that is not strict stores the largest number that the panel's narrow column holds
    if money.stored(connection.scalar(select(Transaction.correction_amount).where(row))) != (wanted.amount or 0):
        raise InvalidInput(_TOO_LARGE)
    connection.execute(insert(Correction).values(transaction_id=number, **values))


def _audit(panel: Panel, connection: Connection, by: By, before: Any, after: CorrectedRow) -> None:
    by.write_audit(
        panel,
        connection,
        "update",
        "transaction",
        target_id=after.id,
        target_name=(before.details or "")[:_TARGET_CHARACTERS],
        old=_columns(read_correction(before)),
        new={**_columns(after.correction), "net_amount": after.net},
        details=f"Transaction corrected: {after.correction.note}",
    )


def _columns(correction: Corrected) -> dict[str, object]:
    return {
        "correction_amount": correction.amount,
        "correction_note": correction.note,
        "corrected_by": correction.by,
        "corrected_by_username": correction.by_username,
        "corrected_at": correction.at,
        "status": correction.status,
    }
