"""The log of text messages: a page of it, and its counts. Source: contract chapter 60, ``get_sms_logs``."""

import math
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, select

from core.access.actors import Actor
from core.access.permissions import READ_SMS, Scope, scope_of
from core.messages.sms.settings import has_sms
from core.panel import Panel
from core.storage.tables import SmsLog, User
from core.values import sinks
from core.values.clock import following

MOST_ROWS = 500
STATUSES = ("sent", "failed", "pending")
# welcome: what some panels called new_account
TYPES = {
    "manual": ("manual",),
    "expiry_reminder": ("expiry_reminder",),
    "renewal": ("renewal",),
    "new_account": ("new_account",),
    "welcome": ("new_account", "welcome"),
}
# what the pages insert as HTML (chapter 60 S8)


@dataclass(frozen=True, slots=True)
class LogPage:
    """``rows``: newest first."""

    rows: list[dict[str, Any]]
    page: int
    limit: int
    total: int

    @property
    def pages(self) -> int:
        return math.ceil(self.total / self.limit)


def read_log(panel: Panel, actor: Actor, *, page: int, limit: int, status: str, kind: str, day: date | None) -> LogPage:
    """A page of what the actor may see; a ``status`` or ``kind`` that is none counts as not given."""
    page, limit = max(page, 1), min(max(limit, 1), MOST_ROWS)
    if not has_sms(panel):
        return LogPage([], page, limit, 0)
    where = _scope(actor)
    if status in STATUSES:
        where.append(SmsLog.status == status)
    if kind in TYPES:
        where.append(SmsLog.message_type.in_(TYPES[kind]))
    if day is not None:
        start = datetime.combine(day, time())
        where += [SmsLog.sent_at >= start, SmsLog.sent_at < datetime.combine(following(day), time())]
    with panel.database.read() as connection:
        total = connection.scalar(select(sa.func.count()).select_from(SmsLog).where(*where)) or 0
        # beyond the last page there is nothing, and no database wants an offset without bounds
        rows = connection.execute(_ROWS.where(*where).limit(limit).offset((page - 1) * limit)) if page <= total else ()
        return LogPage([_shown(actor, row) for row in rows], page, limit, total)


def count_log(connection: Connection, actor: Actor) -> dict[str, int]:
    """All, and by status, of what the actor may see."""
    counts = select(SmsLog.status, sa.func.count().label("rows")).where(*_scope(actor)).group_by(SmsLog.status)
    found = {row.status: int(row.rows) for row in connection.execute(counts)}
    return {
        "total_sent": sum(found.values()),
        "successful": found.get("sent", 0),
        "failed": found.get("failed", 0),
        "pending": found.get("pending", 0),
    }


_ROWS = (
    select(
        SmsLog.id,
        SmsLog.account_id,
        SmsLog.mac,
        SmsLog.recipient_name,
        SmsLog.recipient_number,
        SmsLog.message,
        SmsLog.message_type,
        SmsLog.sent_by,
        SmsLog.sent_at,
        SmsLog.status,
        SmsLog.api_response,
        SmsLog.bulk_id,
        SmsLog.error_message,
        SmsLog.created_at,
        User.username.label("sent_by_username"),
        User.name.label("sent_by_name"),
    )
    .outerjoin(User, User.id == SmsLog.sent_by)
    .order_by(SmsLog.sent_at.desc(), SmsLog.id.desc())
)


def _scope(actor: Actor) -> list[sa.ColumnElement[bool]]:
    return [] if scope_of(actor, READ_SMS) is Scope.ALL else [SmsLog.sent_by == actor.id]


def _shown(actor: Actor, row: Any) -> dict[str, Any]:
    shown = dict(row._mapping)
    shown["message"] = shown["message"] or ""
    shown["message_type"] = shown["message_type"] or "manual"
    for name in ("sent_at", "created_at"):
        shown[name] = shown[name] and shown[name].isoformat(sep=" ")
    if not actor.super_user:
        shown["api_response"] = None
    return sinks.shown("sms", shown)
