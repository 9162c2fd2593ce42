"""Keeping long encoded answers until what they show changes. What they show, and how that is told, is the caller's."""

import gzip
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from core.storage.caching.freshness import Proof
from core.storage.caching.gzip_pieces import Piece

MAX_BYTES = 16 * 1024 * 1024

# of some kilobytes each
MOST_PARTS = 1000

Token = Any
Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class EncodedAnswer:
    """A whole answer as JSON, gzipped, as nearly all ask for it: a tenth of the memory."""

    gzipped: bytes

    @property
    def body(self) -> bytes:
        return gzip.decompress(self.gzipped)

    @property
    def size(self) -> int:
        return len(self.gzipped)


class Parts(Generic[Part]):
    """Encoded parts by all that they were made of, so that none is ever old; those asked for last are kept."""

    def __init__(self, most: int = MOST_PARTS) -> None:
        self._most = most
        self._parts: OrderedDict[Hashable, Part] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Part | None:
        with self._lock:
            part = self._parts.get(key)
            if part is not None:
                self._parts.move_to_end(key)
            return part

    def keep(self, key: Hashable, part: Part) -> Part:
        with self._lock:
            self._parts[key] = part
            if len(self._parts) > self._most:
                self._parts.popitem(last=False)
        return part


class AnswerCache:
    """The answers given lately, up to ``max_bytes``; safe between threads."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        #: parts that several answers, or one and its successor, have in common
        self.parts: Parts[Piece] = Parts()
        #: small facts, each with the proof that it still holds (:class:`core.storage.caching.freshness.Proof`)
        self.facts: Parts[Proof] = Parts()
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[Hashable, tuple[Token, EncodedAnswer]] = OrderedDict()
        self._lock = threading.Lock()
        self._building: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, token: Token, build: Callable[[], EncodedAnswer]) -> EncodedAnswer:
        """The answer kept for ``key`` if it was kept with an equal token, else what ``build`` makes.

        The token must have been read before or together with what ``build`` reads.
        """
        answer = self._same(key, token)
        if answer is not None:
            return answer
        with self._lock:
            building = self._building.setdefault(key, threading.Lock())
        # of several that find it old, one builds and the others take what it built
        with building:
            answer = self._same(key, token)
            if answer is None:
                answer = build()
                self.keep(key, token, answer)
        return answer

    def find(self, key: Hashable) -> tuple[Token, EncodedAnswer] | None:
        """What is kept for ``key``, with its token, by which the caller must judge whether it is old."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
            return kept

    def keep(self, key: Hashable, token: Token, answer: EncodedAnswer) -> None:
        """In place of what was kept for ``key``."""
        with self._lock:
            old = self._kept.pop(key, None)
            self._bytes += answer.size - (old[1].size if old else 0)
            self._kept[key] = (token, answer)
            while self._bytes > self._max_bytes and self._kept:
                oldest, (_, dropped) = self._kept.popitem(last=False)
                self._bytes -= dropped.size
                self._building.pop(oldest, None)

    def _same(self, key: Hashable, token: Token) -> EncodedAnswer | None:
        kept = self.find(key)
        return None if kept is None or kept[0] != token else kept[1]
