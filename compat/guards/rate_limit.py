"""The general limit of requests per client address, off by default (contract README, "rate limits").

Limits of single operations, such as failed logins, are the business's own.
"""

from time import time

from limits import RateLimitItemPerMinute
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter


class RequestLimit:
    """At most ``per_minute`` requests of one address; 0 is no limit. ``counters``: where they are counted."""

    def __init__(self, per_minute: int, counters: Storage) -> None:
        self._item = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._limiter = FixedWindowRateLimiter(counters) if per_minute else None

    def seconds_to_wait(self, address: str) -> int:
        """Count one request; 0 when it may pass."""
        if self._item is None or self._limiter is None or self._limiter.hit(self._item, address):
            return 0
        return max(1, int(self._limiter.get_window_stats(self._item, address).reset_time - time()) + 1)
