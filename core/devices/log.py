"""The log of what was sent to set-top boxes: writing its rows, and reading them page by page.

A row is there before the portal is asked, and says until its outcome is known that this was interrupted: so nothing
that was sent is missing, also where its process was killed. Rows hold the texts as they were sent; what a page shows is
escaped where it is answered. Source: contract chapter 50, ``get_stb_logs``.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection, func, or_, select, update

from core.access.actors import Actor
from core.access.permissions import READ_STB_LOG, Scope, scope_of
from core.panel import Panel
from core.storage.tables import StbActionLog
from core.storage.writing import insert_row

PER_PAGE = 20
MAX_PER_PAGE = 100
KINDS = ("event", "message")
_SENT = "success"
_ERROR_CHARACTERS = 255
_NAME_CHARACTERS = 100
_TABLE = StbActionLog.__tablename__


@dataclass(frozen=True, slots=True)
class Wanted:
    """``kind``: one of KINDS, anything else is all; ``mac``, ``text``: searched for as they stand, in any case."""

    kind: str = ""
    mac: str = ""
    text: str = ""


class LogRow(NamedTuple):
    """A row as stored; ``created_at``: a text where a legacy database has no moment."""

    id: int
    user_id: int
    username: str
    action_type: str | None
    mac_address: str
    action_detail: str
    full_message: str | None
    status: str
    error_message: str | None
    created_at: datetime | str | None


@dataclass(frozen=True, slots=True)
class LogPage:
    """``rows``: newest first."""

    rows: list[LogRow]
    page: int
    per_page: int
    total: int

    @property
    def pages(self) -> int:
        return math.ceil(self.total / self.per_page)


def write_row(
    panel: Panel,
    connection: Connection,
    actor: Actor,
    kind: str,
    mac: str,
    label: str,
    *,
    full_text: str | None = None,
    error: str | None = None,
) -> int:
    """One row in the transaction of ``connection``, failed with ``error``; its id, 0 where the table is missing."""
    if not panel.layout.has_table(_TABLE):
        return 0
    values = {
        "user_id": actor.id,
        "username": actor.username[:_NAME_CHARACTERS],
        "action_type": kind,
        "mac_address": mac,
        "action_detail": label,
        "full_message": full_text,
    }
    return insert_row(connection, StbActionLog, {**values, **_outcome(panel, error)})


def settle_row(panel: Panel, connection: Connection, row_id: int, error: str | None) -> None:
    """What came of it."""
    row = update(StbActionLog).where(StbActionLog.id == row_id)
    connection.execute(row.values(**_outcome(panel, error)))


def is_written(panel: Panel, row_id: int) -> bool:
    with panel.database.read() as connection:
        return connection.execute(select(StbActionLog.id).where(StbActionLog.id == row_id)).first() is not None


def read_outcome(panel: Panel, row_id: int) -> tuple[bool, str | None] | None:
    """Whether it was sent, and the error; None where there is no such row."""
    if not row_id or not panel.layout.has_table(_TABLE):
        return None
    with panel.database.read() as connection:
        found = select(StbActionLog.status, StbActionLog.error_message).where(StbActionLog.id == row_id)
        row = connection.execute(found).first()
    return None if row is None else (row.status == _SENT, row.error_message)


def _outcome(panel: Panel, error: str | None) -> dict[str, Any]:
    return {
        "status": _SENT if error is None else "failed",
        "error_message": None if error is None else error[:_ERROR_CHARACTERS],
        "created_at": panel.clock.now(),
    }


def read_log(panel: Panel, actor: Actor, wanted: Wanted, page: int, per_page: int) -> LogPage:
    """A page of the rows that the actor may see; numbers out of bounds are brought into them."""
    page, per_page = max(page, 1), min(max(per_page, 1), MAX_PER_PAGE)
    if not panel.layout.has_table(_TABLE):
        return LogPage([], 1, PER_PAGE, 0)
    conditions = list(_conditions(actor, wanted))
    with panel.database.read() as connection:
        total = connection.execute(select(func.count()).select_from(StbActionLog).where(*conditions)).scalar() or 0
        first = (page - 1) * per_page
        # a page far behind the end may have a number that no database takes
        found = [] if first >= total else _rows(connection, conditions, first, per_page)
    return LogPage(found, page, per_page, total)


def _conditions(actor: Actor, wanted: Wanted) -> Iterable[sa.ColumnElement[bool]]:
    if scope_of(actor, READ_STB_LOG) is not Scope.ALL:
        yield StbActionLog.user_id == actor.id
    if wanted.kind in KINDS:
        yield StbActionLog.action_type == wanted.kind
    if wanted.mac:
        yield _contains(StbActionLog.mac_address, wanted.mac)
    if wanted.text:
        columns = (StbActionLog.mac_address, StbActionLog.username, StbActionLog.action_detail)
        yield or_(*(_contains(column, wanted.text) for column in columns))


def _contains(column: Any, text: str) -> sa.ColumnElement[bool]:
    condition: sa.ColumnElement[bool] = column.icontains(text, autoescape=True)
    return condition


def _rows(connection: Connection, conditions: list[sa.ColumnElement[bool]], first: int, count: int) -> list[LogRow]:
    rows = select(*(StbActionLog.__table__.c[name] for name in LogRow._fields)).where(*conditions)
    newest_first = rows.order_by(StbActionLog.created_at.desc(), StbActionLog.id.desc())
    return [LogRow._make(row) for row in connection.execute(newest_first.limit(count).offset(first))]


def relative(then: datetime, now: datetime) -> str:
    """How long ago ``then`` was, in its largest unit by the calendar: ``5 minutes ago``, ``1 month ago``."""
    gone = now - then
    months = 12 * (now.year - then.year) + now.month - then.month
    # the last month is not full yet
    months -= (now.day, now.time()) < (then.day, then.time())
    amounts = {
        "year": months // 12,
        "month": months,
        "day": gone.days,
        "hour": gone.seconds // 3600,
        "minute": gone.seconds // 60,
    }
    for unit, amount in amounts.items():
        if gone.total_seconds() > 0 and amount > 0:
            return f"{amount} {unit}{'s' if amount > 1 else ''} ago"
    return "Just now"
