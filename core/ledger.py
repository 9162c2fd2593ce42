"""Balances and the ledger: the one place that moves ``_users.balance`` and writes ``_transactions`` for sales.

Every function works inside the caller's transaction. Source: contract chapter 20 §1.8.
"""

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy import Connection, insert, update

from core.models import Transaction, User
from core.plan_choice import NotEnoughCredit

SALE, RENEWAL = 0, 1


@dataclass(frozen=True, slots=True)
class Entry:
    """A ledger row to be: ``amount`` as a decimal text, negative for a sale; ``type`` SALE or RENEWAL."""

    creator: str
    for_user: int
    amount: str
    currency: str
    type: int
    details: str

    def stored(self) -> dict[str, Any]:
        """As plain data for an operation's record."""
        return asdict(self)

    @classmethod
    def read(cls, stored: dict[str, Any] | None) -> Self | None:
        return None if stored is None else cls(**stored)


def take(connection: Connection, user_id: int, amount: Decimal, *, at_least: Decimal) -> None:
    """Debit ``amount`` if the balance is ``at_least`` that much. Raises NotEnoughCredit.

    One conditional statement, so that of two purchases at once only those succeed that the balance covers.
    """
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


def record(connection: Connection, entry: Entry, stamp: int) -> None:
    """Write the ledger row; ``stamp`` in Unix seconds."""
    connection.execute(
        insert(Transaction).values(
            creator=entry.creator,
            for_user=entry.for_user,
            amount=Decimal(entry.amount),
            currency=entry.currency[:10],
            type=entry.type,
            details=entry.details,
            timestamp=stamp,
        )
    )
