"""The log of mails: a page of a day, and its counts. Source: contract chapter 80, ``get_mail_logs``."""

from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import Connection, select

from core.access.actors import Actor
from core.access.permissions import READ_MAIL, require
from core.messages.log_page import LogPage, Query
from core.messages.mail.settings import has_mail
from core.panel import Panel
from core.storage.tables import MailLog, User

STATUSES = ("sent", "failed", "pending")
TYPES = ("manual", "new_account", "renewal", "expiry_reminder")
SYSTEM, UNKNOWN = "System", "Unknown"


def read_log(panel: Panel, actor: Actor, query: Query) -> LogPage:
    """A page of all mails of a day; beyond the last page, the last one. Raises NotAllowed."""
    require(actor, READ_MAIL)
    limit = query.size
    if not has_mail(panel):
        return LogPage([], 1, limit, 0)
    where = _filters(query)
    with panel.database.read() as connection:
        total = connection.scalar(select(sa.func.count()).select_from(MailLog).where(*where)) or 0
        page = query.number(total)
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
    filters = query.on_day(MailLog.created_at)
    if query.status in STATUSES:
        filters.append(MailLog.status == query.status)
    if query.kind in TYPES:
        filters.append(MailLog.message_type == query.kind)
    return [*filters, *query.containing(MailLog.recipient_email, MailLog.recipient_name, MailLog.subject)]


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
