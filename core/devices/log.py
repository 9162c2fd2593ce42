"""The log of what was sent to set-top boxes: writing its rows, and reading them page by page.

Rows hold the texts as they were sent; what a page shows is escaped where it is answered. Source: contract chapter 50,
``get_stb_logs``.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, func, insert, or_, select

from core.access.actors import Actor
from core.access.permissions import READ_STB_LOG, Scope, scope_of
from core.panel import Panel
from core.storage.tables import StbActionLog

PER_PAGE = 20
MAX_PER_PAGE = 100
KINDS = ("event", "message")
_ERROR_CHARACTERS = 255
_NAME_CHARACTERS = 100
_TABLE = StbActionLog.__tablename__


@dataclass(frozen=True, slots=True)
class Wanted:
    """``kind``: one of KINDS, anything else is all; ``mac``, ``text``: searched for as they stand, in any case."""

    kind: str = ""
    mac: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class LogPage:
    """``rows``: newest first, with ``created_at_formatted`` and ``created_at_relative`` beside the columns."""

    rows: list[dict[str, Any]]
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
) -> None:
    """One row in the transaction of ``connection``, failed with ``error``; none where the table is missing."""
    if not panel.layout.has_table(_TABLE):
        return
    connection.execute(
        insert(StbActionLog).values(
            user_id=actor.id,
            username=actor.username[:_NAME_CHARACTERS],
            action_type=kind,
            mac_address=mac,
            action_detail=label,
            full_message=full_text,
            status="success" if error is None else "failed",
            error_message=None if error is None else error[:_ERROR_CHARACTERS],
            created_at=panel.clock.now(),
        )
    )


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
    now = panel.clock.now()
    return LogPage([_with_times(row, now) for row in found], page, per_page, total)


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


def _rows(
    connection: Connection, conditions: list[sa.ColumnElement[bool]], first: int, count: int
) -> list[Mapping[str, Any]]:
    rows = select(*StbActionLog.__table__.c).where(*conditions)
    newest_first = rows.order_by(StbActionLog.created_at.desc(), StbActionLog.id.desc())
    return [dict(row) for row in connection.execute(newest_first.limit(count).offset(first)).mappings()]


def _with_times(row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    created = row["created_at"]
    known = isinstance(created, datetime)
    shown = created.strftime("%Y-%m-%d %H:%M:%S") if known else ""
    return {
        **row,
        "action_type": row["action_type"] or "",
        "created_at": shown,
        "created_at_formatted": shown,
        "created_at_relative": relative(created, now) if known else "",
    }


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
