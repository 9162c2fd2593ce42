"""Tables of messages: SMS, mail, Telegram. Reminders on boxes and push notices: ``notices``."""

from datetime import date, datetime

from sqlalchemy import BigInteger, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables.base import (
    NOW,
    NOW_RENEWED,
    ONE,
    SEVEN,
    ZERO,
    Base,
    Choice,
    DateTime,
    Flag,
    MediumText,
    Timestamp,
    _counted,
    _table,
    _user_reference,
)


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
    # the panel's has 255: sealed ones, which only a database of ours holds, are longer
    smtp_password: Mapped[str | None] = mapped_column(String(512))
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
    # the panel's has 500, which a sealed token of that length does not fit into
    api_token: Mapped[str | None] = mapped_column(String(1024))
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
    # the panel's has 100, as above
    bot_token: Mapped[str | None] = mapped_column(String(512))
    bot_username: Mapped[str | None] = mapped_column(String(100))
    webhook_url: Mapped[str | None] = mapped_column(String(500))
    webhook_secret: Mapped[str | None] = mapped_column(String(512))
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


class SmsStagesGiven(Base):
    """Users who once got the templates of the reminder stages: one that they deleted stays deleted.

    ``given_at``: Unix seconds.
    """

    __tablename__ = "_sbx_sms_stages_given"
    __table_args__ = _table()

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    given_at: Mapped[int]


class TelegramLink(Base):
    """The newest one-time token with which a user's chat can be linked; only its hash, until ``expires_at`` (Unix
    seconds)."""

    __tablename__ = "_sbx_telegram_links"
    __table_args__ = _table()

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    token_hash: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[int]


class MailTemplatesGiven(Base):
    """Users who once got the mail templates to start with: one that they deleted stays deleted.

    ``given_at``: Unix seconds.
    """

    __tablename__ = "_sbx_mail_templates_given"
    __table_args__ = _table()

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    given_at: Mapped[int]
