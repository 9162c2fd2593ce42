"""The client of streaming nodes against the simulated ones: what is sent, what counts as done, and when calls stop."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from pydantic import SecretStr

from core.xtream.node_client import (
    START,
    STOP,
    STREAM,
    XC_NEW,
    XC_OLD,
    Breaker,
    NodeClient,
    NodeFailed,
    NodeSettings,
    Trouble,
)
from simulators.faults import Delay
from simulators.xtream_node.server import XtreamMain, XtreamNode

SECRET = "s3cret"


def settings_of(node: XtreamNode | XtreamMain, dialect: str, **changes: object) -> NodeSettings:
    settings = NodeSettings(1, dialect, "http", "127.0.0.1", node.port, SecretStr(SECRET), read_seconds=1)
    return replace(settings, **changes)  # type: ignore[arg-type]


@pytest.fixture(params=[XC_NEW, XC_OLD])
def node(request: pytest.FixtureRequest) -> Iterator[XtreamNode]:
    with XtreamNode(request.param, SECRET) as node:
        yield node


@pytest.fixture
def client(node: XtreamNode) -> Iterator[NodeClient]:
    client = NodeClient(settings_of(node, node.dialect))
    yield client
    client.close()


def soon(seconds: float = 5) -> float:
    return time.monotonic() + seconds


def test_calls_do_what_they_say(node: XtreamNode, client: NodeClient) -> None:
    node.state.add_process(4242)
    client.carry_out(STREAM, START, 5, soon())
    assert 5 in node.state.streams
    client.carry_out(STREAM, STOP, 5, soon())
    assert 5 not in node.state.streams
    client.kill(4242, soon())
    assert 4242 not in node.state.processes
    node.node.skew = 60
    assert abs(client.clock_difference(int(time.time()), soon()) - 60) <= 1
    assert node.secret_in_urls == []
    assert {request.headers["user-agent"] for request in node.requests} == {"showbox-server"}
    assert all("cookie" not in request.headers for request in node.requests)


def test_environment_proxies_are_not_asked(node: XtreamNode, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    client = NodeClient(settings_of(node, node.dialect))
    client.carry_out(STREAM, START, 5, soon())
    client.close()


def test_the_deadline_ends_a_call_before_its_timeout(node: XtreamNode) -> None:
    client = NodeClient(settings_of(node, node.dialect, read_seconds=5))
    node.fail("*", Delay(30))
    began = time.monotonic()
    with pytest.raises(NodeFailed) as raised:
        client.carry_out(STREAM, START, 5, soon(0.3))
    assert time.monotonic() - began < 4.5
    assert raised.value.trouble is Trouble.TIMEOUT
    assert raised.value.was_sent
    with pytest.raises(NodeFailed):
        client.carry_out(STREAM, START, 5, soon(-1))
    client.close()


def test_a_plain_server_where_tls_is_expected(node: XtreamNode) -> None:
    client = NodeClient(settings_of(node, node.dialect, scheme="https"))
    with pytest.raises(NodeFailed) as raised:
        client.carry_out(STREAM, START, 5, soon())
    assert (raised.value.trouble, raised.value.was_sent) == (Trouble.TLS, False)
    assert node.requests == []
    client.close()


def test_the_breaker_opens_after_three_and_one_probe_closes_it(
    node: XtreamNode, client: NodeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.stop_listening()
    for _ in range(Breaker.FAILURES):
        with pytest.raises(NodeFailed) as raised:
            client.carry_out(STREAM, START, 5, soon())
        assert raised.value.trouble is Trouble.REFUSED
    node.listen()
    with pytest.raises(NodeFailed) as raised:
        client.carry_out(STREAM, START, 5, soon())
    assert raised.value.trouble is Trouble.PAUSED
    monkeypatch.setattr(client._breaker, "_open_until", time.monotonic())
    client.carry_out(STREAM, START, 5, soon())
    client.carry_out(STREAM, STOP, 5, soon())
    assert node.calls == ["POST getDiff", "POST stream/start/5", "POST stream/stop/5"]


def test_only_one_of_many_probes(node: XtreamNode, client: NodeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    node.stop_listening()
    for _ in range(Breaker.FAILURES):
        with pytest.raises(NodeFailed):
            client.carry_out(STREAM, START, 5, soon())
    node.listen()
    node.node.latency = 0.3
    monkeypatch.setattr(client._breaker, "_open_until", time.monotonic())
    troubles: list[Trouble | None] = []

    def start() -> None:
        try:
            client.carry_out(STREAM, START, 5, soon())
        except NodeFailed as error:
            troubles.append(error.trouble)
        else:
            troubles.append(None)

    threads = [threading.Thread(target=start) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, troubles)) == ["None", *["paused"] * 4]


def test_an_answer_ends_the_count(node: XtreamNode, client: NodeClient) -> None:
    for _ in range(2 * Breaker.FAILURES):
        node.stop_listening()
        with pytest.raises(NodeFailed) as raised:
            client.carry_out(STREAM, START, 5, soon())
        assert raised.value.trouble is Trouble.REFUSED
        node.listen()
        client.carry_out(STREAM, START, 5, soon())


def test_through_the_main_server(node: XtreamNode) -> None:
    with XtreamMain({1: node}, "key") as main:
        settings = settings_of(main, node.dialect, via_main=True, secret=SecretStr("key"))
        client = NodeClient(settings)
        client.carry_out(STREAM, START, 5, soon())
        assert 5 in node.state.streams
        [request] = main.requests
        assert request.path == ("/admin/api" if node.dialect == XC_NEW else "/api.php")
        assert request.fields == {
            "action": "stream", "sub": "start", "stream_ids": ["5"], "servers": ["1"], "api_pass": "key",
        }  # fmt: skip
        client.close()
        wrong = NodeClient(replace(settings, secret=SecretStr("no")))
        with pytest.raises(NodeFailed) as raised:
            wrong.carry_out(STREAM, START, 5, soon())
        assert raised.value.trouble is Trouble.AUTH
        wrong.close()


def test_settings_tell_no_secret_and_an_incomplete_server_is_not_called(node: XtreamNode) -> None:
    settings = settings_of(node, node.dialect)
    assert SECRET not in repr(settings)
    assert SECRET not in settings.url
    assert replace(settings, host="::1").url.startswith("http://[::1]:")
    for changes in ({"enabled": False}, {"secret": SecretStr("")}, {"host": ""}, {"port": 0}):
        client = NodeClient(replace(settings, **changes))
        with pytest.raises(NodeFailed) as raised:
            client.kill(4242, soon())
        assert raised.value.trouble is Trouble.NOT_CONFIGURED
        client.close()
    assert node.requests == []
