"""Tables of set-top boxes and of the portals' settings."""

from datetime import datetime

from sqlalchemy import Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables.base import NOW, NOW_RENEWED, Base, Choice, Timestamp, _counted

# the key of the one setting that is a secret
PORTAL_PASSWORD = "api_password"  # noqa: S105


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
