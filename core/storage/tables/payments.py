"""Tables of what resellers paid, and the banks."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables.base import (
    NOW,
    NULL_RENEWED,
    ONE,
    ZERO,
    Base,
    Choice,
    DateTime,
    Flag,
    Money,
    Timestamp,
    Username,
    _counted,
    _table,
    _user_reference,
)


class IranianBank(Base):
    __tablename__ = "_iranian_banks"
    __table_args__ = _counted(UniqueConstraint("code"), Index(None, "is_active"))

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(20))
    name_fa: Mapped[str] = mapped_column(String(100))
    name_en: Mapped[str] = mapped_column(String(100))
    is_active: Mapped[int | None] = mapped_column(Flag, server_default=ONE)
    sort_order: Mapped[int | None] = mapped_column(server_default=ZERO)


class ResellerPayment(Base):
    __tablename__ = "_reseller_payments"
    __table_args__ = _counted(
        Index(None, "reseller_id"),
        Index(None, "payment_date"),
        Index(None, "status"),
        Index(None, "bank_name"),
        Index(None, "currency"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    reseller_id: Mapped[int] = mapped_column(_user_reference())
    amount: Mapped[Decimal] = mapped_column(Money)
    currency: Mapped[str] = mapped_column(String(10), server_default="IRR")
    payment_date: Mapped[date]
    bank_name: Mapped[str] = mapped_column(String(100))
    reference_number: Mapped[str | None] = mapped_column(String(100))
    receipt_path: Mapped[str | None] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    recorded_by: Mapped[int]
    recorded_by_username: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime | None] = mapped_column(Timestamp, server_default=NOW)
    updated_at: Mapped[datetime | None] = mapped_column(Timestamp, server_default=NULL_RENEWED)
    status: Mapped[str | None] = mapped_column(Choice("active", "cancelled"), server_default="active")
    cancelled_by: Mapped[int | None]
    cancelled_at: Mapped[datetime | None] = mapped_column(DateTime)
    cancellation_reason: Mapped[str | None] = mapped_column(Text)


class ArchivedPayment(Base):
    """A payment of a reseller who is gone, with the reseller's name; ``archived_at``: Unix seconds."""

    __tablename__ = "_sbx_archived_payments"
    __table_args__ = _table(Index("sbx_archived_payments_reseller_id", "reseller_id"))

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    reseller_id: Mapped[int]
    reseller_name: Mapped[str | None] = mapped_column(String(255))
    reseller_username: Mapped[str] = mapped_column(Username)
    amount: Mapped[Decimal] = mapped_column(Money)
    currency: Mapped[str] = mapped_column(String(10))
    payment_date: Mapped[date]
    bank_name: Mapped[str] = mapped_column(String(100))
    reference_number: Mapped[str | None] = mapped_column(String(100))
    receipt_path: Mapped[str | None] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    recorded_by: Mapped[int]
    recorded_by_username: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime | None] = mapped_column(DateTime)
    updated_at: Mapped[datetime | None] = mapped_column(DateTime)
    status: Mapped[str | None] = mapped_column(String(32))
    cancelled_by: Mapped[int | None]
    cancelled_at: Mapped[datetime | None] = mapped_column(DateTime)
    cancellation_reason: Mapped[str | None] = mapped_column(Text)
    archived_at: Mapped[int]
