"""Several processes that serve one address: begun by one that only watches, replaced when they end, ended with it.

All accept from the same listening sockets, so that whoever is free takes the next connection, and none is lost with
a process that ends. The watching process builds no application and opens no database: what is forked shares nothing
but the sockets and the code.
"""

import logging
import os
import signal
import socket
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


class Crew:
    """``count`` processes, each of which does ``work`` until SIGTERM."""

    def __init__(self, count: int, work: Callable[[], object]) -> None:
        self._count = count
        self._work = work
        # process id → when it began
        self._began: dict[int, float] = {}
        # nobody writes into it: it ends for all who read when the watching process ends, however that happens
        self._life_line = os.pipe()

    def run(self) -> None:
        """Until SIGTERM or Ctrl-C. To be called in the main thread, before any other is begun."""
        # taken one by one below, so that none arrives between a look and a wait
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        for _ in range(self._count):
            self._begin_one()
        while (arrived := signal.sigwait(_WATCHED)) == signal.SIGCHLD:
            for _ in range(self._reap()):
                self._begin_one()
        log.info("%s: ending %d processes", signal.Signals(arrived).name, len(self._began))
        self._end_all()

    def _begin_one(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            self._began[pid] = time.monotonic()
            return
        self._work_in_child()

    def _work_in_child(self) -> None:
        """Does not return: what stands on the stack above belongs to the watching process."""
        code = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: sys.exit(0))
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
            os.close(self._life_line[1])
            threading.Thread(target=self._end_with_the_crew, name="life-line", daemon=True).start()
            self._work()
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

    def _reap(self) -> int:
        """How many have ended; waits a moment when one did not live long."""
        ended = 0
        for pid, began in list(self._began.items()):
            found, status = os.waitpid(pid, os.WNOHANG)
            if not found:
                continue
            del self._began[pid]
            ended += 1
            log.error("process %d has ended (%s), another takes its place", pid, _how(status))
            if time.monotonic() - began < _SHORT_LIFE_SECONDS:
                time.sleep(_SHORT_LIFE_SECONDS)
        return ended

    def _end_all(self) -> None:
        for pid in self._began:
            os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + ENDING_SECONDS
        while self._began and time.monotonic() < until:
            signal.sigtimedwait([signal.SIGCHLD], 0.1)
            for pid in list(self._began):
                if os.waitpid(pid, os.WNOHANG)[0]:
                    del self._began[pid]
        for pid in self._began:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def may_fork() -> bool:
    """Whether this system can run several processes in this way."""
    return hasattr(os, "fork") and hasattr(signal, "sigtimedwait")


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return f"code {os.WEXITSTATUS(status)}"
