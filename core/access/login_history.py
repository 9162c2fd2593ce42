"""Reading of the login history. Source: contract chapter 10 §4.6. Writing it: :mod:`core.access.audit`."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from core.access.actors import Actor
from core.errors import NotAllowed
from core.panel import Panel
from core.storage.tables import LoginHistory, User
from core.values.numerals import folded

EVERYBODY = "all"
MAX_PER_PAGE = 100


class Login(NamedTuple):
    """A row as stored, beside it the name that its user has now."""

    id: int
    user_id: int
    username: str
    user_name: str | None
    login_time: datetime | None
    ip_address: str | None
    user_agent: str | None
    login_method: str | None
    status: str | None
    failure_reason: str | None


class Target(NamedTuple):
    """A user whose history is looked at."""

    id: int
    username: str
    name: str | None


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """``rows``: newest first; ``target``: the other user looked at."""

    rows: list[Login]
    page: int
    per_page: int
    total: int
    target: Target | None
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
        total, rows = 0, list[Login]()
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
    wanted = folded(wanted)
    return int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 10 else 0


def _target(connection: Connection, user_id: int) -> Target | None:
    row = connection.execute(select(User.id, User.username, User.name).where(User.id == user_id)).first()
    return None if row is None else Target._make(row)


def _rows(connection: Connection, user_id: int | None, page: int, per_page: int) -> tuple[int, list[Login]]:
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
    return total, [Login._make(row) for row in found]
