"""Tables of subscriber accounts and of work under way on them."""

from datetime import date
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy import BigInteger, Index, String, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables.base import ONE, ZERO, Base, Money, Small, Username, _counted, _table


class Account(Base):
    __tablename__ = "_accounts"
    __table_args__ = _counted(
        Index("sbx_accounts_username", "username"),
        Index("sbx_accounts_mac", "mac"),
        Index("sbx_accounts_reseller", "reseller"),
        Index("sbx_accounts_end_date", "end_date"),
        Index("sbx_accounts_username_lower", func.lower(sa.column("username"))).ddl_if(dialect="postgresql"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(Username)
    mac: Mapped[str] = mapped_column(String(50))
    email: Mapped[str | None] = mapped_column(String(255))
    phone_number: Mapped[str | None] = mapped_column(String(50))
    reseller: Mapped[int | None]
    plan: Mapped[int | None]
    timestamp: Mapped[int | None]
    full_name: Mapped[str | None] = mapped_column(String(255), server_default="")
    tariff_plan: Mapped[str | None] = mapped_column(String(100), server_default="")
    end_date: Mapped[date | None]
    status: Mapped[int | None] = mapped_column(Small, server_default=ONE)


class AccountNote(Base):
    """What we keep of an account beside the panel's row.

    ``changed_at``: Unix milliseconds of the last change made through this panel, which an older portal list must
    not undo. ``portal_reseller_seen``: the owner that the portal named last, if ``portal_reseller_known``.
    """

    __tablename__ = "_sbx_account_notes"
    __table_args__ = _table()

    account_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_number: Mapped[int | None]
    portal_reseller_seen: Mapped[int | None]
    portal_reseller_known: Mapped[int] = mapped_column(server_default=ZERO)
    changed_at: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    comment: Mapped[str | None] = mapped_column(Text)


class ArchivedAccount(Base):
    """An account that is gone, as it last was: an account that comes back gets its id and owner again.

    ``reason``: ``deleted`` (through the panel) or ``vanished`` (from the portal); ``archived_at``: Unix milliseconds.
    """

    __tablename__ = "_sbx_archived_accounts"
    __table_args__ = _table(
        Index("sbx_archived_accounts_mac", "mac"), Index("sbx_archived_accounts_username", "username")
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    username: Mapped[str] = mapped_column(Username)
    mac: Mapped[str] = mapped_column(String(50))
    email: Mapped[str | None] = mapped_column(String(255))
    phone_number: Mapped[str | None] = mapped_column(String(50))
    reseller: Mapped[int | None]
    plan: Mapped[int | None]
    timestamp: Mapped[int | None]
    full_name: Mapped[str | None] = mapped_column(String(255))
    tariff_plan: Mapped[str | None] = mapped_column(String(100))
    end_date: Mapped[date | None]
    status: Mapped[int | None] = mapped_column(Small)
    account_number: Mapped[int | None]
    portal_reseller_seen: Mapped[int | None]
    portal_reseller_known: Mapped[int] = mapped_column(server_default=ZERO)
    reason: Mapped[str] = mapped_column(String(32))
    archived_at: Mapped[int] = mapped_column(BigInteger)


class Operation(Base):
    """A change that spans the portals and this database, stored before the first portal call.

    ``payload``: JSON with all that is needed to finish or undo it, without passwords. ``owner`` may work on it until
    ``lease_until``; times are Unix seconds. The states are explained in :mod:`core.accounts.operations`.
    """

    __tablename__ = "_sbx_operations"
    __table_args__ = _counted(Index("sbx_operations_state", "state"))

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(16))
    username: Mapped[str] = mapped_column(Username)
    mac: Mapped[str] = mapped_column(String(50))
    account_id: Mapped[int | None]
    actor_id: Mapped[int]
    payer_id: Mapped[int | None]
    amount: Mapped[Decimal | None] = mapped_column(Money)
    payload: Mapped[str] = mapped_column(Text)
    step: Mapped[str] = mapped_column(String(32))
    error: Mapped[str | None] = mapped_column(Text)
    owner: Mapped[str | None] = mapped_column(String(64))
    lease_until: Mapped[int] = mapped_column(server_default=ZERO)
    created_at: Mapped[int]
    updated_at: Mapped[int]
