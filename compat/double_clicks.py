"""Identical writes within a moment count once: a double click gives one effect and two equal answers.

Within one process; source: contract README, "double clicks". Which endpoints do so is part of their declaration.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, Generic, TypeVar

import orjson

SECONDS = 2.0
# longer than any write takes; whoever waited that long may try by itself
_PATIENCE_SECONDS = 120.0

T = TypeVar("T")


class _Entry(Generic[T]):
    """One write: under way until ``ended``, then its answer or the refusal that it ended with."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.ended: float | None = None
        self.answer: T | None = None
        self.refusal: Exception | None = None


class Once(Generic[T]):
    """The writes under way and the answers given in the last ``seconds``; safe between threads."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._entries: dict[bytes, _Entry[T]] = {}

    def run(self, key: bytes, act: Callable[[], T]) -> T:
        """What ``act`` returns or raises; for a key whose write is under way or just succeeded, what that one did."""
        with self._lock:
            self._forget()
            entry = self._entries.get(key)
            is_first = entry is None
            if entry is None:
                entry = self._entries[key] = _Entry()
        if is_first:
            return self._act(key, entry, act)
        if not entry.done.wait(_PATIENCE_SECONDS):
            return act()
        if entry.refusal is not None:
            raise entry.refusal
        return entry.answer  # type: ignore[return-value]

    def _act(self, key: bytes, entry: _Entry[T], act: Callable[[], T]) -> T:
        try:
            entry.answer = act()
        except Exception as error:
            # a refusal had no effect, so that it may be tried again at once
            entry.refusal = error
            with self._lock:
                self._entries.pop(key, None)
            raise
        finally:
            entry.ended = monotonic()
            entry.done.set()
        return entry.answer

    def _forget(self) -> None:
        oldest = monotonic() - self._seconds
        old = [key for key, entry in self._entries.items() if entry.ended is not None and entry.ended < oldest]
        for key in old:
            del self._entries[key]


def key_of(whose: str, endpoint: str, values: Mapping[str, Any]) -> bytes:
    """A digest, for the values may hold a password."""
    content = orjson.dumps([whose, endpoint, values], option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.sha256(content).digest()
