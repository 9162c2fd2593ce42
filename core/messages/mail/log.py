"""The log of mails: a page of a day, and its counts. Source: contract chapter 80, ``get_mail_logs``."""

import math
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import Connection, select

from core.access.actors import Actor
from core.access.permissions import READ_MAIL, require
from core.messages.mail.settings import has_mail
from core.panel import Panel
from core.storage.tables import MailLog, User

STATUSES = ("sent", "failed", "pending")
TYPES = ("manual", "new_account", "renewal", "expiry_reminder")
SYSTEM, UNKNOWN = "System", "Unknown"
_LEAST, _MOST = 10, 100
_LONGEST_SEARCH = 255


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked for; a ``status`` or ``kind`` that is none counts as not given."""

    day: date
    status: str = ""
    kind: str = ""
    search: str = ""
    page: int = 1
    limit: int = 25


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


def read_log(panel: Panel, actor: Actor, query: Query) -> LogPage:
    """A page of all mails of a day; beyond the last page, the last one. Raises NotAllowed."""
    require(actor, READ_MAIL)
    limit = min(max(query.limit, _LEAST), _MOST)
    if not has_mail(panel):
        return LogPage([], 1, limit, 0)
    where = _filters(query)
    with panel.database.read() as connection:
        total = connection.scalar(select(sa.func.count()).select_from(MailLog).where(*where)) or 0
        page = min(max(query.page, 1), max(1, math.ceil(total / limit)))
        rows = connection.execute(_ROWS.where(*where).limit(limit).offset((page - 1) * limit))
        return LogPage([_shown(row) for row in rows], page, limit, total)


def count_log(connection: Connection) -> dict[str, int]:
    """All mails, and by status."""
    counts = select(MailLog.status, sa.func.count().label("rows")).group_by(MailLog.status)
    found = {row.status: int(row.rows) for row in connection.execute(counts)}
    return {"total": sum(found.values()), **{status: found.get(status, 0) for status in STATUSES}}


_ROWS = (
    select(
        MailLog.id,
        MailLog.recipient_email,
        MailLog.recipient_name,
        MailLog.cc_emails,
        MailLog.subject,
        MailLog.message_type,
        MailLog.status,
        MailLog.error_message,
        MailLog.created_at,
        MailLog.sent_by.label("sender_id"),
        User.username.label("sent_by_username"),
        User.name.label("sent_by_name"),
    )
    .outerjoin(User, User.id == MailLog.sent_by)
    .order_by(MailLog.created_at.desc(), MailLog.id.desc())
)


def _filters(query: Query) -> list[sa.ColumnElement[bool]]:
    start = datetime.combine(query.day, time())
    filters: list[sa.ColumnElement[bool]] = [
        MailLog.created_at >= start,
        MailLog.created_at < start + timedelta(days=1),
    ]
    if query.status in STATUSES:
        filters.append(MailLog.status == query.status)
    if query.kind in TYPES:
        filters.append(MailLog.message_type == query.kind)
    if query.search:
        text = query.search[:_LONGEST_SEARCH]
        columns = (MailLog.recipient_email, MailLog.recipient_name, MailLog.subject)
        filters.append(sa.or_(*(column.icontains(text, autoescape=True) for column in columns)))
    return filters


def _shown(row: Any) -> dict[str, Any]:
    shown = dict(row._mapping)
    sender = SYSTEM if shown.pop("sender_id") == 0 else row.sent_by_name or row.sent_by_username or UNKNOWN
    created = row.created_at
    return {
        **shown,
        "cc_emails": _addresses(row.cc_emails),
        "subject": row.subject or "",
        "created_at": created and created.isoformat(sep=" "),
        "time": created.strftime("%H:%M") if created else "",
        "sent_by": sender,
    }


def _addresses(stored: str | None) -> list[str]:
    try:
        found = orjson.loads(stored or "[]")
    except orjson.JSONDecodeError:
        return []
    return [str(address) for address in found] if isinstance(found, list) else []
