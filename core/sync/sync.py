"""Bringing our accounts in line with the portal's: the whole operation. Who waits for it: :mod:`core.sync.on_request`.

Server 1 only. The comparison is :mod:`core.sync.merge`, reading and writing :mod:`core.sync.store`, the list itself
:mod:`core.sync.fetch`. Source: contract chapter 20 §9 and the contract's README ("sync timeout", suspicious lists).
"""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from core.access.actors import Actor
from core.access.audit import By
from core.access.permissions import SYNC_ACCOUNTS, require
from core.access.user_rows import read_user
from core.errors import DatabaseBusy
from core.panel import Panel
from core.portal import PortalAccountList
from core.sync.fetch import FetchFailed, fetches
from core.sync.merge import Changes, Terms, compare
from core.sync.outcomes import keep_counts
from core.sync.shared_list import Listed
from core.sync.store import read_state, write_changes

log = logging.getLogger(__name__)

ATTEMPTS = 3
_FEW = 20

Report = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """``scope``: None is every account, a number those of that user.

    ``force``: believe a suspicious list. ``dry_run``: change nothing. ``report`` gets step, rows done, rows in all.
    ``default_owner``: of accounts that are new here.
    """

    scope: int | None
    force: bool = False
    dry_run: bool = False
    report: Report = lambda step, done, total: None
    default_owner: int | None = None


def wish_of(panel: Panel, actor: Actor) -> Wish:
    """What a sync by this user covers: everything for super admins, else one's own. Raises NotAllowed."""
    require(actor, SYNC_ACCOUNTS)
    scope = None if actor.super_user else actor.id
    return Wish(scope, default_owner=_default_owner(panel))


def _default_owner(panel: Panel) -> int | None:
    """The configured owner of new accounts, if there is such a user."""
    owner = panel.config.portal.sync_default_reseller
    if owner is None:
        return None
    with panel.database.read() as connection:
        if read_user(panel, connection, owner) is not None:
            return owner
    log.warning("[portal] sync_default_reseller: there is no user %d; new accounts stay unassigned", owner)
    return None


def synchronise(panel: Panel, by: By, wish: Wish) -> Changes:
    """Fetch the portal's list, however long that takes, and :func:`bring_in_line` with it; for the command line and
    for jobs. Raises FetchFailed, DatabaseFailed."""
    fetch = fetches(panel).join(panel, whole=True)
    wish.report("fetching", 0, 0)
    return bring_in_line(panel, fetch.listed(None), by, wish, lock=fetch.lock)


def bring_in_line(
    panel: Panel, listed: Listed, by: By, wish: Wish, *, lock: AbstractContextManager[Any] | None = None
) -> Changes:
    """Compare with the list and write; returns what was (or with ``dry_run`` would be) changed.

    All or nothing: a list that is suspicious changes nothing. ``lock``: of those who work with the same list. Must
    not be called in a database transaction. Raises FetchFailed, DatabaseFailed.
    """
    terms = Terms(wish.scope, listed.begun, wish.default_owner, panel.config.country_code)
    started = time.monotonic()
    # of those who share the list, the first writes, and the others find nothing to change
    with lock or nullcontext():
        for attempt in range(1, ATTEMPTS + 1):
            try:
                changes = _compare_and_write(panel, listed.accounts, terms, by, wish)
                break
            except DatabaseBusy:
                if attempt == ATTEMPTS:
                    raise
    if not wish.dry_run:
        keep_counts(panel, wish.scope, listed.begun, changes)
    if changes.doubles:
        log.warning("sync: these fall together with another account of the portal: %s", ", ".join(changes.doubles))
    if changes.unstorable:
        log.warning("sync: this database cannot keep these user names: %s", ", ".join(changes.unstorable))
    log.info(
        "sync: %d confirmed, %d new, %d changed, %d removed, %.3f s",
        *(changes.synced, len(changes.inserted) + len(changes.restored), len(changes.updated), len(changes.removed)),
        time.monotonic() - started,
    )
    return changes


def _compare_and_write(panel: Panel, listed: PortalAccountList, terms: Terms, by: By, wish: Wish) -> Changes:
    wish.report("comparing", 0, len(listed.accounts))
    if wish.dry_run or not _differs_at_once(panel, listed, terms):
        with panel.database.read() as connection:
            state = read_state(panel, connection, terms.started)
            changes = compare(state, listed, terms, brief=not wish.dry_run)
        _require_trust(changes, wish)
        # most syncs find nothing, and then nobody is kept from writing
        if changes.is_empty or wish.dry_run:
            return changes
    with panel.database.write() as connection:
        changes = compare(read_state(panel, connection, terms.started, locked=True), listed, terms)
        _require_trust(changes, wish)
        write_changes(panel, connection, changes, by, lambda done, total: wish.report("writing", done, total))
    return changes


def _differs_at_once(panel: Panel, listed: PortalAccountList, terms: Terms) -> bool:
    """Whether the first few accounts already show that there is something to write: saves a look at all of them."""
    few = PortalAccountList(listed.accounts[:_FEW], 0)
    with panel.database.read() as connection:
        state = read_state(panel, connection, terms.started, macs=[account.mac for account in few.accounts])
        return not compare(state, few, terms, brief=True).is_empty


def _require_trust(changes: Changes, wish: Wish) -> None:
    if wish.force or not changes.is_suspicious:
        return
    if changes.listed == 0:
        raise FetchFailed("The portal's list of accounts is empty")
    held = changes.in_scope - len(changes.removed)
    raise FetchFailed(f"The portal's list holds only {held} of {changes.in_scope} accounts")
