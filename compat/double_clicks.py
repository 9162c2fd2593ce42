"""Identical writes of a browser within a moment count once: a double click gives one effect and two equal answers.

A session remembers what it was answered for :data:`SECONDS`; a write of the same session that differs ends the memory,
so that switching on, off and on again is three writes. Where the memory lies, so that it holds across processes, is
decided by who builds the dispatcher; here is the one of a single process. Source: contract README, "double clicks".
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response

SECONDS = 2.0
# longer than any write takes; whoever waited that long may try by itself
PATIENCE_SECONDS = 120.0
# the first look comes soon, the others less and less often: what takes long is not hurried by being asked
_PAUSES = (0.02, 1.5, 0.25)


class Memory(Protocol):
    """What sessions were answered. ``whose``: a digest of the session; ``key``: of the request.

    ``begin`` is asked first, ``look`` by who waits: an answer, None while it is being made, or an exception of
    ``nothing`` when there is none: then the asker carries the request out and calls ``end``, which never raises.
    A failure is not remembered (``keep`` False), but who waits already is given it.
    """

    @property
    def nothing(self) -> type[Exception]: ...

    def begin(self, whose: str, key: str) -> bytes | None: ...
    def look(self, whose: str, key: str) -> bytes | None: ...
    def end(self, whose: str, key: str, answer: bytes, *, keep: bool) -> None: ...


@dataclass
class _Entry:
    began: float
    answer: bytes | None = None
    ended: float = 0.0
    is_kept: bool = True


class ProcessMemory:
    """The memory of one process, safe between its threads."""

    nothing: type[Exception] = LookupError

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._sessions: dict[str, dict[str, _Entry]] = {}

    def begin(self, whose: str, key: str) -> bytes | None:
        with self._lock:
            self._forget_old()
            entries = self._sessions.setdefault(whose, {})
            for other, entry in entries.items():
                entry.is_kept = entry.is_kept and other == key
            found = entries.get(key)
            if found is not None and (found.answer is None or found.is_kept):
                return found.answer
            entries[key] = _Entry(time.monotonic())
        raise self.nothing

    def look(self, whose: str, key: str) -> bytes | None:
        with self._lock:
            found = self._sessions.get(whose, {}).get(key)
        if found is None:
            raise self.nothing
        return found.answer

    def end(self, whose: str, key: str, answer: bytes, *, keep: bool) -> None:
        with self._lock:
            entry = self._sessions.get(whose, {}).get(key)
            if entry is not None:
                entry.answer, entry.ended, entry.is_kept = answer, time.monotonic(), entry.is_kept and keep

    def _forget_old(self) -> None:
        now = time.monotonic()
        for whose, entries in list(self._sessions.items()):
            for key, entry in list(entries.items()):
                if now > (entry.began + PATIENCE_SECONDS if entry.answer is None else entry.ended + self._seconds):
                    del entries[key]
            if not entries:
                del self._sessions[whose]


def once(
    memory: Memory, whose: str, key: str, act: Callable[[], Response], failed: Callable[[Exception], Response]
) -> Response:
    """What ``act`` answers or raises; for a request that is under way or was just answered, what that one got.

    ``failed`` tells how an exception of ``act`` looks on the wire, for those who wait.
    """
    with suppress(memory.nothing):
        given = memory.begin(whose, key)
        until = time.monotonic() + PATIENCE_SECONDS
        pause, factor, longest = _PAUSES
        while given is None and time.monotonic() < until:
            time.sleep(pause)
            pause = min(pause * factor, longest)
            given = memory.look(whose, key)
        if given is not None:
            return _read(given)
    try:
        response = act()
    except Exception as error:
        # a refusal had no effect, so that it may be tried again at once
        memory.end(whose, key, _stored(failed(error)), keep=False)
        raise
    memory.end(whose, key, _stored(response), keep=True)
    return response


def key_of(endpoint: str, method: str, values: Mapping[str, Any], files: Mapping[str, FileStorage]) -> str:
    """What makes a request identical: a digest, for the values may hold a password. Files count by their content."""
    contents = [(name, file.filename, _content(file)) for name, file in sorted(files.items())]
    return _digest(orjson.dumps([endpoint, method, values, contents], option=orjson.OPT_SORT_KEYS, default=str))


def session_key(session_id: str, username: object) -> str:
    """An id may pass from one user to the next."""
    return _digest(f"{session_id} {username}".encode())


def _content(file: FileStorage) -> str:
    # in pieces: a backup may be larger than memory
    digest = hashlib.file_digest(file.stream, hashlib.sha256).hexdigest()  # type: ignore[arg-type]
    file.stream.seek(0)
    return digest


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _stored(response: Response) -> bytes:
    head = [response.status_code, list(_lasting(response.headers.items()))]
    return orjson.dumps(head) + b"\n" + response.get_data()


def _lasting(headers: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """Without what belongs to one answer alone."""
    return ((name, value) for name, value in headers if name not in ("Set-Cookie", "Content-Length"))


def _read(stored: bytes) -> Response:
    head, _, body = stored.partition(b"\n")
    status, headers = orjson.loads(head)
    return Response(body, status, headers=[(name, value) for name, value in headers])
