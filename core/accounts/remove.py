"""Deleting a subscriber account: from the portals and from the live table, its rows elsewhere stay.

Server 1 decides, server 2 follows. A deletion that was left open is settled by looking whether server 1 still has the
account. Source: contract chapter 20 §6.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, select

from core.access.actors import Actor
from core.access.audit import By
from core.access.began import Began
from core.access.permissions import DELETE_ACCOUNTS, require, require_over
from core.accounts import operations, recovery
from core.accounts.events import AccountRemoved
from core.accounts.on_portals import Lag, may_still_follow, one_operation, refusal_of, servers
from core.accounts.operations import Draft, Record
from core.accounts.records import AMBIGUOUS, Removal, audit, note_lag
from core.accounts.rows import DELETED, AccountRow, archive_account, find_by_id, find_by_username
from core.errors import DatabaseFailed, DatabaseRefused, InvalidInput, NotFound, UpstreamFailed
from core.jobs import jobs
from core.jobs.events import announce
from core.panel import Panel
from core.portal import Outcome, PortalAccount, PortalError, PortalInvalidInput, PortalServer
from core.storage.tables import Account

log = logging.getLogger(__name__)

KIND = "remove"
_FAILED = "The account could not be deleted"
# a late deletion is completed: the account cannot be made again, without its password
DOUBTFUL = "it may still be: the portal is asked again in the background"


class NotArchived(DatabaseFailed):
    """The database will not take what is to be kept of the account."""

    default_text = "The portal no longer has the account, but the database cannot book its deletion; it is tried again"


@one_operation
def remove_account(panel: Panel, by: By, username: str) -> Lag:
    """Raises NotAllowed, NotFound, InvalidInput, AccountBusy, UpstreamFailed."""
    if not username:
        raise InvalidInput.missing("username")
    require(by.actor, DELETE_ACCOUNTS)
    with panel.database.read() as connection:
        found = find_by_username(panel, connection, username)
        if found is not None:
            _require(by.actor, found)
    foreign = _only_on_portal(panel, by.actor, username) if found is None else None

    def plan(connection: Connection) -> Draft[Removal]:
        row = find_by_username(panel, connection, username)
        if row is not None:
            _require(by.actor, row)
        elif foreign is None:
            raise NotFound("Account not found")
        return _draft(by, username, row, foreign)

    every_server = servers(panel)
    record = operations.begin(panel, by.actor.id, plan, step=every_server[0].name)
    assert record is not None  # noqa: S101 - a deletion always has something to do
    _delete_first(panel, record, every_server[0])
    record = _commit(panel, record, every_server)
    lag = Lag(server2=_delete_second(panel, record, every_server[1:]))
    jobs.ring(panel)
    return lag


def take_up(panel: Panel, record: Record) -> None:
    """Settle a deletion that was left open: server 1 has the account still, or it is completed."""
    every_server = servers(panel)
    if record.state == operations.RESERVED:
        try:
            if record.step != operations.BOOKING and _find(every_server[0], record) is not None:
                if late := recovery.late_seconds(panel, record):
                    operations.leave(panel, record, recovery.LOOKED_AT_AGAIN, seconds=late)
                else:
                    operations.close(panel, record)
                return
        except PortalError as error:
            operations.leave(panel, record, f"{error.server}: {error.text}")
            return
        record = _commit(panel, record, every_server)
    elif _may_come_back(panel, record):
        operations.leave(panel, record, "Another change on this device ends first")
        return
    elif _is_back(panel, record):
        # made again meanwhile, on every server
        operations.close(panel, record)
        return
    _delete_second(panel, record, every_server[1:])


def _may_come_back(panel: Panel, record: Record) -> bool:
    """Whether an operation whose outcome is open may have made that account again."""
    with panel.database.read() as connection:
        opened = operations.read_open(connection)
    return any(other.mac == record.mac and other.state != operations.CONFIRMING for other in opened)


def _is_back(panel: Panel, record: Record) -> bool:
    """Whether the panel has that account again: what server 2 has of it is the new one."""
    with panel.database.read() as connection:
        names = connection.scalars(select(Account.username).where(Account.mac == record.mac)).all()
    return record.username.casefold() in {str(name).casefold() for name in names}


def _require(actor: Actor, row: AccountRow) -> None:
    require_over(actor, DELETE_ACCOUNTS, row.reseller)


def _only_on_portal(panel: Panel, actor: Actor, username: str) -> PortalAccount:
    """An account that the panel does not know: super admins may delete it by its login."""
    if not actor.super_user:
        raise NotFound("Account not found")
    try:
        found = panel.portals.primary.account_by_login(username)
    except PortalInvalidInput:
        # a name that no portal takes is nobody's
        raise NotFound("Account not found") from None
    except PortalError as error:
        raise refusal_of(error, _FAILED) from error
    if found is None or not found.mac:
        raise NotFound("Account not found")
    return found


def _draft(by: By, username: str, row: AccountRow | None, foreign: PortalAccount | None) -> Draft[Removal]:
    old: dict[str, Any] = {"mac": foreign.mac if foreign else "", "username": username, "name": ""}
    if row is not None:
        old = {
            "mac": row.mac,
            "username": row.username,
            "name": row.full_name,
            "expiry": row.end_date and row.end_date.isoformat(),
            "reseller_id": row.reseller,
        }
    return Draft(
        kind=KIND,
        username=old["username"],
        mac=old["mac"],
        account_id=row.id if row else None,
        payload=Removal(old, row.is_ambiguous if row else False, Began.of(by)),
    )


def _delete_first(panel: Panel, record: Record, server: PortalServer) -> None:
    """Server 1 no longer has the account, or the deletion is cancelled. Raises UpstreamFailed."""
    try:
        server.delete_account(record.mac, login=record.username)
    except PortalError as error:
        if error.outcome is Outcome.NOT_DONE:
            _give_up(panel, record)
            raise refusal_of(error, _FAILED) from error
        try:
            is_there = _find(server, record) is not None
        except PortalError:
            is_there = None
        if is_there is False:
            log.warning("portal %s: the account is gone although the call failed", server.name)
            return
        doubtful, refused = is_there is None or may_still_follow(error), refusal_of(error, _FAILED)
        _give_up(panel, record, doubtful=doubtful)
        raise UpstreamFailed(f"{refused.text}; {DOUBTFUL}") if doubtful else refused from error


def _give_up(panel: Panel, record: Record, *, doubtful: bool = False) -> None:
    with recovery.best_effort(panel, record):
        if doubtful:
            operations.leave(panel, record, "Server 1 did not answer clearly; it is asked again later")
        else:
            operations.close(panel, record)


def _commit(panel: Panel, record: Record, every_server: Sequence[PortalServer]) -> Record:
    """Archive, audit row and the operation's next state in one transaction."""
    state = operations.CONFIRMING if len(every_server) > 1 else operations.DONE
    removal = Removal.read(record.payload)

    def book(connection: Connection) -> Record:
        moved = operations.move(panel, connection, record, state)
        if record.account_id is not None and find_by_id(connection, record.account_id) is not None:
            archive_account(panel, connection, record.account_id, DELETED)
        audit(
            panel,
            connection,
            record,
            "delete",
            "account",
            old={**removal.old, "note": "transactions are kept"},
            details=f"Account {record.username} deleted{AMBIGUOUS if removal.is_ambiguous else ''}",
        )
        if record.account_id is not None:
            announce(panel, connection, _removed(record, removal, record.account_id))
        return moved

    try:
        return recovery.book(panel, record, state, book) or replace(record, state=state)
    except DatabaseRefused as error:
        # the account cannot be made again, without its password: somebody must look
        with recovery.best_effort(panel, record):
            operations.leave(panel, replace(record, step=operations.BOOKING), NotArchived.default_text)
        raise NotArchived from error


def _removed(record: Record, removal: Removal, account_id: int) -> AccountRemoved:
    began = removal.began
    return AccountRemoved(
        account_id, record.username, record.mac, removal.name, removal.reseller_id, began.actor_id, began.name
    )


def _delete_second(panel: Panel, record: Record, others: Sequence[PortalServer]) -> str | None:
    """Server 2 follows; if it does not, the operation stays open and the failure's text is returned."""
    try:
        for server in others:
            if _find(server, record) is not None:
                server.delete_account(record.mac, login=record.username)
    except PortalError as error:
        note_lag(panel, record, f"{error.server}: {error.text}")
        return error.text
    if record.state == operations.CONFIRMING:
        with recovery.best_effort(panel, record):
            operations.close(panel, record)
    return None


def _find(server: PortalServer, record: Record) -> PortalAccount | None:
    """The account to be deleted, if the server still has it; another one on the same device is none of ours."""
    found = server.account_by_mac(record.mac, login=record.username)
    return found if found is not None and found.login.casefold() == record.username.casefold() else None


recovery.TAKE_UP[KIND] = take_up
