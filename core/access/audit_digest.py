"""How many entries of which kind the audit log has, without counting a million of them for each page.

The log only grows. What is settled (see :func:`_settled_id`) is counted once per user, user name, action and kind of
target; the counts are stored, with the id up to which they reach. A reader adds the entries behind that id, which are
few, and carries the digest on when they become many. A log that was emptied or begins elsewhere is counted anew.
Source: contract chapter 70, ``get_audit_log.php``, filter options. The pages themselves: :mod:`core.access.audit_log`.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, ScalarSelect, delete, func, insert, select, update

from core.errors import DatabaseFailed
from core.panel import Panel
from core.storage.one_at_a_time import serialise
from core.storage.schema import Layout
from core.storage.tables import AuditDigest, AuditDigestReach, AuditEntry

log = logging.getLogger(__name__)

# so many entries behind the digest are worth carrying it on
STEP = 500
# an entry's transaction has long ended after such a time, or when so many entries came after it
SETTLED_AFTER = timedelta(minutes=15)
SETTLED_BEHIND = 10_000
_ONLY_ROW = 1
_KIND = (AuditEntry.user_id, AuditEntry.username, AuditEntry.action, AuditEntry.target_type)


@dataclass(frozen=True, slots=True)
class Group:
    """How many ``entries`` are of this user, under this name, of this action on this kind of target."""

    user_id: int
    username: str
    action: str
    target_type: str | None
    entries: int

    @property
    def kind(self) -> tuple[int, str, str, str | None]:
        return self.user_id, self.username, self.action, self.target_type


@dataclass(frozen=True, slots=True)
class Counted:
    """All groups of the log; one kind may be in two of them. ``is_due``: the digest should be carried on."""

    groups: Sequence[Group]
    is_due: bool


@dataclass(frozen=True, slots=True)
class _Bounds:
    """``first`` and ``last`` id of the log, 0 for an empty one; ``reach``: of the digest, if it is of this log."""

    first: int
    last: int
    reach: int


class _Kept:
    """The digest as this process read it last; for one reach it never changes."""

    def __init__(self, _panel: Panel) -> None:
        # first id and reach, and the groups; in one, so that no thread sees the half of another's
        self.digest: tuple[tuple[int, int], Sequence[Group]] = ((0, 0), ())
        self.carrying_on = threading.Lock()

    def close(self) -> None:
        self.digest = ((0, 0), ())


def count_groups(panel: Panel, connection: Connection) -> Counted:
    """What the log holds, as the snapshot of ``connection`` sees it."""
    bounds = _bounds(connection)
    settled = _digest(panel, connection, bounds) if bounds.reach else ()
    fresh = _count(connection, bounds.reach, bounds.last) if bounds.last > bounds.reach else []
    return Counted([*settled, *fresh], bounds.last - bounds.reach >= STEP)


def begin_carrying_on(panel: Panel) -> None:
    """:func:`carry_on` beside the request, for which it may have to wait; one at a time is enough."""
    carrying_on = panel.own(_Kept).carrying_on

    def work() -> None:
        if carrying_on.acquire(blocking=False):
            try:
                carry_on(panel)
            finally:
                carrying_on.release()

    panel.start_thread(work, "audit-digest")


def entries_to_count(panel: Panel, connection: Connection, layout: Layout) -> int:
    """How many entries :func:`carry_on` would count, also in a database that has yet to be upgraded; 0 for too few."""
    if not layout.has_table(AuditEntry.__tablename__):
        return 0
    has_digest = layout.has_table(AuditDigestReach.__tablename__)
    bounds = _bounds(connection) if has_digest else _Bounds(*connection.execute(select(*_ends())).one(), reach=0)
    waiting = _settled_id(panel, connection, bounds) - bounds.reach if bounds.last else 0
    return waiting if waiting >= STEP else 0


def carry_on(panel: Panel) -> None:
    """Count what has settled since, into the digest. Its failure is logged: without it, reading only takes longer."""
    try:

        def act(connection: Connection) -> None:
            serialise(panel.database, connection, "audit_digest")
            bounds = _bounds(connection)
            until = _settled_id(panel, connection, bounds)
            if until - bounds.reach >= STEP:
                _extend(connection, bounds, until)

        panel.database.transact(act)
    except DatabaseFailed as error:
        log.warning("The digest of the audit log was not carried on: %s", type(error).__name__)


def _bounds(connection: Connection) -> _Bounds:
    first_id, last_id = _ends()
    ends = select(first_id.label("first"), last_id.label("last")).subquery()
    row = connection.execute(
        select(ends.c.first, ends.c.last, AuditDigestReach.first_id, AuditDigestReach.last_id).join_from(
            ends, AuditDigestReach, AuditDigestReach.id == _ONLY_ROW, isouter=True
        )
    ).one()
    first, last = row.first or 0, row.last or 0
    is_of_this_log = row.first_id is not None and row.first_id == first and row.last_id <= last
    return _Bounds(first, last, row.last_id if is_of_this_log else 0)


def _ends() -> tuple[ScalarSelect[int], ScalarSelect[int]]:
    # one by one: asked for both at once, SQLite reads the whole log
    return select(func.min(AuditEntry.id)).scalar_subquery(), select(func.max(AuditEntry.id)).scalar_subquery()


def _digest(panel: Panel, connection: Connection, bounds: _Bounds) -> Sequence[Group]:
    kept = panel.own(_Kept)
    of, groups = kept.digest
    if of == (bounds.first, bounds.reach):
        return groups
    rows = connection.execute(
        select(
            AuditDigest.user_id, AuditDigest.username, AuditDigest.action, AuditDigest.target_type, AuditDigest.entries
        )
    )
    groups = [Group(*row) for row in rows]
    kept.digest = ((bounds.first, bounds.reach), groups)
    return groups


def _count(connection: Connection, after: int, until: int) -> list[Group]:
    rows = connection.execute(
        select(*_KIND, func.count()).where(AuditEntry.id > after, AuditEntry.id <= until).group_by(*_KIND)
    )
    return [Group(*row) for row in rows]


def _settled_id(panel: Panel, connection: Connection, bounds: _Bounds) -> int:
    """Up to where no entry can still be added: one with a lower id may be in a transaction that has not ended yet."""
    long_ago = panel.clock.now() - SETTLED_AFTER
    by_time = (
        select(AuditEntry.id)
        .where(AuditEntry.timestamp <= long_ago)
        .order_by(AuditEntry.timestamp.desc(), AuditEntry.id.desc())
        .limit(1)
    )
    return max(connection.scalar(by_time) or 0, bounds.last - SETTLED_BEHIND)


def _extend(connection: Connection, bounds: _Bounds, until: int) -> None:
    if not bounds.reach:
        connection.execute(delete(AuditDigest))
        connection.execute(delete(AuditDigestReach))
        connection.execute(insert(AuditDigestReach).values(id=_ONLY_ROW, first_id=bounds.first, last_id=until))
    else:
        connection.execute(update(AuditDigestReach).values(last_id=until))
    known = {
        (row.user_id, row.username, row.action, row.target_type): row.id
        for row in connection.execute(select(*AuditDigest.__table__.c))
    }
    added = []
    for group in _count(connection, bounds.reach, until):
        if group.kind in known:
            own = AuditDigest.id == known[group.kind]
            connection.execute(update(AuditDigest).where(own).values(entries=AuditDigest.entries + group.entries))
        else:
            added.append(dict(zip(("user_id", "username", "action", "target_type"), group.kind, strict=True)))
            added[-1]["entries"] = group.entries
    if added:
        connection.execute(insert(AuditDigest), added)
