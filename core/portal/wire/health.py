"""The memory of a server that cannot be reached, so that a dead one does not make every request slow.

Source: contract chapter 50, "Server-2 failures", and chapter 90 §13 M13. It is held per process.
"""

from threading import Lock
from time import monotonic

from core.portal.errors import PortalError, PortalTimeout, PortalUnreachable

_FAILURES = 2


class Health:
    """After two failures in a row to reach the server, its calls fail at once for ``skip_seconds`` (0: never).

    After that time one more failure suffices for the next pause; any answer ends the count. ``only_timeouts``: a
    refused connection, which costs nobody time, is no failure.
    """

    def __init__(self, skip_seconds: float, *, only_timeouts: bool = False) -> None:
        self._skip_seconds = skip_seconds
        self._failures_that_count = PortalTimeout if only_timeouts else PortalUnreachable | PortalTimeout
        self._lock = Lock()
        self._failures = 0
        self._skip_until = 0.0
        self._last: PortalError | None = None

    def check(self) -> None:
        """Raises the last failure again, as one without effect, while the server is skipped."""
        with self._lock:
            if self._last is not None and monotonic() < self._skip_until:
                raise type(self._last)(self._last.text)

    def failed(self, error: PortalError) -> None:
        if not isinstance(error, self._failures_that_count):
            return self.answered()
        with self._lock:
            self._failures += 1
            self._last = error
            if self._failures >= _FAILURES:
                self._skip_until = monotonic() + self._skip_seconds
        return None

    def answered(self) -> None:
        with self._lock:
            self._failures = 0
            self._last = None
