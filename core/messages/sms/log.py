"""The log of text messages: a page of it, and its counts. Source: contract chapter 60, ``get_sms_logs``."""

from datetime import date, datetime, time
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection, select

from core.access.actors import Actor
from core.access.permissions import READ_SMS, Scope, scope_of
from core.messages.log_page import Counts, LogPage, read_counts
from core.messages.sms.settings import has_sms
from core.panel import Panel
from core.storage.tables import SmsLog, User
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


class LogRow(NamedTuple):
    """A row as stored, and the present names of its sender; ``api_response``: None but for super admins."""

    id: int
    account_id: int | None
    mac: str | None
    recipient_name: str | None
    recipient_number: str
    message: str | None
    message_type: str | None
    sent_by: int
    sent_at: datetime | None
    status: str
    api_response: str | None
    bulk_id: str | None
    error_message: str | None
    created_at: datetime | None
    sent_by_username: str | None
    sent_by_name: str | None


def read_log(
    panel: Panel, actor: Actor, *, page: int, limit: int, status: str, kind: str, day: date | None
) -> LogPage[LogRow]:
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
        found = connection.execute(_ROWS.where(*where).limit(limit).offset((page - 1) * limit)) if page <= total else ()
        rows = [LogRow._make(row) for row in found]
    if not actor.super_user:
        rows = [row._replace(api_response=None) for row in rows]
    return LogPage(rows, page, limit, total)


def count_log(connection: Connection, actor: Actor) -> Counts:
    """Of what the actor may see."""
    return read_counts(connection, select(SmsLog.status).where(*_scope(actor)))


_OWN_COLUMNS = LogRow._fields[:-2]
_ROWS = (
    select(*(SmsLog.__table__.c[name] for name in _OWN_COLUMNS), User.username, User.name)
    .outerjoin(User, User.id == SmsLog.sent_by)
    .order_by(SmsLog.sent_at.desc(), SmsLog.id.desc())
)


def _scope(actor: Actor) -> list[sa.ColumnElement[bool]]:
    return [] if scope_of(actor, READ_SMS) is Scope.ALL else [SmsLog.sent_by == actor.id]
