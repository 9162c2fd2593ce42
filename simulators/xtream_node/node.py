"""How a node answers, in the dialects of the newer and the older panels. Source: contract chapter 95 §8.2.

What the commands change is in :mod:`simulators.xtream_node.state`; sockets and faults in ``server``.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum
from threading import Lock

from simulators.php import PhpValue, encode_json, parse_form, scalar, to_int
from simulators.wire import Request, Response
from simulators.xtream_node.state import NodeState

_PAGE = b"<html><head><title>404 Not Found</title></head><body><h1>404 Not Found</h1></body></html>"
_BANNED = b"<html><body><h1>403 Forbidden</h1></body></html>"
_KILL = re.compile(r"kill -9 (\d+)")

Fields = Mapping[str, PhpValue]


class Dialect(StrEnum):
    """Of the newer and the older panels' nodes."""

    XC_NEW = "xc_new"
    XC_OLD = "xc_old"


PATHS = {Dialect.XC_NEW: "/api.php", Dialect.XC_OLD: "/system_api.php"}


def json_answer(value: object) -> Response:
    """As the nodes send JSON: compact, and called HTML."""
    return Response(encode_json(value))


def fields_of(request: Request) -> dict[str, PhpValue]:
    """Query and form merged, the form winning."""
    query = request.target.partition("?")[2]
    return parse_form(query.encode()) | parse_form(request.body)


class Node:
    """One node. ``admits``: whether the caller's address may call; ``ban_after``: so many wrong passwords (0: never);
    ``debug``: wrong passwords get the page with status 200; ``skew``: by how many seconds its clock is behind;
    ``latency``: how long a command takes."""

    def __init__(self, dialect: Dialect, secret: str, state: NodeState) -> None:
        self.dialect = dialect
        self.secret = secret
        self.state = state
        self.admits = True
        self.ban_after = 0
        self.debug = False
        self.skew = 0
        self.latency = 0.0
        self.refused = 0
        #: how often each command ran at the same moment at most
        self.most_at_once: Counter[str] = Counter()
        self._running: Counter[str] = Counter()
        self._lock = Lock()

    def describe(self, request: Request) -> str:
        """``POST stream/start/5``, ``POST kill_pid/4242``."""
        fields = fields_of(request)
        ids = fields.get("stream_ids")
        what = [scalar(fields, "action"), scalar(fields, "function"), scalar(fields, "pid")]
        what += [str(item) for item in ids] if isinstance(ids, list) else []
        commands = fields.get("cmds")
        what += [str(item) for item in commands] if isinstance(commands, list) else []
        return f"{request.method} {'/'.join(part for part in what if part)}"

    def respond(self, request: Request) -> Response:
        call = self.describe(request)
        with self._lock:
            self._running[call] += 1
            self.most_at_once[call] = max(self.most_at_once[call], self._running[call])
        try:
            time.sleep(self.latency)
            return self._respond(request)
        finally:
            with self._lock:
                self._running[call] -= 1

    def _respond(self, request: Request) -> Response:
        if request.target.partition("?")[0] != PATHS[self.dialect]:
            return Response(_PAGE, 404)
        if self.ban_after and self.refused >= self.ban_after:
            return Response(_BANNED, 403)
        if not self.admits:
            return json_answer({"main_fetch": False}) if self.dialect is Dialect.XC_OLD else Response(_PAGE, 404)
        fields = fields_of(request)
        if scalar(fields, "password") != self.secret:
            self.refused += 1
            return Response(b"") if self.dialect is Dialect.XC_OLD else Response(_PAGE, 200 if self.debug else 404)
        act = self._actions().get(scalar(fields, "action"))
        if act is None:
            return json_answer({"main_fetch": True} if self.dialect is Dialect.XC_OLD else {"result": False})
        return act(fields)

    def _actions(self) -> dict[str, Callable[[Fields], Response]]:
        common: dict[str, Callable[[Fields], Response]] = {
            "stream": lambda fields: _each(fields, self.state.start_stream, self.state.stop_stream),
            "vod": lambda fields: _each(fields, self.state.start_film, self.state.stop_film),
            "getDiff": lambda fields: json_answer(
                to_int(scalar(fields, "main_time")) - int(time.time()) + self.skew,
            ),
            "pidsAreRunning": self._are_running,
            "stats": self._stats,
        }
        if self.dialect is Dialect.XC_OLD:
            return {**common, "BackgroundCLI": self._shell}
        return {**common, "kill_pid": self._kill, "get_pids": self._list}

    def _kill(self, fields: Fields) -> Response:
        pid = to_int(scalar(fields, "pid"))
        if pid > 0:
            self.state.kill(pid)
        return json_answer({"result": pid > 0})

    def _shell(self, fields: Fields) -> Response:
        commands = fields.get("cmds")
        if not isinstance(commands, list):
            return Response(b"")
        for command in commands:
            match = _KILL.fullmatch(command) if isinstance(command, str) else None
            if match:
                self.state.kill(int(match[1]))
        return json_answer([None for _ in commands])

    def _are_running(self, fields: Fields) -> Response:
        pids = fields.get("pids")
        if not isinstance(pids, list):
            return Response(b"")
        program = scalar(fields, "program")
        return json_answer({str(pid): self.state.is_running(to_int(str(pid)), program) for pid in pids})

    def _list(self, _fields: Fields) -> Response:
        lines = ["USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"]
        with self.state.lock:
            lines += [
                f"{process.user} {pid} 0.0 0.1 1000 500 ? S 00:00 0:00 {process.command}"
                for pid, process in self.state.processes.items()
            ]
        return json_answer(lines)

    def _stats(self, _fields: Fields) -> Response:
        running = len(self.state.streams)
        answer = json_answer(
            {
                "cpu": 1,
                "cpu_cores": 4,
                "cpu_avg": 0,
                "total_mem": 8_000_000,
                "total_mem_used": 1_000_000,
                "uptime": "1d",
                "total_running_streams": running,
                "bytes_sent": 0,
                "bytes_received": 0,
            }
        )
        # the older nodes measure for a second
        return Response(answer.body, delay=1.0) if self.dialect is Dialect.XC_OLD else answer


def _each(fields: Fields, start: Callable[[int], None], stop: Callable[[int], None]) -> Response:
    """True also for ids that the node does not know; nothing at all for anything but a list of ids."""
    ids, function = fields.get("stream_ids"), scalar(fields, "function")
    if not isinstance(ids, list) or function not in ("start", "stop"):
        return Response(b"")
    for id in ids:
        (start if function == "start" else stop)(to_int(str(id)))
    return json_answer({"result": True})
