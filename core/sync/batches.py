"""Writing what a sync changes, with a second look at each row: what somebody changed since the comparison stays.

Who changes an account waits for whoever else does so: on SQLite for its one lock, elsewhere for that of all operations,
and the PHP panel for the rows. So a batch ends after a tenth of a second, and the next begins when others had their
turn; :mod:`core.sync.staging` keeps what finishes the whole, should the process be killed in between.
Source: contract chapter 20 §9.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection

from core.access.audit import By
from core.accounts.operations import lock_accounts
from core.errors import DatabaseFailed
from core.panel import Panel
from core.sync import store
from core.sync.fields import ROW, LocalAccount
from core.sync.merge import Changes, LocalState

HELD_SECONDS = 0.1
# the longest nap of a connection that waits for SQLite's lock
_PAUSE_SECONDS = 0.1
_PART = 250
# so many rows are written within such a moment
_AT_ONCE = 2 * _PART
# of Changes, those of accounts to be written
_LISTS = ("removed", "restored", "inserted", "updated", "noted")

Report = Callable[[int, int], None]


class HalfWritten(DatabaseFailed):
    """The database failed while a staged list was written, of which it may have a part; it is finished in the
    background."""

    default_text = (
        "The portal's list is not wholly stored yet; the rest follows by itself as soon as the database takes it"
    )


class _Part(NamedTuple):
    """Some accounts with which the same is done; see :data:`_STEPS`."""

    step: str
    accounts: Sequence[LocalAccount]


class Writer:
    """Writes ``changes``, which were found by comparing with ``before``. ``started``: when the fetch began, Unix
    milliseconds."""

    def __init__(self, panel: Panel, before: LocalState, changes: Changes, by: By, started: int) -> None:
        self._panel = panel
        self._before = {account.id: account for account in before.accounts}
        self._users = before.users
        self._changes = changes
        self._by = by
        self._started = started
        self._parts = list(_parts(changes))
        self.has_begun = False

    @property
    def total(self) -> int:
        return sum(len(part.accounts) for part in self._parts)

    @property
    def is_long(self) -> bool:
        """Whether it takes more than one transaction."""
        return self.total > _AT_ONCE

    def write(self, report: Report) -> Changes:
        """What of the changes was written; all but what others changed meanwhile. ``report`` gets rows done and rows
        in all. Raises DatabaseFailed; ``has_begun`` says whether some was written by then."""
        total, done = self.total, 0
        stays: set[LocalAccount] = set()
        seconds = HELD_SECONDS if self.is_long else None
        while self._parts:
            written, left = self._panel.database.transact(partial(self._batch, seconds=seconds))
            self.has_begun = True
            done += sum(len(part.accounts) for part in self._parts[:written])
            del self._parts[:written]
            stays.update(left)
            report(done, total)
            if self._parts:
                time.sleep(_PAUSE_SECONDS)
        return _without(self._changes, stays)

    def _batch(self, connection: Connection, seconds: float | None) -> tuple[int, list[LocalAccount]]:
        """As many parts as ``seconds`` allow (None: all); how many, and the accounts that were left alone."""
        lock_accounts(self._panel, connection)
        began = time.monotonic()
        store.prefer_indexes(connection)
        now = store.read_surroundings(connection, self._started)
        left: list[LocalAccount] = []
        for number, part in enumerate(self._parts, 1):
            left += self._write_part(connection, part, now)
            if seconds is not None and time.monotonic() - began >= seconds:
                return number, left
        return len(self._parts), left

    def _write_part(self, connection: Connection, part: _Part, now: LocalState) -> list[LocalAccount]:
        """Returns the accounts that were left alone."""
        is_new = part.step in ("restored", "inserted")
        may = self._may_come(connection, part, now) if is_new else self._may_change(connection, part, now)
        accounts = [account for account in part.accounts if may(account)]
        if accounts:
            self._carry_out(connection, part.step, accounts)
        return [] if len(accounts) == len(part.accounts) else [one for one in part.accounts if not may(one)]

    def _carry_out(self, connection: Connection, step: str, accounts: list[LocalAccount]) -> None:
        if step == "removed":
            store.remove(self._panel, connection, accounts, self._by)
        elif step == "restored":
            store.restore(connection, accounts)
        elif step == "inserted":
            store.insert_new(connection, accounts)
        else:
            rows = [one for one in accounts if one[:ROW] != self._before[one.id][:ROW]]
            notes = [one for one in accounts if one[ROW:] != self._before[one.id][ROW:]]
            if rows:
                store.change(connection, rows, self._changes.fields)
            if notes:
                store.note(connection, notes)

    def _may_change(self, connection: Connection, part: _Part, now: LocalState) -> Callable[[LocalAccount], bool]:
        ids = [account.id for account in part.accounts]
        present = {account.id: account for account in store.hold_accounts(connection, ids)}

        def may(account: LocalAccount) -> bool:
            before = self._before[account.id]
            is_busy = now.busy.has(before.id, before.username, before.mac)
            return present.get(account.id) == before and not is_busy and self._has_owner(account, now)

        return may

    def _may_come(self, connection: Connection, part: _Part, now: LocalState) -> Callable[[LocalAccount], bool]:
        present = store.read_same(connection, part.accounts)
        gone = store.read_gone(connection, self._started, part.accounts)

        def may(account: LocalAccount) -> bool:
            known = (account.id, account.username, account.mac)
            is_taken = present.has(*known) or now.busy.has(*known) or gone.has(None, *known[1:])
            return not is_taken and self._has_owner(account, now)

        return may

    def _has_owner(self, account: LocalAccount, now: LocalState) -> bool:
        """Not one who was deleted since the comparison."""
        return account.reseller in now.users or account.reseller not in self._users


def _parts(changes: Changes) -> Iterator[_Part]:
    changed = {account.id: account for account in (*changes.updated, *changes.noted)}
    steps: tuple[tuple[str, Sequence[LocalAccount]], ...] = (
        ("removed", changes.removed),
        ("restored", changes.restored),
        ("inserted", changes.inserted),
        ("changed", list(changed.values())),
    )
    for step, accounts in steps:
        for start in range(0, len(accounts), _PART):
            yield _Part(step, accounts[start : start + _PART])


def _without(changes: Changes, stays: Collection[LocalAccount]) -> Changes:
    if not stays:
        return changes
    return _with_lists(changes, lambda name: [one for one in getattr(changes, name) if one not in stays])


def together(rounds: Sequence[Changes]) -> Changes:
    """What was written in all of them, with the counts of the last."""
    if len(rounds) == 1:
        return rounds[0]
    return _with_lists(rounds[-1], lambda name: [one for each in rounds for one in getattr(each, name)])


def _with_lists(changes: Changes, accounts: Callable[[str], list[LocalAccount]]) -> Changes:
    lists: dict[str, Any] = {name: accounts(name) for name in _LISTS}
    return replace(changes, **lists)
