"""Commands to the streaming servers: all at once within one deadline, one at a time for each stream of a server.

An identical command that is under way is joined, so that a double click starts nothing twice; other processes are kept
apart by a lock in the database. One call is :mod:`core.xtream.node_client`'s. Source: contract chapter 95 §10.
"""

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from time import monotonic
from typing import ClassVar

from core.errors import DatabaseFailed, PanelError
from core.jobs.locks import LockHeld, named_lock
from core.panel import Panel
from core.xtream.node_client import NodeClient, NodeFailed, NodeSettings, Trouble

# a request's answer is out before 10 seconds have passed
REQUEST_SECONDS = 9.5
_WORKERS = 8


class NodeTrouble(PanelError):
    """``trouble`` says for the log why."""

    code: ClassVar[int] = 8
    trouble: Trouble | None = None


class NodeUnavailable(NodeTrouble):
    default_text = "Streaming server is not available"


class NodeRefused(NodeTrouble):
    default_text = "Streaming server refused the command"


class CommandsFailed(NodeTrouble):
    """Some of several servers did not do what was asked; the others did."""

    def __init__(self, servers: Sequence[int]) -> None:
        super().__init__(f"Command failed on server {', '.join(map(str, servers))}")
        self.servers = servers


@dataclass(frozen=True, slots=True)
class Command:
    """``function`` (start, stop) of a ``kind`` (stream, vod), or the end of process ``target`` (function kill)."""

    function: str
    target: int
    kind: str = ""


def deadline() -> float:
    """When (``time.monotonic()``) a request that begins now must be answered."""
    return monotonic() + REQUEST_SECONDS


class Nodes:
    """The clients of all servers, made when they are first needed and made anew when their settings change."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._clients: dict[tuple[int, bool], NodeClient] = {}
        self._lock = threading.Lock()
        self._changed = threading.Condition()
        self._busy: set[Hashable] = set()
        self._flying: dict[Hashable, Future[None]] = {}

    def close(self) -> None:
        with self._lock:
            while self._clients:
                self._clients.popitem()[1].close()

    def client(self, settings: NodeSettings) -> NodeClient:
        key = (settings.server_id, settings.via_main)
        with self._lock:
            client = self._clients.get(key)
            if client is None or client.settings != settings:
                # the old one's calls under way keep their connections
                client = self._clients[key] = NodeClient(settings)
            return client

    def send(self, settings: NodeSettings | None, command: Command, until: float) -> None:
        """Raises NodeFailed. ``settings`` None: there is no such server."""
        if settings is None:
            raise NodeFailed(Trouble.NOT_CONFIGURED)
        place = (settings.server_id, command.kind, command.target)
        flight, is_first = self._join((place, command.function))
        if not is_first:
            try:
                return flight.result(max(0.0, until - monotonic()))
            except FutureTimeout:
                raise NodeFailed(Trouble.TIMEOUT, was_sent=True) from None
        try:
            self._alone(place, settings, command, until)
        except BaseException as error:
            self._land((place, command.function), flight, error)
            raise
        self._land((place, command.function), flight, None)
        return None

    def _join(self, name: Hashable) -> tuple[Future[None], bool]:
        with self._changed:
            flight = self._flying.get(name)
            if flight is not None:
                return flight, False
            flight = self._flying[name] = Future()
            return flight, True

    def _land(self, name: Hashable, flight: Future[None], error: BaseException | None) -> None:
        with self._changed:
            del self._flying[name]
        if error is None:
            flight.set_result(None)
        else:
            flight.set_exception(error)

    def _alone(self, place: Hashable, settings: NodeSettings, command: Command, until: float) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: place not in self._busy, max(0.0, until - monotonic())):
                raise NodeFailed(Trouble.TIMEOUT)
            self._busy.add(place)
        try:
            self._locked(settings, command, until)
        finally:
            with self._changed:
                self._busy.discard(place)
                self._changed.notify_all()

    def _locked(self, settings: NodeSettings, command: Command, until: float) -> None:
        client = self.client(settings)
        if not command.kind:
            return client.kill(command.target, until)
        if not settings.is_complete:
            raise NodeFailed(Trouble.NOT_CONFIGURED)
        name = f"xtream {settings.server_id}/{command.target}"
        try:
            with named_lock(self._panel, name, wait=max(0.0, until - monotonic())):
                client.carry_out(command.kind, command.function, command.target, until)
        except (LockHeld, DatabaseFailed):
            # without the lock nothing was sent
            raise NodeFailed(Trouble.TIMEOUT) from None
        return None


def nodes(panel: Panel) -> Nodes:
    """The clients of this process."""
    return panel.own(Nodes)


Failures = Mapping[int, NodeFailed]


def send_all(
    panel: Panel, servers: Mapping[int, NodeSettings | None], commands: Mapping[int, Command], until: float
) -> dict[int, NodeFailed]:
    """Send each key's command to its server, at the same time; the keys of those that failed, with the reason."""
    pool = nodes(panel)

    def task(key: int) -> Callable[[], None]:
        return lambda: pool.send(servers.get(key), commands[key], until)

    return run_all({key: task(key) for key in commands}, until)


def run_all(tasks: Mapping[int, Callable[[], None]], until: float) -> dict[int, NodeFailed]:
    """Which of ``tasks`` failed; those that have not ended by ``until`` count as failed, and end by themselves."""
    if len(tasks) == 1:
        [(only, act)] = tasks.items()
        error = _failure(act)
        return {} if error is None else {only: error}
    executor = ThreadPoolExecutor(_WORKERS, thread_name_prefix="node")
    running = {executor.submit(_failure, act): key for key, act in tasks.items()}
    done, late = wait(running, max(0.0, until - monotonic()))
    executor.shutdown(wait=False, cancel_futures=True)
    failed = {running[future]: error for future in done if (error := future.result()) is not None}
    return failed | {running[future]: NodeFailed(Trouble.TIMEOUT, was_sent=True) for future in late}


def _failure(act: Callable[[], None]) -> NodeFailed | None:
    try:
        act()
    except NodeFailed as error:
        return error
    return None


def require_done(asked: Sequence[int], failed: Failures) -> None:
    """Raises what the caller is told when servers of ``asked`` (one entry for each command) failed."""
    if not failed:
        return
    failure = next(iter(failed.values()))
    if len(asked) > 1:
        error: NodeTrouble = CommandsFailed(sorted(failed))
    else:
        error = NodeRefused() if failure.trouble is Trouble.REJECTED else NodeUnavailable()
    error.trouble = failure.trouble
    raise error
