"""Fetching the portal's list of accounts: one fetch at a time in this process, shared by all who ask meanwhile.

What is done with the list is not decided here. Source: contract chapter 20 §9.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from core.errors import UpstreamFailed
from core.panel import Panel
from core.portal import PortalAccountList, PortalError, PortalTimeout
from core.sync.merge import cleaned
from core.sync.storable import storable

log = logging.getLogger(__name__)

TIMEOUT_TEXT = "Connection timeout"


class FetchFailed(UpstreamFailed):
    """The portal's list could not be had, or cannot be trusted."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Failed to fetch accounts from Stalker Portal: {reason}")


class Fetch:
    """One fetch of the whole list, in a thread of its own. ``started``: Unix milliseconds, before the portal was asked.

    ``lock`` is for those who work with the list.
    """

    def __init__(self, panel: Panel) -> None:
        self.started = int(panel.clock.seconds() * 1000)
        self.lock = threading.Lock()
        self._list: Future[PortalAccountList] = Future()
        # a daemon: a portal that never answers must not keep the process from ending
        threading.Thread(target=self._run, args=(panel,), name="sync-fetch", daemon=True).start()

    @property
    def is_done(self) -> bool:
        return self._list.done()

    def accounts(self, seconds: float | None) -> PortalAccountList:
        """The list, waited for at most ``seconds``; the fetch goes on after that. Raises FetchFailed."""
        try:
            return self._list.result(seconds)
        except NotYet:
            raise FetchFailed(TIMEOUT_TEXT) from None
        except PortalError as error:
            raise FetchFailed(TIMEOUT_TEXT if isinstance(error, PortalTimeout) else error.text) from None

    def afterwards(self, work: Callable[[], object]) -> None:
        """Have ``work`` done by the fetch's thread when the list is there (at once, if it is)."""
        self._list.add_done_callback(lambda done: None if done.exception() else work())

    def _run(self, panel: Panel) -> None:
        try:
            listed = storable(panel, cleaned(panel.portals.primary.accounts()))
        except BaseException as error:
            self._list.set_exception(error)
        else:
            self._list.set_result(listed)


class Fetches:
    """The fetch under way, if any."""

    def __init__(self, waiters: int) -> None:
        self._lock = threading.Lock()
        self._latest: Fetch | None = None
        self._free = threading.BoundedSemaphore(waiters)

    @contextmanager
    def waiting(self, seconds: float | None) -> Iterator[float | None]:
        """For how long the caller may wait: not at all while so many do that a slow portal would hold up all others.

        None, of the command line, which has its own process, stays None.
        """
        if seconds is None:
            yield None
            return
        is_free = self._free.acquire(blocking=False)
        try:
            yield seconds if is_free else 0
        finally:
            if is_free:
                self._free.release()

    def join(self, panel: Panel) -> Fetch:
        """The fetch under way, else a new one."""
        with self._lock:
            if self._latest is None or self._latest.is_done:
                self._latest = Fetch(panel)
            return self._latest


_of_panels: WeakKeyDictionary[Panel, Fetches] = WeakKeyDictionary()
_registering = threading.Lock()


def fetches(panel: Panel) -> Fetches:
    """The fetches of ``panel``."""
    with _registering:
        # at most a quarter of the threads wait for the portal
        return _of_panels.setdefault(panel, Fetches(max(1, panel.config.server.threads // 4)))
