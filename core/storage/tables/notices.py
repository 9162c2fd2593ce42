"""Tables of expiry reminders on set-top boxes and of push notices to browsers. Texts and mails: ``messages``."""

from datetime import date, datetime

from sqlalchemy import Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables.base import (
    NOW,
    NOW_RENEWED,
    SEVEN,
    ZERO,
    Base,
    Choice,
    DateTime,
    Flag,
    Timestamp,
    _counted,
)


class ExpiryReminder(Base):
    __tablename__ = "_expiry_reminders"
    __table_args__ = _counted(
        UniqueConstraint("mac", "end_date", "days_before"),
        Index(None, "account_id"),
        Index(None, "mac"),
        Index(None, "reminder_date"),
        Index(None, "sent_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int]
    mac: Mapped[str] = mapped_column(String(17))
    username: Mapped[str] = mapped_column(String(100))
    full_name: Mapped[str | None] = mapped_column(String(200))
    end_date: Mapped[date]
    days_before: Mapped[int]
    reminder_date: Mapped[date]
    sent_at: Mapped[datetime] = mapped_column(DateTime)
    sent_by: Mapped[int]
    message: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str | None] = mapped_column(Choice("sent", "failed"), server_default="sent")
    error_message: Mapped[str | None] = mapped_column(Text)


class PushExpiryTracking(Base):
    __tablename__ = "_push_expiry_tracking"
    __table_args__ = _counted(UniqueConstraint("account_id", "expiry_date"), Index(None, "notified_at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int]
    expiry_date: Mapped[date]
    notified_at: Mapped[datetime | None] = mapped_column(Timestamp, server_default=NOW)
    # ours: a sync of the panel gives accounts new ids
    mac: Mapped[str | None] = mapped_column(String(50))


class PushSubscription(Base):
    __tablename__ = "_push_subscriptions"
    __table_args__ = _counted(
        Index(None, "user_id"),
        # hash: a long endpoint would not fit into a PostgreSQL tree index
        Index(
            None,
            "endpoint",
            mysql_length={"endpoint": 191},
            mariadb_length={"endpoint": 191},
            postgresql_using="hash",
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    endpoint: Mapped[str] = mapped_column(Text)
    p256dh: Mapped[str] = mapped_column(Text)
    auth: Mapped[str] = mapped_column(Text)
    user_agent: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime | None] = mapped_column(Timestamp, server_default=NOW)
    updated_at: Mapped[datetime | None] = mapped_column(Timestamp, server_default=NOW_RENEWED)


class ReminderSettings(Base):
    __tablename__ = "_reminder_settings"
    __table_args__ = _counted(UniqueConstraint("user_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    days_before_expiry: Mapped[int] = mapped_column(server_default=SEVEN)
    message_template: Mapped[str | None] = mapped_column(Text)
    auto_send_enabled: Mapped[int] = mapped_column(Flag, server_default=ZERO)
    last_sweep_at: Mapped[datetime | None] = mapped_column(DateTime)
    created_at: Mapped[datetime] = mapped_column(DateTime)
    updated_at: Mapped[datetime] = mapped_column(DateTime)
