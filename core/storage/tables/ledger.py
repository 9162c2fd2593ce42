"""Tables of the ledger."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables.base import Base, Choice, DateTime, Money, Small, Username, _counted, _table


class Transaction(Base):
    __tablename__ = "_transactions"
    __table_args__ = _counted(
        Index("sbx_transactions_for_user_timestamp", "for_user", "timestamp"),
        Index("sbx_transactions_for_user_id", "for_user", "id"),
        Index("sbx_transactions_timestamp", "timestamp"),
        Index(None, "status"),
        Index(None, "corrected_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    creator: Mapped[str | None] = mapped_column(String(100))
    for_user: Mapped[int | None]
    amount: Mapped[Decimal | None] = mapped_column(Money)
    currency: Mapped[str | None] = mapped_column(String(10))
    type: Mapped[int | None] = mapped_column(Small)
    details: Mapped[str | None] = mapped_column(Text)
    timestamp: Mapped[int | None]
    # decimal(10,2) in the panel, too small for rials (chapter 40, 2.1)
    correction_amount: Mapped[Decimal | None] = mapped_column(Money)
    correction_note: Mapped[str | None] = mapped_column(Text)
    corrected_by: Mapped[int | None]
    corrected_by_username: Mapped[str | None] = mapped_column(String(100))
    corrected_at: Mapped[datetime | None] = mapped_column(DateTime)
    status: Mapped[str | None] = mapped_column(Choice("active", "corrected", "voided"), server_default="active")


class LedgerNote(Base):
    """What we know of a ledger row beside the panel's columns, so that no reader has to guess from its text.

    ``kind``: ``sale``, ``renewal``, ``adjustment`` or ``manual``; ``amount``: the row's own, which never changes;
    ``effect``: by how much the row's writing changed the balance. The rest is as it was when the row was written.
    """

    __tablename__ = "_sbx_ledger_notes"
    __table_args__ = _table(Index("sbx_ledger_notes_mac", "mac"))

    transaction_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(16))
    account_id: Mapped[int | None]
    username: Mapped[str | None] = mapped_column(Username)
    mac: Mapped[str | None] = mapped_column(String(50))
    full_name: Mapped[str | None] = mapped_column(String(255))
    plan_id: Mapped[int | None]
    plan_name: Mapped[str | None] = mapped_column(String(255))
    discount: Mapped[int | None]
    description: Mapped[str | None] = mapped_column(Text)
    amount: Mapped[Decimal | None] = mapped_column(Money)
    effect: Mapped[Decimal | None] = mapped_column(Money)


class LedgerOpening(Base):
    """The part of a user's balance that the ledger does not explain, as a check of the ledger found it; never changed.

    The latest row of a user counts. ``pays``: 0 if the panel sold to the user without taking credit; ``remembered_at``:
    Unix seconds. Explained in :mod:`core.payments.proof`.
    """

    __tablename__ = "_sbx_ledger_openings"
    __table_args__ = _counted(Index("sbx_ledger_openings_user_id", "user_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    amount: Mapped[Decimal] = mapped_column(Money)
    pays: Mapped[int] = mapped_column(Small)
    remembered_at: Mapped[int]


class Correction(Base):
    """Every correction of a ledger row that was made here, in order; the row itself shows the latest only."""

    __tablename__ = "_sbx_corrections"
    __table_args__ = _counted(Index("sbx_corrections_transaction_id", "transaction_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    transaction_id: Mapped[int]
    correction_amount: Mapped[Decimal | None] = mapped_column(Money)
    correction_note: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16))
    corrected_by: Mapped[int]
    corrected_by_username: Mapped[str] = mapped_column(String(100))
    corrected_at: Mapped[datetime] = mapped_column(DateTime)
