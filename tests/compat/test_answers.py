"""How answers leave the server: short ones in one packet, long ones whole whatever the other side takes at once."""

import socket
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pytest

from compat.serving.connections import create_server
from tests.worlds.waiting import PATIENCE_SECONDS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LONG = bytes(range(256)) * 65536  # 16 MiB: more than any system keeps for a socket
BODIES = {"/short": [b"all"], "/parts": [b"first,", b"second"], "/none": [], "/long": [LONG], "/mixed": [b"head", LONG]}


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    body = BODIES[environ["PATH_INFO"]]
    start_response("200 OK", [("Content-Length", str(sum(map(len, body))))])
    return body


@pytest.fixture
def connection() -> Iterator[socket.socket]:
    server = create_server(application, connections_per_address=0, threads=2, host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    with socket.create_connection(("127.0.0.1", server.effective_port), PATIENCE_SECONDS) as opened:
        yield opened
    server.task_dispatcher.shutdown()
    server.trigger.pull_trigger(lambda: [channel.handle_close() for channel in list(server._map.values())])
    thread.join(PATIENCE_SECONDS)


def _ask(connection: socket.socket, path: str) -> None:
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: panel\r\n\r\n".encode())


@pytest.mark.parametrize(("path", "body"), [("/short", b"all"), ("/none", b"")])
def test_a_short_answer_is_one_packet(connection: socket.socket, path: str, body: bytes) -> None:
    for _ in range(3):
        _ask(connection, path)
        head, end, rest = connection.recv(65536).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert (end, rest) == (b"\r\n\r\n", body)


@pytest.mark.parametrize("path", ["/parts", "/long", "/mixed"])
def test_an_answer_arrives_whole_and_the_next_one_after_it(connection: socket.socket, path: str) -> None:
    body = b"".join(BODIES[path])
    with connection.makefile("rb") as stream:
        for _ in range(2):
            _ask(connection, path)
            while stream.readline() != b"\r\n":
                pass
            assert stream.read(len(body)) == body


def test_who_does_not_read_keeps_nobody_waiting(connection: socket.socket) -> None:
    place = connection.getpeername()
    for _ in range(2):
        with socket.create_connection(place, PATIENCE_SECONDS) as silent:
            _ask(silent, "/long")
            _ask(connection, "/short")
            assert connection.recv(65536).endswith(b"all")
