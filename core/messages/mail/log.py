"""The log of mails: a page of a day, and its counts. Source: contract chapter 80, ``get_mail_logs``."""

from datetime import datetime
from typing import NamedTuple

import orjson
import sqlalchemy as sa
from sqlalchemy import Connection, select

from core.access.actors import Actor
from core.access.permissions import READ_MAIL, require
from core.messages.log_page import Counts, LogPage, Query, read_counts
from core.messages.mail.settings import has_mail
from core.panel import Panel
from core.storage.tables import MailLog, User

STATUSES = ("sent", "failed", "pending")
TYPES = ("manual", "new_account", "renewal", "expiry_reminder")
SYSTEM, UNKNOWN = "System", "Unknown"


class LogRow(NamedTuple):
    """A row as stored, without the body; ``sender_username`` and ``sender_name`` are the present ones."""

    id: int
    recipient_email: str
    recipient_name: str | None
    cc_emails: str | None
    subject: str | None
    message_type: str | None
    status: str | None
    error_message: str | None
    created_at: datetime | None
    sender_id: int
    sender_username: str | None
    sender_name: str | None

    @property
    def sender(self) -> str:
        return SYSTEM if self.sender_id == 0 else self.sender_name or self.sender_username or UNKNOWN

    @property
    def copies(self) -> list[str]:
        try:
            found = orjson.loads(self.cc_emails or "[]")
        except orjson.JSONDecodeError:
            return []
        return [str(address) for address in found] if isinstance(found, list) else []


def read_log(panel: Panel, actor: Actor, query: Query) -> LogPage[LogRow]:
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
        return LogPage([LogRow._make(row) for row in rows], page, limit, total)


def count_log(connection: Connection) -> Counts:
    """Of all mails."""
    return read_counts(connection, select(MailLog.status))


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
        MailLog.sent_by,
        User.username,
        User.name,
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
