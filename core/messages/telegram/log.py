"""The log of Telegram messages: a page of a day, and its counts. Source: contract chapter 80, "get_logs"."""

import math
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, select

from core.access.actors import Actor
from core.access.permissions import READ_TELEGRAM, require
from core.messages.telegram.settings import has_telegram
from core.panel import Panel
from core.storage.tables import TelegramLog, User

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
_LEAST, _MOST = 10, 100
_DATES = 30
_LONGEST_SEARCH = 255


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked for; a ``status`` or ``kind`` that is none counts as not given."""

    day: date
    status: str = ""
    kind: str = ""
    search: str = ""
    page: int = 1
    per_page: int = 25


@dataclass(frozen=True, slots=True)
class LogPage:
    """``rows``: newest first; ``counts`` of the whole day; ``dates``: the newest days with rows."""

    rows: list[dict[str, Any]]
    page: int
    per_page: int
    total: int
    counts: dict[str, int]
    dates: list[str]

    @property
    def pages(self) -> int:
        return math.ceil(self.total / self.per_page)


def read_log(panel: Panel, actor: Actor, query: Query) -> LogPage:
    """A page of what the actor may see; beyond the last page, the last one. Raises NotAllowed."""
    require(actor, READ_TELEGRAM)
    per_page = min(max(query.per_page, _LEAST), _MOST)
    if not has_telegram(panel):
        return LogPage([], 1, per_page, 0, {"total": 0, "sent": 0, "failed": 0}, [])
    scope = _scope(actor)
    on_day = [*scope, *_within(query.day)]
    where = [*on_day, *_filters(query)]
    with panel.database.read() as connection:
        counted = select(sa.func.count()).select_from(TelegramLog).outerjoin(User, User.id == TelegramLog.user_id)
        total = connection.scalar(counted.where(*where)) or 0
        page = min(max(query.page, 1), max(1, math.ceil(total / per_page)))
        rows = connection.execute(_ROWS.where(*where).limit(per_page).offset((page - 1) * per_page)).all()
        return LogPage(
            [_shown(row) for row in rows],
            page,
            per_page,
            total,
            _counts(connection, on_day),
            _dates(connection, scope),
        )


def count_log(connection: Connection, user_id: int | None) -> dict[str, int]:
    """Of all rows, or with ``user_id`` of those to that user: how many there are, were sent, and failed."""
    where = [] if user_id is None else [TelegramLog.user_id == user_id]
    return _counts(connection, where)


_ROWS = (
    select(
        TelegramLog.id,
        TelegramLog.user_id,
        TelegramLog.chat_id,
        TelegramLog.message,
        TelegramLog.message_type,
        TelegramLog.related_account_id,
        TelegramLog.related_account_mac,
        TelegramLog.telegram_message_id,
        TelegramLog.sent_at,
        TelegramLog.status,
        TelegramLog.error_message,
        TelegramLog.created_at,
        User.username.label("recipient_username"),
    )
    .outerjoin(User, User.id == TelegramLog.user_id)
    .order_by(TelegramLog.sent_at.desc(), TelegramLog.id.desc())
)


def _scope(actor: Actor) -> list[sa.ColumnElement[bool]]:
    """What people wrote to a super admin is his own; the rest reseller admins see too."""
    if actor.super_user:
        return []
    kind, rank = sa.func.coalesce(TelegramLog.message_type, "manual"), sa.func.coalesce(User.super_user, 0)
    return [sa.or_(kind != "manual", rank != 1)]


def _within(day: date) -> list[sa.ColumnElement[bool]]:
    start = datetime.combine(day, time())
    return [TelegramLog.sent_at >= start, TelegramLog.sent_at < start + timedelta(days=1)]


def _filters(query: Query) -> list[sa.ColumnElement[bool]]:
    filters: list[sa.ColumnElement[bool]] = []
    if query.status in STATUSES:
        filters.append(TelegramLog.status == query.status)
    if query.kind in TYPES:
        filters.append(TelegramLog.message_type == query.kind)
    if query.search:
        text = query.search[:_LONGEST_SEARCH]
        columns = (User.username, TelegramLog.message, TelegramLog.related_account_mac)
        filters.append(sa.or_(*(column.icontains(text, autoescape=True) for column in columns)))
    return filters


def _counts(connection: Connection, where: list[sa.ColumnElement[bool]]) -> dict[str, int]:
    grouped = (
        select(TelegramLog.status, sa.func.count().label("rows"))
        .outerjoin(User, User.id == TelegramLog.user_id)
        .where(*where)
        .group_by(TelegramLog.status)
    )
    found = {row.status: int(row.rows) for row in connection.execute(grouped)}
    return {"total": sum(found.values()), "sent": found.get("sent", 0), "failed": found.get("failed", 0)}


def _dates(connection: Connection, where: list[sa.ColumnElement[bool]]) -> list[str]:
    day = sa.func.date(TelegramLog.sent_at).label("day")
    days = select(day).outerjoin(User, User.id == TelegramLog.user_id).where(*where)
    return [str(row.day) for row in connection.execute(days.group_by(day).order_by(sa.desc("day")).limit(_DATES))]


def _shown(row: Any) -> dict[str, Any]:
    shown = dict(row._mapping)
    for name in ("sent_at", "created_at"):
        shown[name] = shown[name] and shown[name].isoformat(sep=" ")
    shown["message"] = shown["message"] or ""
    return shown
