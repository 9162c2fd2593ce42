"""Giving accounts to resellers, one or many, and taking them from super admins. Source: contract chapter 30 D.

No credit moves and no theme changes. What is assigned here is noted, so that a sync does not undo it by an older word
of the portal (chapter 20 §9).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, insert, select, update

from core.access.actors import Actor
from core.access.audit import By
from core.access.user_rows import refuse_observer, require_reseller
from core.accounts import operations
from core.accounts.on_portals import one_operation
from core.accounts.rows import ids_by_shown_name
from core.errors import InvalidInput, NotFound
from core.panel import Panel
from core.portal import PortalError, normal_mac
from core.storage.database import same_text_in
from core.storage.tables import Account, AccountNote, User
from core.values.escaping import LOOKALIKES

log = logging.getLogger(__name__)

NOT_ASSIGNED = "Not Assigned"
MOST_USERNAMES = 10_000
_CHUNK = 500
# on a portal that keeps owners, where an empty value would be an error of its database
_NOBODY_ON_PORTAL = "0"


@dataclass(frozen=True, slots=True)
class Assigned:
    """How many accounts have another reseller now, and the reseller's name."""

    changed: int
    reseller_name: str


def assign_reseller(panel: Panel, by: By, username: str, reseller_id: int | None) -> None:
    """Give the account of that name to the reseller; None: to nobody. Raises InvalidInput, NotFound."""
    if not username:
        raise InvalidInput.missing("username")

    def act(connection: Connection) -> tuple[Sequence[Any], Actor | None]:
        operations.lock_accounts(panel, connection)
        named = _named(panel, connection, [username])
        accounts = connection.execute(
            select(Account.id, Account.username, Account.mac, Account.reseller).where(named)
        ).all()
        if not accounts:
            raise NotFound("Account not found")
        reseller = _target(panel, connection, reseller_id)
        _assign(panel, connection, Account.id.in_([account.id for account in accounts]), reseller)
        for account in accounts:
            by.write_audit(
                panel,
                connection,
                "update",
                "account",
                target_id=account.id,
                target_name=account.mac,
                old={"reseller": account.reseller or None},
                new={"reseller": reseller.id if reseller else None},
                details=f"Account {username} assigned to {_name(reseller)}",
            )
        return accounts, reseller

    accounts, reseller = panel.database.transact(act)
    if panel.config.portal.send_reseller:
        for account in accounts:
            _tell_portal(panel, account, reseller)


def assign_many(panel: Panel, by: By, usernames: Sequence[str], reseller_id: int | None) -> Assigned:
    """As :func:`assign_reseller`, for all accounts of these names; names that nobody has are skipped."""
    if not usernames:
        raise InvalidInput.missing("usernames", "a list of user names")
    if len(usernames) > MOST_USERNAMES:
        raise InvalidInput.of("usernames", f"at most {MOST_USERNAMES} accounts at once are possible")
    names = list(dict.fromkeys(usernames))

    def act(connection: Connection) -> tuple[int, Actor | None]:
        operations.lock_accounts(panel, connection)
        reseller = _target(panel, connection, reseller_id)
        changed = 0
        for start in range(0, len(names), _CHUNK):
            named = _named(panel, connection, names[start : start + _CHUNK])
            changed += _assign(panel, connection, named, reseller)
        by.write_audit(
            panel,
            connection,
            "bulk_update",
            "accounts",
            old={"count": len(usernames)},
            new={"reseller_id": reseller.id if reseller else None, "reseller_name": _name(reseller)},
            details=f"{changed} accounts assigned to {_name(reseller)}",
        )
        return changed, reseller

    changed, reseller = panel.database.transact(act)
    return Assigned(changed, _name(reseller))


def unassign_super_admins(panel: Panel, by: By) -> int:
    """Accounts of super admins belong to nobody from now on; how many there were."""
    admins = select(User.id).where(User.super_user == 1)

    def act(connection: Connection) -> int:
        operations.lock_accounts(panel, connection)
        changed = _assign(panel, connection, Account.reseller.in_(admins), None)
        by.write_audit(
            panel,
            connection,
            "bulk_update",
            "accounts",
            new={"reseller_id": None, "reseller_name": NOT_ASSIGNED},
            details=f"{changed} accounts of super admins assigned to nobody",
        )
        return changed

    return panel.database.transact(act)


def _named(panel: Panel, connection: Connection, names: Sequence[str]) -> sa.ColumnElement[bool]:
    """The accounts of these names, as they are stored or as pages show them."""
    exactly = same_text_in(Account.username, names, panel.database.dialect)
    shown = [name for name in names if LOOKALIKES.intersection(name)]
    return sa.or_(exactly, Account.id.in_(ids_by_shown_name(connection, shown))) if shown else exactly


def _target(panel: Panel, connection: Connection, reseller_id: int | None) -> Actor | None:
    if not reseller_id:
        return None
    reseller = require_reseller(panel, connection, reseller_id)
    refuse_observer(reseller)
    return reseller


def _name(reseller: Actor | None) -> str:
    return NOT_ASSIGNED if reseller is None else reseller.name or reseller.username


def _assign(panel: Panel, connection: Connection, which: sa.ColumnElement[bool], reseller: Actor | None) -> int:
    """How many of the accounts changed hands; all of them are noted as assigned here."""
    # the notes first: the condition may depend on the owner
    _note(panel, connection, which)
    owner = reseller.id if reseller else None
    elsewhere = sa.func.coalesce(Account.reseller, 0) != (owner or 0)
    return connection.execute(update(Account).where(which, elsewhere).values(reseller=owner)).rowcount


def _note(panel: Panel, connection: Connection, which: sa.ColumnElement[bool]) -> None:
    """That an owner was set here now: the portal's next word on it is only remembered, unless it said one before."""
    changed_at = int(panel.clock.seconds() * 1000)
    values: dict[str, Any] = {"portal_reseller_known": 1, "changed_at": changed_at}
    connection.execute(
        update(AccountNote).where(AccountNote.account_id.in_(select(Account.id).where(which))).values(**values)
    )
    connection.execute(
        insert(AccountNote).from_select(
            ["account_id", *values],
            select(Account.id, sa.literal(1), sa.literal(changed_at, sa.BigInteger))
            .outerjoin(AccountNote, AccountNote.account_id == Account.id)
            .where(which, AccountNote.account_id.is_(None)),
        )
    )


@one_operation
def _tell_portal(panel: Panel, account: Any, reseller: Actor | None) -> None:
    """Best effort: a portal that keeps owners learns of it, what goes wrong is only logged."""
    owner = str(reseller.id) if reseller else _NOBODY_ON_PORTAL
    try:
        mac = normal_mac(account.mac) or account.mac
        panel.portals.primary.update_account(mac, {"reseller": owner}, login=account.username)
    except PortalError as error:
        log.warning("the portal was not told of an account's new reseller: %s", type(error).__name__)
