"""Sessions in PHP's own files, shared with a running PHP panel during the cut-over.

The file's lock (flock) is held for a short read or read-modify-write only, never through a request.
POSIX only. Rules: contract chapter 10, 2.3.
"""

import errno
import fcntl
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from flask import Flask, Request

from compat.sessions.codec import php_handler
from compat.sessions.interface import USABLE_ID, PhpSessionInterface, SessionsUnusable, SessionUnavailable, SomeTimes
from compat.sessions.php_directory import PREFIX, SessionDirectory, refuse_if_unusable
from compat.sessions.php_values import Unreadable
from compat.sessions.session import Changes, StoredSession

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.0001, 0.01
CLEAR_SECONDS = 300
_CLEARED_AT_ONCE = 1000
# a burst of short locks passes well within it
_LONGEST_QUEUE = 1.0
# what stands at the name of a session and is no regular file is no session
_NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENAMETOOLONG}
# O_NONBLOCK: a pipe at that name must not hold us up
_SAFE = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True)
class PhpFileSessions:
    """``save_path`` as in PHP: ``/path``, ``N;/path`` or ``N;MODE;/path``; ``handler`` php or php_serialize.

    ``lifetime`` and ``lock_wait`` (for a file that another process holds locked) in seconds; no more than ``waiters``
    requests wait at once, so that one busy session cannot take all threads of the server.
    Raises ValueError for a save path or handler that PHP would not know.
    """

    save_path: str
    handler: str = "php"
    lifetime: int = 1440
    now: Callable[[], float] = time.time
    lock_wait: float = 10.0
    waiters: int = 4

    def __post_init__(self) -> None:
        php_handler(self.handler)
        SessionDirectory.parse(self.save_path)

    def interface(self, app: Flask, secure: Callable[[Request], bool]) -> "PhpFileSessionInterface":
        return PhpFileSessionInterface(app, self, secure)

    def stored(self) -> Iterator[tuple[str, StoredSession]]:
        """All sessions there with their ids, whoever's. Raises SessionUnavailable."""
        for listed in self.interface(Flask(__name__), lambda _: False).list_sessions():
            sid = listed.store_id.removeprefix(PREFIX)
            if USABLE_ID.fullmatch(sid):
                yield sid, listed.data


class PhpFileSessionInterface(PhpSessionInterface):
    def __init__(self, app: Flask, settings: PhpFileSessions, secure: Callable[[Request], bool]) -> None:
        super().__init__(app, lifetime=settings.lifetime, now=settings.now, secure=secure, key_prefix=PREFIX)
        self._directory = SessionDirectory.parse(settings.save_path)
        self._handler = php_handler(settings.handler)
        self._lock_wait = settings.lock_wait
        self._waiting = threading.BoundedSemaphore(settings.waiters)
        self._clearing = SomeTimes(CLEAR_SECONDS)

    def refuse_if_unusable(self) -> None:
        refuse_if_unusable(self._directory)

    def clear(self) -> int:
        return self._directory.clear(self.now() - self.lifetime, _CLEARED_AT_ONCE)

    def _retrieve_session_data(self, store_id: str, *, counts: bool = True) -> StoredSession | None:
        with self._locked(store_id) as file:
            if file is None:
                return None
            now = self.now()
            idle = max(0, int(now - os.fstat(file).st_mtime))
            if idle > self.lifetime:
                return None
            raw = _read(file)
            if counts:
                os.utime(file, (now, now))
        try:
            return StoredSession(self._handler.decode(raw), idle_seconds=idle)
        except Unreadable:
            return None

    def _stored_sessions(self) -> Iterator[tuple[str, StoredSession]]:
        with _named_failures():
            paths = sorted(self._directory.files())
        for path in paths:
            with self._locked(path.name) as file:
                if file is None:
                    continue
                idle, raw = max(0, int(self.now() - os.fstat(file).st_mtime)), _read(file)
            with suppress(Unreadable):
                yield path.name, StoredSession(self._handler.decode(raw), idle_seconds=idle)

    def _insert_session(self, store_id: str, data: Mapping[str, Any]) -> None:
        raw = self._handler.encode(data)
        with _named_failures():
            flags = _SAFE | os.O_CREAT | os.O_EXCL
            file = os.open(self._directory.file(store_id), flags, self._directory.mode)
            try:
                self._lock(file)
                self._overwrite(file, raw)
            finally:
                os.close(file)
        if self._clearing.is_time(self.now()):
            # PHP's own way: what no request used for long goes when somebody new comes
            self.clear()

    def _merge_session(self, store_id: str, stored: StoredSession, changes: Changes) -> None:
        with self._locked(store_id) as file:
            if file is None:
                return
            # what cannot be read is not ours to repair; it counts as destroyed
            with suppress(Unreadable):
                self._overwrite(file, self._handler.merge(_read(file), changes))

    def _delete_session(self, store_id: str) -> None:
        # without the lock: who holds it writes into a file without a name then, as in PHP
        with _named_failures(), suppress(FileNotFoundError):
            os.unlink(self._directory.file(store_id))

    def _generate_sid(self, session_id_length: int) -> str:
        if self._directory.depth:
            # the sub-directories exist for the characters of PHP's alphabet, which may end at f
            return os.urandom(16).hex()
        return super()._generate_sid(session_id_length)

    @contextmanager
    def _locked(self, store_id: str) -> Iterator[int | None]:
        """The locked file; None when there is none that PHP, too, would take."""
        with _named_failures():
            file = self._open_locked(self._directory.file(store_id))
            try:
                yield file
            finally:
                if file is not None:
                    os.close(file)

    def _open_locked(self, path: str) -> int | None:
        while True:
            try:
                file = os.open(path, _SAFE)
            except OSError as error:
                if error.errno in _NO_FILE:
                    return None
                raise
            try:
                self._lock(file)
                status = os.fstat(file)
            except BaseException:
                os.close(file)
                raise
            if status.st_nlink and _acceptable(status):
                return file
            os.close(file)
            if status.st_nlink:
                return None
            # unlinked while we waited: PHP may have made a new one of the same name

    def _lock(self, file: int) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._wait_for_lock(file)

    def _wait_for_lock(self, file: int) -> None:
        if not self._waiting.acquire(timeout=_LONGEST_QUEUE):
            raise SessionUnavailable
        try:
            self._poll_lock(file)
        finally:
            self._waiting.release()

    def _poll_lock(self, file: int) -> None:
        pause = _SHORTEST_PAUSE
        give_up_at = time.monotonic() + self._lock_wait
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= give_up_at:
                    raise SessionUnavailable from None
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                return

    def _overwrite(self, file: int, raw: bytes) -> None:
        written = 0
        while written < len(raw):
            written += os.pwrite(file, raw[written:], written)
        os.ftruncate(file, len(raw))
        now = self.now()
        os.utime(file, (now, now))


def _read(file: int) -> bytes:
    return os.pread(file, os.fstat(file).st_size, 0)


def _acceptable(status: os.stat_result) -> bool:
    """PHP's own rule: a regular file, of our user or of root (root itself takes any)."""
    user = os.geteuid()
    return stat.S_ISREG(status.st_mode) and (user == 0 or status.st_uid in (0, user))


@contextmanager
def _named_failures() -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise SessionsUnusable from error
    except OSError as error:
        raise SessionUnavailable from error
