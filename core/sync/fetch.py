"""Fetching the portal's list of accounts: one fetch at a time in all processes, shared by all who ask meanwhile.

What is done with the list is not decided here. Source: contract chapter 20 §9 and the contract's README ("who may
sync").
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import replace

from core.errors import DatabaseBusy, PanelError, UpstreamFailed
from core.jobs.locks import LockHeld, named_lock
from core.panel import Panel
from core.portal import PortalError, PortalTimeout
from core.sync import shared_list
from core.sync.merge import cleaned
from core.sync.shared_list import Listed
from core.sync.storable import storable

log = logging.getLogger(__name__)

# details had of the portal, and details asked for
Report = Callable[[int, int], object]
TIMEOUT_TEXT = "Connection timeout"
_LOCK = "portal-list"
_LOOK_SECONDS = 0.2
# how often it is looked whether the process that fetches is still there
_RETRY_SECONDS = 2.0


class FetchFailed(UpstreamFailed):
    """The portal's list could not be had, or cannot be trusted."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Failed to fetch accounts from Stalker Portal: {reason}")


class Fetch:
    """One fetch of the whole list, in a thread of its own. ``lock`` is for those who work with the list."""

    def __init__(self, panel: Panel, *, whole: bool) -> None:
        self.lock = threading.Lock()
        self._listed: Future[Listed] = Future()
        self._watching: list[Report] = []
        # a daemon: a portal that never answers must not keep the process from ending
        threading.Thread(target=self._run, args=(panel, whole), name="sync-fetch", daemon=True).start()

    @property
    def is_done(self) -> bool:
        return self._listed.done()

    def listed(self, seconds: float | None) -> Listed:
        """The list, waited for at most ``seconds``; the fetch goes on after that. Raises FetchFailed."""
        try:
            return self._listed.result(seconds)
        except NotYet:
            raise FetchFailed(TIMEOUT_TEXT) from None

    def afterwards(self, work: Callable[[], object]) -> None:
        """Have ``work`` done by the fetch's thread, one after the other, when it has ended in whatever way."""
        self._listed.add_done_callback(lambda _: work())

    def watch(self, report: Report) -> None:
        """Have ``report`` told by the fetch's thread how far it is, from now on; not where another process fetches."""
        self._watching.append(report)

    def _tell(self, had: int, asked: int) -> None:
        for report in tuple(self._watching):
            try:
                report(had, asked)
            except PanelError as error:
                # the list is worth more than the word of how far it is
                log.warning("sync: its progress could not be told: %s", type(error).__name__)

    def _run(self, panel: Panel, whole: bool) -> None:
        try:
            listed = _obtained(panel, whole, self._tell)
        except BaseException as error:
            self._listed.set_exception(error)
        else:
            self._listed.set_result(listed)


class Fetches:
    """The fetch of this process that is under way, if any."""

    def __init__(self, _panel: Panel) -> None:
        self._lock = threading.Lock()
        self._latest: Fetch | None = None

    def join(self, panel: Panel, *, whole: bool = False) -> Fetch:
        """The fetch under way, else a new one, which asks for all details where the ``whole`` list is wanted."""
        with self._lock:
            if self._latest is None or self._latest.is_done:
                self._latest = Fetch(panel, whole=whole)
            return self._latest

    def close(self) -> None:
        """What is under way is left to itself."""


def fetches(panel: Panel) -> Fetches:
    """The fetches of this process."""
    return panel.own(Fetches)


def _obtained(panel: Panel, whole: bool, report: Report) -> Listed:
    """What this process fetches, or another one that is at it already. Raises FetchFailed."""
    number = shared_list.fetches_so_far(panel)
    while True:
        try:
            with named_lock(panel, _LOCK):
                return _ended_after(panel, number) or _fetched(panel, whole, report)
        except (LockHeld, DatabaseBusy):
            # somebody is at it, or keeps the database from telling who
            pass
        retry_at = time.monotonic() + _RETRY_SECONDS
        while time.monotonic() < retry_at:
            time.sleep(_LOOK_SECONDS)
            if (listed := _ended_after(panel, number)) is not None:
                return listed


def _ended_after(panel: Panel, number: int) -> Listed | None:
    ended = shared_list.ended_after(panel, number)
    if ended is not None and ended.failure is not None:
        raise FetchFailed(ended.failure)
    return None if ended is None else ended.listed


def _fetched(panel: Panel, whole: bool, report: Report) -> Listed:
    """``whole``: all details are asked for; else only where something shows that they changed, and rarely of all."""
    begun, source = int(panel.clock.seconds() * 1000), shared_list.source(panel)
    last = shared_list.last_list(panel)
    whole_at = last.accounts.whole_at if last is not None else 0
    oldest = begun - panel.config.portal.whole_list_seconds * 1000
    try:
        known = last.accounts.accounts if last is not None and not whole and whole_at > oldest else None
        accounts = panel.portals.primary.accounts(known, report)
        accounts = replace(accounts, whole_at=begun if accounts.is_whole else whole_at)
        listed = Listed(begun, storable(panel, cleaned(accounts)))
    except PortalError as error:
        reason = TIMEOUT_TEXT if isinstance(error, PortalTimeout) else error.text
        shared_list.keep_failure(panel, reason, source)
        raise FetchFailed(reason) from None
    shared_list.keep_list(panel, listed, source)
    return listed
