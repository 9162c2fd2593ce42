"""Who a session is on the Xtream side: a panel's user by role or link, or an account of the bound database.

Looked up at every request, so that an account that was switched off is out at once. What a member may do is in
:mod:`core.xtream.permissions`. Source: contract chapter 95 §2, §3 and §16.2.
"""

import threading
from dataclasses import replace
from hashlib import md5
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, bindparam, or_, select

from core.access.actors import Actor
from core.errors import NotLoggedIn
from core.panel import Panel
from core.storage.tables.xtream import XtreamMember
from core.xtream.families import OWN, Tables, columns_of
from core.xtream.permissions import Member, member_of_group, member_of_panel
from core.xtream.store import is_on, read_settings, store

_GROUP_COLUMNS = (
    "group_id", "is_banned", "is_admin", "is_reseller", "delete_users", "edit_isplock", "allowed_pages",
)  # fmt: skip
_LINK = (
    select(
        XtreamMember.user_id,
        XtreamMember.status,
        XtreamMember.account_id,
        *columns_of(OWN.groups, *_GROUP_COLUMNS),
    )
    .select_from(XtreamMember)
    .outerjoin(OWN.groups, OWN.groups.c.group_id == XtreamMember.member_group_id)
    .where(XtreamMember.user_id == bindparam("user_id"))
)
HASH_KEY, ADDRESS_KEY = "hash", "ip"


def member_of(panel: Panel, actor: Actor) -> Member:
    """Raises NotLoggedIn for a link that is switched off or whose group lets nobody in."""
    panel.layout  # noqa: B018 - creates our tables where they are missing
    is_bound = store(panel).is_bound
    link = panel.database.first(_LINK, user_id=actor.id)
    if link is None:
        # in a bound database the panel's ids mean other people
        return member_of_panel(actor, None if is_bound else actor.id)
    if link.status != 1:
        raise NotLoggedIn
    if is_bound:
        member = _bound_member(panel, link.account_id) if link.account_id is not None else None
    else:
        member = member_of_group(actor.id, actor.username, link)
    if member is None:
        raise NotLoggedIn
    # an observer never changes anything, also when linked
    return Member(None, actor.username) if actor.is_observer else replace(member, username=actor.username)


class AddressChanged(NotLoggedIn):
    """The session began at another address, and the bound panel wants such sessions ended."""


def member_of_hash(panel: Panel, known_hash: str, known_address: str | None, address: str) -> Member:
    """The account that a session of the bound panel's own login names. Raises NotLoggedIn, AddressChanged.

    ``known_…`` must come out of a stored session, never out of a request: everybody can make the hash of a name.
    """
    if not store(panel).is_bound:
        raise NotLoggedIn
    account_id = panel.own(_Hashes).account_id(known_hash)
    member = None if account_id is None else _bound_member(panel, account_id)
    if member is None or hash_of(member.username) != known_hash:
        raise NotLoggedIn
    with store(panel).read() as connection:
        if is_on(read_settings(connection, store(panel).tables), "ip_logout") and known_address != address:
            raise AddressChanged
    return member


def hash_of(username: str) -> str:
    """As the Xtream panels name an account in a session."""
    return md5(username.encode(), usedforsecurity=False).hexdigest()


def session_marks(panel: Panel, actor: Actor, address: str) -> dict[str, str]:
    """What a login adds to the session in bound mode, so that the PHP panel knows it too; else nothing.

    Only for whom we know to be that account: a super admin, or a user with a link. The name alone proves nothing,
    since those who may add users choose their names.
    """
    if not store(panel).is_bound or actor.is_observer:
        return {}
    link = panel.database.first(_LINK, user_id=actor.id)
    if link is not None and link.account_id is not None:
        member = _bound_member(panel, link.account_id) if link.status == 1 else None
        return {} if member is None else {HASH_KEY: hash_of(member.username), ADDRESS_KEY: address}
    return {HASH_KEY: hash_of(actor.username), ADDRESS_KEY: address} if actor.super_user else {}


def is_own_line(tables: Tables, member: Member) -> sa.ColumnElement[bool]:
    """The condition on the table of lines that a member may work on a line: an admin on every one, a reseller on the
    own ones and on those of accounts that it owns, one level deep."""
    if member.is_admin:
        return sa.true()
    if not member.is_reseller or member.account_id is None:
        return sa.false()
    member_id = tables.lines.c.member_id
    if tables.accounts is not None:
        accounts = tables.accounts.c
        owned = select(accounts.id).where(accounts.owner_id == member.account_id)
    else:
        owned = select(XtreamMember.user_id).where(XtreamMember.owner_id == member.account_id)
    return or_(member_id == member.account_id, member_id.in_(owned))


def _bound_member(panel: Panel, account_id: int) -> Member | None:
    """None: there is no such account, it is switched off, or its group lets nobody in."""
    xtream = store(panel)
    with xtream.read() as connection:
        row = _account(connection, xtream.tables, account_id)
    if row is None or row.status != 1:
        return None
    return member_of_group(row.id, row.username, row)


def _account(connection: Connection, tables: Tables, account_id: int) -> Any:
    assert tables.accounts is not None  # noqa: S101 - a bound database has the table
    accounts, groups = tables.accounts, tables.groups
    return connection.execute(
        select(accounts.c.id, accounts.c.username, accounts.c.status, *columns_of(groups, *_GROUP_COLUMNS))
        .select_from(accounts)
        .outerjoin(groups, groups.c.group_id == accounts.c.member_group_id)
        .where(accounts.c.id == account_id)
    ).first()


class _Hashes:
    """Which account each hash means: the database cannot look one up without reading all its accounts."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._lock = threading.Lock()
        self._ids: dict[str, int] = {}

    def account_id(self, known_hash: str) -> int | None:
        with self._lock:
            if known_hash not in self._ids:
                self._ids = self._read()
            return self._ids.get(known_hash)

    def _read(self) -> dict[str, int]:
        xtream = store(self._panel)
        accounts = xtream.tables.accounts
        assert accounts is not None  # noqa: S101 - a bound database has the table
        with xtream.read() as connection:
            rows = connection.execute(select(accounts.c.id, accounts.c.username).order_by(accounts.c.id.desc()))
            return {hash_of(row.username): row.id for row in rows}

    def close(self) -> None:
        self._ids = {}
