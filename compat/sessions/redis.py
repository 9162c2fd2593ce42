"""Sessions in Redis, for several machines: one hash per session with its JSON and the stamp of its last use."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from flask import Flask, Request
from flask_session.redis import RedisSessionInterface as FlaskSessionRedis
from redis import Redis
from redis.exceptions import RedisError

from compat.sessions.interface import PhpSessionInterface, SessionUnavailable, hashed_id
from compat.sessions.php_values import Unreadable
from compat.sessions.session import Changes, StoredSession

_MERGE_ATTEMPTS = 1000

# reads and touches (unless told not to) in one round trip, and never brings a missing key into being; the age is
# looked at as well, since Redis counts the time to live by its own clock
_READ = """
local found = redis.call('HMGET', KEYS[1], 'data', 'touched')
if not found[1] or ARGV[1] - found[2] > tonumber(ARGV[2]) then
    return false
end
if ARGV[3] == '1' then
    redis.call('HSET', KEYS[1], 'touched', ARGV[1])
    redis.call('EXPIRE', KEYS[1], ARGV[2])
end
return found
"""

_INSERT = """
redis.call('HSET', KEYS[1], 'data', ARGV[3], 'touched', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
"""

# as old as it was elsewhere
_ADOPT = """
if redis.call('EXISTS', KEYS[1]) == 1 then
    return 0
end
redis.call('HSET', KEYS[1], 'data', ARGV[3], 'touched', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
"""

# replaces the data only if it still is what the caller merged into; answers what it found
_REPLACE = """
local found = redis.call('HGET', KEYS[1], 'data')
if found == ARGV[3] then
    redis.call('HSET', KEYS[1], 'data', ARGV[4], 'touched', ARGV[1])
    redis.call('EXPIRE', KEYS[1], ARGV[2])
end
return found
"""


@dataclass(frozen=True)
class RedisSessions:
    """``prefix`` stands before each id; ``lifetime`` in seconds; timeouts are the client's."""

    client: Redis
    prefix: str
    lifetime: int
    now: Callable[[], float] = time.time

    def interface(self, app: Flask, secure: Callable[[Request], bool]) -> "RedisSessionInterface":
        return RedisSessionInterface(app, self, secure)


class RedisSessionInterface(PhpSessionInterface, FlaskSessionRedis):  # type: ignore[misc]  # no types
    def __init__(self, app: Flask, settings: RedisSessions, secure: Callable[[Request], bool]) -> None:
        super().__init__(
            app,
            lifetime=settings.lifetime,
            now=settings.now,
            secure=secure,
            key_prefix=settings.prefix,
            client=settings.client,
        )
        self._read_script = settings.client.register_script(_READ)
        self._insert_script = settings.client.register_script(_INSERT)
        self._adopt_script = settings.client.register_script(_ADOPT)
        self._replace_script = settings.client.register_script(_REPLACE)

    def _retrieve_session_data(self, store_id: str, *, counts: bool = True) -> StoredSession | None:
        now = int(self.now())
        with _named_failures():
            found = self._read_script(keys=[store_id], args=[now, self.lifetime, int(counts)])
        if found is None:
            return None
        raw, touched = found
        try:
            return StoredSession(self.serializer.decode(raw), idle_seconds=max(0, now - int(touched)), mark=raw)
        except Unreadable:
            return None

    def _get_store_id(self, sid: str) -> str:
        return f"{self.key_prefix}{hashed_id(sid)}"

    def _stored_sessions(self) -> Iterator[tuple[str, StoredSession]]:
        with _named_failures():
            keys = list(self.client.scan_iter(f"{self.key_prefix}*"))
        for key in keys:
            with _named_failures():
                raw, touched = self.client.hmget(key, "data", "touched")
            if raw is None:
                continue
            idle = max(0, int(self.now()) - int(touched))
            with suppress(Unreadable):
                yield key.decode(), StoredSession(self.serializer.decode(raw), idle_seconds=idle, mark=raw)

    def _insert_session(self, store_id: str, data: Mapping[str, Any]) -> None:
        with _named_failures():
            self._insert_script(keys=[store_id], args=[*self._stamps(), self.serializer.encode(data)])

    def _merge_session(self, store_id: str, stored: StoredSession, changes: Changes) -> None:
        base = stored.mark
        for _ in range(_MERGE_ATTEMPTS):
            try:
                merged = self.serializer.merge(base, changes)
            except Unreadable:
                return
            with _named_failures():
                found = self._replace_script(keys=[store_id], args=[*self._stamps(), base, merged])
            if found is None or found == base:
                return
            base = found
        raise SessionUnavailable

    def _adopt(self, sid: str, data: Mapping[str, Any], idle_seconds: int) -> bool:
        touched, left = int(self.now()) - idle_seconds, max(1, self.lifetime - idle_seconds)
        keys, raw = [self._get_store_id(sid)], bytes(self.serializer.encode(data))
        with _named_failures():
            return bool(self._adopt_script(keys=keys, args=[touched, left, raw]))

    def clear(self) -> int:
        """Redis does that by itself."""
        return 0

    def _delete_session(self, store_id: str) -> None:
        with _named_failures():
            super()._delete_session(store_id)

    def _stamps(self) -> tuple[int, int]:
        return int(self.now()), self.lifetime


@contextmanager
def _named_failures() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise SessionUnavailable from error
