"""Serving the app, as configured: in this process, by several of them, or by the other engine.

The limits of connections are in :mod:`compat.serving.connections`, the processes in :mod:`compat.serving.processes`.
"""

import signal
import socket
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from compat.serving.allocator import return_freed_memory
from compat.serving.connections import create_server
from compat.serving.granian_engine import serve_with_granian
from compat.serving.processes import Crew, Share, listening_sockets, may_fork

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# browsers keep several connections open each, idle ones included
_CONNECTIONS = 1000


@dataclass(frozen=True, slots=True)
class ServingSettings:
    """``threads`` and database connections are each process's own, ``connections_per_address`` (0: no limit) is of all
    together. ``exempt``: proxies, which may open as many as they like. ``largest_body``: bytes that are read at most.
    ``held_back``: paths whose requests may have half of the threads.
    """

    host: str
    port: int
    processes: int
    threads: int
    engine: str
    connections_per_address: int
    exempt: Sequence[str]
    largest_body: int
    held_back: Collection[str] = ()

    @property
    def is_one_process(self) -> bool:
        """Whether the process that asks is the one that serves."""
        return self.engine == "waitress" and (self.processes == 1 or not may_fork())


def serve_here(
    app: "WSGIApplication",
    settings: ServingSettings,
    greeting: str = "",
    *,
    sockets: Sequence[socket.socket] = (),
    share: Share | None = None,
) -> None:
    """Serve in this process until SIGTERM or Ctrl-C; ``greeting`` is printed when that begins. ``sockets``: what it
    listens at together with others, of which ``share`` is its part. Raises OSError for the address."""
    return_freed_memory()
    sharing = settings.processes if sockets else 1
    place = {"sockets": list(sockets)} if sockets else {"host": settings.host, "port": settings.port}
    server = create_server(
        app,
        **place,
        # rounded up: a limit does not become none
        connections_per_address=-(-settings.connections_per_address // sharing),
        exempt=settings.exempt,
        share=share,
        threads=settings.threads,
        held_back=settings.held_back,
        connection_limit=_CONNECTIONS,
        asyncore_use_poll=True,
        ident=None,
        # ours decides what is too large and says so in the envelope; this bounds what is read to hear it
        max_request_body_size=settings.largest_body,
        # ours reads forwarding headers, from trusted proxies only
        clear_untrusted_proxy_headers=False,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    _print(greeting)
    server.run()


def serve_by_several(make: Callable[[], "WSGIApplication"], settings: ServingSettings, greeting: str) -> None:
    """Serve until SIGTERM or Ctrl-C; each process calls ``make`` for itself, this one only watches them.

    Raises EngineMissing, OSError for the address.
    """
    return_freed_memory()
    if settings.engine == "granian":
        address, bound = (settings.host, settings.port), partial(_print, greeting)
        serve_with_granian(make, bound, address, processes=settings.processes, threads=settings.threads)
        return
    sockets = listening_sockets(settings.host, settings.port)
    _print(greeting)
    Crew(settings.processes, partial(_serve_share, make, settings, sockets)).run()


def _serve_share(
    make: Callable[[], "WSGIApplication"], settings: ServingSettings, sockets: Sequence[socket.socket], share: Share
) -> None:
    serve_here(make(), settings, sockets=sockets, share=share)


def _print(greeting: str) -> None:
    sys.stdout.write(greeting)
    sys.stdout.flush()
