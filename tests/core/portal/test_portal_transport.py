"""The portal client and servers that break the rules of HTTP or of time: deadlines, sizes, TLS, threads, logs."""

import base64
import gzip
import http.server
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.portal import (
    NewPortalAccount,
    Outcome,
    PortalError,
    PortalInvalidAnswer,
    PortalInvalidInput,
    PortalServer,
    PortalTimeout,
    PortalTlsFailed,
    PortalUnreachable,
)
from simulators.faults import Cut, Delay, Huge, Trickle
from simulators.portal import faults
from simulators.stalker import StalkerPortal
from tests.worlds.certificates import make_certificate
from tests.worlds.portals import MAC1, connected

SECONDS = 0.5
HASTY: dict[str, Any] = {"connect_seconds": SECONDS, "call_seconds": SECONDS}
HASTY_TO_CONNECT: dict[str, Any] = {"connect_seconds": SECONDS, "call_seconds": 5.0}
TARIFFS = b'HTTP/1.1 200 OK\r\nContent-Length: 28\r\n\r\n{"status":"OK","results":[]}'

Handler = Callable[[socket.socket], None]


@contextmanager
def raw_server(handle: Handler) -> Iterator[str]:
    """The address of a server that reads a request's first piece and leaves the rest to ``handle``."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                handle(connection)
            except OSError:
                return  # the client has gone, as it should

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/stalker_portal/api/"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def answering(*pieces: bytes, pause: float = 0.0) -> Handler:
    def handle(connection: socket.socket) -> None:
        connection.recv(65536)
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
        # what the client has sent and nobody read would turn the end of the answer into a reset
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    return handle


@contextmanager
def ends_after(seconds: float) -> Iterator[None]:
    start = time.monotonic()
    yield
    # without an end in time each would take three seconds and more
    assert seconds - 0.05 <= time.monotonic() - start < seconds + 2.4


@pytest.mark.parametrize(
    "pieces",
    [
        [b"H", b"T", b"T", b"P", b"/", b"1", b".", b"1", b" ", b"2", b"0", b"0", b" ", b"O", b"K"],
        [b"HTTP/1.1 200 OK\r\n", *[b"X-Header: 1\r\n"] * 20],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 28\r\n\r\n", *[b"x"] * 20],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *[b"1\r\nx\r\n"] * 20],
        [b"HTTP/1.1 200 OK\r\n\r\n", *[b"x"] * 20],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 28\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08", *[b"\x00"] * 20],
    ],
)
def test_a_trickling_server_ends_at_the_deadline(pieces: list[bytes]) -> None:
    with raw_server(answering(*pieces, pause=0.2)) as url, connected(url, **HASTY) as server:
        with ends_after(SECONDS), pytest.raises(PortalTimeout) as caught:
            server.tariffs()
        assert caught.value.outcome is Outcome.NOT_DONE
        with pytest.raises(PortalTimeout) as caught:
            server.set_status(MAC1, False)
        assert caught.value.outcome is Outcome.UNKNOWN


def test_a_trickling_portal_is_cut_off(portal: StalkerPortal) -> None:
    portal.fail("*", Trickle(0.02))
    with connected(portal.base_url, **HASTY) as server, ends_after(SECONDS), pytest.raises(PortalTimeout):
        server.send_message(MAC1, "Hi")


def test_a_slow_portal_within_the_deadline_is_heard(portal: StalkerPortal) -> None:
    portal.fail("*", Trickle(0.05, size=20))
    with connected(portal.base_url) as server:
        server.tariffs()


def test_the_list_has_its_own_time(portal: StalkerPortal) -> None:
    portal.fail("GET accounts", Delay(SECONDS * 1.4), times=2)
    with connected(portal.base_url, **HASTY) as server:
        assert len(server.accounts().accounts) == 2
    with connected(portal.base_url, list_seconds=SECONDS) as server, ends_after(SECONDS), pytest.raises(PortalTimeout):
        server.accounts()


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 28\r\nContent-Encoding: gzip\r\n\r\n" + b"not gzip at all, is it? no no",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\xff\xfe\xfd\xfc\xfb",
        b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"status":"OK","resul',
    ],
)
def test_what_is_no_answer_is_called_so(answer: bytes) -> None:
    with raw_server(answering(answer)) as url, connected(url) as server:
        with pytest.raises(PortalInvalidAnswer) as caught:
            server.set_status(MAC1, False)
        assert caught.value.outcome is Outcome.UNKNOWN


def test_a_cut_answer(portal: StalkerPortal) -> None:
    for consistent in (False, True):
        portal.fail("*", Cut(consistent=consistent))
        with connected(portal.base_url) as server, pytest.raises(PortalInvalidAnswer):
            server.tariffs()


@pytest.mark.parametrize("announced", [True, False])
def test_answers_have_a_size(portal: StalkerPortal, announced: bool) -> None:
    portal.fail("*", Huge(3_000_000, announced=announced), times=None)
    sizes: dict[str, Any] = {"call_bytes": 1_000_000, "list_bytes": 2_000_000}
    with connected(portal.base_url, **sizes) as server:
        for call in (server.tariffs, server.accounts, lambda: server.set_theme("user001", "x")):
            with pytest.raises(PortalInvalidAnswer, match="too large"):
                call()
    portal.clear_faults()
    with connected(portal.base_url, **sizes) as server:
        assert len(server.accounts().accounts) == 2


def test_a_compressed_answer_is_measured_unpacked() -> None:
    body = gzip.compress(b" " * 5_000_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    with (
        raw_server(answering(head + body)) as url,
        connected(url, call_bytes=1_000_000) as server,
        pytest.raises(PortalInvalidAnswer, match="too large"),
    ):
        server.tariffs()


def test_an_answer_with_a_byte_order_mark_is_read() -> None:
    answer = TARIFFS.replace(b"28", b"31").replace(b"\r\n\r\n", b"\r\n\r\n\xef\xbb\xbf")
    with raw_server(answering(answer)) as url, connected(url) as server:
        assert server.tariffs() == []


def test_connections_are_reused(portal: StalkerPortal) -> None:
    seen: list[int] = []

    def handle(connection: socket.socket) -> None:
        seen.append(0)
        while connection.recv(65536):
            seen[-1] += 1
            connection.sendall(TARIFFS)

    with raw_server(handle) as url, connected(url) as server:
        for _ in range(5):
            server.tariffs()
    assert seen == [5]


def test_a_connection_that_the_portal_closed_meanwhile_is_replaced() -> None:
    with raw_server(answering(TARIFFS)) as url, connected(url) as server:
        for _ in range(3):
            server.update_account(MAC1, {"full_name": "Ann"})
            time.sleep(0.05)


def test_cookies_are_not_kept() -> None:
    heard: list[bytes] = []

    def handle(connection: socket.socket) -> None:
        while heard.append(connection.recv(65536)) or heard[-1]:  # type: ignore[func-returns-value]
            connection.sendall(TARIFFS.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\n\r\n"))

    with raw_server(handle) as url, connected(url) as server:
        server.tariffs()
        server.tariffs()
    assert len([request for request in heard if request]) == 2
    assert b"Cookie" not in b"".join(heard)


def test_proxies_and_credentials_of_the_environment_are_ignored(
    portal: StalkerPortal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login intruder password intruder\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9/")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent")
    with connected(portal.base_url) as server:
        server.tariffs()
        server.set_theme("user001", "x")
    assert [request.user for request in portal.requests] == ["apiuser", None]


def test_one_client_serves_many_threads_but_few_at_a_time(portal: StalkerPortal) -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def handle(connection: socket.socket) -> None:
        while connection.recv(65536):
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            time.sleep(0.02)
            with lock:
                now[0] -= 1
            connection.sendall(TARIFFS)

    with raw_server(handle) as url, connected(url) as server, ThreadPoolExecutor(24) as threads:
        results = [threads.submit(server.tariffs) for _ in range(72)]
        assert [result.result() for result in results] == [[]] * 72
    assert most == [8]


def test_threads_do_not_get_each_others_answers(portal: StalkerPortal) -> None:
    portal.add_examples(40)
    with connected(portal.base_url) as server, ThreadPoolExecutor(16) as threads:
        logins = [f"user{number:05}" for number in range(1, 41)] * 3
        accounts = list(threads.map(server.account_by_login, logins))
    assert [account and account.login for account in accounts] == logins


def test_waiting_for_a_free_connection_counts_as_time() -> None:
    with (
        raw_server(lambda connection: time.sleep(3)) as url,
        connected(url, concurrency=1, **HASTY) as server,
        ThreadPoolExecutor(2) as threads,
        ends_after(SECONDS),
    ):
        results = [threads.submit(server.set_status, MAC1, True) for _ in range(2)]
        outcomes = {type(result.exception()) for result in results}
    assert outcomes == {PortalTimeout}


def test_a_connection_that_is_never_accepted_ends_in_time() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:  # fill the queue, so that the next connection gets no answer at all
            one.setblocking(False)
            one.connect_ex(address)
        with connected(f"http://127.0.0.1:{address[1]}/", **HASTY_TO_CONNECT) as server:
            with ends_after(SECONDS), pytest.raises(PortalTimeout) as caught:
                server.set_status(MAC1, False)
            assert caught.value.outcome is Outcome.NOT_DONE
        for one in waiting:
            one.close()


def test_a_resolver_that_hangs_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(60) and [])
    with connected("http://portal.example.com/", **HASTY_TO_CONNECT) as server:
        with ends_after(SECONDS), pytest.raises(PortalTimeout) as caught:
            server.set_status(MAC1, False)
        assert caught.value.outcome is Outcome.NOT_DONE
    over.set()


@pytest.mark.parametrize("host", ["portal.invalid", "a..b", "x" * 70 + ".example"])
def test_a_host_that_does_not_exist(host: str) -> None:
    with connected(f"http://{host}/") as server:
        with pytest.raises(PortalUnreachable) as caught:
            server.set_status(MAC1, False)
        assert caught.value.outcome is Outcome.NOT_DONE
        assert host not in caught.value.text


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"), names=["127.0.0.1"])


@pytest.fixture
def tls_url(certificate: tuple[Path, Path]) -> Iterator[str]:
    class Tariffs(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(TARIFFS)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class QuietServer(http.server.ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # clients that refuse the certificate hang up

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with QuietServer(("127.0.0.1", 0), Tariffs) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}/stalker_portal/api/"
        server.shutdown()
        thread.join()


def test_a_self_signed_certificate_is_refused(tls_url: str) -> None:
    with connected(tls_url) as server, pytest.raises(PortalTlsFailed) as caught:
        server.tariffs()
    assert caught.value.outcome is Outcome.NOT_DONE
    assert caught.value.text == "The portal's TLS certificate could not be verified"


def test_its_own_authority_makes_it_good(tls_url: str, certificate: tuple[Path, Path]) -> None:
    with connected(tls_url, verify=str(certificate[0])) as server:
        assert server.tariffs() == []
    other_name = tls_url.replace("127.0.0.1", "localhost")
    with connected(other_name, verify=str(certificate[0])) as server, pytest.raises(PortalTlsFailed):
        server.tariffs()


def test_insecure_is_possible_and_loud(tls_url: str, caplog: pytest.LogCaptureFixture) -> None:
    with connected(tls_url, verify=False) as server:
        assert server.tariffs() == []
        assert server.tariffs() == []
    loud = [record for record in caplog.records if "NOT verified" in record.getMessage()]
    assert [record.levelno for record in loud] == [logging.WARNING]


def test_a_missing_authority_file_is_said_at_once() -> None:
    with pytest.raises(PortalInvalidInput), connected("https://portal.example.com/", verify="/nonexistent/ca.pem"):
        pass


def test_tls_to_a_server_without_it(portal: StalkerPortal) -> None:
    with connected(portal.base_url.replace("http:", "https:")) as server, pytest.raises(PortalUnreachable) as caught:
        server.set_status(MAC1, False)
    assert caught.value.outcome is Outcome.NOT_DONE


def test_a_handshake_that_hangs_ends_in_time() -> None:
    with (
        raw_server(lambda connection: time.sleep(3)) as url,
        connected(url.replace("http:", "https:"), **HASTY_TO_CONNECT) as server,
        ends_after(SECONDS),
        pytest.raises(PortalTimeout) as caught,
    ):
        server.set_status(MAC1, False)
    assert caught.value.outcome is Outcome.NOT_DONE


# logs


def test_no_secret_reaches_a_log_or_an_error(portal: StalkerPortal, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    # not spelled out below: a traceback shows the source lines of this test as well
    new_password, message = "account-pass", "private text"
    account = NewPortalAccount("user003", "001A79000003", new_password, "1", "78")
    texts: list[str] = []

    def attempt(call: Callable[[], object]) -> None:
        try:
            call()
        except PortalError as error:
            logging.getLogger("caller").exception("failed")
            texts.extend((error.text, error.device_text, str(error), repr(error)))

    def everything(server: PortalServer) -> None:
        attempt(server.accounts)
        attempt(lambda: server.create_account(account))
        attempt(lambda: server.update_account("001A79000003", {"password": new_password}))
        attempt(lambda: server.set_theme("user003", "x"))
        attempt(lambda: server.send_message(MAC1, message))

    with connected(portal.base_url) as server:
        everything(server)
        for fault in (faults.unauthorized(), faults.empty_body(), faults.error("password=account-pass; query :SELECT")):
            portal.fail("*", fault, times=None)
            everything(server)
            portal.clear_faults()
        portal.stop_listening()
        everything(server)
    basic = base64.b64encode(b"apiuser:apipass").decode()
    said = "\n".join([caplog.text, *texts])
    assert "create account: done" in said
    assert "create account: PortalUnreachable, NOT_DONE" in said
    for secret in ("apipass", basic, "Authorization", "theme-secret", new_password, message):
        assert secret not in said
