"""What a sale is and what it is worth: the one definition, as SQL over the ledger and our notes beside it.

A row that has a note is what its note says; rows that a panel wrote are told by their text, whatever its case.
Source: contract chapters 30 B.1 and 40 §2.4. For every database the same; see :func:`cents` for sums.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy import ColumnElement, SQLColumnExpression

from core.ledger import ledger
from core.storage.schema import Layout
from core.storage.tables import LedgerNote, Transaction

VOIDED, ACTIVE = "voided", "active"

# every select of the expressions below begins here
LEDGER = sa.outerjoin(Transaction, LedgerNote, LedgerNote.transaction_id == Transaction.id)

_HAS_NO_NOTE = LedgerNote.kind.is_(None)
_IS_NO_ADJUSTMENT = sa.not_(Transaction.details.icontains("Credit adjustment"))
_SAYS_NEW_ACCOUNT = sa.and_(
    Transaction.details.istartswith("Plan "),
    sa.or_(Transaction.details.icontains(" assigned for "), Transaction.details.icontains(" assigned to ")),
)

IS_RENEWAL: ColumnElement[bool] = sa.or_(
    LedgerNote.kind == ledger.RENEWAL,
    sa.and_(_HAS_NO_NOTE, Transaction.details.istartswith("Account renewal:"), _IS_NO_ADJUSTMENT),
)
IS_NEW_ACCOUNT: ColumnElement[bool] = sa.or_(
    LedgerNote.kind == ledger.SALE, sa.and_(_HAS_NO_NOTE, _SAYS_NEW_ACCOUNT, _IS_NO_ADJUSTMENT)
)
IS_SALE: ColumnElement[bool] = sa.or_(IS_NEW_ACCOUNT, IS_RENEWAL)


@dataclass(frozen=True)
class Value:
    """What a ledger row is worth, as SQL: positive for sales, though panels stored them with either sign.

    ``correction`` is NULL where there is none, ``net`` 0 where the row was voided. ``correction_*`` and
    ``corrected_*``: the panel's columns, NULL in a database of before panel 1.16.
    """

    status: SQLColumnExpression[Any]
    is_voided: ColumnElement[bool]
    original: ColumnElement[Decimal]
    correction: ColumnElement[Any]
    net: ColumnElement[Decimal]
    note: SQLColumnExpression[Any]
    corrected_by: SQLColumnExpression[Any]
    corrected_at: SQLColumnExpression[Any]

    @classmethod
    def of(cls, layout: Layout) -> Self:
        """The expressions for the columns that this database has."""
        amount = sa.func.coalesce(Transaction.amount, 0)
        sign = sa.case((amount < 0, -1), else_=1)
        correction, status = layout.column(Transaction.correction_amount), layout.column(Transaction.status)
        is_voided = sa.func.coalesce(status, ACTIVE) == VOIDED
        return cls(
            status=status,
            is_voided=is_voided,
            original=sign * amount,
            correction=sign * correction,
            net=sa.case((is_voided, 0), else_=sign * (amount + sa.func.coalesce(correction, 0))),
            note=layout.column(Transaction.correction_note),
            corrected_by=layout.column(Transaction.corrected_by_username),
            corrected_at=layout.column(Transaction.corrected_at),
        )


def cents(amount: ColumnElement[Any]) -> ColumnElement[int]:
    """``amount`` in whole hundredths, which add up exactly on SQLite as well, where decimals are binary numbers."""
    return sa.cast(sa.func.round(amount * 100), sa.BigInteger)


def total(amount: ColumnElement[Any], *, where: ColumnElement[bool] | None = None) -> ColumnElement[int]:
    """The sum of ``amount`` in hundredths (see :func:`from_cents`) over the rows of a group, or those ``where``."""
    counted = cents(amount) if where is None else sa.case((where, cents(amount)), else_=0)
    return sa.func.coalesce(sa.func.sum(counted), 0)


def count(where: ColumnElement[bool]) -> ColumnElement[int]:
    """How many rows of a group meet ``where``."""
    return sa.func.coalesce(sa.func.sum(sa.case((where, 1), else_=0)), 0)


def from_cents(value: Any) -> Decimal:
    """The amount of a sum of hundredths."""
    return Decimal(int(value or 0)).scaleb(-2)
