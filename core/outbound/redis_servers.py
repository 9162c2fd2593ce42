"""The Redis servers that are used: one that does not answer is left alone for a moment by all who use it.

A request waits for it once, for less than two seconds, and for some seconds after that nobody does.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeout
from redis.retry import Retry

log = logging.getLogger(__name__)

CONNECT_SECONDS = 0.5
# for an answer; a worker that waits for a ring is answered after one
ANSWER_SECONDS = 1.3
ALONE_SECONDS = 5.0


class LeftAlone(RedisConnectionError):
    """It was not asked, since it has just not answered."""


class RedisServer:
    """One address. ``pool``: of connections whose silence counts; ``ringing_pool``: of those that wait on purpose."""

    def __init__(self, url: str) -> None:
        self._alone_until = 0.0
        self.pool = self._pool(url, counts=True)
        self.ringing_pool = self._pool(url, counts=False)

    @property
    def is_left_alone(self) -> bool:
        return time.monotonic() < self._alone_until

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Around what is asked of it. Raises LeftAlone, and what the client raises."""
        if self.is_left_alone:
            raise LeftAlone("left alone for a moment")
        try:
            yield
        except RedisTimeout:
            if not self.is_left_alone:
                log.warning("A Redis server does not answer; it is left alone for %d seconds", ALONE_SECONDS)
            self._alone_until = time.monotonic() + ALONE_SECONDS
            raise

    def close(self) -> None:
        self.pool.disconnect()
        self.ringing_pool.disconnect()

    def _pool(self, url: str, *, counts: bool) -> ConnectionPool:
        # once more on a new connection where an idle one was lost, never where nothing answers
        retry = Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
        waits = {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": ANSWER_SECONDS, "retry": retry}
        pool = ConnectionPool.from_url(url, **waits)
        if counts:
            pool.connection_class = _counting(pool.connection_class, self)
        return pool


class RedisServers:
    """Those of one panel, by address; safe between threads."""

    def __init__(self) -> None:
        self._servers: dict[str, RedisServer] = {}
        self._lock = threading.Lock()

    def at(self, url: str) -> RedisServer:
        with self._lock:
            if url not in self._servers:
                self._servers[url] = RedisServer(url)
            return self._servers[url]

    def close(self) -> None:
        for server in self._servers.values():
            server.close()


def _counting(base: Any, server: RedisServer) -> Any:
    """A kind of connections as ``base`` that tell ``server`` of silence, and are not used while it is left alone."""

    class Counting(base):  # type: ignore[misc]
        def connect(self) -> None:
            with server.asked():
                super().connect()

        def send_packed_command(self, *arguments: Any, **options: Any) -> Any:
            with server.asked():
                return super().send_packed_command(*arguments, **options)

        def read_response(self, *arguments: Any, **options: Any) -> Any:
            with server.asked():
                return super().read_response(*arguments, **options)

    return Counting
