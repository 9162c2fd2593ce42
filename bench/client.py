"""The load client: keep-alive connections of one thread on raw sockets, run as a process of its own.

``python -m bench.client`` reads one :class:`Job` per line and writes one :class:`Sample` per line, both as JSON.
Only the standard library, for whatever the client costs is taken from the server on a small machine.
"""

import gc
import gzip
import itertools
import json
import re
import selectors
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

STALL_SECONDS = 30.0
_RECEIVE_BYTES = 1 << 20
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_COOKIE = re.compile(rb"\r\nset-cookie: *([^;\r]*)", re.IGNORECASE)
_GZIPPED = re.compile(rb"\r\ncontent-encoding: *gzip\r", re.IGNORECASE)
_SHOWN_BYTES = 300
# users of different scopes are answered differently
_KNOWN_BODIES = 4


@dataclass(frozen=True)
class Job:
    """``requests`` (whole HTTP messages, sent in turn) for ``seconds``, or ``count`` of them when that is not 0.

    An answer is right when its status is 200 and its body, unzipped, contains ``wanted``.
    """

    port: int
    requests: list[str]
    connections: int
    wanted: str
    seconds: float = 0.0
    count: int = 0


@dataclass
class Sample:
    """What came back: latencies in seconds, one per right answer; cookies (``name=value``) by order of arrival."""

    elapsed: float = 0.0
    latencies: list[float] = field(default_factory=list)
    failures: int = 0
    first_failure: str = ""
    body_bytes: int = 0
    cookies: list[str] = field(default_factory=list)

    def fail(self, what: bytes) -> None:
        self.failures += 1
        self.first_failure = self.first_failure or what[:_SHOWN_BYTES].decode("utf-8", "replace")


class Checker:
    """Judges answers; a body equal to one of the last right ones is right without being unzipped again."""

    def __init__(self, wanted: str) -> None:
        self._wanted = wanted.encode()
        self._known: deque[bytes] = deque(maxlen=_KNOWN_BODIES)

    def is_right(self, head: bytes, body: bytes) -> bool:
        if not head.startswith(b"HTTP/1.1 200 "):
            return False
        if body in self._known:
            return True
        plain = gzip.decompress(body) if _GZIPPED.search(head) else body
        if self._wanted not in plain:
            return False
        self._known.append(body)
        return True


class Connection:
    """One keep-alive connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=STALL_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_at = 0.0
        self._received = b""
        self._head_end = 0
        self._length = -1

    def send(self, message: bytes) -> None:
        self._received = b""
        self._length = -1
        self.sent_at = time.perf_counter()
        self.socket.sendall(message)

    def receive(self) -> bool | None:
        """Whether the answer is complete now; None when the server has closed the connection."""
        data = self.socket.recv(_RECEIVE_BYTES)
        if not data:
            return None
        self._received = self._received + data if self._received else data
        if self._length < 0:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return False
            self._head_end = end + 4
            length = _LENGTH.search(self._received, 0, self._head_end)
            self._length = int(length[1]) if length else 0
        return len(self._received) >= self._head_end + self._length

    @property
    def head(self) -> bytes:
        return self._received[: self._head_end]

    @property
    def body(self) -> bytes:
        return self._received[self._head_end :]


def run(job: Job) -> Sample:
    """Do the job with all connections kept busy until the end; garbage is collected before and after only."""
    sample = Sample()
    gc.collect()
    gc.disable()
    try:
        with selectors.DefaultSelector() as selector:
            _run(job, selector, sample)
    finally:
        gc.enable()
    return sample


def _run(job: Job, selector: selectors.BaseSelector, sample: Sample) -> None:
    checker = Checker(job.wanted)
    for _ in range(min(job.connections, job.count or job.connections)):
        connection = Connection(job.port)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    start = time.perf_counter()
    messages = _messages(job, start)
    for key in list(selector.get_map().values()):
        _send_next(key.data, messages, selector)
    while selector.get_map():
        ready = selector.select(STALL_SECONDS)
        if not ready:
            sample.fail(b"no answer in time")
            break
        for key, _ in ready:
            _on_readable(key.data, checker, messages, selector, sample, job.port)
    sample.elapsed = time.perf_counter() - start
    for key in list(selector.get_map().values()):
        key.data.socket.close()


def _messages(job: Job, start: float) -> Iterator[bytes]:
    turns = itertools.cycle([request.encode() for request in job.requests])
    if job.count:
        yield from itertools.islice(turns, job.count)
        return
    end = start + job.seconds
    while time.perf_counter() < end:
        yield next(turns)


def _on_readable(
    connection: Connection,
    checker: Checker,
    messages: Iterator[bytes],
    selector: selectors.BaseSelector,
    sample: Sample,
    port: int,
) -> None:
    complete = connection.receive()
    if complete is None:
        sample.fail(b"the server closed the connection")
        selector.unregister(connection.socket)
        connection.socket.close()
        connection = Connection(port)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    elif not complete:
        return
    else:
        _judge(connection, time.perf_counter(), checker, sample)
    _send_next(connection, messages, selector)


def _judge(connection: Connection, now: float, checker: Checker, sample: Sample) -> None:
    head, body = connection.head, connection.body
    if not checker.is_right(head, body):
        sample.fail(head.partition(b"\r\n")[0] + b" " + body)
        return
    sample.latencies.append(now - connection.sent_at)
    sample.body_bytes = len(body)
    cookie = _COOKIE.search(head)
    if cookie:
        sample.cookies.append(cookie[1].decode("latin-1"))


def _send_next(connection: Connection, messages: Iterator[bytes], selector: selectors.BaseSelector) -> None:
    message = next(messages, None)
    if message is None:
        selector.unregister(connection.socket)
        connection.socket.close()
    else:
        connection.send(message)


def main() -> None:
    for line in sys.stdin:
        sample = run(Job(**json.loads(line)))
        sys.stdout.write(json.dumps(asdict(sample)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
