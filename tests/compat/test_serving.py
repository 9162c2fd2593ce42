"""Connections that say nothing, or never end (issue "no way in", line 12)."""

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from compat.serving import connections as serving
from legacy_routes.app import hashing_paths
from tests.worlds.waiting import PATIENCE_SECONDS, until


def _app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"read %d" % len(body)]


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server whose patience is a second, and which grants each address three connections."""
    monkeypatch.setattr(serving, "PATIENCE_SECONDS", 1)
    monkeypatch.setattr(serving, "_LOOK_SECONDS", 0)
    monkeypatch.setattr(serving, "LEAST_BODY_BYTES", 10)
    server = serving.create_server(_app, connections_per_address=3, host="127.0.0.1", port=0, threads=2)
    # this machine is exempt otherwise
    server.channel_class.exempt = ()
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield server.effective_port
    server.task_dispatcher.shutdown()
    server.trigger.pull_trigger(lambda: [channel.close() for channel in list(server._map.values())])
    thread.join(60)


def _open(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def _ends(connection: socket.socket) -> bool:
    try:
        return connection.recv(1000) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nab"]
)
def test_12_a_head_or_a_body_that_does_not_come_is_not_waited_for(port: int, sent: bytes) -> None:
    with closing(_open(port)) as connection:
        connection.sendall(sent)
        # the server's own patience would outlast that of the connection
        assert _ends(connection)


def test_12_a_head_that_drips_is_not_waited_for(port: int) -> None:
    with closing(_open(port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        connection.settimeout(0.2)

        def is_over() -> bool:
            try:
                connection.sendall(b"x")
                return connection.recv(10) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        until(is_over, "the connection is closed")


def test_12_a_body_that_comes_slowly_but_surely_is_read(port: int) -> None:
    with closing(_open(port)) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n")
        for _ in range(6):
            time.sleep(0.4)
            connection.sendall(b"x" * 10)
        assert b"200 OK" in connection.recv(1000)


def test_12_each_address_has_so_many_connections(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # what ends is ended for their number
    monkeypatch.setattr(serving, "PATIENCE_SECONDS", 600)
    connections = [_open(port) for _ in range(4)]
    try:
        connections[0].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in connections[0].recv(1000)
        connections[3].settimeout(60)
        assert _ends(connections[3])
    finally:
        for connection in connections:
            connection.close()


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ("fe80::1%eth0", "fe80::1"),
        ("::1", "::1"),
    ],
)
def test_12_a_client_of_ipv6_is_its_network(host: str, client: str) -> None:
    assert str(serving.client_of((host, 4711, 0, 0))) == client


def test_12_a_socket_that_is_a_file_is_nobodys() -> None:
    assert serving.client_of("") is None


def test_12_two_lengths_in_one_request_close_the_connection(port: int) -> None:
    with closing(_open(port)) as connection:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        connection.sendall(head + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while part := connection.recv(1000):
            answer += part
        assert answer.startswith(b"HTTP/1.1 400")
        assert answer.count(b"HTTP/1.1") == 1


class _Held:
    """An app whose requests of /slow wait until they are let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.begun = 0
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if "slow" in environ["PATH_INFO"]:
            with self._lock:
                self.begun += 1
            self.let_go.wait(PATIENCE_SECONDS)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["PATH_INFO"].encode()]


@contextmanager
def _lanes(app: _Held, threads: int) -> Iterator[int]:
    server = serving.create_server(
        app,
        connections_per_address=0,
        held_back=("/slow",),
        host="127.0.0.1",
        port=0,
        threads=threads,
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server.effective_port
    finally:
        app.let_go.set()
        server.task_dispatcher.shutdown()
        server.trigger.pull_trigger(lambda: [channel.close() for channel in list(server._map.values())])
        thread.join(5)


def _ask(port: int, path: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return connection


def _answer(connection: socket.socket) -> bytes:
    with closing(connection), connection.makefile("rb") as file:
        return file.read().rpartition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(("threads", "most"), [(5, 2), (2, 1), (1, 1)])
def test_17_what_is_slow_takes_half_of_the_threads_and_is_overtaken(threads: int, most: int) -> None:
    """Issue "nothing lost": a burst of logins let heartbeats wait."""
    app = _Held()
    with _lanes(app, threads) as port:
        slow = [_ask(port, path) for path in ("/slow", "//slow") * 4]
        until(lambda: app.begun == most, "the first of them are at work")
        if threads > 1:
            assert [_answer(_ask(port, "/heartbeat")) for _ in range(3 * threads)] == [b"/heartbeat"] * 3 * threads
        assert app.begun == most
        app.let_go.set()
        assert {_answer(one) for one in slow} == {b"/slow"}
        assert app.begun == len(slow)


def test_17_every_call_that_looks_at_a_password_is_held_back() -> None:
    names = {path.rpartition("/")[2] for path in hashing_paths()}
    assert names == {"login.php", "update_password.php", "add_reseller.php", "update_reseller.php"}
    assert {"/login.php", "/api/login.php"} <= hashing_paths()
