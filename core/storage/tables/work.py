"""Tables of jobs, locks, state and settings."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Index,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    inspect,
)
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables.base import NOW_RENEWED, ZERO, Base, Blob, ExactId, MediumText, Timestamp, _counted, _table


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


class Claim(Base):
    """A message that is being sent, went out, or may have: nobody sends it again by that channel under that name.

    ``owner`` is sending it just now, until ``lease_until`` at most; ``row_id`` is the channel's own row of it. Times
    are Unix seconds. The names are explained in :mod:`core.messages.delivery`.
    """

    __tablename__ = "_sbx_claims"
    __table_args__ = _table(Index("sbx_claims_owner", "owner"), Index("sbx_claims_claimed_at", "claimed_at"))

    channel: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(150), primary_key=True)
    row_id: Mapped[int] = mapped_column(server_default=ZERO)
    owner: Mapped[str | None] = mapped_column(String(64))
    lease_until: Mapped[int] = mapped_column(server_default=ZERO)
    claimed_at: Mapped[int]


@event.listens_for(Claim.__table__, "after_create")
def _take_over(target: Table, connection: Connection, **_: Any) -> None:
    """What was claimed while text messages had a table of their own stays claimed."""
    if inspect(connection).has_table("_sbx_sms_claims"):
        before = "SELECT 'sms', name, log_id, owner, claimed_at + 900, claimed_at FROM _sbx_sms_claims"
        columns = "channel, name, row_id, owner, lease_until, claimed_at"
        connection.exec_driver_sql(f"INSERT INTO {target.name} ({columns}) {before}")


class Lock(Base):
    """A named lock: who holds it since when, until when at most. Times are Unix seconds."""

    __tablename__ = "_sbx_locks"
    __table_args__ = _table()

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    owner: Mapped[str] = mapped_column(String(64))
    taken_at: Mapped[int]
    lease_until: Mapped[int]


class GivenAnswer(Base):
    """What a session was just answered, so that a double click in another process gets the same.

    ``session`` and ``request`` are digests. Times are Unix milliseconds; ``ended`` and ``answer`` are NULL while the
    write is under way. ``is_kept``: a later request may still get it.
    """

    __tablename__ = "_sbx_given_answers"
    __table_args__ = _table()

    session: Mapped[str] = mapped_column(ExactId, primary_key=True)
    request: Mapped[str] = mapped_column(ExactId, primary_key=True)
    owner: Mapped[str] = mapped_column(String(64))
    began: Mapped[int] = mapped_column(BigInteger)
    ended: Mapped[int | None] = mapped_column(BigInteger)
    is_kept: Mapped[int] = mapped_column(SmallInteger)
    answer: Mapped[bytes | None] = mapped_column(Blob)


class Counter(Base):
    """How often something was tried in a window of time; see :mod:`core.security.counters`.

    ``ends``: when the window does, ``hits``: when each of a moving one was, both Unix milliseconds.
    """

    __tablename__ = "_sbx_counters"
    __table_args__ = _table(Index("sbx_counters_ends", "ends"))

    name: Mapped[str] = mapped_column(ExactId, primary_key=True)
    count: Mapped[int]
    ends: Mapped[int] = mapped_column(BigInteger)
    hits: Mapped[str | None] = mapped_column(Text)


class PortalListing(Base):
    """The portal's list of accounts as it was fetched last, for all processes; see :mod:`core.sync.shared_list`.

    ``number`` counts the fetches, the last of which brought the list or ended with a ``failure``. ``content`` (zipped
    JSON) is the last list that there was, ``begun`` before the portal was asked for it and ``ended`` when it was
    there, in Unix milliseconds; ``source`` is a digest of the portal that both are of. A second row is there while a
    list is being written in several transactions (:mod:`core.sync.staging`).
    """

    __tablename__ = "_sbx_portal_list"
    __table_args__ = _table()

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int]
    failure: Mapped[str | None] = mapped_column(Text)
    source: Mapped[str] = mapped_column(ExactId)
    begun: Mapped[int | None] = mapped_column(BigInteger)
    ended: Mapped[int | None] = mapped_column(BigInteger)
    content: Mapped[bytes | None] = mapped_column(Blob)


class SyncOutcome(Base):
    """What came of the last sync of a ``scope``: 0 is every account, else those of that user. ``counts``: JSON.

    ``begun``: of the list that it was brought in line with, Unix milliseconds.
    """

    __tablename__ = "_sbx_sync_outcomes"
    __table_args__ = _table()

    scope: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    begun: Mapped[int] = mapped_column(BigInteger)
    counts: Mapped[str] = mapped_column(Text)


class SyncedSession(Base):
    """A session that has asked for a sync; ``session`` is a digest, ``asked_at`` Unix seconds of the first time."""

    __tablename__ = "_sbx_synced_sessions"
    __table_args__ = _table(Index("sbx_synced_sessions_asked_at", "asked_at"))

    session: Mapped[str] = mapped_column(ExactId, primary_key=True)
    asked_at: Mapped[int]


class Version(Base):
    """How often a group of tables changed; a row exists only where triggers keep it exact (SQLite)."""

    __tablename__ = "_sbx_versions"
    __table_args__ = _table()

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
