"""Counting attempts in Redis, and in this process alone while Redis is away: a limit that is not shared still is one.

Without Redis: :mod:`core.security.counters`.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

from limits.storage import MemoryStorage, MovingWindowSupport, RedisStorage, Storage
from redis.exceptions import RedisError

from core.outbound.redis_servers import RedisServer

log = logging.getLogger(__name__)

Found = TypeVar("Found")


class RedisCounters(Storage, MovingWindowSupport):
    """``url``: of ``server``."""

    STORAGE_SCHEME = None

    def __init__(self, url: str, server: RedisServer) -> None:
        super().__init__()
        self._redis = RedisStorage(url, connection_pool=server.pool)
        self._memory = MemoryStorage()
        self._is_away = False

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        return ()

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        return self._asked(lambda storage: storage.incr(key, expiry, amount))

    def get(self, key: str) -> int:
        return self._asked(lambda storage: storage.get(key))

    def get_expiry(self, key: str) -> float:
        return self._asked(lambda storage: storage.get_expiry(key))

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        return self._asked(lambda storage: storage.acquire_entry(key, limit, expiry, amount))

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        return self._asked(lambda storage: storage.get_moving_window(key, limit, expiry))

    def check(self) -> bool:
        return self._asked(lambda storage: storage.check())

    def reset(self) -> int | None:
        return self._asked(lambda storage: storage.reset())

    def clear(self, key: str) -> None:
        self._asked(lambda storage: storage.clear(key))

    def _asked(self, ask: Callable[[RedisStorage | MemoryStorage], Found]) -> Found:
        try:
            found = ask(self._redis)
        except RedisError as error:
            if not self._is_away:
                log.warning("attempts are counted in this process alone: %s", type(error).__name__)
            self._is_away = True
            return ask(self._memory)
        self._is_away = False
        return found
