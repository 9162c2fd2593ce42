"""Several processes that serve one address: begun by one that only watches, replaced when they end, ended with it.

All accept from the same listening sockets, so that no connection is lost with a process that ends. The watching
process builds no application and opens no database: what is forked shares nothing but the sockets and the code.
"""

import logging
import mmap
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

BACKLOG = 1024
# requests under way are waited for so long
ENDING_SECONDS = 10.0
# one that ended sooner is not replaced at once: what ended it may still be there
_SHORT_LIFE_SECONDS = 1.0
# connections held, and when that was told (time.monotonic())
_PLACE = struct.Struct("=qd")
_STUCK_SECONDS = 2.0
_OFFERS = 4
_WATCHED = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


def listening_sockets(host: str, port: int) -> list[socket.socket]:
    """One for each address of ``host``; with port 0 all at the same free one. Raises OSError."""
    sockets: list[socket.socket] = []
    wanted = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, kind, protocol, _, address in dict.fromkeys(wanted):
        opened = socket.socket(family, kind, protocol)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        used = sockets[0].getsockname()[1] if sockets else port
        try:
            opened.bind((address[0], used, *address[2:]))
            opened.listen(BACKLOG)
        except OSError:
            for one in (opened, *sockets):
                one.close()
            raise
        sockets.append(opened)
    return sockets


class Share:
    """The place of process ``index`` in what all processes know of each other: how many connections each holds.

    Connections live long, so that whoever accepts first would have all the work.
    """

    def __init__(self, memory: mmap.mmap, index: int, count: int) -> None:
        self._memory = memory
        self._own = index
        self._others = [other for other in range(count) if other != index]
        self._held = 0
        # how often in a row a connection was left to others
        self._left = 0

    def tell(self, held: int) -> None:
        """How many connections this process holds now; to be told at least each second."""
        _PLACE.pack_into(self._memory, self._own * _PLACE.size, held, time.monotonic())
        self._held = held

    def leaves_it(self) -> bool:
        """Whether the connection that waits should be another's, who clearly has fewer; but it is not left for long."""
        now = time.monotonic()
        self._left = self._left + 1 if any(self._has_room(other, now) for other in self._others) else 0
        return self._left % (_OFFERS + 1) > 0

    def _has_room(self, other: int, now: float) -> bool:
        # one that has not told for a while may be stuck, or gone
        held, told = _PLACE.unpack_from(self._memory, other * _PLACE.size)
        return bool(held + 1 < self._held and now - told < _STUCK_SECONDS)


class Crew:
    """``count`` processes, each of which does ``work`` with its share until SIGTERM."""

    def __init__(self, count: int, work: Callable[[Share], object]) -> None:
        self._work = work
        # seen by all that are forked
        memory = mmap.mmap(-1, count * _PLACE.size)
        self._shares = [Share(memory, index, count) for index in range(count)]
        # process id → its share, and when it began
        self._begun: dict[int, tuple[Share, float]] = {}
        # nobody writes into it: it ends for all who read when the watching process ends, however that happens
        self._life_line = os.pipe()

    def run(self) -> None:
        """Until SIGTERM or Ctrl-C. To be called in the main thread, before any other is begun."""
        # taken one by one below, so that none arrives between a look and a wait
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        for share in self._shares:
            self._begin_one(share)
        while (arrived := signal.sigwait(_WATCHED)) == signal.SIGCHLD:
            for share in self._reap():
                self._begin_one(share)
        log.info("%s: ending %d processes", signal.Signals(arrived).name, len(self._begun))
        self._end_all()

    def _begin_one(self, share: Share) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            self._begun[pid] = share, time.monotonic()
            return
        self._work_in_child(share)

    def _work_in_child(self, share: Share) -> None:
        """Does not return: what stands on the stack above belongs to the watching process."""
        code = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: sys.exit(0))
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
            os.close(self._life_line[1])
            threading.Thread(target=self._end_with_the_crew, name="life-line", daemon=True).start()
            self._work(share)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
            if isinstance(end.code, str):
                log.critical("%s", end.code)
        except BaseException as error:
            # the message of an unexpected exception may hold anything
            log.critical("a process could not serve: %s", type(error).__name__)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _end_with_the_crew(self) -> None:
        os.read(self._life_line[0], 1)
        os.kill(os.getpid(), signal.SIGTERM)

    def _reap(self) -> list[Share]:
        """The shares of those that have ended; waits a moment when one did not live long."""
        ended = []
        for pid, (share, began) in list(self._begun.items()):
            found, status = os.waitpid(pid, os.WNOHANG)
            if not found:
                continue
            del self._begun[pid]
            ended.append(share)
            log.error("process %d has ended (%s), another takes its place", pid, _how(status))
            if time.monotonic() - began < _SHORT_LIFE_SECONDS:
                time.sleep(_SHORT_LIFE_SECONDS)
        return ended

    def _end_all(self) -> None:
        for pid in self._begun:
            os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + ENDING_SECONDS
        while self._begun and time.monotonic() < until:
            signal.sigtimedwait([signal.SIGCHLD], 0.1)
            for pid in list(self._begun):
                if os.waitpid(pid, os.WNOHANG)[0]:
                    del self._begun[pid]
        for pid in self._begun:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def may_fork() -> bool:
    """Whether this system can run several processes in this way."""
    return hasattr(os, "fork") and hasattr(signal, "sigtimedwait")


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return f"code {os.WEXITSTATUS(status)}"
