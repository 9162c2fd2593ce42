"""Reading of the login history. Source: contract chapter 10 §4.6. Writing it: :mod:`core.access.audit`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from core.access.actors import Actor
from core.errors import NotAllowed
from core.panel import Panel
from core.storage.tables import LoginHistory, User
from core.values.clock import shown

EVERYBODY = "all"
MAX_PER_PAGE = 100


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """``rows``: the columns of the table and ``user_name``, newest first; ``target``: the other user looked at."""

    rows: list[Mapping[str, Any]]
    page: int
    per_page: int
    total: int
    target: Mapping[str, Any] | None
    is_own: bool
    is_everybody: bool

    @property
    def pages(self) -> int:
        return math.ceil(self.total / self.per_page)


def read_login_history(panel: Panel, actor: Actor, wanted: str, page: int, per_page: int) -> HistoryPage:
    """A page of the history of ``wanted``: "" (own), ``all`` or a user id; the last two for super admins only.

    Raises NotAllowed. Where the legacy database has no history yet, the page is empty.
    """
    page, per_page = max(page, 1), min(max(per_page, 1), MAX_PER_PAGE)
    user_id = _wanted_user(actor, wanted)
    is_own = user_id == actor.id
    with panel.database.read() as connection:
        target = None if user_id is None or is_own else _target(connection, user_id)
        total, rows = 0, list[Mapping[str, Any]]()
        if panel.layout.has_table("_login_history"):
            total, rows = _rows(connection, user_id, page, per_page)
    return HistoryPage(rows, page, per_page, total, target, is_own, user_id is None)


def _wanted_user(actor: Actor, wanted: str) -> int | None:
    """The id to look at; None is everybody."""
    if wanted == "" or wanted == str(actor.id):
        return actor.id
    if not actor.super_user:
        raise NotAllowed("Permission denied. You can only view your own login history.")
    if wanted == EVERYBODY:
        return None
    # an id that cannot exist is the history of nobody
    return int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 10 else 0


def _target(connection: Connection, user_id: int) -> Mapping[str, Any] | None:
    row = connection.execute(select(User.id, User.username, User.name).where(User.id == user_id)).first()
    return None if row is None else dict(row._mapping)


def _rows(connection: Connection, user_id: int | None, page: int, per_page: int) -> tuple[int, list[Mapping[str, Any]]]:
    scope = [] if user_id is None else [LoginHistory.user_id == user_id]
    total = connection.execute(select(func.count()).select_from(LoginHistory).where(*scope)).scalar() or 0
    if (page - 1) * per_page >= total:
        return total, []
    found = connection.execute(
        select(
            LoginHistory.id,
            LoginHistory.user_id,
            LoginHistory.username,
            User.name.label("user_name"),
            LoginHistory.login_time,
            LoginHistory.ip_address,
            LoginHistory.user_agent,
            LoginHistory.login_method,
            LoginHistory.status,
            LoginHistory.failure_reason,
        )
        .outerjoin(User, User.id == LoginHistory.user_id)
        .where(*scope)
        .order_by(LoginHistory.login_time.desc(), LoginHistory.id.desc())
        .limit(per_page)
        .offset((page - 1) * per_page)
    )
    return total, [{**row, "login_time": shown(row["login_time"])} for row in found.mappings()]
