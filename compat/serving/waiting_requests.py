"""How many requests may wait for other machines at once, so that the others go on being answered.

Within one process. What runs as a job, and is waited for no longer than a moment, has places of its own
(:mod:`core.jobs.waiting_places`).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

# what takes longer than that is not about to end
_SOON_SECONDS = 2.0


class NoPlace(Exception):
    """All places are taken by requests that take long. Nothing was done."""

    text = "The server is waiting for other machines already; nothing was done, please try again in a moment"


class Places:
    """A quarter of ``threads`` is for those who wait for jobs, and one is always free; all others are places."""

    def __init__(self, threads: int) -> None:
        self._most = max(1, threads - max(1, threads // 4) - 1)
        self._changed = threading.Condition()
        # when each that has a place took it
        self._taken: list[float] = []

    @contextmanager
    def one(self) -> Iterator[None]:
        """Waits for a place only where one may become free soon. Raises NoPlace."""
        with self._changed:
            while len(self._taken) >= self._most:
                if not self._changed.wait(self._taken[0] + _SOON_SECONDS - monotonic()):
                    raise NoPlace
            taken = monotonic()
            self._taken.append(taken)
        try:
            yield
        finally:
            with self._changed:
                self._taken.remove(taken)
                self._changed.notify()
