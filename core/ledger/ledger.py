"""Balances and the ledger: the one place that moves ``_users.balance`` and adds rows to ``_transactions``.

Every function works inside the caller's transaction, so that a balance and its row change together or not at all.
Source: contract chapters 20 §1.8, 30 B and 40 §2.4.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy import Connection, insert, select, update

from core.errors import InvalidInput, NotEnoughCredit, NotFound
from core.storage.tables import LedgerNote, Transaction, User
from core.storage.undoable import refuse_money_without_undo
from core.storage.writing import insert_row
from core.values import money

# the column ``type``
DEBIT, CREDIT = 0, 1
# kinds of rows, in our notes; panels tell them by the text of ``details``
SALE, RENEWAL, ADJUSTMENT, MANUAL = "sale", "renewal", "adjustment", "manual"
SALES = (SALE, RENEWAL)


@dataclass(frozen=True, slots=True)
class Note:
    """What a ledger row is about, as it was when the row was written; stands beside the panel's columns."""

    kind: str
    account_id: int | None = None
    username: str | None = None
    mac: str | None = None
    full_name: str | None = None
    plan_id: int | None = None
    plan_name: str | None = None
    discount: int | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A ledger row to be: ``amount`` as a decimal text, negative for sales and renewals; ``type`` DEBIT or CREDIT."""

    creator: str
    for_user: int
    amount: str
    currency: str
    type: int
    details: str
    note: Note

    @property
    def effect(self) -> Decimal:
        """What the row says that it did to the balance (chapter 40 §2.4)."""
        amount = Decimal(self.amount)
        if self.note.kind in SALES:
            return -abs(amount)
        return amount if self.type == CREDIT else -amount

    def stored(self) -> dict[str, Any]:
        """As plain data for an operation's record."""
        return asdict(self)

    @classmethod
    def read(cls, stored: dict[str, Any] | None) -> Self | None:
        return None if stored is None else cls(**{**stored, "note": Note(**stored["note"])})


@dataclass(frozen=True, slots=True)
class Moved:
    """A balance before and after."""

    old: Decimal
    new: Decimal


def take(connection: Connection, user_id: int, amount: Decimal, *, at_least: Decimal) -> None:
    """Debit ``amount`` if the balance is ``at_least`` that much. Raises NotEnoughCredit, NotUndoable.

    One conditional statement, so that of two purchases at once only those succeed that the balance covers.
    """
    refuse_money_without_undo(connection)
    balance = sa.func.round(sa.func.coalesce(User.balance, 0), 2)
    taken = connection.execute(
        update(User)
        .where(User.id == user_id, balance >= sa.literal(max(amount, at_least), User.balance.type))
        .values(balance=sa.func.round(sa.func.coalesce(User.balance, 0) - sa.literal(amount, User.balance.type), 2))
    )
    if taken.rowcount != 1:
        raise NotEnoughCredit


def give_back(connection: Connection, user_id: int, amount: Decimal) -> None:
    """Return what :func:`take` took."""
    connection.execute(
        update(User)
        .where(User.id == user_id)
        .values(balance=sa.func.round(sa.func.coalesce(User.balance, 0) + sa.literal(amount, User.balance.type), 2))
    )


def move(connection: Connection, user_id: int, change: Callable[[Decimal], Decimal]) -> Moved:
    """Set the balance to what ``change`` makes of it; the row is locked meanwhile. Raises NotFound, InvalidInput,
    NotUndoable.

    The caller writes the ledger row that says why, in the same transaction.
    """
    refuse_money_without_undo(connection)
    row = connection.execute(select(User.balance).where(User.id == user_id).with_for_update()).first()
    if row is None:
        raise NotFound("User not found")
    old = money.stored(row.balance)
    new = money.rounded(change(old))
    if abs(new) > money.LARGEST:
        raise InvalidInput("The balance would become too large")
    if new != old:
        connection.execute(update(User).where(User.id == user_id).values(balance=new))
    return Moved(old, new)


def record(
    connection: Connection,
    entry: Entry,
    stamp: int,
    *,
    account_id: int | None = None,
    effect: Decimal | None = None,
) -> int:
    """Write the ledger row and our note on it, and return the row's id; ``stamp`` in Unix seconds.

    ``effect``: by how much the balance was really moved, where that is not what the row says (:attr:`Entry.effect`):
    sales to admins move nothing, a debit may find less than its amount.
    """
    row = {
        "creator": entry.creator,
        "for_user": entry.for_user,
        "amount": Decimal(entry.amount),
        "currency": entry.currency[:10],
        "type": entry.type,
        "details": entry.details,
        "timestamp": stamp,
    }
    row_id = insert_row(connection, Transaction, row)
    values = asdict(entry.note)
    values["amount"] = Decimal(entry.amount)
    values["effect"] = entry.effect if effect is None else effect
    if account_id is not None:
        values["account_id"] = account_id
    connection.execute(insert(LedgerNote), {"transaction_id": row_id, **values})
    return row_id
