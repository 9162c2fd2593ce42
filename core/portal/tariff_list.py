"""Server 1's tariffs, kept for a moment: every page load of an administrator asks for them.

Source: contract chapter 40 §3.6.
"""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from time import monotonic

from core.portal.tariffs import Tariff

KEPT_SECONDS = 60.0


class TariffList:
    """``fetch`` asks the portal. Only good answers are kept; a failure is told to those who wait for it."""

    def __init__(self, fetch: Callable[[], list[Tariff]], now: Callable[[], float] = monotonic) -> None:
        self._fetch = fetch
        self._now = now
        self._lock = Lock()
        self._kept: list[Tariff] = []
        self._kept_until = -1.0
        self._under_way: Future[list[Tariff]] | None = None

    def get(self, *, fresh: bool = False) -> list[Tariff]:
        """The tariffs, at most a minute old, or with ``fresh`` just asked for. Raises PortalError.

        Those who ask at the same time share one call, so that a slow portal is not asked by every page at once.
        """
        with self._lock:
            if not fresh and self._now() < self._kept_until:
                return self._kept
            waited_for = self._under_way
            if waited_for is None:
                own = self._under_way = Future()
        return self._ask(own) if waited_for is None else waited_for.result()

    def _ask(self, answer: "Future[list[Tariff]]") -> list[Tariff]:
        try:
            tariffs = self._fetch()
        except BaseException as error:
            with self._lock:
                self._under_way = None
            answer.set_exception(error)
            raise
        with self._lock:
            self._kept, self._kept_until = tariffs, self._now() + KEPT_SECONDS
            self._under_way = None
        answer.set_result(tariffs)
        return tariffs
