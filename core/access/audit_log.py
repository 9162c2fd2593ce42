"""Reading of the audit log, page by page; nothing here or elsewhere changes or deletes an entry.

A page of a million entries costs as much as one of a thousand: totals and the choices of the filters come from a
digest (:mod:`core.access.audit_digest`), rows from an index, the later half of the pages from its other end.
Source: contract chapter 70, ``get_audit_log.php``. Writing: :mod:`core.access.audit`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, or_, select

from core.access import audit_digest
from core.access.actors import Actor
from core.access.audit_digest import Group
from core.errors import InvalidInput
from core.panel import Panel
from core.storage.tables import AuditEntry, User
from core.values.numerals import folded

MAX_PER_PAGE = 100
SEARCH_CHARACTERS = 200
EVERYBODY = "all"
_LARGEST_USER_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for; an empty text and None are no filter. Days are whole and both included.

    ``user_id``: an id or :data:`EVERYBODY`; others than super admins see their own entries, whatever it says.
    """

    page: int
    per_page: int
    user_id: str = ""
    action: str = ""
    target_type: str = ""
    first_day: date | None = None
    last_day: date | None = None
    search: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; ``old_value`` and ``new_value`` are JSON texts, ``display_name`` is the user's name of now."""

    id: int
    timestamp: datetime | None
    user_id: int
    username: str
    user_type: str | None
    action: str
    target_type: str | None
    target_id: str | None
    target_name: str | None
    old_value: str | None
    new_value: str | None
    ip_address: str | None
    details: str | None
    display_name: str | None


@dataclass(frozen=True, slots=True)
class Choices:
    """What the filters can be set to, each sorted; ``users``: id, user name as it was, name of now."""

    actions: list[str]
    target_types: list[str]
    users: list[tuple[int, str, str | None]]


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries newest first. ``choices``: for super admins. ``is_missing``: the database has no audit log yet."""

    entries: list[Entry]
    page: int
    per_page: int
    total: int
    choices: Choices | None
    is_missing: bool = False

    @property
    def pages(self) -> int:
        return math.ceil(self.total / self.per_page)


def read_audit_log(panel: Panel, actor: Actor, wanted: Wanted) -> AuditPage:
    """Super admins see all entries, others their own. Raises InvalidInput."""
    page, per_page = max(wanted.page, 1), min(max(wanted.per_page, 1), MAX_PER_PAGE)
    user_id = _wanted_user(wanted.user_id) if actor.super_user else actor.id
    _refuse_bad_filters(wanted)
    if not panel.layout.has_table("_audit_log"):
        no_choices = Choices([], [], []) if actor.super_user else None
        return AuditPage([], page, per_page, 0, no_choices, is_missing=True)
    with panel.database.read() as connection:
        counted = audit_digest.count_groups(panel, connection)
        conditions = _conditions(_filters(panel.database.dialect, counted.groups, user_id, wanted), wanted)
        total = _total(panel, connection, counted.groups, user_id, wanted, conditions)
        entries = _entries(connection, conditions, total, page, per_page)
        choices = _choices(connection, counted.groups) if actor.super_user else None
    if counted.is_due:
        audit_digest.begin_carrying_on(panel)
    return AuditPage(entries, page, per_page, total, choices)


def _wanted_user(text: str) -> int | None:
    """None is everybody."""
    text = folded(text)
    if text in ("", EVERYBODY):
        return None
    if not text.isascii() or not text.isdigit() or int(text) > _LARGEST_USER_ID:
        raise InvalidInput.of("user_id", f"expected a number or {EVERYBODY}")
    return int(text)


def _refuse_bad_filters(wanted: Wanted) -> None:
    if wanted.first_day and wanted.last_day and wanted.first_day > wanted.last_day:
        raise InvalidInput("The {field} is after the date_to", field="date_from")
    if len(wanted.search) > SEARCH_CHARACTERS:
        raise InvalidInput.of("search", f"at most {SEARCH_CHARACTERS} characters")


@dataclass(frozen=True, slots=True)
class _Filter:
    """Entries with ``value`` in ``column``, and how many they are in all."""

    column: Any
    value: int | str
    entries: int


def _filters(dialect: str, groups: Sequence[Group], user_id: int | None, wanted: Wanted) -> list[_Filter]:
    """What asks for one value, the rarest first."""
    of_user = sum(group.entries for group in groups if group.user_id == user_id)
    filters = [] if user_id is None else [_Filter(AuditEntry.user_id, user_id, of_user)]
    for column, name in ((AuditEntry.action, "action"), (AuditEntry.target_type, "target_type")):
        if value := getattr(wanted, name):
            entries = sum(group.entries for group in groups if _is_same(dialect, value, getattr(group, name)))
            filters.append(_Filter(column, value, entries))
    return sorted(filters, key=lambda each: each.entries)


def _is_same(dialect: str, one: str, other: str | None) -> bool:
    """As the column's collation compares."""
    if dialect == "mysql" and other is not None:
        return one.casefold() == other.casefold()
    return one == other


def _conditions(filters: Sequence[_Filter], wanted: Wanted) -> list[ColumnElement[bool]]:
    # the rarest is found by the index that is sorted as the page; left the choice, MariaDB joins the indexes of two
    # filters and sorts what it found
    conditions: list[ColumnElement[bool]] = [each.column == each.value for each in filters[:1]]
    conditions += [func.coalesce(each.column, each.column) == each.value for each in filters[1:]]
    # on the bare column, for its index
    if wanted.first_day:
        conditions.append(AuditEntry.timestamp >= datetime.combine(wanted.first_day, time.min))
    if wanted.last_day:
        conditions.append(AuditEntry.timestamp < datetime.combine(wanted.last_day + timedelta(days=1), time.min))
    if wanted.search:
        searched = (AuditEntry.target_name, AuditEntry.details, AuditEntry.username)
        conditions.append(or_(*(column.icontains(wanted.search, autoescape=True) for column in searched)))
    return conditions


def _total(
    panel: Panel,
    connection: Connection,
    groups: Sequence[Group],
    user_id: int | None,
    wanted: Wanted,
    conditions: list[ColumnElement[bool]],
) -> int:
    dialect = panel.database.dialect
    total = sum(
        group.entries
        for group in groups
        if user_id in (None, group.user_id)
        and (not wanted.action or _is_same(dialect, wanted.action, group.action))
        and (not wanted.target_type or _is_same(dialect, wanted.target_type, group.target_type))
    )
    if total and (wanted.first_day or wanted.last_day or wanted.search):
        return connection.scalar(select(func.count()).select_from(AuditEntry).where(*conditions)) or 0
    return total


_COLUMNS = (
    AuditEntry.id,
    AuditEntry.timestamp,
    AuditEntry.user_id,
    AuditEntry.username,
    AuditEntry.user_type,
    AuditEntry.action,
    AuditEntry.target_type,
    AuditEntry.target_id,
    AuditEntry.target_name,
    AuditEntry.old_value,
    AuditEntry.new_value,
    AuditEntry.ip_address,
    AuditEntry.details,
    User.name.label("display_name"),
)
_NEWEST = (AuditEntry.timestamp.desc(), AuditEntry.id.desc())


def _entries(
    connection: Connection, conditions: list[ColumnElement[bool]], total: int, page: int, per_page: int
) -> list[Entry]:
    offset = (page - 1) * per_page
    if offset >= total:
        return []
    # from the nearer end; what is skipped is read from the index alone, not with the long texts of its rows
    limit, found = min(per_page, total - offset), select(AuditEntry.id).where(*conditions)
    if offset <= total // 2:
        ids = found.order_by(*_NEWEST).limit(limit).offset(offset).subquery()
    else:
        ids = found.order_by(AuditEntry.timestamp, AuditEntry.id).limit(limit).offset(total - offset - limit).subquery()
    rows = connection.execute(
        select(*_COLUMNS)
        .join(ids, ids.c.id == AuditEntry.id)
        .outerjoin(User, User.id == AuditEntry.user_id)
        .order_by(*_NEWEST)
    )
    return [_entry(row._mapping) for row in rows]


def _entry(row: Any) -> Entry:
    # a zero date of a legacy database is a text
    moment = row["timestamp"] if isinstance(row["timestamp"], datetime) else None
    return Entry(**{**row, "timestamp": moment})


def _choices(connection: Connection, groups: Sequence[Group]) -> Choices:
    users = {(group.user_id, group.username) for group in groups}
    wanted = select(User.id, User.name).where(User.id.in_({user_id for user_id, _ in users}))
    names = {row.id: row.name for row in connection.execute(wanted)} if users else {}
    return Choices(
        sorted({group.action for group in groups if group.action}),
        sorted({group.target_type for group in groups if group.target_type}),
        [(user_id, username, names.get(user_id)) for user_id, username in sorted(users, key=lambda user: user[::-1])],
    )
