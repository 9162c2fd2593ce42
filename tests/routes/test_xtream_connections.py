"""Open connections and shared databases beyond the golden cases: RTMP, HLS by name, Redis, signals to nodes, main.

Source: contract chapter 95 §8.1, §8.3, §9, §10.4 and §16.10.
"""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from core.jobs.locks import named_lock
from core.xtream import polling
from core.xtream.node_client import START, STREAM, NodeFailed, Trouble
from core.xtream.nodes import Command, nodes
from core.xtream.registry import read_nodes
from simulators.xtream_node.server import XtreamMain
from tests.conftest import MakeWorld
from tests.worlds.xtream import NEW, OLD, SECRETS, Xtream, no, xtream_world

MODES = ("own sqlite", NEW, OLD)
REFUSED = no(8, "Streaming server refused the command")


@pytest.fixture(params=MODES)
def xtream(request: pytest.FixtureRequest, make_world: MakeWorld) -> Iterator[Xtream]:
    with xtream_world(make_world, request.param) as xtream:
        yield xtream


@pytest.fixture
def own(make_world: MakeWorld) -> Iterator[Xtream]:
    with xtream_world(make_world, "own sqlite") as xtream:
        yield xtream


def _open(xtream: Xtream, id: int, container: str, pid: int | None, server: int = 1) -> None:
    xtream.insert("live", {"activity_id": id, "user_id": 102, "server_id": server, "pid": pid, "container": container})


def test_rtmp_needs_a_database_that_the_node_reads(xtream: Xtream) -> None:
    _open(xtream, 50, "rtmp", 9)
    answer = xtream.answer("root", "action=user_activity&sub=kill&activity_id=50")
    assert xtream.a.calls == []
    if not xtream.is_bound:
        assert answer == REFUSED
        assert 50 in xtream.live
        return
    assert answer is True
    assert 50 not in xtream.live
    [signal] = xtream.rows("signals")
    assert (signal["pid"], signal["server_id"], signal["rtmp"]) == (9, 1, 1)


def test_hls_by_any_name_and_rows_without_a_process(xtream: Xtream) -> None:
    for id, container, pid in ((50, "hls", 600), (51, "ts (HLS)", 600), (52, "ts", None), (53, "ts", 1), (54, "ts", 0)):
        _open(xtream, id, container, pid)
    assert xtream.answer("root", "action=user&sub=kill&user_id=102") is True
    assert xtream.live == [1, 2, 3, 4]
    assert xtream.a.calls == [], "their process, if they name one, is a worker of others too"


def test_one_process_of_two_connections_is_killed_once(xtream: Xtream) -> None:
    _open(xtream, 50, "ts", 700)
    _open(xtream, 51, "ts", 700)
    assert xtream.answer("resa", "action=user&sub=kill&user_id=102") is True
    assert xtream.a.calls == ["POST kill_pid/700"]
    assert xtream.live == [1, 2, 3, 4]


def test_some_of_several_fail(xtream: Xtream) -> None:
    _open(xtream, 50, "ts", 700)
    _open(xtream, 51, "ts", 701, server=2)
    _open(xtream, 52, "hls", None)
    xtream.b.node.admits = False
    answer = xtream.answer("resa", "action=user&sub=kill&user_id=102")
    assert answer == no(8, "Command failed on server 2", failed_servers=[2])
    assert xtream.live == [1, 2, 3, 4, 51]


def test_a_line_is_deleted_although_its_connections_stay(xtream: Xtream) -> None:
    xtream.a.node.admits = xtream.b.node.admits = False
    assert xtream.answer("root", "action=user&sub=delete&user_id=101") is True
    assert xtream.rows("lines", id=101) == []
    assert xtream.live == [1, 2, 4], "what ended by itself is gone"


def test_two_delete_at_once(xtream: Xtream) -> None:
    answers: list[Any] = []

    def delete(server: int) -> None:
        answers.append(xtream.answer("root", f"action=stream&sub=delete&stream_id=5&server_id={server}"))

    xtream.client("root")
    threads = [threading.Thread(target=delete, args=(server,)) for server in (1, 2, -1, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 4
    assert xtream.rows("streams", id=5) == xtream.rows("assignments", stream_id=5) == []
    assert xtream.rows("bouquets")[0]["bouquet_channels"] == "[6,7,8]"


def test_connections_in_redis_are_not_guessed_at(make_world: MakeWorld) -> None:
    with xtream_world(make_world, NEW) as xtream:
        xtream.update("settings", {"id": 1}, redis_handler="1")
        text = "This panel keeps its connections in Redis; they cannot be closed from here"
        for query in ("action=user&sub=kill&user_id=101", "action=user_activity&sub=kill&pid=4242"):
            assert xtream.answer("root", query) == no(8, text)
        assert xtream.answer("root", "action=user&sub=delete&user_id=101") is True
        assert xtream.answer("root", "action=process&server=1&pid=4242") is True
        assert len(xtream.live) == 4


def test_nodes_that_keep_lines_are_told(make_world: MakeWorld) -> None:
    with xtream_world(make_world, NEW) as xtream:
        assert xtream.answer("root", "action=user&sub=disable&user_id=101") is True
        assert xtream.rows("signals") == []
        xtream.update("settings", {"id": 1}, enable_cache="1")
        assert xtream.answer("root", "action=user&sub=enable&user_id=101") is True
        [signal] = xtream.rows("signals")
        assert (signal["server_id"], signal["cache"], signal["custom_data"]) == (
            1,
            1,
            '{"type":"update_line","id":101}',
        )


@pytest.mark.parametrize("mode", MODES)
def test_through_the_main_server(make_world: MakeWorld, mode: str) -> None:
    settings = {"SHOWBOX_XTREAM_VIA_MAIN": "yes", "SHOWBOX_XTREAM_API_PASS": "main-key"}
    with xtream_world(make_world, mode, **settings) as xtream:
        with XtreamMain({1: xtream.a, 2: xtream.b}, "main-key") as main:
            xtream.set_control(1, port=main.port)
            assert xtream.answer("root", "action=stream&sub=start&stream_id=5&server_id=-1") is True
            assert sorted(main.calls) == ["POST stream/start/5/1", "POST stream/start/5/2"]
            assert 5 in xtream.a.state.streams
            assert 5 in xtream.b.state.streams
            assert not any(secret in repr(main.requests) for secret in SECRETS.values())
        assert xtream.answer("root", "action=process&server=2&pid=777") is True, "kills go to the node itself"
        assert xtream.b.calls[-1] == "POST BackgroundCLI/kill -9 777"


def test_other_processes_are_kept_apart_by_a_lock(own: Xtream) -> None:
    settings = read_nodes(own.panel, [1])[1]
    with named_lock(own.panel, "xtream 1/5"), pytest.raises(NodeFailed) as raised:
        nodes(own.panel).send(settings, Command(START, 5, STREAM), time.monotonic() + 0.3)
    assert (raised.value.trouble, raised.value.was_sent) == (Trouble.TIMEOUT, False)
    assert own.a.calls == []
    nodes(own.panel).send(settings, Command(START, 5, STREAM), time.monotonic() + 5)
    assert own.a.calls == ["POST stream/start/5"]


def test_looking_at_the_servers(own: Xtream) -> None:
    own.b.node.admits = False
    assert polling.look(own.panel) == 3
    rows = {row["id"]: row for row in own.rows("servers")}
    assert [rows[id]["status"] for id in (1, 2, 3)] == [polling.ONLINE, polling.FAILED, polling.FAILED]
    assert abs(rows[1]["last_check_ago"] - own.panel.clock.stamp()) < 60
    classes = own.world.rows(sa.text("SELECT last_error_class FROM _sbx_xt_server_control ORDER BY server_id"))
    assert [row["last_error_class"] for row in classes] == [None, "auth", "refused"]
    assert own.a.calls == ["POST getDiff"]


def test_what_is_logged(own: Xtream) -> None:
    own.answer("root", "action=stream&sub=start&stream_id=5&server_id=-1")
    own.answer("root", "action=stream&sub=start&stream_id=99&server_id=1")
    own.answer("resa", "action=user&sub=disable&user_id=104")
    own.answer("resa", "action=stream&sub=start&stream_id=5&server_id=1")
    shown = [
        (row["username"], row["action"], row["sub"], row["target"], row["server_id"], row["outcome"], row["client_ip"])
        for row in own.log
    ]
    assert shown == [
        ("root", "stream", "start", "5", -1, "done", "127.0.0.1"),
        ("root", "stream", "start", "99", 1, "Stream not found", "127.0.0.1"),
        ("resa", "user", "disable", "104", None, "Permission denied", "127.0.0.1"),
    ]
