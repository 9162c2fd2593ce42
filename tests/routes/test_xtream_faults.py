"""What the Xtream API answers, and what is stored, when nodes fail in every way. Source: contract chapter 95 §10."""

import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa

from core.xtream import pending
from core.xtream.store import store
from simulators.faults import Answer, Cut, Delay, Fault, HangUp, Huge, Reset, Trickle
from simulators.portal.faults import redirect, server_error
from simulators.wire import Response
from simulators.xtream_node.server import answering, rejected
from tests.conftest import MakeWorld
from tests.worlds.xtream import NEW, OLD, Xtream, no, xtream_world

UNAVAILABLE = no(8, "Streaming server is not available")
REFUSED = no(8, "Streaming server refused the command")


@pytest.fixture
def own(make_world: MakeWorld) -> Iterator[Xtream]:
    with xtream_world(make_world, "own sqlite") as xtream:
        _hurry(xtream)
        yield xtream


def _hurry(xtream: Xtream) -> None:
    for server in (1, 2):
        xtream.set_control(server, read_timeout=1)


@pytest.fixture(params=["own sqlite", "own mariadb", NEW, OLD])
def xtream(request: pytest.FixtureRequest, make_world: MakeWorld) -> Iterator[Xtream]:
    with xtream_world(make_world, request.param) as xtream:
        _hurry(xtream)
        yield xtream


class Case(NamedTuple):
    """``times``: how often a start reaches the node; ``stops``: how often a stop does, which may be repeated."""

    fault: Fault
    answer: Any
    trouble: str
    times: int = 1
    stops: int = 1


FAULTS = {
    "slow": Case(Delay(30), UNAVAILABLE, "timeout"),
    "drop by drop": Case(Trickle(0.3), UNAVAILABLE, "timeout"),
    "closed before reading": Case(HangUp(), UNAVAILABLE, "refused", stops=2),
    "closed after the effect": Case(HangUp(effect=True), UNAVAILABLE, "refused", stops=2),
    "reset": Case(Reset(), UNAVAILABLE, "refused", stops=2),
    "half an answer": Case(Cut(), UNAVAILABLE, "refused", stops=2),
    "500": Case(server_error(), UNAVAILABLE, "http_status"),
    "no JSON": Case(Answer(Response(b"<br /><b>Fatal error</b>")), UNAVAILABLE, "bad_json"),
    "2 MiB": Case(Huge(2 * 1024 * 1024), UNAVAILABLE, "bad_json"),
    "result false": Case(rejected(), REFUSED, "rejected"),
    "result a text": Case(answering({"result": "true"}), UNAVAILABLE, "bad_json"),
    "result a number": Case(answering({"result": 1}), UNAVAILABLE, "bad_json"),
    "a list": Case(answering([True]), UNAVAILABLE, "bad_json"),
    "unknown to it": Case(answering({"main_fetch": True}), UNAVAILABLE, "unsupported"),
    "does not let us in": Case(answering({"main_fetch": False}), UNAVAILABLE, "auth"),
    "not found": Case(Answer(Response(b"<html>", 404)), UNAVAILABLE, "auth"),
    "banned": Case(Answer(Response(b"<html>", 403)), UNAVAILABLE, "auth"),
    "redirect": Case(redirect("http://127.0.0.1:9/"), UNAVAILABLE, "http_status"),
}


@pytest.mark.parametrize("case", FAULTS.values(), ids=FAULTS)
def test_a_start_is_never_sent_twice_and_a_stop_at_most_twice(own: Xtream, case: Case) -> None:
    own.a.fail("*", case.fault, times=None)
    began = time.monotonic()
    assert own.answer("root", "action=stream&sub=start&stream_id=5&server_id=1") == case.answer
    assert own.a.calls == ["POST stream/start/5"] * case.times
    assert own.answer("root", "action=stream&sub=stop&stream_id=5&server_id=1") == case.answer
    assert own.a.calls[case.times :] == ["POST stream/stop/5"] * case.stops
    assert time.monotonic() - began < 18
    assert [row["error_class"] for row in own.log] == [case.trouble] * 2
    assert own.rows("assignments", stream_id=5)[0]["stream_started"] is None, "nothing is noted as running"


# a list is what the older nodes answer to a kill
KILL_FAULTS = {name: case for name, case in FAULTS.items() if name != "a list"}


@pytest.mark.parametrize("case", KILL_FAULTS.values(), ids=KILL_FAULTS)
def test_a_connection_stays_listed_unless_its_end_was_confirmed(own: Xtream, case: Case) -> None:
    own.b.fail("*", case.fault, times=None)
    answer = own.answer("resb", "action=user_activity&sub=kill&pid=4242")
    assert answer["code"] == 8
    assert own.live == [1, 2, 3, 4]
    assert own.b.calls == ["POST BackgroundCLI/kill -9 4242"], "the number may be another process's by now"


def test_the_default_timeouts_keep_the_deadline(own: Xtream) -> None:
    own.set_control(1, read_timeout=None)
    own.set_control(2, read_timeout=None)
    own.a.fail("*", Delay(30), times=None)
    own.b.fail("*", Delay(30), times=None)
    began = time.monotonic()
    answer = own.answer("root", "action=stream&sub=stop&stream_id=5&server_id=-1")
    assert answer == no(8, "Command failed on server 1, 2", failed_servers=[1, 2])
    assert time.monotonic() - began < 18


def test_one_deadline_for_many_connections(own: Xtream) -> None:
    own.set_control(2, read_timeout=9)
    own.insert(
        "live",
        *(
            {"activity_id": 100 + n, "user_id": 101, "server_id": 2, "pid": 9000 + n, "container": "ts"}
            for n in range(20)
        ),
    )
    own.b.fail("*", Delay(30), times=None)
    began = time.monotonic()
    answer = own.answer("resa", "action=user&sub=kill&user_id=101")
    assert time.monotonic() - began < 18
    assert answer == no(8, "Command failed on server 2", failed_servers=[2])
    assert 1 not in own.live, "what was closed stays closed"
    assert len(own.live) == 22


@pytest.mark.one_process("each finds out by itself that a node is down")
def test_the_breaker(own: Xtream) -> None:
    own.a.stop_listening()
    start = "action=stream&sub=start&stream_id=5&server_id=1"
    for _ in range(3):
        assert own.answer("root", start) == UNAVAILABLE
    own.a.listen()
    assert own.answer("root", start) == UNAVAILABLE
    assert own.a.calls == []
    assert [row["error_class"] for row in own.log] == ["refused"] * 3 + ["paused"]


def test_nothing_configured(xtream: Xtream) -> None:
    xtream.set_control(1, secret=None)
    xtream.set_control(2, enabled=0)
    for server in (1, 2):
        assert xtream.answer("root", f"action=stream&sub=start&stream_id=5&server_id={server}") == UNAVAILABLE
    assert xtream.answer("root", "action=user&sub=disable&user_id=101") is True
    assert xtream.a.calls == xtream.b.calls == []
    xtream.world.execute("DELETE FROM _sbx_xt_server_control")
    assert xtream.answer("root", "action=process&server=1&pid=777") == UNAVAILABLE
    if xtream.is_bound:
        xtream.update(
            "settings", {"id": 1}, live_streaming_pass=xtream.a.secret if xtream.mode == NEW else xtream.b.secret
        )
        server = 1 if xtream.mode == NEW else 2
        assert xtream.answer("root", f"action=process&server={server}&pid=777") is True, "its own family and secret"


# deletions


@pytest.mark.parametrize(
    ("action", "stream", "fault"),
    [("stream", 5, rejected()), ("stream", 5, HangUp()), ("movie", 9, Delay(30)), ("movie", 9, server_error())],
)
def test_a_deletion_is_whole_and_the_stop_follows(xtream: Xtream, action: str, stream: int, fault: Fault) -> None:
    xtream.a.fail("*", fault, times=None)
    kind = "vod" if action == "movie" else action
    assert xtream.answer("root", f"action={action}&sub=delete&stream_id={stream}&server_id=-1") is True
    assert xtream.rows("streams", id=stream) == xtream.rows("assignments", stream_id=stream) == []
    assert xtream.pending == [(1, f"{kind}_stop", stream)]
    xtream.a.forget()
    with xtream.world.later(6):
        assert pending.deliver_due(xtream.panel) == 1
    assert xtream.a.calls == [f"POST {kind}/stop/{stream}"]
    assert xtream.pending == []


@pytest.mark.one_process("the statements of one are made to fail")
def test_a_rolled_back_deletion_leaves_no_stop_behind(xtream: Xtream) -> None:
    """The database fails in the middle of the deletion: nothing is half deleted, and the stream goes on."""
    xtream.a.fail("*", rejected(), times=None)
    before = (xtream.rows("streams"), xtream.rows("assignments"), xtream.rows("bouquets"))
    engine, table = store(xtream.panel).database.engine, xtream.tables.streams.name

    def fail(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if re.match(rf"DELETE FROM [`\"]?{table}[`\"]? WHERE", statement):
            raise sa.exc.OperationalError(statement, {}, Exception("gone"))

    sa.event.listen(engine, "before_cursor_execute", fail)
    try:
        response = xtream.ask("root", "action=movie&sub=delete&stream_id=6&server_id=1")
        assert response.json()["result"] is False
    finally:
        sa.event.remove(engine, "before_cursor_execute", fail)
    assert (xtream.rows("streams"), xtream.rows("assignments"), xtream.rows("bouquets")) == before
    xtream.a.forget()
    with xtream.world.later(6):
        assert pending.deliver_due(xtream.panel) == 0
    assert xtream.a.calls == []
    assert xtream.pending == [], "a stream that is assigned is not stopped behind anybody's back"
