"""The simulated portal as a server: faults, records, life cycle, speed, and the standalone command."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
import requests

from simulators.faults import Cut, Delay, Fault, Hang, HangUp, Huge, Refuse, Reset, Trickle
from simulators.portal import faults
from simulators.stalker import StalkerPortal, in_order
from tests.simulators.client import API, M1, M2, Answer, call
from tests.simulators.conftest import MakePortal
from tests.worlds.places import ROOT
from tests.worlds.waiting import PATIENCE_SECONDS, until


def put(portal: StalkerPortal, body: str = "status=0", timeout: float = 5) -> Answer:
    return call(portal.server_address, "PUT", f"accounts/{M1}", body, timeout=timeout)


def is_off(portal: StalkerPortal) -> bool:
    return portal.users[0].status == 0


class TestFaults:
    def test_delay(self, stock: StalkerPortal) -> None:
        stock.fail("PUT accounts", Delay(0.05))
        started = time.monotonic()
        assert put(stock).results is True
        assert time.monotonic() - started >= 0.05

    @pytest.mark.parametrize("late", [False, True])
    def test_delay_beyond_the_clients_patience(self, stock: StalkerPortal, late: bool) -> None:
        stock.fail("PUT accounts", Delay(0.5, late_effect=late))
        with pytest.raises(TimeoutError):
            put(stock, timeout=0.1)
        assert is_off(stock) is not late
        until(lambda: is_off(stock), "it is done")

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            (Hang(), TimeoutError),
            (Hang(effect=True), TimeoutError),
            (HangUp(), http.client.RemoteDisconnected),
            (HangUp(effect=True), http.client.RemoteDisconnected),
            (Reset(), ConnectionResetError),
            (Reset(effect=True), ConnectionResetError),
        ],
    )
    def test_no_answer(self, stock: StalkerPortal, fault: Hang | HangUp, error: type[Exception]) -> None:
        stock.fail("PUT accounts", fault)
        with pytest.raises(error) as raised:
            put(stock, timeout=0.1)
        assert type(raised.value) is error
        until(lambda: stock.calls != [], "the call came")
        if fault.effect:
            until(lambda: is_off(stock), "it is done")
        assert is_off(stock) is fault.effect
        assert put(stock).results is True

    @pytest.mark.parametrize("effect", [False, True])
    def test_answers_in_place_of_the_true_one(self, stock: StalkerPortal, effect: bool) -> None:
        expected: list[tuple[Fault, int, bytes]] = [
            (faults.unauthorized(effect=effect), 401, b'{"status":"ERROR","results":"","error":"401 Unauthorized'),
            (faults.server_error(effect=effect), 500, b"<html>"),
            (faults.redirect("http://other.example/", effect=effect), 302, b"<html>"),
            (faults.empty_body(effect=effect), 200, b""),
            (faults.not_json(effect=effect), 200, b"<br />"),
            (faults.error("Boom", effect=effect), 200, b'{"status":"ERROR","results":null,"error":"Boom"}'),
            (faults.nothing_done(effect=effect), 200, b'{"status":"OK","results":false}'),
            (faults.without_results(effect=effect), 200, b'{"status":"OK"}'),
        ]
        for fault, status, start in expected:
            stock.change_user("user001", status=1)
            stock.fail("PUT accounts", fault)
            answer = put(stock)
            assert (answer.status, answer.body[: len(start)]) == (status, start)
            assert (answer.body == b"") is (start == b"")
            assert is_off(stock) is effect
            assert answer.headers.get("location") == ("http://other.example/" if status == 302 else None)

    def test_cut_answers(self, stock: StalkerPortal) -> None:
        stock.fail("GET accounts", Cut())
        with pytest.raises(http.client.IncompleteRead):
            call(stock.server_address, "GET", "accounts/")
        stock.fail("GET accounts", Cut(consistent=True))
        cut = call(stock.server_address, "GET", "accounts/")
        assert int(cut.headers["content-length"]) == len(cut.body)
        with pytest.raises(json.JSONDecodeError):
            _ = cut.json
        stock.fail("PUT accounts", Cut(kept=0, consistent=True))
        assert put(stock).body == b""
        assert is_off(stock)

    @pytest.mark.parametrize("announced", [True, False])
    def test_huge_answers(self, stock: StalkerPortal, announced: bool) -> None:
        stock.fail("GET accounts", Huge(3_000_000, announced=announced))
        answer = call(stock.server_address, "GET", "accounts/")
        assert len(answer.results) >= 3_000_000
        assert ("content-length" in answer.headers) is announced

    def test_trickle_outlasts_timeouts_of_single_reads(self, stock: StalkerPortal) -> None:
        stock.fail("PUT accounts", Trickle(0.005))
        started = time.monotonic()
        assert put(stock, timeout=0.1).results is True
        assert time.monotonic() - started > 0.3

    def test_refuse(self, stock: StalkerPortal) -> None:
        stock.fail("PUT accounts", Refuse())
        idle = http.client.HTTPConnection(urlsplit(stock.server_address).netloc, timeout=60)
        idle.connect()
        with pytest.raises(ConnectionResetError):
            put(stock)
        assert idle.sock.recv(1) == b""
        idle.close()
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                put(stock)
        assert not is_off(stock)
        stock.clear_faults()
        assert put(stock).results is True

    def test_refuse_after_this_answer(self, stock: StalkerPortal) -> None:
        stock.fail("PUT accounts", Refuse(answer=True))
        with requests.Session() as session:
            session.auth = ("apiuser", "apipass")
            assert session.put(f"{stock.base_url}accounts/{M1}", data={"status": "0"}).json()["results"] is True
            with pytest.raises(requests.ConnectionError, match="refused"):
                session.get(f"{stock.base_url}accounts/{M1}")
        assert is_off(stock)

    def test_portal_that_is_down(self, stock: StalkerPortal) -> None:
        address = stock.base_url
        stock.stop_listening()
        with pytest.raises(ConnectionRefusedError):
            put(stock)
        stock.listen()
        assert stock.base_url == address
        assert put(stock).results is True
        assert stock.calls == [f"PUT accounts/{M1}"]

    def test_nth_call(self, stock: StalkerPortal) -> None:
        rule = stock.fail("stb_msg", faults.error("Boom"), after=2, times=2)
        texts = [call(stock.server_address, "POST", f"stb_msg/{M1}", "msg=Hi").json.get("error") for _ in range(6)]
        assert texts == [None, None, "Boom", "Boom", None, None]
        assert (rule.seen, rule.used) == (6, 2)
        assert len(stock.events) == 4

    def test_always(self, stock: StalkerPortal) -> None:
        rule = stock.fail("*", faults.error("Boom"), times=None)
        assert [put(stock).error for _ in range(3)] == ["Boom"] * 3
        assert rule.used == 3
        stock.clear_faults()
        assert put(stock).results is True

    @pytest.mark.parametrize(
        ("pattern", "hit"),
        [
            ("*", True),
            ("PUT *", True),
            ("PUT accounts", True),
            ("accounts", True),
            (f"PUT accounts/{M1}", True),
            ("accounts/00:1A:79:*", True),
            (f"PUT accounts/{M2}", False),
            ("POST accounts", False),
            ("account", False),
            ("stb_msg", False),
        ],
    )
    def test_patterns(self, stock: StalkerPortal, pattern: str, hit: bool) -> None:
        rule = stock.fail(pattern, faults.nothing_done())
        put(stock)
        assert rule.used == hit

    def test_predicates_and_several_rules(self, panel: StalkerPortal) -> None:
        first = panel.fail(lambda request: request.fields.get("login") == "user001", faults.not_json("no"))
        second = panel.fail("POST update_account.php", faults.server_error(), after=1)
        path = "/stalker_portal/update_account.php"
        statuses = [
            call(panel.server_address, "POST", path, "key=theme-secret&login=user001&theme=x").status for _ in range(3)
        ]
        assert statuses == [200, 500, 200]
        assert (first.used, second.used) == (1, 1)
        assert panel.users[0].theme == "x"


class TestRecords:
    def test_everything_of_a_request(self, stock: StalkerPortal) -> None:
        call(stock.server_address, "POST", "stb_msg/00%3A1a:79:00:00:01", "msg=a%20b&x[]=1", credentials="me:wrong")
        [request] = stock.requests
        assert request.method == "POST"
        assert request.path == f"{API}stb_msg/00%3A1a:79:00:00:01"
        assert request.call == "POST stb_msg/00:1a:79:00:00:01"
        assert request.body == b"msg=a%20b&x[]=1"
        assert request.fields == {"msg": "a b", "x": ["1"]}
        assert request.user == "me"
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        assert 0 <= time.monotonic() - request.at < PATIENCE_SECONDS
        stock.forget_requests()
        assert stock.requests == []

    def test_refused_targets_are_recorded_as_sent(self, stock: StalkerPortal) -> None:
        call(stock.server_address, "GET", "//double/a%2Fb")
        assert stock.calls == ["GET //double/a%2Fb"]
        assert stock.requests[0].path == "//double/a%2Fb"

    def test_order_across_portals(self, make_portal: MakePortal) -> None:
        one, two = make_portal(name="one"), make_portal(name="two")
        for portal in (one, two, two, one):
            put(portal)
        assert [request.server for request in in_order(one, two)] == ["one", "two", "two", "one"]
        assert one.snapshot() == two.snapshot()
        assert one.base_url != two.base_url


class TestLifeCycle:
    def test_starts_and_ends_quickly(self) -> None:
        took = []
        for _ in range(10):
            started = time.perf_counter()
            with StalkerPortal() as portal:
                assert call(portal.server_address, "GET", "tariffs/").results == []
            took.append(time.perf_counter() - started)
        # the best of several: the machine may be busy with other things; a server's usual look at its end takes 0.5 s
        assert min(took) < 0.3

    def test_many_at_once_leave_no_thread_behind(self) -> None:
        before = threading.active_count()
        portals = [StalkerPortal().start() for _ in range(20)]
        sessions = [requests.Session() for _ in portals]
        for portal, session in zip(portals, sessions, strict=True):
            assert session.get(f"{portal.base_url}accounts/").json() == {"status": "OK", "results": []}
        assert threading.active_count() > before
        for portal in portals:
            portal.close()
        assert threading.active_count() == before
        for session in sessions:
            session.close()

    def test_ends_while_requests_hang(self) -> None:
        with StalkerPortal() as portal:
            portal.fail("*", Hang())
            connection = socket.create_connection(("127.0.0.1", urlsplit(portal.server_address).port or 0))
            connection.sendall(b"GET /stalker_portal/api/accounts/ HTTP/1.1\r\nHost: x\r\n\r\n")
            until(lambda: portal.requests != [], "the call came")
            started = time.perf_counter()
        assert time.perf_counter() - started < PATIENCE_SECONDS
        connection.close()

    def test_connections_are_kept_alive(self, stock: StalkerPortal) -> None:
        connection = http.client.HTTPConnection(urlsplit(stock.server_address).netloc, timeout=60)
        for method in ("GET", "HEAD", "POST", "GET"):
            connection.request(method, f"{API}tariffs/", "a=1" if method == "POST" else None)
            if method == "GET":
                own = connection.sock
            assert connection.getresponse().read() != b"" or method == "HEAD"
            assert connection.sock is own
        connection.close()

    def test_bodies_without_length_are_refused(self, stock: StalkerPortal) -> None:
        answer = requests.post(f"{stock.base_url}stb_msg/{M1}", data=iter([b"msg=Hi"]), timeout=60)
        assert answer.status_code == 411
        assert stock.requests == []

    def test_a_broken_simulator_is_noticed(self) -> None:
        def broken(_: object) -> bool:
            raise LookupError("broken on purpose")

        portal = StalkerPortal().start()
        portal.fail(broken, faults.nothing_done())
        with pytest.raises(http.client.RemoteDisconnected):
            call(portal.server_address, "GET", "accounts/")
        with pytest.raises(RuntimeError, match="1 requests broke the simulator"):
            portal.close()

    def test_parallel_writes_are_carried_out_one_by_one(self, stock: StalkerPortal) -> None:
        answers: list[bytes] = []

        def create() -> None:
            answers.append(call(stock.server_address, "POST", "accounts/", "login=same").body)

        threads = [threading.Thread(target=create) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(b'"OK"' in answer for answer in answers) == 1
        assert len(stock.users) == 3


def test_thousands_of_accounts_are_listed_quickly() -> None:
    with StalkerPortal(dialect="panel") as portal:
        portal.add_examples(5000)
        # of this process, the portal and its client, whatever else the machine does
        started = time.process_time()
        answer = call(portal.server_address, "GET", "accounts/")
        assert time.process_time() - started < 3
        accounts = answer.results
        assert len({account["login"] for account in accounts}) == len({a["stb_mac"] for a in accounts}) == 5000
        started = time.process_time()
        for number in range(1, 101):
            call(portal.server_address, "PUT", f"users/user{number:05}", "status=0")
        assert time.process_time() - started < 3


@contextmanager
def standalone(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "simulators.stalker", "--port", "0", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_alone(ending: signal.Signals) -> None:
    options = [
        "--dialect",
        "panel",
        "--user",
        "apiuser",
        "--password",
        "apipass",
        "--theme-key",
        "k",
        "--accounts",
        "3",
    ]
    with standalone(*options) as (address, process):
        assert requests.get(f"{address}accounts/", timeout=60).status_code == 401
        accounts = requests.get(f"{address}accounts/", auth=("apiuser", "apipass"), timeout=60).json()["results"]
        assert [account["login"] for account in accounts] == ["user00001", "user00002", "user00003"]
        script = address.replace("api/", "update_account.php")
        form = {"key": "k", "login": "user00001", "theme": "blue"}
        assert requests.post(script, data=form, timeout=60).text == "OK"
        os.kill(process.pid, ending)
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
