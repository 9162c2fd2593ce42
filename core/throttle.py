"""Counting of failed logins and the refusal of too many, per client address and per user name.

Only failures count, so that an office behind one address is not locked out by its own logins. A user name under
attack is refused to addresses that have failed themselves within the minute, never to a fresh one: nobody can lock
a user out from elsewhere. Source: contract chapter 10 §4.1.
"""

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from time import time

from limits.storage import MemoryStorage, RedisStorage, storage_from_string

from core.errors import PanelError, TooManyAttempts, WrongCredentials

WINDOW_SECONDS = 60
# an IPv6 client owns at least a /64
_IPV6_PREFIX = 64


class LoginThrottle:
    """At most ``per_minute`` failures per address, and twice as many per user name; 0 switches it off.

    ``storage_url``: ``memory://`` or ``redis://…`` (shared by several processes).
    """

    def __init__(self, per_minute: int, storage_url: str = "memory://") -> None:
        self.per_minute = per_minute
        storage = storage_from_string(storage_url)
        assert isinstance(storage, MemoryStorage | RedisStorage)  # noqa: S101 - the only two kinds configured
        self._storage = storage

    @contextmanager
    def attempt(self, address: str, username: str) -> Iterator[None]:
        """Run one verification inside; it counts as failed when it raises WrongCredentials or any refusal.

        Raises TooManyAttempts before anything is verified. The attempt is counted before and taken back on
        success, so that a burst of parallel guesses cannot slip through between test and count.
        """
        if not self.per_minute:
            yield
            return
        by_address = f"login-failures/address/{_network(address)}"
        by_name = f"login-failures/name/{username.lower()}"
        of_address = self._storage.incr(by_address, WINDOW_SECONDS)
        if of_address > self.per_minute:
            raise self._refusal(by_address)
        of_name = self._storage.incr(by_name, WINDOW_SECONDS)
        if of_name > 2 * self.per_minute and of_address > 1:
            raise self._refusal(by_name)
        try:
            yield
        except WrongCredentials:
            raise
        except PanelError:
            self._take_back(by_address, by_name)
            raise
        self._take_back(by_address, by_name)

    def _take_back(self, *keys: str) -> None:
        for key in keys:
            self._storage.incr(key, WINDOW_SECONDS, amount=-1)

    def _refusal(self, key: str) -> TooManyAttempts:
        wait = int(self._storage.get_expiry(key) - time()) + 1
        return TooManyAttempts(retry_after=min(max(wait, 1), WINDOW_SECONDS))


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False).network_address)
