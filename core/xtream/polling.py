"""Looking at the streaming servers now and then, where no node does so itself: are they there, and let they us in?

Own mode only. Source: contract chapter 95 §9, "a poller".
"""

import logging
import threading
from collections.abc import Callable

from sqlalchemy import Connection, update

from core.errors import PanelError
from core.panel import Panel
from core.storage.tables.xtream import XtreamServer, XtreamServerControl
from core.xtream.node_client import NodeSettings
from core.xtream.nodes import deadline, nodes, run_all
from core.xtream.registry import read_nodes
from core.xtream.store import store

log = logging.getLogger(__name__)

ONLINE, FAILED = 1, 2
_EVERY_SECONDS = 30


class _Pause:
    """The half minute between two looks, which the panel's end cuts short; ``running``: somebody looks already."""

    def __init__(self, _panel: Panel) -> None:
        self.running = threading.Lock()
        self._ended = threading.Event()

    def wait(self) -> bool:
        """Whether the panel is still there afterwards."""
        return not self._ended.wait(_EVERY_SECONDS)

    def close(self) -> None:
        self._ended.set()


def look_at_nodes(panel: Panel) -> None:
    """Asked once a minute; looks twice, half a minute apart, on a thread of its own, and never twice at once."""

    pause = panel.own(_Pause, stops_work=True)

    def look_twice() -> None:
        if not pause.running.acquire(blocking=False):
            return
        try:
            if look(panel) and pause.wait():
                look(panel)
        except PanelError as error:
            log.warning("streaming servers could not be looked at: %s", type(error).__name__)
        finally:
            pause.running.release()

    panel.start_thread(look_twice, "xtream-nodes")


def look(panel: Panel) -> int:
    """Ask each usable server for its time and store how that went; how many were asked."""
    if store(panel).is_bound:
        return 0
    usable = {id: node for id, node in read_nodes(panel).items() if node.is_complete}
    if not usable:
        return 0
    until = deadline()

    def task(node: NodeSettings) -> Callable[[], None]:
        return lambda: _ask(panel, node, until)

    failed = run_all({id: task(node) for id, node in usable.items()}, until)
    now = panel.clock.stamp()

    def act(connection: Connection) -> None:
        for id in usable:
            failure = failed.get(id)
            state = {"status": FAILED if failure else ONLINE}
            connection.execute(
                update(XtreamServer)
                .where(XtreamServer.id == id)
                .values(**state, **({} if failure else {"last_check_ago": now}))
            )
            seen = {"last_error_class": failure.trouble.value} if failure else {"last_ok_at": now}
            connection.execute(update(XtreamServerControl).where(XtreamServerControl.server_id == id).values(**seen))

    panel.database.transact(act)
    return len(usable)


def _ask(panel: Panel, node: NodeSettings, until: float) -> None:
    nodes(panel).client(node).clock_difference(panel.clock.stamp(), until)
