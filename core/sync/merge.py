"""What a portal's list of accounts would change in ours: comparing only, no database, no portal.

What becomes of a single account: :mod:`core.sync.fields`. Source: contract chapter 20 §9.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, compress
from operator import attrgetter, ne

from core.accounts.rows import ACCOUNT_FIELDS
from core.portal import PortalAccount, PortalAccountList, normal_mac
from core.sync.fields import ROW, LocalAccount, is_told, merge
from core.values.escaping import plain, quotable

SUSPICIOUS_FROM = 20
_USERNAME, _MAC, _NAME, _TARIFF, _EMAIL = 100, 50, 255, 100, 255


@dataclass(frozen=True)
class Busy:
    """Accounts that somebody is at work on, by whatever is known of them; user names in folded case."""

    ids: Collection[int | None] = frozenset()
    usernames: Collection[str] = frozenset()
    macs: Collection[str] = frozenset()

    def has(self, id: int | None, username: str, mac: str) -> bool:
        return bool(self.macs) and (id in self.ids or mac in self.macs or username.casefold() in self.usernames)


@dataclass(frozen=True)
class LocalState:
    """What is here. ``archived`` are the vanished accounts, the latest first; ``gone`` were deleted through the
    panel since the fetch began; ``users`` are the ids of all users."""

    accounts: list[LocalAccount]
    users: Collection[int]
    busy: Busy = Busy()
    gone: Busy = Busy()
    archived: Callable[[], list[LocalAccount]] = list


@dataclass(frozen=True)
class Terms:
    """``scope``: None is every account, a number the accounts of that user. ``started``: when the fetch began, Unix
    milliseconds; what was changed here since then is left alone. ``default_owner``: of new accounts. ``country_code``:
    of national telephone numbers."""

    scope: int | None
    started: int
    default_owner: int | None = None
    country_code: str = ""

    def holds(self, owner: int | None) -> bool:
        return self.scope is None or owner == self.scope


@dataclass
class Changes:
    """``updated`` (the row) and ``noted`` (our notes on it) hold new states of known accounts, ``removed`` old ones.

    ``in_scope`` counts the accounts before, ``listed`` those of the portal's list, ``synced`` the accounts
    in scope that the portal confirms, ``doubles`` the logins that fall together with another of the list by login or
    MAC, so that only one of them can be an account here, ``unstorable`` those that this database cannot keep,
    ``unreadable_dates`` those whose end the portal tells in a way that nobody can read, ``broken`` those of which it
    cannot tell name and tariff. ``fields`` are the columns in which any of ``updated`` differs.
    """

    in_scope: int = 0
    listed: int = 0
    synced: int = 0
    skipped: int = 0
    doubles: tuple[str, ...] = ()
    unstorable: tuple[str, ...] = ()
    inserted: list[LocalAccount] = field(default_factory=list)
    restored: list[LocalAccount] = field(default_factory=list)
    updated: list[LocalAccount] = field(default_factory=list)
    unreadable_dates: list[str] = field(default_factory=list)
    broken: tuple[str, ...] = ()
    fields: set[str] = field(default_factory=set)
    noted: list[LocalAccount] = field(default_factory=list)
    removed: list[LocalAccount] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.inserted or self.restored or self.updated or self.noted or self.removed)

    @property
    def is_suspicious(self) -> bool:
        """Whether the list rather shows a fault of the portal: nothing at all, or not even half of many accounts."""
        held = self.in_scope - len(self.removed)
        few = self.in_scope >= SUSPICIOUS_FROM and 2 * held < self.in_scope
        return few or (self.in_scope > 0 and self.listed == 0)


def cleaned(listed: PortalAccountList) -> PortalAccountList:
    """The list without markup, cut to our columns, each login and each MAC once (the first one)."""
    everything = " ".join(chain.from_iterable(map(_texts, listed.accounts)))
    # one look at all texts together: hardly any list has markup
    if quotable(everything) is not everything:
        for account in listed.accounts:
            # the login stays what the portal knows, quotation marks and all; pages are shown its safe form
            account.login, account.mac, account.tariff_plan = map(
                plain, (account.login, account.mac, account.tariff_plan)
            )
            account.full_name, account.email = quotable(account.full_name), quotable(account.email)
    accounts: list[PortalAccount] = []
    doubles: list[str] = []
    logins: set[str] = set()
    macs: set[str] = set()
    for account in listed.accounts:
        login, mac = account.login.casefold(), account.mac
        if not 0 < len(login) <= _USERNAME or not 0 < len(mac) <= _MAC:
            continue
        if login in logins or mac in macs:
            doubles.append(account.login)
            continue
        logins.add(login)
        macs.add(mac)
        account.full_name = account.full_name[:_NAME]
        account.tariff_plan = account.tariff_plan[:_TARIFF]
        account.email = account.email[:_EMAIL]
        accounts.append(account)
    skipped = listed.skipped + len(listed.accounts) - len(accounts)
    return replace(listed, accounts=accounts, skipped=skipped, doubles=tuple(doubles))


_texts = attrgetter("login", "mac", "full_name", "tariff_plan", "email")


def compare(state: LocalState, listed: PortalAccountList, terms: Terms) -> Changes:
    """What the (cleaned) list changes within ``terms``."""
    pairs, new, left = _pairs(state.accounts, listed.accounts)
    in_scope = sum(terms.holds(account.reseller) for account in state.accounts)
    changes = Changes(in_scope=in_scope, listed=len(listed.accounts))
    names = _names_in(state, terms)
    changes.doubles, changes.unstorable = names(listed.doubles), names(listed.unstorable)
    changes.broken = names(listed.broken)
    for account, told in pairs:
        _confirm(changes, state, terms, account, told)
    if new:
        _add(changes, state, terms, new)
    changes.removed = [
        account for account in left if terms.holds(account.reseller) and not _is_fresh(account, state.busy, terms)
    ]
    changes.skipped = listed.skipped + len(listed.accounts) - changes.synced
    return changes


def _names_in(state: LocalState, terms: Terms) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    """Of logins those that may be told to who asks: a reseller is not told of others' accounts."""

    def within(logins: tuple[str, ...]) -> tuple[str, ...]:
        if terms.scope is None or not logins:
            return logins
        own = {_name_key(account) for account in state.accounts if terms.holds(account.reseller)}
        return tuple(login for login in logins if login.casefold() in own)

    return within


def _confirm(changes: Changes, state: LocalState, terms: Terms, account: LocalAccount, told: PortalAccount) -> None:
    kept = is_told(account, told) or _is_fresh(account, state.busy, terms)
    merged = account if kept else merge(account, told, state.users, terms.country_code)
    is_held = terms.holds(merged.reseller)
    if not is_held and not terms.holds(account.reseller):
        return
    # one that the portal gives to somebody else is released, but no longer counts
    changes.synced += is_held
    if told.unreadable_date and is_held:
        changes.unreadable_dates.append(told.login)
    if merged == account:
        return
    if merged[:ROW] != account[:ROW]:
        changes.updated.append(merged)
        if len(changes.fields) < ROW:
            changes.fields.update(compress(ACCOUNT_FIELDS, map(ne, merged, account)))
    if merged[ROW:] != account[ROW:]:
        changes.noted.append(merged)


def _add(changes: Changes, state: LocalState, terms: Terms, new: Iterable[PortalAccount]) -> None:
    present = {account.id for account in state.accounts}
    archived = [account for account in state.archived() if account.id not in present]
    by_mac = _index(archived, _mac_key)
    by_name = _index(archived, _name_key)
    for told in new:
        if state.busy.has(None, told.login, told.mac) or state.gone.has(None, told.login, told.mac):
            continue
        old = by_mac.pop(told.mac, None) or by_name.pop(told.login.casefold(), None)
        # its id may come back only once
        if old is not None and old.id in present:
            old = None
        merged = merge(old or _unknown(told, terms, state.users), told, state.users, terms.country_code)
        if not terms.holds(merged.reseller):
            continue
        changes.synced += 1
        if told.unreadable_date:
            changes.unreadable_dates.append(told.login)
        if old is not None:
            present.add(old.id)
        # marked as of this fetch, so that an older list in another process does not take it away again
        (changes.restored if old else changes.inserted).append(merged._replace(changed_at=terms.started))


def _unknown(told: PortalAccount, terms: Terms, users: Collection[int]) -> LocalAccount:
    return LocalAccount(
        id=None,
        username=told.login,
        mac=told.mac,
        email="",
        phone_number=None,
        reseller=terms.default_owner if terms.default_owner in users else None,
        plan=None,
        timestamp=terms.started // 1000,
        full_name="",
        tariff_plan="",
        end_date=None,
        status=1,
        account_number=None,
        seen=None,
        known=0,
        changed_at=None,
    )


def _is_fresh(account: LocalAccount, busy: Busy, terms: Terms) -> bool:
    """Whether the account was changed here since the fetch began, or is being changed now."""
    if account.changed_at is None:
        fresh = (account.timestamp or 0) >= terms.started // 1000
    else:
        fresh = account.changed_at >= terms.started
    return fresh or busy.has(account.id, account.username, account.mac)


def _pairs(
    accounts: list[LocalAccount], listed: list[PortalAccount]
) -> tuple[list[tuple[LocalAccount, PortalAccount]], list[PortalAccount], Collection[LocalAccount]]:
    """Who is who: (account, record) pairs, records of new accounts, accounts that the list lacks.

    By MAC as it is spelled, then by MAC in the normal spelling, then by user name.
    """
    pairs: list[tuple[LocalAccount, PortalAccount]] = []
    left = {id(account): account for account in accounts}
    keys: tuple[tuple[_LocalKey, _ToldKey], ...] = (
        (lambda account: account.mac, lambda told: told.mac),
        (_mac_key, lambda told: told.mac),
        (_name_key, lambda told: told.login.casefold()),
    )
    for local_key, told_key in keys:
        if not left or not listed:
            break
        index = _index(left.values(), local_key)
        unmatched = []
        for told in listed:
            account = index.pop(told_key(told), None)
            if account is None:
                unmatched.append(told)
            else:
                pairs.append((account, told))
                del left[id(account)]
        listed = unmatched
    return pairs, listed, left.values()


_LocalKey = Callable[[LocalAccount], Hashable]
_ToldKey = Callable[[PortalAccount], Hashable]


def _index(accounts: Iterable[LocalAccount], key: _LocalKey) -> dict[Hashable, LocalAccount]:
    """The first account of each key."""
    index: dict[Hashable, LocalAccount] = {}
    for account in accounts:
        index.setdefault(key(account), account)
    return index


def _mac_key(account: LocalAccount) -> str:
    return normal_mac(account.mac) or account.mac.upper()


def _name_key(account: LocalAccount) -> str:
    return account.username.casefold()


def counts(changes: Changes) -> Mapping[str, int]:
    """What would change, for people: label → number."""
    return {
        "new": len(changes.inserted),
        "back again": len(changes.restored),
        "changed": len(changes.updated),
        "removed": len(changes.removed),
        "unchanged": changes.synced - len(changes.inserted) - len(changes.restored) - len(changes.updated),
        "skipped": changes.skipped,
    }
