"""The tables, as SQLAlchemy models: those of the legacy panel (chapter 01) and our own, which begin with ``_sbx_``.

How a database comes by these tables is decided in :mod:`core.schema`; no business rule lives here.
Attribute names are column names. Defaults that say "now" exist for the panel's sake: our code always
writes its own time, since a database server's clock is in another zone (chapter 01).
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, ForeignKey, Index, SmallInteger, String, Text, UniqueConstraint, func, text
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.schema import SchemaItem
from sqlalchemy.sql.compiler import SQLCompiler, TypeCompiler

OWN_PREFIX = "_sbx_"
_MYSQL = ("mysql", "mariadb")


class Choice(String):
    """One of a few words: ENUM on MySQL, plain text elsewhere.

    Not ``sa.Enum``, because that refuses to read a word that it does not know, and a legacy ENUM may hold
    ``''`` (MySQL's mark for a refused value) or a word of a newer panel.
    """

    def __init__(self, *words: str, length: int = 32) -> None:
        super().__init__(length)
        self.words = words


@compiles(Choice, *_MYSQL)
def _enum(type_: Choice, _compiler: TypeCompiler, **_: Any) -> str:
    return "ENUM({})".format(",".join(f"'{word}'" for word in type_.words))


class _Renewed(sa.ColumnElement[datetime]):
    """A column default which MySQL's server also sets to the current time on each update of the row."""

    inherit_cache = False

    def __init__(self, first: str) -> None:
        self.first = first


@compiles(_Renewed)
def _first_only(element: _Renewed, _compiler: SQLCompiler, **_: Any) -> str:
    return element.first


@compiles(_Renewed, *_MYSQL)
def _first_and_renewed(element: _Renewed, _compiler: SQLCompiler, **_: Any) -> str:
    return f"{element.first} ON UPDATE CURRENT_TIMESTAMP"


NOW = text("CURRENT_TIMESTAMP")
NOW_RENEWED = _Renewed("CURRENT_TIMESTAMP")
NULL_RENEWED = _Renewed("NULL")
ZERO, ONE, SEVEN = text("0"), text("1"), text("7")

Flag = SmallInteger().with_variant(mysql.TINYINT(1), *_MYSQL)
Small = SmallInteger().with_variant(mysql.TINYINT(4), *_MYSQL)
Money = sa.Numeric(15, 2)
# the same text form on SQLite as the panel's answers have, so that plain SQL on any database reads alike
_PLAIN_SECONDS = sqlite.DATETIME(truncate_microseconds=True)  # type: ignore[no-untyped-call]
DateTime = sa.DateTime().with_variant(_PLAIN_SECONDS, "sqlite")
Timestamp = sa.TIMESTAMP().with_variant(_PLAIN_SECONDS, "sqlite")
MediumText = Text().with_variant(mysql.MEDIUMTEXT(), *_MYSQL)
LongText = Text().with_variant(mysql.LONGTEXT(), *_MYSQL)
# user names compare regardless of case, as under the legacy database's collation
Username = String(100).with_variant(String(100, collation="NOCASE"), "sqlite")
# ids of sessions and the like, where case matters
ExactId = String(256).with_variant(mysql.VARCHAR(256, charset="ascii", collation="ascii_bin"), *_MYSQL)


def _table(*items: SchemaItem) -> tuple[Any, ...]:
    """``__table_args__``: the constraints and indexes of a table, and how each kind of database stores it."""
    return (
        *items,
        {
            "mysql_engine": "InnoDB",
            "mysql_charset": "utf8mb4",
            "mysql_collate": "utf8mb4_unicode_ci",
            "mariadb_engine": "InnoDB",
            "mariadb_charset": "utf8mb4",
            "mariadb_collate": "utf8mb4_unicode_ci",
        },
    )


def _counted(*items: SchemaItem) -> tuple[Any, ...]:
    """As :func:`_table`, with ids that SQLite never gives twice: a deleted user's id must not return."""
    *constraints, options = _table(*items)
    return (*constraints, {**options, "sqlite_autoincrement": True})


def _user_reference() -> ForeignKey:
    return ForeignKey("_users.id", ondelete="CASCADE")


class Base(DeclarativeBase):
    metadata = sa.MetaData(
        naming_convention={
            "ix": "%(table_name)s_%(column_0_N_name)s",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        }
    )


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


class AppSetting(Base):
    __tablename__ = "_app_settings"
    __table_args__ = _counted(UniqueConstraint("setting_key"))

    id: Mapped[int] = mapped_column(primary_key=True)
    setting_key: Mapped[str] = mapped_column(String(100))
    setting_value: Mapped[str | None] = mapped_column(Text)
    updated_at: Mapped[datetime | None] = mapped_column(Timestamp, server_default=NOW_RENEWED)


class AuditEntry(Base):
    __tablename__ = "_audit_log"
    __table_args__ = _counted(
        Index(None, "timestamp"),
        Index(None, "user_id"),
        Index(None, "action"),
        Index(None, "target_type"),
        Index(None, "target_id"),
        Index(None, "user_id", "timestamp"),
        Index(None, "action", "timestamp"),
        Index("sbx_audit_log_target_type_timestamp", "target_type", "timestamp"),
    )

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(mysql.BIGINT(unsigned=True), *_MYSQL).with_variant(sa.Integer(), "sqlite"),
        primary_key=True,
    )
    timestamp: Mapped[datetime] = mapped_column(DateTime, server_default=NOW)
    user_id: Mapped[int]
    username: Mapped[str] = mapped_column(String(255))
    user_type: Mapped[str | None] = mapped_column(String(50))
    action: Mapped[str] = mapped_column(String(100))
    target_type: Mapped[str] = mapped_column(String(100))
    target_id: Mapped[str | None] = mapped_column(String(255))
    target_name: Mapped[str | None] = mapped_column(String(255))
    old_value: Mapped[str | None] = mapped_column(LongText)
    new_value: Mapped[str | None] = mapped_column(LongText)
    ip_address: Mapped[str | None] = mapped_column(String(45))
    user_agent: Mapped[str | None] = mapped_column(Text)
    details: Mapped[str | None] = mapped_column(Text)


class Currency(Base):
    __tablename__ = "_currencies"
    __table_args__ = _table()

    id: Mapped[str] = mapped_column(String(10), primary_key=True)
    name: Mapped[str] = mapped_column(String(50))


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


class IranianBank(Base):
    __tablename__ = "_iranian_banks"
    __table_args__ = _counted(UniqueConstraint("code"), Index(None, "is_active"))

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(20))
    name_fa: Mapped[str] = mapped_column(String(100))
    name_en: Mapped[str] = mapped_column(String(100))
    is_active: Mapped[int | None] = mapped_column(Flag, server_default=ONE)
    sort_order: Mapped[int | None] = mapped_column(server_default=ZERO)


class LoginHistory(Base):
    __tablename__ = "_login_history"
    __table_args__ = _counted(
        Index(None, "user_id"),
        Index(None, "login_time"),
        Index(None, "username"),
        Index(None, "user_id", "login_time"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    username: Mapped[str] = mapped_column(String(255))
    login_time: Mapped[datetime] = mapped_column(DateTime)
    ip_address: Mapped[str | None] = mapped_column(String(45))
    user_agent: Mapped[str | None] = mapped_column(Text)
    login_method: Mapped[str | None] = mapped_column(String(50), server_default="password")
    status: Mapped[str | None] = mapped_column(Choice("success", "failed"), server_default="success")
    failure_reason: Mapped[str | None] = mapped_column(String(255))


class MailLog(Base):
    __tablename__ = "_mail_logs"
    __table_args__ = _counted(
        Index(None, "status"),
        Index(None, "message_type"),
        Index(None, "created_at"),
        Index(None, "recipient_email"),
        Index(None, "account_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int | None]
    recipient_email: Mapped[str] = mapped_column(String(255))
    recipient_name: Mapped[str | None] = mapped_column(String(255))
    cc_emails: Mapped[str | None] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(String(255))
    body: Mapped[str] = mapped_column(Text)
    message_type: Mapped[str] = mapped_column(Choice("manual", "new_account", "renewal", "expiry_reminder"))
    sent_by: Mapped[int]
    status: Mapped[str | None] = mapped_column(Choice("sent", "failed", "pending"), server_default="pending")
    error_message: Mapped[str | None] = mapped_column(Text)
    smtp_response: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime | None] = mapped_column(DateTime, server_default=NOW)


class MailReminderTracking(Base):
    __tablename__ = "_mail_reminder_tracking"
    __table_args__ = _counted(UniqueConstraint("account_id", "reminder_stage"), Index(None, "account_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int]
    reminder_stage: Mapped[int]
    sent_at: Mapped[datetime | None] = mapped_column(DateTime, server_default=NOW)
    # ours: a sync of the panel gives accounts new ids, and a renewed account is reminded anew
    mac: Mapped[str | None] = mapped_column(String(50))
    end_date: Mapped[date | None]


class MailSettings(Base):
    __tablename__ = "_mail_settings"
    __table_args__ = _counted(UniqueConstraint("user_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    # the panel's default is one installation's host, which is nobody else's
    smtp_host: Mapped[str | None] = mapped_column(String(255))
    smtp_port: Mapped[int | None] = mapped_column(server_default=text("587"))
    smtp_secure: Mapped[str | None] = mapped_column(Choice("tls", "ssl", "none"), server_default="tls")
    smtp_username: Mapped[str | None] = mapped_column(String(255))
    smtp_password: Mapped[str | None] = mapped_column(String(255))
    from_email: Mapped[str | None] = mapped_column(String(255))
    from_name: Mapped[str | None] = mapped_column(String(255), server_default="ShowBox")
    auto_send_new_account: Mapped[int | None] = mapped_column(Flag, server_default=ONE)
    auto_send_renewal: Mapped[int | None] = mapped_column(Flag, server_default=ONE)
    auto_send_expiry: Mapped[int | None] = mapped_column(Flag, server_default=ONE)
    notify_admin: Mapped[int | None] = mapped_column(Flag, server_default=ONE)
    notify_reseller: Mapped[int | None] = mapped_column(Flag, server_default=ONE)
    days_before_expiry: Mapped[int | None] = mapped_column(server_default=SEVEN)
    enable_multistage_reminders: Mapped[int | None] = mapped_column(Flag, server_default=ONE)
    created_at: Mapped[datetime | None] = mapped_column(DateTime, server_default=NOW)
    updated_at: Mapped[datetime | None] = mapped_column(DateTime, server_default=NOW_RENEWED)


class MailTemplate(Base):
    __tablename__ = "_mail_templates"
    __table_args__ = _counted(Index(None, "user_id"), Index(None, "name"))

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    name: Mapped[str] = mapped_column(String(100))
    subject: Mapped[str] = mapped_column(String(255))
    body_html: Mapped[str] = mapped_column(Text)
    body_plain: Mapped[str | None] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(String(255))
    is_active: Mapped[int | None] = mapped_column(Flag, server_default=ONE)
    created_at: Mapped[datetime | None] = mapped_column(DateTime, server_default=NOW)
    updated_at: Mapped[datetime | None] = mapped_column(DateTime, server_default=NOW_RENEWED)


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


class SmsLog(Base):
    __tablename__ = "_sms_logs"
    __table_args__ = _counted(
        Index(None, "account_id"),
        Index(None, "mac"),
        Index(None, "recipient_number"),
        Index(None, "sent_by"),
        Index(None, "sent_at"),
        Index(None, "message_type"),
        Index(None, "status"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int | None]
    mac: Mapped[str | None] = mapped_column(String(17))
    recipient_name: Mapped[str | None] = mapped_column(String(200))
    recipient_number: Mapped[str] = mapped_column(String(20))
    message: Mapped[str] = mapped_column(Text)
    message_type: Mapped[str | None] = mapped_column(
        Choice("manual", "expiry_reminder", "renewal", "new_account"), server_default="manual"
    )
    sent_by: Mapped[int] = mapped_column(_user_reference())
    sent_at: Mapped[datetime] = mapped_column(DateTime)
    status: Mapped[str | None] = mapped_column(Choice("sent", "failed", "pending"), server_default="pending")
    api_response: Mapped[str | None] = mapped_column(Text)
    bulk_id: Mapped[str | None] = mapped_column(String(100))
    error_message: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime | None] = mapped_column(DateTime, server_default=NOW)


class SmsReminderTracking(Base):
    __tablename__ = "_sms_reminder_tracking"
    __table_args__ = _counted(
        UniqueConstraint("account_id", "reminder_stage", "end_date"),
        Index(None, "account_id", "reminder_stage"),
        Index(None, "mac", "reminder_stage"),
        Index(None, "end_date"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int]
    mac: Mapped[str | None] = mapped_column(String(20))
    reminder_stage: Mapped[str] = mapped_column(Choice("7days", "3days", "1day", "expired"))
    sent_at: Mapped[datetime] = mapped_column(DateTime)
    end_date: Mapped[date]
    created_at: Mapped[datetime | None] = mapped_column(Timestamp, server_default=NOW)


class SmsSettings(Base):
    __tablename__ = "_sms_settings"
    __table_args__ = _counted(UniqueConstraint("user_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(_user_reference())
    api_token: Mapped[str | None] = mapped_column(String(500))
    sender_number: Mapped[str | None] = mapped_column(String(20))
    base_url: Mapped[str | None] = mapped_column(String(200), server_default="https://edge.ippanel.com/v1")
    auto_send_enabled: Mapped[int | None] = mapped_column(Flag, server_default=ZERO)
    enable_multistage_reminders: Mapped[int | None] = mapped_column(Flag, server_default=ONE)
    days_before_expiry: Mapped[int | None] = mapped_column(server_default=SEVEN)
    expiry_template: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime | None] = mapped_column(DateTime, server_default=NOW)
    updated_at: Mapped[datetime | None] = mapped_column(DateTime, server_default=NOW_RENEWED)


class SmsTemplate(Base):
    __tablename__ = "_sms_templates"
    __table_args__ = _counted(Index(None, "user_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(_user_reference())
    name: Mapped[str] = mapped_column(String(200))
    template: Mapped[str] = mapped_column(MediumText)
    description: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime | None] = mapped_column(DateTime, server_default=NOW)
    updated_at: Mapped[datetime | None] = mapped_column(DateTime, server_default=NOW_RENEWED)


class StalkerSetting(Base):
    __tablename__ = "_stalker_settings"
    __table_args__ = _counted(UniqueConstraint("setting_key"))

    id: Mapped[int] = mapped_column(primary_key=True)
    setting_key: Mapped[str] = mapped_column(String(100))
    setting_value: Mapped[str | None] = mapped_column(Text)
    updated_at: Mapped[datetime | None] = mapped_column(Timestamp, server_default=NOW_RENEWED)
    updated_by: Mapped[int | None]


class StbActionLog(Base):
    __tablename__ = "_stb_action_logs"
    __table_args__ = _counted(
        Index(None, "user_id"),
        Index(None, "mac_address"),
        Index(None, "action_type"),
        Index(None, "created_at"),
        Index(None, "user_id", "created_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    username: Mapped[str] = mapped_column(String(100))
    action_type: Mapped[str] = mapped_column(Choice("event", "message"))
    mac_address: Mapped[str] = mapped_column(String(17))
    action_detail: Mapped[str] = mapped_column(String(255))
    full_message: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Choice("success", "failed"), server_default="success")
    error_message: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime | None] = mapped_column(Timestamp, server_default=NOW)


class TelegramLog(Base):
    __tablename__ = "_telegram_logs"
    __table_args__ = _counted(
        Index(None, "user_id"),
        Index(None, "chat_id"),
        Index(None, "sent_at"),
        Index(None, "message_type"),
        Index(None, "status"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(_user_reference())
    chat_id: Mapped[int] = mapped_column(BigInteger)
    message: Mapped[str] = mapped_column(Text)
    message_type: Mapped[str | None] = mapped_column(
        Choice(
            "manual",
            "new_account",
            "renewal",
            "expiry_reminder",
            "expired",
            "low_balance",
            "new_payment",
            "login_alert",
            "daily_report",
            "broadcast",
        ),
        server_default="manual",
    )
    related_account_id: Mapped[int | None]
    related_account_mac: Mapped[str | None] = mapped_column(String(17))
    telegram_message_id: Mapped[int | None] = mapped_column(BigInteger)
    sent_at: Mapped[datetime] = mapped_column(DateTime)
    status: Mapped[str | None] = mapped_column(Choice("sent", "failed", "pending"), server_default="pending")
    error_message: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime | None] = mapped_column(DateTime, server_default=NOW)


class TelegramNotificationSettings(Base):
    __tablename__ = "_telegram_notification_settings"
    __table_args__ = _counted(UniqueConstraint("user_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(_user_reference())
    notify_new_account: Mapped[int | None] = mapped_column(Flag, server_default=ONE)
    notify_renewal: Mapped[int | None] = mapped_column(Flag, server_default=ONE)
    notify_expiry: Mapped[int | None] = mapped_column(Flag, server_default=ONE)
    notify_expired: Mapped[int | None] = mapped_column(Flag, server_default=ONE)
    notify_low_balance: Mapped[int | None] = mapped_column(Flag, server_default=ONE)
    notify_new_payment: Mapped[int | None] = mapped_column(Flag, server_default=ONE)
    notify_login: Mapped[int | None] = mapped_column(Flag, server_default=ZERO)
    notify_daily_report: Mapped[int | None] = mapped_column(Flag, server_default=ZERO)
    created_at: Mapped[datetime | None] = mapped_column(DateTime, server_default=NOW)
    updated_at: Mapped[datetime | None] = mapped_column(DateTime, server_default=NOW_RENEWED)


class TelegramSettings(Base):
    __tablename__ = "_telegram_settings"
    __table_args__ = _counted()

    id: Mapped[int] = mapped_column(primary_key=True)
    bot_token: Mapped[str | None] = mapped_column(String(100))
    bot_username: Mapped[str | None] = mapped_column(String(100))
    webhook_url: Mapped[str | None] = mapped_column(String(500))
    webhook_secret: Mapped[str | None] = mapped_column(String(100))
    created_at: Mapped[datetime | None] = mapped_column(DateTime, server_default=NOW)
    updated_at: Mapped[datetime | None] = mapped_column(DateTime, server_default=NOW_RENEWED)


class TelegramTemplate(Base):
    __tablename__ = "_telegram_templates"
    __table_args__ = _counted(UniqueConstraint("template_key"))

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    template_key: Mapped[str] = mapped_column(String(50))
    template: Mapped[str] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(String(500))
    is_system: Mapped[int | None] = mapped_column(Flag, server_default=ZERO)
    created_at: Mapped[datetime | None] = mapped_column(DateTime, server_default=NOW)
    updated_at: Mapped[datetime | None] = mapped_column(DateTime, server_default=NOW_RENEWED)


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


class User(Base):
    __tablename__ = "_users"
    __table_args__ = _counted(
        UniqueConstraint("username"),
        Index("sbx_users_username_lower", func.lower(sa.column("username")), unique=True).ddl_if(dialect="postgresql"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(Username)
    password: Mapped[str] = mapped_column(String(255))
    name: Mapped[str | None] = mapped_column(String(255))
    email: Mapped[str | None] = mapped_column(String(255))
    balance: Mapped[Decimal | None] = mapped_column(Money, server_default=text("0.00"))
    permissions: Mapped[str | None] = mapped_column(String(255), server_default="1|1|1|1|1")
    max_users: Mapped[int | None] = mapped_column(server_default=ZERO)
    super_user: Mapped[int | None] = mapped_column(Small, server_default=ZERO)
    is_observer: Mapped[int | None] = mapped_column(Flag, server_default=ZERO)
    currency_id: Mapped[str | None] = mapped_column(String(10), server_default="GBP")
    theme: Mapped[str | None] = mapped_column(String(50), server_default="default")
    telegram_chat_id: Mapped[int | None] = mapped_column(BigInteger)
    telegram_linked_at: Mapped[datetime | None] = mapped_column(DateTime)
    ip_ranges: Mapped[str | None] = mapped_column(Text)
    plans: Mapped[str | None] = mapped_column(Text)
    timestamp: Mapped[int | None]


class WebauthnCredential(Base):
    __tablename__ = "_webauthn_credentials"
    __table_args__ = _counted(Index(None, "user_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    credential_id: Mapped[str] = mapped_column(Text)
    public_key: Mapped[str] = mapped_column(Text)
    counter: Mapped[int | None] = mapped_column(server_default=ZERO)
    device_name: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime | None] = mapped_column(Timestamp, server_default=NOW)
    last_used: Mapped[datetime | None] = mapped_column(Timestamp)


class State(Base):
    """Single facts about this database: where it came from, stored secrets, counters."""

    __tablename__ = "_sbx_state"
    __table_args__ = _table()

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class StoredSession(Base):
    """Sessions of the sql store: data is JSON, touched_at Unix seconds."""

    __tablename__ = "_sbx_sessions"
    __table_args__ = _table(Index("sbx_sessions_touched_at", "touched_at"))

    id: Mapped[str] = mapped_column(ExactId, primary_key=True)
    data: Mapped[str] = mapped_column(MediumText)
    touched_at: Mapped[int]


class Credential(Base):
    """What the stored password of a user is known as to sessions: tells them of a change, not of a mere re-hash.

    ``changed_at``: Unix seconds of the latest change made here; ``fingerprint``: of the stored hash then;
    ``same_as``: fingerprints, parted by blanks, of older hashes of the same password.
    """

    __tablename__ = "_sbx_credentials"
    __table_args__ = _table()

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    fingerprint: Mapped[str] = mapped_column(String(64))
    same_as: Mapped[str | None] = mapped_column(Text)
    changed_at: Mapped[int | None]


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
    ``lease_until``; times are Unix seconds. The states are explained in :mod:`core.operations`.
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


class Job(Base):
    """Work that follows a request or a clock, stored before it is begun: what runs it, how far it is, what came of it.

    ``payload`` and ``result``: JSON. ``owner`` may work on it until ``lease_until``; times are Unix seconds. The states
    are explained in :mod:`core.jobs`.
    """

    __tablename__ = "_sbx_jobs"
    __table_args__ = _counted(Index("sbx_jobs_state_due_at", "state", "due_at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    actor_id: Mapped[int | None]
    payload: Mapped[str] = mapped_column(MediumText)
    done: Mapped[int] = mapped_column(server_default=ZERO)
    total: Mapped[int | None]
    result: Mapped[str | None] = mapped_column(MediumText)
    error: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(server_default=ZERO)
    due_at: Mapped[int]
    owner: Mapped[str | None] = mapped_column(String(64))
    lease_until: Mapped[int] = mapped_column(server_default=ZERO)
    created_at: Mapped[int]
    updated_at: Mapped[int]


class Lock(Base):
    """A named lock: who holds it since when, until when at most. Times are Unix seconds."""

    __tablename__ = "_sbx_locks"
    __table_args__ = _table()

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    owner: Mapped[str] = mapped_column(String(64))
    taken_at: Mapped[int]
    lease_until: Mapped[int]


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
    Unix seconds. Explained in :mod:`core.ledger_check`.
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


class SmsClaim(Base):
    """A text message that is being sent, or went out, or may have: nobody sends it again under that name.

    ``owner`` is sending it just now, since ``claimed_at`` (Unix seconds), and its row of ``_sms_logs`` is pending.
    The names are explained in :mod:`core.sms_outbox`.
    """

    __tablename__ = "_sbx_sms_claims"
    __table_args__ = _table(Index("sbx_sms_claims_owner", "owner"), Index("sbx_sms_claims_claimed_at", "claimed_at"))

    name: Mapped[str] = mapped_column(String(150), primary_key=True)
    log_id: Mapped[int]
    owner: Mapped[str | None] = mapped_column(String(64))
    claimed_at: Mapped[int]


class SmsStagesGiven(Base):
    """Users who once got the templates of the reminder stages: one that they deleted stays deleted.

    ``given_at``: Unix seconds.
    """

    __tablename__ = "_sbx_sms_stages_given"
    __table_args__ = _table()

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    given_at: Mapped[int]


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


class Passkey(Base):
    """What we know of a passkey beside the panel's row: that a login or registration with it was verified here.

    ``credential_hash``: SHA-256 of the decoded id; ``sign_count``: the authenticator's counter then;
    ``verified_at``: Unix seconds.
    """

    __tablename__ = "_sbx_passkeys"
    __table_args__ = _table(Index("sbx_passkeys_user_id", "user_id"))

    credential_hash: Mapped[str] = mapped_column(ExactId, primary_key=True)
    user_id: Mapped[int]
    sign_count: Mapped[int] = mapped_column(BigInteger)
    verified_at: Mapped[int]


class PasskeyChallenge(Base):
    """A challenge that was given out for a passkey; used once, in a ceremony of one purpose, until ``expires_at``.

    ``session``: a hash of the session that asked, or empty; explained in :mod:`core.access.passkeys.challenges`.
    """

    __tablename__ = "_sbx_passkey_challenges"
    __table_args__ = _table(
        Index("sbx_passkey_challenges_expires_at", "expires_at"),
        Index("sbx_passkey_challenges_user_id", "user_id", "purpose"),
    )

    challenge: Mapped[str] = mapped_column(ExactId, primary_key=True)
    purpose: Mapped[str] = mapped_column(String(16))
    user_id: Mapped[int]
    session: Mapped[str] = mapped_column(String(64))
    rp_id: Mapped[str] = mapped_column(String(255))
    issued_at: Mapped[int]
    expires_at: Mapped[int]
    used: Mapped[int] = mapped_column(Small)


class AuditDigest(Base):
    """How many entries of the audit log, up to where its digest reaches, have one user, user name, action and target.

    Explained in :mod:`core.access.audit_digest`.
    """

    __tablename__ = "_sbx_audit_digest"
    __table_args__ = _counted()

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    username: Mapped[str] = mapped_column(String(255))
    action: Mapped[str] = mapped_column(String(100))
    target_type: Mapped[str | None] = mapped_column(String(100))
    entries: Mapped[int]


class AuditDigestReach(Base):
    """Of which entries the digest of the audit log is: from ``first_id`` to ``last_id``. One row, with id 1."""

    __tablename__ = "_sbx_audit_digest_reach"
    __table_args__ = _table()

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    first_id: Mapped[int] = mapped_column(BigInteger)
    last_id: Mapped[int] = mapped_column(BigInteger)


class Version(Base):
    """How often a group of tables changed; a row exists only where triggers keep it exact (SQLite)."""

    __tablename__ = "_sbx_versions"
    __table_args__ = _table()

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)


PANEL_TABLES: tuple[sa.Table, ...] = tuple(
    table for table in Base.metadata.sorted_tables if not table.name.startswith(OWN_PREFIX)
)
OWN_TABLES: tuple[sa.Table, ...] = tuple(
    table for table in Base.metadata.sorted_tables if table.name.startswith(OWN_PREFIX)
)
