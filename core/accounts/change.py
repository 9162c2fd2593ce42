"""Carrying out a decided change of a subscriber account, on the portals and in the database.

Server 1 decides: what it refuses happens nowhere. Server 2 follows; while it does not, the operation stays open and
the answer carries a warning. An open change is settled by looking at server 1 and by telling a portal that lags what
the database holds. What changes is decided in :mod:`core.accounts.edit`. Source: contract chapter 20 §1.8, §1.9.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

from sqlalchemy import Connection

from core.access.actors import Actor
from core.access.audit import By
from core.access.began import Began
from core.access.user_rows import read_user
from core.accounts import operations, recovery
from core.accounts.on_portals import (
    Lag,
    Seen,
    all_fields_of,
    fields_of,
    look,
    may_still_follow,
    put,
    put_password,
    refusal_of,
    servers,
    set_theme,
    switch_back,
)
from core.accounts.operations import Draft, Record
from core.accounts.records import AUTO_DISABLE, STATUS, Change, kept_otherwise, note_lag, write_change
from core.accounts.rows import AccountRow, find_by_id
from core.errors import DatabaseFailed, DatabaseRefused, UpstreamFailed
from core.jobs import jobs
from core.ledger import ledger
from core.panel import Panel
from core.plans.choice import PlanRow
from core.portal import Outcome, PortalAccountNotFound, PortalError, PortalServer
from core.portal.accounts import Field

log = logging.getLogger(__name__)

KIND = "change"
PORTAL_FAILED = "The portal update failed"
NOT_STORED = "The database cannot store this change; the portal was set back, and nothing was taken"
_PORTAL_NAMES = {
    "username": "login",
    "full_name": "full_name",
    "email": "email",
    "phone_number": "phone",
    "tariff_plan": "tariff_plan",
    "status": "status",
    "end_date": "end_date",
}
# sent beside other fields, as the PHP panel does, and ignored
_UNKNOWN_TO_PORTALS = frozenset({"email"})


@dataclass(frozen=True, slots=True)
class Changed:
    """``renewed``: a plan was applied. ``is_missing``: server 1 has no such account, and the change was made without
    it (see :data:`AUTO_DISABLE`)."""

    before: AccountRow
    after: AccountRow
    renewed: bool
    lag: Lag
    plan_name: str | None = None
    is_missing: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """A change as decided under the lock. ``always_send``: portal fields that go out although they stay as they are.

    ``what``: renewal, update, status, or the nightly job's ``auto_disable``, for which an account that server 1 does
    not have is as good as one that is off. ``phone_given``: the request named a phone number. ``notes`` as of
    :class:`core.accounts.on_portals.Lag`.
    """

    before: AccountRow
    after: AccountRow
    plan: PlanRow | None = None
    entry: ledger.Entry | None = None
    payer: Actor | None = None
    net: Decimal = Decimal(0)
    always_send: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    what: str = "update"
    phone_given: bool = False


def take_up(panel: Panel, record: Record) -> None:
    """Settle a change that was left open."""
    if record.state == operations.RESERVED:
        _settle_unknown(panel, record)
    else:
        _bring_up_to_date(panel, record)


# carrying it out


def change_if_any(
    panel: Panel, by: By, plan: Callable[[Connection], Planned | None], password: str | None
) -> Changed | None:
    """Reserve, tell server 1, commit, tell server 2. None when ``plan`` found nothing to do."""
    decided: list[tuple[Planned, str | None]] = []

    def decide(connection: Connection) -> Draft[Change] | None:
        planned = plan(connection)
        if planned is None:
            return None
        draft = _draft(by, planned)
        planned = replace(planned, notes=planned.notes + kept_otherwise(connection, draft.payload))
        # after the commit nothing may fail any more that is not the portals' fault
        decided[:] = [(planned, _theme(panel, connection, planned.what, planned.after))]
        return draft

    every_server = servers(panel)
    record = operations.begin(panel, by.actor.id, decide, step=every_server[0].name)
    if record is None:
        return None
    planned, theme = decided[0]
    before, after, change = planned.before, planned.after, Change.read(record.payload)
    changed = Changed(before, after, planned.plan is not None, Lag(notes=planned.notes), change.plan_name)
    if not change.portal and not password:
        _commit_here(panel, record, before, after)
        return changed
    is_there = _tell_first(panel, record, every_server[0], before, after, password)
    record = _commit(panel, record, before, after, every_server)
    server2 = _tell_second(panel, record, every_server[1:], before, after, password)
    theme_failure = set_theme(panel, after.username, theme, after.reseller)
    jobs.ring(panel)
    return replace(changed, lag=Lag(server2, theme_failure, planned.notes), is_missing=not is_there)


def _theme(panel: Panel, connection: Connection, what: str, after: AccountRow) -> str | None:
    """The theme that goes out with the change: that of the account's owner."""
    is_switch = what in (STATUS, AUTO_DISABLE)
    owner = None if is_switch or after.reseller is None else read_user(panel, connection, after.reseller)
    return owner.theme if owner else None


def _draft(by: By, planned: Planned) -> Draft[Change]:
    before, after = planned.before, planned.after
    columns = [name for name in AccountRow.__slots__ if getattr(before, name) != getattr(after, name)]
    changed = [_PORTAL_NAMES[name] for name in columns if name in _PORTAL_NAMES]
    if "comment" in columns:
        changed.append("comment")
    names = [*changed, *(name for name in planned.always_send if name not in changed)]
    if set(names) <= _UNKNOWN_TO_PORTALS:
        # with nothing else, a portal refuses the call: "Insert data is empty"
        names, changed = [], []
    return Draft(
        kind=KIND,
        username=before.username,
        mac=before.mac,
        account_id=before.id,
        payload=Change(
            what=planned.what,
            columns={name: getattr(after, name) for name in columns},
            portal=names,
            changed=changed,
            entry=planned.entry,
            plan_name=planned.plan.shown_name() if planned.plan else None,
            phone=planned.after.phone_number if planned.phone_given else None,
            began=Began.of(by),
        ),
        payer_id=planned.payer.id if planned.payer else None,
        amount=planned.net,
        price=planned.net,
        new_username=after.username if after.username != before.username else None,
        reseller=after.reseller if after.reseller != before.reseller else None,
    )


def _tell_first(
    panel: Panel, record: Record, server: PortalServer, before: AccountRow, after: AccountRow, password: str | None
) -> bool:
    """Server 1's yes, or the change is cancelled; False when it has no such account, which is no hindrance. Raises
    UpstreamFailed and its like."""
    change = Change.read(record.payload)
    fields = _told(server, change, after)
    try:
        put(server, before, fields)
    except PortalError as error:
        if isinstance(error, PortalAccountNotFound) and change.what == AUTO_DISABLE:
            return False
        not_done = error.outcome is Outcome.NOT_DONE
        seen = Seen.NOT_APPLIED if not_done else look(server, after, change.changed or change.portal)
        if seen is not Seen.APPLIED:
            doubtful = seen is Seen.UNKNOWN or may_still_follow(error)
            if not doubtful and (error.answered or not not_done):
                doubtful = not switch_back(server, before, after, fields)
            _cancel(panel, record, doubtful=doubtful)
            raise refusal_of(error, PORTAL_FAILED) from error
        log.warning("portal %s: the change is there although the call failed", server.name)
    _tell_password(panel, record, server, after, password)
    return True


def _tell_password(panel: Panel, record: Record, server: PortalServer, after: AccountRow, password: str | None) -> None:
    """The password, or nothing of the change: what server 1 has of it already is taken back. Raises UpstreamFailed."""
    try:
        put_password(server, after, password)
    except PortalError as error:
        with recovery.best_effort(panel, record):
            if Change.read(record.payload).changed:
                _bring_up_to_date(panel, operations.refund(panel, record, operations.COMPENSATING))
            else:
                operations.close(panel, record)
        refused = refusal_of(error, PORTAL_FAILED)
        if error.outcome is not Outcome.NOT_DONE:
            refused = UpstreamFailed(f"{refused.text}; whether the password was changed is not known")
        raise refused from error


def _told(server: PortalServer, change: Change, row: AccountRow) -> dict[str, Field]:
    """What ``server`` is told of ``row``: what changed or, where it is set so, every field; a switch only itself."""
    everything = server.full_updates and change.what not in (STATUS, AUTO_DISABLE)
    fields = all_fields_of(row) if everything else {}
    return fields | fields_of(row, change.portal)


def _cancel(panel: Panel, record: Record, *, doubtful: bool = False) -> None:
    """Money back. ``doubtful``: server 1 may have, or still get, the change: it is told the stored state later."""
    with recovery.best_effort(panel, record):
        if not doubtful:
            operations.close(panel, record)
            return
        record = operations.refund(panel, record, operations.COMPENSATING)
        operations.leave(panel, record, "Server 1 did not answer clearly; it is told the stored state again later")


def _commit(
    panel: Panel, record: Record, before: AccountRow, after: AccountRow, every_server: Sequence[PortalServer]
) -> Record:
    """What server 1 has is written down; what cannot be, ever, is taken back there. Raises BookedLater."""
    state = operations.CONFIRMING if len(every_server) > 1 else operations.DONE
    act = partial(write_change, panel, record=record, state=state, before=before, after=after)
    try:
        return recovery.book(panel, record, state, act) or replace(record, state=state)
    except DatabaseRefused:
        _take_back(panel, record)
        raise


def _commit_here(panel: Panel, record: Record, before: AccountRow, after: AccountRow) -> None:
    """A change of which no portal knows: it is written down, or did not happen."""
    act = partial(write_change, panel, record=record, state=operations.DONE, before=before, after=after)
    try:
        recovery.persist(panel, record, operations.DONE, act)
    except DatabaseFailed:
        with recovery.best_effort(panel, record):
            operations.close(panel, record)
        raise


def _take_back(panel: Panel, record: Record) -> None:
    """The database will never store what server 1 has: money back, and the portal is told the stored state."""
    with recovery.best_effort(panel, record):
        _bring_up_to_date(panel, operations.refund(panel, record, operations.COMPENSATING), reason=NOT_STORED)


def _tell_second(
    panel: Panel,
    record: Record,
    others: Sequence[PortalServer],
    before: AccountRow,
    after: AccountRow,
    password: str | None,
) -> str | None:
    """Server 2 follows; if it does not, the operation stays open and the failure's text is returned."""
    change = Change.read(record.payload)
    for server in others:
        try:
            put(server, before, _told(server, change, after))
            put_password(server, after, password)
        except PortalError as error:
            note_lag(panel, record, f"{server.name}: {error.text}")
            # it is stored nowhere, so that nobody can tell it again
            lost = f"; the new password is not known to be on {server.name}, please set it again" if password else ""
            return error.text + lost
    if others:
        with recovery.best_effort(panel, record):
            operations.close(panel, record)
    return None


# settling what was left open


def _settle_unknown(panel: Panel, record: Record) -> None:
    """A change that was cut short: if server 1 has it, it is completed, else cancelled."""
    with panel.database.read() as connection:
        before = find_by_id(connection, record.account_id or 0)
        if before is None:
            operations.close(panel, record)
            return
        change = Change.read(record.payload)
        after = replace(before, **change.columns)
        theme = _theme(panel, connection, change.what, after)
    server, *others = servers(panel)
    is_known = record.step == operations.BOOKING
    seen = Seen.APPLIED if is_known else look(server, after, change.changed)
    if seen is Seen.APPLIED:
        record = _commit(panel, record, before, after, [server, *others])
        _tell_second(panel, record, others, before, after, None)
        set_theme(panel, after.username, theme, after.reseller)
    elif late := recovery.late_seconds(panel, record):
        record = operations.refund(panel, record, operations.COMPENSATING)
        operations.leave(panel, record, recovery.LOOKED_AT_AGAIN, seconds=late)
    elif seen is Seen.NOT_APPLIED:
        operations.close(panel, record)
    else:
        # what a look cannot tell is set right by telling the stored state
        _bring_up_to_date(panel, operations.refund(panel, record, operations.COMPENSATING))


def _bring_up_to_date(panel: Panel, record: Record, *, reason: str | None = None) -> None:
    """Tell the portal that lags, or may have what was cancelled, what the database holds."""
    change = Change.read(record.payload)
    with panel.database.read() as connection:
        row = find_by_id(connection, record.account_id or 0)
    every_server = servers(panel)
    behind = every_server[1:] if record.state == operations.CONFIRMING else every_server[:1]
    try:
        if row is not None:
            for server in behind:
                _put_if_there(server, row, _told(server, change, row))
    except PortalError as error:
        operations.leave(panel, record, f"{error.server}: {error.text}")
        return
    operations.close(panel, record, reason)


def _put_if_there(server: PortalServer, row: AccountRow, fields: dict[str, Field]) -> None:
    try:
        put(server, row, fields)
    except PortalAccountNotFound:
        log.warning("portal %s: an account to be brought up to date is not there", server.name)


recovery.TAKE_UP[KIND] = take_up
