"""Carrying out the creation of a subscriber account: on the portals, in the database and in the ledger, or nowhere.

What is created is decided in :mod:`core.accounts.add`. A creation that fails or is cut short is always undone:
without the password, which is stored nowhere, it could not be finished. Source: contract chapter 20 §1.9 and §3.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import ClassVar

from sqlalchemy import Connection

from core.access.audit import By
from core.accounts import operations, recovery
from core.accounts.events import AccountCreated
from core.accounts.on_portals import may_still_follow, refusal_of, servers
from core.accounts.operations import Record
from core.accounts.records import Creation
from core.accounts.rows import find_by_username, insert_account
from core.errors import CommitUncertain, DatabaseFailed, PanelError, UpstreamFailed
from core.jobs.events import announce
from core.ledger import ledger
from core.panel import Panel
from core.portal import NewPortalAccount, Outcome, PortalError, PortalServer

KIND = "add"
_FAILED = "The account could not be created"


class NotBooked(DatabaseFailed):
    """The portals had the account, the database could not take it: it was removed there again."""

    default_text = "The database could not store the account; it is taken off the portal again, and nothing is charged"


class NotKnownYet(DatabaseFailed):
    """The database was lost while it stored the account."""

    goes_on: ClassVar[bool] = True
    default_text = (
        "The database was lost while the account was being stored. Whether it was is settled in the background: please "
        "look for the account in a minute"
    )


def is_coming_to(user_id: int, record: Record) -> bool:
    """Whether that operation is about to give the user an account more."""
    return record.kind == KIND and record.state == operations.RESERVED and record.reseller == user_id


def on_portals(panel: Panel, record: Record, every_server: Sequence[PortalServer], password: str) -> Record:
    """On every server, or on none and the money back; the record as it is stored now."""
    account = _portal_account(record, password)
    for number, server in enumerate(every_server):
        noted = _Noted(panel, record, server)
        try:
            if number:
                noted.record = operations.step(panel, record, server.name)
            server.create_account(account, adopting=noted.adopting)
        except PortalError as error:
            certain = error.outcome is Outcome.NOT_DONE
            record = noted.record
            touched = every_server[: number if certain else number + 1]
            is_gone = _undo(panel, record, touched, late=may_still_follow(error))
            refusal = refusal_of(error, _FAILED)
            if number and isinstance(refusal, UpstreamFailed):
                again = "it was removed from {} again" if is_gone else "it is removed from {} again in the background"
                refusal = UpstreamFailed(f"{refusal.text}; {again.format(every_server[0].name)}")
            raise refusal from error
        except PanelError:
            _undo(panel, noted.record, every_server[:number])
            raise
        record = noted.record
    return record


@dataclass
class _Noted:
    """The record, in which is noted that ``server``'s box is about to be adopted: it must not be deleted then."""

    panel: Panel
    record: Record
    server: PortalServer

    def adopting(self) -> None:
        adopted = [*Creation.read(self.record.payload).adopted, self.server.name]
        self.record = operations.step(self.panel, self.record, self.server.name, adopted=adopted)


def _portal_account(record: Record, password: str = "") -> NewPortalAccount:
    creation = Creation.read(record.payload)
    return NewPortalAccount(
        login=record.username,
        mac=record.mac,
        password=password,
        account_number=str(creation.account_number),
        tariff_plan=creation.tariff_plan,
        full_name=creation.full_name,
        status=creation.status == 1,
        end_date=creation.end_date,
        comment=creation.comment,
        reseller=creation.reseller,
        phone=creation.phone or "",
    )


def confirm(panel: Panel, by: By, record: Record) -> int:
    """Row, ledger row and audit row in one transaction; if that fails the portals are cleared again."""
    # the portals have answered: nothing comes late any more
    record = replace(record, step=operations.BOOKING)
    creation = Creation.read(record.payload)

    def book(connection: Connection) -> int:
        operations.move(panel, connection, record, operations.DONE)
        account_id = _insert(panel, connection, record, creation)
        if creation.entry is not None:
            taken = record.amount or Decimal(0)
            ledger.record(connection, creation.entry, panel.clock.stamp(), account_id=account_id, effect=-taken)
        _audit(panel, connection, by, record, creation, account_id)
        announce(panel, connection, _event(by, record, creation, account_id))
        return account_id

    try:
        account_id = recovery.persist(panel, record, operations.DONE, book)
    except CommitUncertain:
        recovery.settle_later(panel, record, "Whether it was booked is not known yet")
        raise NotKnownYet from None
    except DatabaseFailed as error:
        _undo(panel, record, servers(panel))
        raise NotBooked from error
    return account_id if account_id is not None else _booked_id(panel, record)


def _booked_id(panel: Panel, record: Record) -> int:
    row = None
    # it is booked, whatever may be looked up
    with suppress(DatabaseFailed), panel.database.read() as connection:
        row = find_by_username(panel, connection, record.username)
    return row.id if row is not None else 0


def _insert(panel: Panel, connection: Connection, record: Record, creation: Creation) -> int:
    values = {
        "username": record.username,
        "mac": record.mac,
        "email": creation.email,
        "phone_number": creation.phone,
        "reseller": creation.reseller,
        "plan": creation.plan,
        "timestamp": panel.clock.stamp(),
        "full_name": creation.full_name,
        "tariff_plan": creation.tariff_plan[:100],
        "end_date": creation.end_date,
        "status": creation.status,
    }
    return insert_account(
        panel,
        connection,
        values,
        account_number=creation.account_number,
        comment=creation.comment or None,
        # what it tells of the owner from now on is our own word, until it tells another
        portal_reseller_seen=creation.reseller,
        portal_reseller_known=1,
    )


def _event(by: By, record: Record, creation: Creation, account_id: int) -> AccountCreated:
    return AccountCreated(
        account_id,
        record.username,
        record.mac,
        creation.full_name,
        creation.reseller,
        by.actor.id,
        by.actor.name or by.actor.username,
        creation.plan_name,
        creation.end_date,
        creation.phone,
    )


def _audit(panel: Panel, connection: Connection, by: By, record: Record, creation: Creation, account_id: int) -> None:
    by.write_audit(
        panel,
        connection,
        "create",
        "account",
        target_id=account_id,
        target_name=record.mac,
        new={
            "mac": record.mac,
            "username": record.username,
            "name": creation.full_name,
            "plan": creation.plan_name,
            "expiry": creation.end_date and creation.end_date.isoformat(),
            "phone": creation.phone,
        },
        details=f"Account {record.username} created",
    )


def _undo(panel: Panel, record: Record, touched: Sequence[PortalServer], *, late: bool = False) -> bool:
    """After a failed creation: money back, remains deleted; False: what cannot be done now stays recorded.

    ``touched``: the servers that may have the account; ``late``: it may still appear there after a look.
    """
    with recovery.best_effort(panel, record):
        if touched:
            seconds = operations.RECHECK_SECONDS if late else 0
            return _clear(panel, operations.refund(panel, record, operations.COMPENSATING), touched, late=seconds)
        operations.close(panel, record)
        return True
    return False


def take_up(panel: Panel, record: Record) -> None:
    """Undo a creation that was left open: the money first, then what it left on the portals."""
    late = 0
    if record.state == operations.RESERVED:
        late = recovery.late_seconds(panel, record)
        record = operations.refund(panel, record, operations.COMPENSATING)
    _clear(panel, record, servers(panel), late=late)


def _clear(panel: Panel, record: Record, touched: Sequence[PortalServer], *, late: int = 0) -> bool:
    """False: the portals could not be asked now. ``late``: for how many seconds yet the account may appear; then it
    is looked for once more."""
    try:
        for server in touched:
            _remove_remains(server, record)
    except PortalError as error:
        operations.leave(panel, record, f"{error.server}: {error.text}")
        return False
    if late:
        operations.leave(panel, record, recovery.LOOKED_AT_AGAIN, seconds=late)
    else:
        operations.close(panel, record)
    return True


def _remove_remains(server: PortalServer, record: Record) -> None:
    """Delete the account if it is the one that this creation made, never an older one of the same device; what was a
    box without account becomes one again."""
    account = _portal_account(record)
    found = server.account_by_mac(account.mac, login=account.login)
    if found is None or not account.is_stored_as(found):
        return
    if server.name in Creation.read(record.payload).adopted:
        server.release_box(account)
    else:
        server.delete_account(account.mac, login=account.login)


recovery.TAKE_UP[KIND] = take_up
