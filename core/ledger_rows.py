"""What a stored ledger row means, in SQL: whether it is a sale, and what it did to its owner's balance.

Rows that this server wrote carry their kind in our notes; those of a panel are told by their text. The expressions need
``_transactions`` with our notes beside it (:func:`with_notes`). Source: contract chapters 30 B.1 and 40 §2.4.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, and_, case, cast, func, or_

from core import ledger
from core.models import LedgerNote, Transaction


def with_notes() -> Any:
    """``_transactions`` with our notes, where there are any."""
    return sa.outerjoin(Transaction, LedgerNote, LedgerNote.transaction_id == Transaction.id)


def is_sale() -> sa.ColumnElement[bool]:
    """A new account or a renewal; NULL and false are no."""
    details = func.lower(func.coalesce(Transaction.details, ""))
    new_account = and_(details.like("plan %"), or_(details.like("% assigned for %"), details.like("% assigned to %")))
    by_text = and_(or_(details.like("account renewal:%"), new_account), details.not_like("%credit adjustment%"))
    return or_(LedgerNote.kind.in_(ledger.SALES), and_(LedgerNote.kind.is_(None), by_text))


def moved() -> sa.ColumnElement[Any]:
    """What an adjustment, a manual row, or any row that we wrote did to the balance; 0 for sales of a panel."""
    amount = func.coalesce(Transaction.amount, 0)
    return case(
        (LedgerNote.effect.is_not(None), LedgerNote.effect),
        (is_sale(), 0),
        (Transaction.type == ledger.CREDIT, amount),
        (Transaction.type == ledger.DEBIT, -amount),
        else_=0,
    )


def sold() -> sa.ColumnElement[Any]:
    """What a panel's sale took from the balance if its owner pays: old panels wrote it positive; else 0."""
    return case((and_(LedgerNote.effect.is_(None), is_sale()), func.abs(func.coalesce(Transaction.amount, 0))), else_=0)


def cents(amount: Any) -> sa.ColumnElement[int]:
    """``amount`` as whole cents, whose sums are exact on SQLite too, where amounts are floating numbers."""
    return cast(func.round(amount * 100), BigInteger)
