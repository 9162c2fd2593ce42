"""How many requests may wait for long work at once: a quarter of the threads, so that the others go on answering.

Whoever finds no place does not wait at all, and is told how far the work is. Source: contract README, "who may sync".
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from core.panel import Panel


class WaitingPlaces:
    """The places of one process."""

    def __init__(self, panel: Panel) -> None:
        self._free = threading.BoundedSemaphore(max(1, panel.config.server.threads // 4))

    @contextmanager
    def one(self, seconds: float) -> Iterator[float]:
        """For how long the caller may wait: ``seconds``, or not at all."""
        is_free = self._free.acquire(blocking=False)
        try:
            yield seconds if is_free else 0
        finally:
            if is_free:
                self._free.release()

    def close(self) -> None:
        """Nothing is held."""


def waiting_places(panel: Panel) -> WaitingPlaces:
    return panel.own(WaitingPlaces)
