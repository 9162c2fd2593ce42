"""The other engine: granian, which is faster at passing requests on and knows less of who sends them.

Chosen by hand only. It hands over no header that has a byte beyond ASCII, so that a browser with such a cookie is not
known, refuses addresses with quotation marks, and a thread waits for each slow body: behind a proxy that takes
requests in whole, where neither is met. Our own engine is :mod:`compat.serving.connections`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from compat.serving.processes import BACKLOG, ENDING_SECONDS

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

PACKAGE_MISSING = "[server] engine = granian needs a package that is not here: pip install 'showbox-server[granian]'"


class EngineMissing(Exception):
    """The package is not installed; the text says how it is."""

    def __init__(self) -> None:
        super().__init__(PACKAGE_MISSING)


def serve_with_granian(
    make: Callable[[], "WSGIApplication"],
    bound: Callable[[], object],
    address: tuple[str, int],
    *,
    processes: int,
    threads: int,
) -> None:
    """Serve until SIGTERM or Ctrl-C; each process calls ``make`` for itself. ``bound``: called when the address is
    ours. Raises EngineMissing."""
    try:
        from granian import Granian
        from granian.constants import Interfaces
    except ImportError:
        raise EngineMissing from None
    server = Granian(
        "wsgi:app",
        address=address[0],
        port=address[1],
        interface=Interfaces.WSGI,
        workers=processes,
        blocking_threads=threads,
        backlog=BACKLOG,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=int(ENDING_SECONDS),
    )
    server.on_startup(bound)
    server.serve(target_loader=make, wrap_loader=False)
