"""Tables of users: their logins, passkeys, sessions and what they did."""

from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy import BigInteger, Index, String, Text, UniqueConstraint, func, text
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables.base import (
    _MYSQL,
    NOW,
    ZERO,
    Base,
    Choice,
    DateTime,
    ExactId,
    Flag,
    LongText,
    MediumText,
    Money,
    Small,
    Timestamp,
    Username,
    _counted,
    _table,
)


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
    ``same_as``: fingerprints, parted by blanks, of older hashes of the same password; ``salt``: of the fingerprints
    since that change.
    """

    __tablename__ = "_sbx_credentials"
    __table_args__ = _table()

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    fingerprint: Mapped[str] = mapped_column(String(64))
    same_as: Mapped[str | None] = mapped_column(Text)
    salt: Mapped[str | None] = mapped_column(String(32))
    changed_at: Mapped[int | None]


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
