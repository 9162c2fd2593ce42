"""The simulated node answers as contract chapter 95 §8.2 tells, written down here without the client's help."""

import http.client
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode

import pytest

from simulators.faults import Refuse
from simulators.xtream_node.node import PATHS, Dialect
from simulators.xtream_node.server import XtreamMain, XtreamNode, rejected

ROOT = Path(__file__).parent.parent.parent
SECRET = "s3cret"
BOTH = pytest.mark.parametrize("dialect", list(Dialect))
START_5 = {"action": "stream", "function": "start", "stream_ids[0]": "5"}


def ask(node: XtreamNode | XtreamMain, fields: dict[str, str], path: str = "", query: str = "") -> tuple[int, bytes]:
    target = path or PATHS[node.dialect] if isinstance(node, XtreamNode) else path
    connection = http.client.HTTPConnection(node.host, node.port, timeout=60)
    try:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", target + query, urlencode(fields), form)
        answer = connection.getresponse()
        assert answer.getheader("Content-Type") == "text/html"
        return answer.status, answer.read()
    finally:
        connection.close()


def allowed(node: XtreamNode, **fields: str) -> bytes:
    status, body = ask(node, {"password": SECRET, **fields})
    assert status == 200
    return body


@pytest.fixture
def nodes() -> Iterator[dict[Dialect, XtreamNode]]:
    with ExitStack() as stack:
        yield {dialect: stack.enter_context(XtreamNode(dialect, SECRET, name=dialect)) for dialect in Dialect}


@BOTH
def test_starts_and_stops(nodes: dict[Dialect, XtreamNode], dialect: Dialect) -> None:
    node = nodes[dialect]
    start = {"password": SECRET, **START_5}
    assert ask(node, start) == (200, b'{"result":true}')
    first = node.state.streams[5]
    assert ask(node, start) == (200, b'{"result":true}')
    second = node.state.streams[5]
    assert (second.restarts, second.pid == first.pid) == (1, False)
    assert ask(node, {**start, "function": "stop"}) == (200, b'{"result":true}')
    assert ask(node, {**start, "function": "stop", "stream_ids[0]": "999"}) == (200, b'{"result":true}'), "unknown ids"
    assert not node.state.streams
    assert not node.state.processes
    assert ask(node, {"password": SECRET, "action": "stream", "function": "start", "stream_ids": "5"}) == (200, b"")


def test_bad_passwords(nodes: dict[Dialect, XtreamNode]) -> None:
    new, old = nodes[Dialect.XC_NEW], nodes[Dialect.XC_OLD]
    assert ask(old, START_5) == (200, b"")
    status, page = ask(new, START_5)
    assert (status, page[:6]) == (404, b"<html>")
    new.node.debug = True
    assert ask(new, {**START_5, "password": "no"})[0] == 200
    new.node.ban_after = 2
    assert ask(new, {**START_5, "password": SECRET})[0] == 403
    assert not new.state.streams


def test_addresses_and_unknown_actions(nodes: dict[Dialect, XtreamNode]) -> None:
    new, old = nodes[Dialect.XC_NEW], nodes[Dialect.XC_OLD]
    assert allowed(old, action="nope") == b'{"main_fetch":true}'
    assert allowed(new, action="nope") == b'{"result":false}'
    old.node.admits = new.node.admits = False
    assert ask(old, {"password": SECRET}) == (200, b'{"main_fetch":false}')
    assert ask(new, {"password": SECRET})[0] == 404
    assert ask(new, {"password": SECRET}, "/system_api.php")[0] == 404


def test_killing(nodes: dict[Dialect, XtreamNode]) -> None:
    new, old = nodes[Dialect.XC_NEW], nodes[Dialect.XC_OLD]
    for node in (new, old):
        node.state.add_process(4242)
    assert allowed(new, action="kill_pid", pid="4242") == b'{"result":true}'
    assert allowed(new, action="kill_pid", pid="4242") == b'{"result":true}', "also when it is gone"
    assert allowed(new, action="kill_pid", pid="0") == b'{"result":false}'
    assert allowed(old, **{"action": "BackgroundCLI", "cmds[0]": "kill -9 4242"}) == b"[null]"
    assert allowed(old, action="BackgroundCLI", cmds="kill -9 1") == b""
    assert 4242 not in new.state.processes
    assert 4242 not in old.state.processes


def test_a_killed_encoder_comes_back_unless_its_monitor_is_gone(nodes: dict[Dialect, XtreamNode]) -> None:
    node = nodes[Dialect.XC_NEW]
    node.state.start_stream(5)
    stream = node.state.streams[5]
    pid = stream.pid
    allowed(node, action="kill_pid", pid=str(pid))
    assert stream.pid != pid
    assert stream.pid in node.state.processes
    allowed(node, action="kill_pid", pid=str(stream.monitor_pid))
    allowed(node, action="kill_pid", pid=str(stream.pid))
    assert not node.state.processes


@BOTH
def test_films_lose_exactly_their_own_files(nodes: dict[Dialect, XtreamNode], dialect: Dialect) -> None:
    node = nodes[dialect]
    node.state.hold_files("6.mp4", "6.srt", "61.mp4")
    assert allowed(node, **{"action": "vod", "function": "stop", "stream_ids[0]": "6"}) == b'{"result":true}'
    assert node.state.files == {"61.mp4"}
    assert allowed(node, **{"action": "vod", "function": "start", "stream_ids[0]": "7"}) == b'{"result":true}'
    assert node.state.files == {"61.mp4", "7.mp4"}


@BOTH
def test_questions(nodes: dict[Dialect, XtreamNode], dialect: Dialect) -> None:
    node = nodes[dialect]
    node.node.skew = 100
    assert int(allowed(node, action="getDiff", main_time=str(int(time.time())))) in (99, 100, 101)
    node.state.add_process(7, command="ffmpeg x")
    asked = {"action": "pidsAreRunning", "pids[0]": "7", "pids[1]": "8", "program": "ffmpeg"}
    assert allowed(node, **asked) == b'{"7":true,"8":false}'
    assert allowed(node, action="stats").startswith(b'{"cpu":')
    if dialect is Dialect.XC_NEW:
        assert b"xtreamcodes 7 " in allowed(node, action="get_pids")


def test_query_and_form_are_one_and_the_record_tells_secrets_in_urls(nodes: dict[Dialect, XtreamNode]) -> None:
    node = nodes[Dialect.XC_NEW]
    assert ask(node, START_5, query=f"?password={SECRET}") == (200, b'{"result":true}')
    assert node.calls == ["POST stream/start/5"]
    assert node.secret_in_urls == [f"/api.php?password={SECRET}"]


def test_faults_and_same_ids_from_one_seed() -> None:
    with XtreamNode(secret=SECRET) as one, XtreamNode(secret=SECRET) as two:
        for node in (one, two):
            allowed(node, **START_5)
        assert one.state.streams == two.state.streams
        one.fail("stream/stop/*", rejected())
        assert allowed(one, **{**START_5, "function": "stop"}) == b'{"result":false}'
        assert 5 in one.state.streams
        one.fail("*", Refuse())
        with pytest.raises(ConnectionError):
            allowed(one, **START_5)
        one.forget()
        assert allowed(one, **START_5) == b'{"result":true}'


def test_the_main_server_passes_on_and_always_says_true(nodes: dict[Dialect, XtreamNode]) -> None:
    new, old = nodes[Dialect.XC_NEW], nodes[Dialect.XC_OLD]
    old.fail("*", rejected())
    with XtreamMain({1: new, 2: old}, "key") as main:
        fields = {"action": "stream", "sub": "start", "stream_ids[0]": "5", "servers[0]": "1"}
        assert ask(main, fields, "/admin/api") == (200, b'{"result":false,"0":"KEY WRONG"}')
        fields["api_pass"] = "key"
        assert ask(main, fields, "/admin/api") == (200, b'{"result":true}')
        assert (new.calls, old.calls) == (["POST stream/start/5"], [])
        assert ask(main, {**fields, "servers[0]": "2"}, "/api.php") == (200, b'{"result":true}')
        assert not old.state.streams
        main.control.admits = ()
        assert ask(main, fields, "/api.php") == (200, b'{"result":false,"0":"IP FORBIDDEN"}')


def test_it_starts_from_the_command_line() -> None:
    command = [sys.executable, "-m", "simulators.xtream_node", "--port", "0", "--dialect", "xc_old"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/system_api\.php\n", process.stdout.readline())
        finally:
            process.terminate()
            assert process.wait(60) == 0
