"""How often somebody may do something that reaches outside: so many times in so many seconds, for each key.

Failed logins have rules of their own: :mod:`core.security.throttle`. Source: contract README, "rate limits".
"""

import math
import time

from limits import RateLimitItemPerSecond
from limits.storage import Storage
from limits.strategies import MovingWindowRateLimiter

from core.errors import TooManyAttempts


class Quota:
    """At most ``count`` times within ``seconds``. ``counters``: where that is counted, for all processes."""

    def __init__(self, name: str, count: int, seconds: int, counters: Storage) -> None:
        self._name = name
        self._item = RateLimitItemPerSecond(count, seconds)
        self._limiter = MovingWindowRateLimiter(counters)

    def close(self) -> None:
        """Nothing is held; the panel closes what it owns."""

    def allows(self, key: object) -> bool:
        """Count one more time, if there is room for it."""
        return self._limiter.hit(self._item, self._name, str(key))

    def take(self, key: object, text: str) -> None:
        """As :meth:`allows`. Raises TooManyAttempts, with ``text``."""
        if not self.allows(key):
            reset = self._limiter.get_window_stats(self._item, self._name, str(key)).reset_time
            raise TooManyAttempts(text, retry_after=max(1, math.ceil(reset - time.time())))
