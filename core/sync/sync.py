"""Bringing our accounts in line with the portal's: the whole operation. Who waits for it: :mod:`core.sync.on_request`.

Server 1 only. The comparison is :mod:`core.sync.merge`, reading :mod:`core.sync.store`, writing
:mod:`core.sync.batches`, the list itself :mod:`core.sync.fetch`. Source: contract chapter 20 §9 and the contract's
README ("sync timeout", suspicious lists).
"""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from core.access.actors import Actor
from core.access.audit import BY_CRON, By
from core.access.permissions import SYNC_ACCOUNTS, require
from core.access.user_rows import read_user
from core.errors import CommitUncertain, DatabaseBusy, DatabaseFailed
from core.jobs.locks import LockHeld, named_lock
from core.panel import Panel
from core.sync.batches import HalfWritten, Writer, together
from core.sync.fetch import FetchFailed, fetches
from core.sync.merge import Changes, Terms, compare
from core.sync.outcomes import keep_counts
from core.sync.shared_list import Listed
from core.sync.staging import Staged, clear, is_staged, stage, staged
from core.sync.store import read_state

log = logging.getLogger(__name__)

ATTEMPTS = 3
_WRITING = "sync-writing"
_LONGEST_WRITING_SECONDS = 60.0

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

    def report_writing(self, done: int, total: int) -> None:
        self.report("writing", done, total)


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

    All or nothing: a list that is suspicious changes nothing, and what was begun is finished. ``lock``: of those who
    work with the same list. Must not be called in a database transaction. Raises FetchFailed, HalfWritten,
    DatabaseFailed.
    """
    terms = Terms(wish.scope, listed.begun, wish.default_owner, panel.config.country_code)
    started = time.monotonic()
    if not wish.dry_run:
        finish_interrupted(panel)
    # of those who share the list, the first writes, and the others find nothing to change
    with lock or nullcontext():
        changes = _brought_in_line(panel, listed, terms, by, wish)
    if not wish.dry_run:
        _keep_counts(panel, wish.scope, listed.begun, changes)
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


def finish_interrupted(panel: Panel) -> None:
    """Write the rest of what a process left half written that was killed. Raises DatabaseFailed."""
    if not is_staged(panel):
        return
    try:
        with named_lock(panel, _WRITING):
            left = staged(panel)
            if left is None:
                return
            # that the list may be believed was decided when it was begun
            wish = Wish(left.scope, force=True, default_owner=_default_owner(panel))
            terms = Terms(left.scope, left.listed.begun, wish.default_owner, panel.config.country_code)
            _in_rounds(panel, left.listed, terms, BY_CRON, wish, lambda writer: writer.write(wish.report_writing))
            clear(panel)
    except LockHeld:
        # its process lives, and is at it
        return
    log.warning("sync: what a process had left half written was finished")


def _brought_in_line(panel: Panel, listed: Listed, terms: Terms, by: By, wish: Wish) -> Changes:
    """As :func:`_in_rounds`, again where the database was busy."""
    write = partial(_written, panel, listed, wish)
    for _ in range(ATTEMPTS - 1):
        with suppress(DatabaseBusy):
            return _in_rounds(panel, listed, terms, by, wish, write)
    return _in_rounds(panel, listed, terms, by, wish, write)


def _in_rounds(
    panel: Panel, listed: Listed, terms: Terms, by: By, wish: Wish, write: Callable[[Writer], Changes]
) -> Changes:
    """Compare and write. Nobody is kept from writing in between: where somebody changed what was compared, that is
    compared again."""
    rounds: list[Changes] = []
    while len(rounds) < ATTEMPTS:
        wish.report("comparing", 0, len(listed.accounts.accounts))
        try:
            with panel.database.read() as connection:
                state = read_state(connection, terms.started)
                changes = compare(state, listed.accounts, terms)
            if not rounds:
                _require_trust(changes, wish)
            is_settled = changes.is_empty or wish.dry_run
            done = changes if is_settled else write(Writer(panel, state, changes, by, terms.started))
        except DatabaseFailed as error:
            if not rounds or isinstance(error, HalfWritten):
                raise
            # the list is written; what others changed meanwhile is compared again by the next sync
            log.warning("sync: what others changed meanwhile was not compared again: %s", type(error).__name__)
            break
        rounds.append(done)
        if done is changes:
            break
    return together(rounds)


def _written(panel: Panel, listed: Listed, wish: Wish, writer: Writer) -> Changes:
    if not writer.is_long:
        return writer.write(wish.report_writing)
    with named_lock(panel, _WRITING, wait=_LONGEST_WRITING_SECONDS):
        try:
            stage(panel, Staged(wish.scope, listed))
            done = writer.write(wish.report_writing)
            clear(panel)
        except DatabaseFailed as error:
            # within the lock, for the next one's list is not ours to forget
            is_untouched = not writer.has_begun and not isinstance(error, CommitUncertain)
            if is_untouched and _is_forgotten(panel):
                raise
            raise HalfWritten from error
    return done


def _is_forgotten(panel: Panel) -> bool:
    """Whether nothing will be written of a list of which nothing was."""
    try:
        clear(panel)
    except DatabaseFailed:
        return False
    return True


def _keep_counts(panel: Panel, scope: int | None, begun: int, changes: Changes) -> None:
    try:
        keep_counts(panel, scope, begun, changes)
    except DatabaseFailed as error:
        # what is done is answered as done; the next sync keeps its own
        log.warning("sync: its counts could not be kept: %s", type(error).__name__)


def _require_trust(changes: Changes, wish: Wish) -> None:
    if wish.force or not changes.is_suspicious:
        return
    if changes.listed == 0:
        raise FetchFailed("The portal's list of accounts is empty")
    held = changes.in_scope - len(changes.removed)
    raise FetchFailed(f"The portal's list holds only {held} of {changes.in_scope} accounts")
