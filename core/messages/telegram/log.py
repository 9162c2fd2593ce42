"""The log of Telegram messages: a page of a day, and its counts. What is on its way is not in it yet.

Source: contract chapter 80, "get_logs", settled 7.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection, select

from core.access.actors import Actor
from core.access.permissions import READ_TELEGRAM, require
from core.messages.log_page import Counts, LogPage, Query, read_counts
from core.messages.telegram.outbox import TelegramChannel
from core.messages.telegram.settings import has_telegram
from core.panel import Panel
from core.storage.tables import Claim, TelegramLog, User

STATUSES = ("sent", "failed", "pending")
TYPES = (
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
)
_DATES = 30


class LogRow(NamedTuple):
    """A row as stored, and the present name of whom it was written to."""

    id: int
    user_id: int | None
    chat_id: int
    message: str | None
    message_type: str | None
    related_account_id: int | None
    related_account_mac: str | None
    telegram_message_id: int | None
    sent_at: datetime | None
    status: str | None
    error_message: str | None
    created_at: datetime | None
    recipient_username: str | None


@dataclass(frozen=True, slots=True)
class TelegramPage(LogPage[LogRow]):
    """``counts`` of the whole day; ``dates``: the newest days with rows."""

    counts: Counts
    dates: list[str]


def read_log(panel: Panel, actor: Actor, query: Query) -> TelegramPage:
    """A page of what the actor may see; beyond the last page, the last one. Raises NotAllowed."""
    require(actor, READ_TELEGRAM)
    per_page = query.size
    if not has_telegram(panel):
        return TelegramPage([], 1, per_page, 0, Counts(), [])
    scope = [_IS_OVER, *_scope(actor)]
    on_day = [*scope, *query.on_day(TelegramLog.sent_at)]
    where = [*on_day, *_filters(query)]
    with panel.database.read() as connection:
        counted = select(sa.func.count()).select_from(TelegramLog).outerjoin(User, User.id == TelegramLog.user_id)
        total = connection.scalar(counted.where(*where)) or 0
        page = query.number(total)
        rows = connection.execute(_ROWS.where(*where).limit(per_page).offset((page - 1) * per_page)).all()
        return TelegramPage(
            [LogRow._make(row) for row in rows],
            page,
            per_page,
            total,
            _counts(connection, on_day),
            _dates(connection, scope),
        )


def count_log(connection: Connection, user_id: int | None) -> Counts:
    """Of all rows, or with ``user_id`` of those to that user."""
    where: list[sa.ColumnElement[bool]] = [_IS_OVER] if user_id is None else [_IS_OVER, TelegramLog.user_id == user_id]
    return _counts(connection, where)


_ON_THEIR_WAY = select(Claim.row_id).where(Claim.channel == TelegramChannel.name, Claim.owner.is_not(None))
_IS_OVER = TelegramLog.id.not_in(_ON_THEIR_WAY)
_ROWS = (
    select(*(TelegramLog.__table__.c[name] for name in LogRow._fields[:-1]), User.username)
    .outerjoin(User, User.id == TelegramLog.user_id)
    .order_by(TelegramLog.sent_at.desc(), TelegramLog.id.desc())
)


def _scope(actor: Actor) -> list[sa.ColumnElement[bool]]:
    """What people wrote to a super admin is his own; the rest reseller admins see too."""
    if actor.super_user:
        return []
    kind, rank = sa.func.coalesce(TelegramLog.message_type, "manual"), sa.func.coalesce(User.super_user, 0)
    return [sa.or_(kind != "manual", rank != 1)]


def _filters(query: Query) -> list[sa.ColumnElement[bool]]:
    filters: list[sa.ColumnElement[bool]] = []
    if query.status in STATUSES:
        filters.append(TelegramLog.status == query.status)
    if query.kind in TYPES:
        filters.append(TelegramLog.message_type == query.kind)
    return [*filters, *query.containing(User.username, TelegramLog.message, TelegramLog.related_account_mac)]


def _counts(connection: Connection, where: list[sa.ColumnElement[bool]]) -> Counts:
    statuses = select(TelegramLog.status).outerjoin(User, User.id == TelegramLog.user_id)
    return read_counts(connection, statuses.where(*where))


def _dates(connection: Connection, where: list[sa.ColumnElement[bool]]) -> list[str]:
    day = sa.func.date(TelegramLog.sent_at).label("day")
    days = select(day).outerjoin(User, User.id == TelegramLog.user_id).where(*where)
    return [str(row.day) for row in connection.execute(days.group_by(day).order_by(sa.desc("day")).limit(_DATES))]
