"""Counting of failed logins and the refusal of too many, per client address and per user name.

Only failures count, so that an office behind one address is not locked out by its own logins. A user name under
attack is refused to addresses that have failed themselves within the minute, never to a fresh one: nobody can lock
a user out from elsewhere. Source: contract chapter 10 §4.1.
"""

import ipaddress
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, time

from limits import RateLimitItemPerMinute
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from core.errors import TooManyAttempts, WrongCredentials

WINDOW_SECONDS = 60
LONGEST_WAIT_SECONDS = 10
_LOOK_SECONDS = (0.05, 0.15)
# an IPv6 client owns at least a /64
_IPV6_PREFIX = 64
# their addresses end with those of their IPv4 clients: NAT64 (RFC 6052, 8215), SIIT, and the old compatible form
_GATEWAYS = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/96", "::ffff:0:0:0/96", "::/96")))


class LoginThrottle:
    """At most ``per_minute`` failures per address, and twice as many per user name; 0 switches it off.

    ``counters``: where they are counted, for all processes.
    """

    def __init__(self, per_minute: int, counters: Storage) -> None:
        self.per_minute = per_minute
        self._counters = counters
        self._ended = threading.Condition()

    @contextmanager
    def attempt(self, address: str, user: str) -> Iterator[None]:
        """Run one verification inside; it counts as a failure when it raises WrongCredentials.

        ``user``: what tells the user from others, however the name was spelled. An ``address`` that begins with
        ``?`` is only what an unknown proxy says, and may be made up.

        Raises TooManyAttempts before anything is verified. Of one address no more verifications run at once than
        failures are left to it; further ones wait, so that a burst of parallel guesses cannot slip through, and a
        burst of parallel logins is not refused.
        """
        if not self.per_minute:
            yield
            return
        by_address = f"login-failures/address/{_network(address)}"
        by_name = f"login-failures/name/{user.lower()}"
        self._begin(by_address, by_name, certain=not address.startswith("?"))
        try:
            yield
        except WrongCredentials:
            # before it counts as ended: nobody else finds room in between
            for key in (by_address, by_name):
                self._counters.incr(key, WINDOW_SECONDS)
            raise
        finally:
            self._counters.incr(_running(by_address), WINDOW_SECONDS, amount=-1)
            with self._ended:
                self._ended.notify_all()

    def count(self, what: str, address: str, per_minute: int) -> None:
        """Count one ``what`` of ``address``, for what costs something but is no guess.

        Raises TooManyAttempts beyond ``per_minute``. Off where the throttle is.
        """
        key = f"{what}/address/{_network(address)}"
        if self.per_minute and self._counters.incr(key, WINDOW_SECONDS) > per_minute:
            raise self._refusal(key)

    def _begin(self, by_address: str, by_name: str, *, certain: bool) -> None:
        give_up_at = monotonic() + LONGEST_WAIT_SECONDS
        while True:
            # first counted, then looked: of those who come at once, in any process, none is overlooked
            running = self._counters.incr(_running(by_address), WINDOW_SECONDS)
            try:
                failures = self._require_room(by_address, by_name, certain=certain)
            except BaseException:
                self._counters.incr(_running(by_address), WINDOW_SECONDS, amount=-1)
                raise
            if running + failures <= self.per_minute:
                return
            self._counters.incr(_running(by_address), WINDOW_SECONDS, amount=-1)
            if monotonic() >= give_up_at:
                raise TooManyAttempts(retry_after=1)
            with self._ended:
                # of this process one is told at once, of others it is found by looking again
                self._ended.wait(random.uniform(*_LOOK_SECONDS))  # noqa: S311 - spreads, protects nothing

    def _require_room(self, by_address: str, by_name: str, *, certain: bool) -> int:
        """How many failures the address has. Raises TooManyAttempts when these, or those of the name, are too many."""
        failures = self._counters.get(by_address)
        if failures >= self.per_minute:
            raise self._refusal(by_address)
        # a name under attack is closed only to those who have failed themselves, and may not say who they are
        if (failures or not certain) and self._counters.get(by_name) >= 2 * self.per_minute:
            raise self._refusal(by_name)
        return failures

    def _refusal(self, key: str) -> TooManyAttempts:
        wait = int(self._counters.get_expiry(key) - time()) + 1
        return TooManyAttempts(retry_after=min(max(wait, 1), WINDOW_SECONDS))


def _carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Of gateways between the two (NAT64, Teredo, SIIT), all of whose clients would share one network."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in _GATEWAYS):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


class Allowance:
    """At most ``per_minute`` of something for each key."""

    def __init__(self, per_minute: int, counters: Storage) -> None:
        self._item = RateLimitItemPerMinute(per_minute)
        self._limiter = FixedWindowRateLimiter(counters)

    def may(self, key: str) -> bool:
        """Count one; whether it is still allowed."""
        return self._limiter.hit(self._item, key)


def _running(by_address: str) -> str:
    return f"{by_address}/running"


def _network(address: str) -> str:
    """Whom an address stands for: itself, the network of an IPv6 client, or the IPv4 client that it carries."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    carried = _carried(parsed)
    return (
        str(carried)
        if carried is not None
        else str(ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False).network_address)
    )
