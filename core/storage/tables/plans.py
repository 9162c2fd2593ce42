"""Tables of plans and currencies."""

from decimal import Decimal

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables.base import Base, Money, _counted, _table


class Currency(Base):
    __tablename__ = "_currencies"
    __table_args__ = _table()

    id: Mapped[str] = mapped_column(String(10), primary_key=True)
    name: Mapped[str] = mapped_column(String(50))


class Plan(Base):
    __tablename__ = "_plans"
    __table_args__ = _counted()

    id: Mapped[int] = mapped_column(primary_key=True)
    external_id: Mapped[str | None] = mapped_column(String(100))
    name: Mapped[str | None] = mapped_column(String(255))
    currency_id: Mapped[str | None] = mapped_column(String(10))
    price: Mapped[Decimal | None] = mapped_column(Money)
    days: Mapped[int | None]
    category: Mapped[str | None] = mapped_column(String(20))


class DeletedPlan(Base):
    """What a plan was called, for accounts and ledger rows that outlive it."""

    __tablename__ = "_sbx_deleted_plans"
    __table_args__ = _table()

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    external_id: Mapped[str | None] = mapped_column(String(100))
    currency_id: Mapped[str | None] = mapped_column(String(10))
    name: Mapped[str | None] = mapped_column(String(255))
    deleted_at: Mapped[int]


class PlanNote(Base):
    """When a plan was made here, which the panel's table does not say. Unix seconds."""

    __tablename__ = "_sbx_plan_notes"
    __table_args__ = _table()

    plan_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    created_at: Mapped[int]
