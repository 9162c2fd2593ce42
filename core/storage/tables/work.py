"""Tables of jobs, locks, state and settings."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables.base import NOW_RENEWED, ZERO, Base, MediumText, Timestamp, _counted, _table


class AppSetting(Base):
    __tablename__ = "_app_settings"
    __table_args__ = _counted(UniqueConstraint("setting_key"))

    id: Mapped[int] = mapped_column(primary_key=True)
    setting_key: Mapped[str] = mapped_column(String(100))
    setting_value: Mapped[str | None] = mapped_column(Text)
    updated_at: Mapped[datetime | None] = mapped_column(Timestamp, server_default=NOW_RENEWED)


class State(Base):
    """Single facts about this database: where it came from, stored secrets, counters."""

    __tablename__ = "_sbx_state"
    __table_args__ = _table()

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class Job(Base):
    """Work that follows a request or a clock, stored before it is begun: what runs it, how far it is, what came of it.

    ``payload`` and ``result``: JSON. ``owner`` may work on it until ``lease_until``; times are Unix seconds. The states
    are explained in :mod:`core.jobs.jobs`.
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


class Version(Base):
    """How often a group of tables changed; a row exists only where triggers keep it exact (SQLite)."""

    __tablename__ = "_sbx_versions"
    __table_args__ = _table()

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
