"""The golden cases of contract chapter 95 §14, in own mode on each database in turn and bound to both families."""

import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from core.storage.tables.secret_columns import streaming_server_place
from simulators.faults import Delay
from simulators.portal.faults import redirect
from simulators.xtream_node.server import rejected
from tests.conftest import MakeWorld
from tests.worlds.harness import legacy_hash
from tests.worlds.xtream import MODES, OK, SECRETS, Xtream, no, xtream_world

START = "action=stream&sub=start&stream_id=5&server_id=1"
DENIED = no(3, "Permission denied")
NOT_LOGGED_IN = no(2, "Not logged in")
UNAVAILABLE = no(8, "Streaming server is not available")
SUB = no(6, "Unknown sub-action")


@pytest.fixture(params=MODES)
def xtream(request: pytest.FixtureRequest, make_world: MakeWorld) -> Iterator[Xtream]:
    with xtream_world(make_world, request.param) as xtream:
        yield xtream


class Case(NamedTuple):
    """``asks``: query → what is answered, one after the other; ``a`` and ``b``: the calls that the nodes got."""

    who: str | None
    asks: list[tuple[str, Any]]
    a: tuple[str, ...] = ()
    b: tuple[str, ...] = ()


def _user(sub: str, *answers: tuple[int, Any]) -> list[tuple[str, Any]]:
    return [(f"action=user&sub={sub}&user_id={id}", answer) for id, answer in answers]


CASES = {
    "G-01 nobody": Case(None, [(START, NOT_LOGGED_IN)]),
    "G-03 no and unknown action": Case(
        "root", [("", no(6, "Unknown action")), ("action=nope", no(6, "Unknown action"))]
    ),
    "G-04 no and unknown sub": Case(
        "root",
        [("action=stream&stream_id=5&server_id=1", SUB), ("action=stream&stream_id=5&server_id=1&sub=START", SUB)],
    ),
    "G-05 start": Case("root", [(START, True)], ("POST stream/start/5",)),
    "G-06 restart is start": Case("root", [(START.replace("start", "restart"), True)], ("POST stream/start/5",)),
    "G-07 stop": Case("root", [("action=stream&sub=stop&stream_id=5&server_id=2", True)], (), ("POST stream/stop/5",)),
    "G-08 everywhere": Case(
        "root",
        [("action=stream&sub=start&stream_id=5&server_id=-1", True)],
        ("POST stream/start/5",),
        ("POST stream/start/5",),
    ),
    "G-12 not assigned, not a stream": Case(
        "root",
        [
            ("action=stream&sub=start&stream_id=5&server_id=3", no(4, "Stream is not assigned to this server")),
            ("action=stream&sub=start&stream_id=6&server_id=1", no(4, "Stream not found")),
        ],
    ),
    "G-13 bad ids": Case(
        "root",
        [
            (f"action=stream&sub=start&server_id=1{more}", no(6, "Invalid stream_id"))
            for more in ("&stream_id=abc", "&stream_id=5%20OR%201=1", "&stream_id[]=5", "", "&stream_id=5&stream_id=5")
        ],
    ),
    "G-18 restricted admin": Case(
        "vodop",
        [(START, DENIED), ("action=movie&sub=start&stream_id=6&server_id=1", True)],
        ("POST vod/start/6",),
    ),
    "G-19 movie stop": Case("vodop", [("action=movie&sub=stop&stream_id=6&server_id=1", True)], ("POST vod/stop/6",)),
    "G-20 episode stop stops": Case(
        "vodop", [("action=episode&sub=stop&stream_id=8&server_id=2", True)], (), ("POST vod/stop/8",)
    ),
    "G-23 movies know no restart": Case("vodop", [("action=movie&sub=restart&stream_id=6&server_id=1", SUB)]),
    "G-24 resellers": Case("resa", [(START, DENIED), ("action=process&server=1&pid=4242", DENIED)]),
    "G-31 kill without connections": Case("root", [("action=user&sub=kill&user_id=102", True)]),
    "G-33 others' connections": Case(
        "resa", [(f"action=user_activity&sub=kill&pid={pid}", DENIED) for pid in (5151, 9)]
    ),
    "G-34 connections of nobody": Case(
        "root",
        [
            ("action=user_activity&sub=kill&pid=9", no(4, "Connection not found")),
            ("action=user_activity&sub=kill&pid=", no(6, "Invalid pid")),
            ("action=user_activity&pid=4242", SUB),
        ],
    ),
    "G-35 process": Case("root", [("action=process&pid=777&server=1", True)], ("POST kill_pid/777",)),
    "G-35 process on the older node": Case(
        "root", [("action=process&pid=777&server=2", True)], (), ("POST BackgroundCLI/kill -9 777",)
    ),
    "G-36 bad processes": Case(
        "root",
        [
            ("action=process&server=55&pid=777", no(4, "Server not found")),
            *((f"action=process&server=1&pid={pid}", no(6, "Invalid pid")) for pid in ("0", "1", "-1", "1;id")),
        ],
    ),
    "G-37 observer": Case(
        "watcher",
        [
            (query, DENIED)
            for query in (
                START,
                "action=movie&sub=start&stream_id=6&server_id=1",
                "action=episode&sub=stop&stream_id=8&server_id=2",
                "action=user&sub=enable&user_id=101",
                "action=user_activity&sub=kill&pid=4242",
                "action=process&server=1&pid=777",
            )
        ],
    ),
    "bad servers": Case(
        "root",
        [
            ("action=stream&sub=start&stream_id=5&server_id=0", no(6, "Invalid server_id")),
            ("action=stream&sub=start&stream_id=5&server_id=", no(6, "Invalid server_id")),
            ("action=stream&sub=start&stream_id=5&server_id=x", no(6, "Invalid server_id")),
            ("action=stream&sub=start&stream_id=5&server_id=-2", no(6, "Invalid server_id")),
            ("action=stream&sub=start&stream_id=5&server_id=55", no(4, "Server not found")),
            ("action=stream&sub=delete&stream_id=5&server_id=-2", no(6, "Invalid server_id")),
            ("action=stream&sub=delete&stream_id=5&server_id=0", no(6, "Invalid server_id")),
            ("action=movie&sub=start&stream_id=6&server_id=2", no(4, "Movie is not assigned to this server")),
            ("action=episode&sub=start&stream_id=8&server_id=1", no(4, "Episode is not assigned to this server")),
            ("action=stream&sub=start&stream_id=7&server_id=-1", no(4, "Stream is not assigned to this server")),
        ],
    ),
    "delete asks for the type": Case(
        "root",
        [
            ("action=stream&sub=delete&stream_id=6&server_id=1", no(4, "Stream not found")),
            ("action=movie&sub=delete&stream_id=8&server_id=2", no(4, "Movie not found")),
            ("action=episode&sub=delete&stream_id=5&server_id=1", no(4, "Episode not found")),
            ("action=episode&sub=delete&stream_id=999&server_id=1", True),
        ],
    ),
    "what the document does not know": Case(
        "root", [("action=user&sub=create&user_data[username]=x&user_data[bouquet][]=1", SUB)]
    ),
    "public scripts of the streaming port": Case(
        None, [("action=stream&sub=start&stream_ids[]=51", NOT_LOGGED_IN), ("action=server&sub=list", NOT_LOGGED_IN)]
    ),
}


# whose statements no other case sends
ON_EVERY_KIND = {"bad servers"}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=name, marks=[pytest.mark.every_kind] if name in ON_EVERY_KIND else [])
        for name, case in CASES.items()
    ],
)
def test_golden(xtream: Xtream, case: Case) -> None:
    for query, expected in case.asks:
        assert xtream.answer(case.who, query) == expected, query
    assert (tuple(xtream.a.calls), tuple(xtream.b.calls)) == (case.a, case.b)
    assert xtream.a.secret_in_urls == xtream.b.secret_in_urls == []


def test_raw_bodies(xtream: Xtream) -> None:
    assert xtream.body("root", START) == OK == b'{"result":true,"error":0,"err_msg":""}'
    assert xtream.body(None, START) == (
        b'{"result":false,"error":1,"err_msg":"Not logged in","message":"Not logged in","code":2}'
    )
    assert xtream.body("resa", START) == (
        b'{"result":false,"error":1,"err_msg":"Permission denied","message":"Permission denied","code":3}'
    )
    xtream.b.fail("*", rejected())
    assert xtream.body("root", START[:-1] + "-1") == (
        b'{"result":false,"error":1,"err_msg":"Command failed on server 2","message":"Command failed on server 2",'
        b'"code":8,"failed_servers":[2]}'
    )


def test_g02_a_hash_from_the_client_means_nothing(xtream: Xtream) -> None:
    root = legacy_hash("root")
    response = xtream.ask(None, f"{START}&hash={root}", headers={"Cookie": f"hash={root}; PHPSESSID={root}"})
    assert response.json() == NOT_LOGGED_IN
    assert xtream.ask(None, START, method="POST", data={"hash": root}).json() == NOT_LOGGED_IN
    assert xtream.a.calls == []


def test_g05_what_the_node_gets(xtream: Xtream) -> None:
    assert xtream.answer("root", START) is True
    [request] = xtream.a.requests
    assert request.path == "/api.php"
    assert request.fields == {"action": "stream", "function": "start", "stream_ids": ["5"], "password": SECRETS[1]}
    assert xtream.answer("root", "action=stream&sub=stop&stream_id=5&server_id=2") is True
    [request] = xtream.b.requests
    assert request.path == "/system_api.php"
    assert request.fields["function"] == "stop"
    assert "cookie" not in request.headers


def test_g08_all_servers_at_once(xtream: Xtream) -> None:
    xtream.a.node.latency = xtream.b.node.latency = 0.8
    assert xtream.answer("root", START[:-1] + "-1") is True
    [first], [second] = xtream.a.requests, xtream.b.requests
    assert abs(first.at - second.at) < 0.8, "the second began before the first had ended"


def test_g09_one_of_two_refuses(xtream: Xtream) -> None:
    xtream.b.fail("*", rejected())
    assert xtream.answer("root", START[:-1] + "-1") == no(8, "Command failed on server 2", failed_servers=[2])
    assert 5 in xtream.a.state.streams


def test_g10_nothing_listens(xtream: Xtream) -> None:
    began = time.monotonic()
    assert xtream.answer("root", "action=stream&sub=start&stream_id=10&server_id=3") == UNAVAILABLE
    assert time.monotonic() - began < 18


def test_g11_a_slow_node_is_asked_once(xtream: Xtream) -> None:
    xtream.set_control(1, read_timeout=1)
    xtream.a.fail("*", Delay(30), times=None)
    began = time.monotonic()
    assert xtream.answer("root", START) == UNAVAILABLE
    assert time.monotonic() - began < 18
    assert xtream.a.calls == ["POST stream/start/5"]


def test_g14_and_g15_delete_server_by_server(xtream: Xtream) -> None:
    assert xtream.answer("root", "action=stream&sub=delete&stream_id=5&server_id=1") is True
    assert xtream.a.calls == ["POST stream/stop/5"]
    assert [row["server_id"] for row in xtream.rows("assignments", stream_id=5)] == [2]
    assert len(xtream.rows("streams", id=5)) == 1
    assert xtream.rows("bouquets")[0]["bouquet_channels"] == "[5,6,7,8]"
    for _ in range(2):
        assert xtream.answer("root", "action=stream&sub=delete&stream_id=5&server_id=2") is True
    assert xtream.b.calls == ["POST stream/stop/5"]
    assert xtream.rows("streams", id=5) == xtream.rows("assignments", stream_id=5) == []
    assert xtream.rows("bouquets")[0]["bouquet_channels"] == "[6,7,8]"
    assert xtream.rows("bouquets")[0]["bouquet_series"] == "[8]", "ids of series are others"
    assert xtream.pending == []


def test_g16_delete_what_is_on_no_server(xtream: Xtream) -> None:
    assert xtream.answer("root", "action=stream&sub=delete&stream_id=7&server_id=0") is True
    assert xtream.rows("streams", id=7) == []
    assert xtream.a.calls == xtream.b.calls == []


@pytest.mark.every_kind
def test_g17_a_stop_that_cannot_be_delivered_waits(xtream: Xtream) -> None:
    assert xtream.answer("root", "action=stream&sub=delete&stream_id=10&server_id=3") is True
    assert xtream.rows("streams", id=10) == xtream.rows("assignments", stream_id=10) == []
    assert xtream.pending == [(3, "stream_stop", 10)]


def test_g21_a_movie_leaves_one_of_two_servers(xtream: Xtream) -> None:
    assert xtream.answer("vodop", "action=movie&sub=delete&stream_id=9&server_id=1") is True
    assert (xtream.a.calls, xtream.b.calls) == (["POST vod/stop/9"], [])
    assert [row["server_id"] for row in xtream.rows("assignments", stream_id=9)] == [2]
    assert len(xtream.rows("streams", id=9)) == 1


def test_g22_the_last_assignment_of_an_episode(xtream: Xtream) -> None:
    assert xtream.answer("vodop", "action=episode&sub=delete&stream_id=8&server_id=2") is True
    assert xtream.b.calls == ["POST vod/stop/8"]
    assert xtream.rows("streams", id=8) == xtream.rows("episodes") == []
    assert xtream.rows("bouquets")[0]["bouquet_channels"] == "[5,6,7]"


def test_delete_from_all_servers(xtream: Xtream) -> None:
    assert xtream.answer("vodop", "action=movie&sub=delete&stream_id=9&server_id=-1") is True
    assert xtream.a.calls == xtream.b.calls == ["POST vod/stop/9"]
    assert xtream.rows("streams", id=9) == xtream.rows("assignments", stream_id=9) == []


def test_g25_own_lines_and_those_of_direct_sub_resellers(xtream: Xtream) -> None:
    asks = _user("disable", (101, True), (102, True), (103, DENIED), (104, DENIED), (999, DENIED))
    for query, expected in asks:
        assert xtream.answer("resa", query) == expected, query
    assert [row["enabled"] for row in xtream.rows("lines")] == [0, 0, 1, 1]
    assert xtream.answer("resa", "action=user&sub=enable&user_id=101") is True
    assert [row["enabled"] for row in xtream.rows("lines")] == [1, 0, 1, 1]


def test_g26_what_resellers_may_not(xtream: Xtream) -> None:
    before = xtream.rows("lines")
    for sub in ("ban", "unban", "delete", "lockk", "unlockk", "resetispuser"):
        assert xtream.answer("resa", f"action=user&sub={sub}&user_id=101") == DENIED, sub
    assert xtream.rows("lines") == before


@pytest.mark.every_kind
def test_g27_a_reseller_deletes_a_line(xtream: Xtream) -> None:
    assert xtream.answer("resb", "action=user&sub=delete&user_id=104") is True
    assert xtream.rows("lines", id=104) == xtream.rows("outputs") == xtream.rows("mags") == []
    assert xtream.live == [1, 3]
    assert (xtream.a.calls, xtream.b.calls) == (["POST kill_pid/5151"], ["POST BackgroundCLI/kill -9 4242"])
    logs = [xtream.log, *([xtream.rows("user_log")] if xtream.is_bound else [])]
    assert [len(rows) for rows in logs] == [1] * len(logs)
    assert "pw-of-104" not in repr(logs)
    if xtream.is_bound:
        [row] = xtream.rows("user_log")
        assert (row["owner"], row["username"], row["password"], row["type"]) == (20, "line104", "", "delete line")
    assert xtream.answer("resb", "action=user&sub=delete&user_id=104") == DENIED, "gone: a reseller learns nothing"


def test_g28_bans_and_locks(xtream: Xtream) -> None:
    def line() -> tuple[Any, ...]:
        row = xtream.rows("lines", id=101)[0]
        return row["enabled"], row["admin_enabled"], row["is_isplock"], row["isp_desc"]

    steps = {
        "ban": (1, 0, 0, "X"),
        "unban": (1, 1, 0, "X"),
        "lockk": (1, 1, 1, "X"),
        "unlockk": (1, 1, 0, "X"),
        "resetispuser": (1, 1, 0, None),
    }
    for sub, expected in steps.items():
        assert xtream.answer("root", f"action=user&sub={sub}&user_id=101") is True
        assert line() == expected, sub
    assert [(row["sub"], row["outcome"]) for row in xtream.log] == [(sub, "done") for sub in steps]


def test_g29_lines_that_are_not_there(xtream: Xtream) -> None:
    for sub in ("enable", "kill", "ban"):
        assert xtream.answer("root", f"action=user&sub={sub}&user_id=999") == no(4, "User not found")
    assert xtream.answer("root", "action=user&sub=delete&user_id=999") is True


def test_g30_killing_all_of_a_line(xtream: Xtream) -> None:
    assert xtream.answer("resa", "action=user&sub=kill&user_id=101") is True
    assert (xtream.a.calls, xtream.b.calls) == (["POST kill_pid/4242"], [])
    assert xtream.live == [2, 4]
    if xtream.is_bound:
        assert sorted(row["server_id"] for row in xtream.rows("history")) == [1, 2]


def test_g32_the_connection_of_one_server(xtream: Xtream) -> None:
    assert xtream.answer("resb", "action=user_activity&sub=kill&pid=4242") is True
    [request] = xtream.b.requests
    assert request.fields["cmds"] == ["kill -9 4242"]
    assert xtream.a.calls == []
    assert xtream.live == [1, 3, 4]


@pytest.mark.every_kind
def test_an_admin_closes_the_oldest_of_several(xtream: Xtream) -> None:
    assert xtream.answer("root", "action=user_activity&sub=kill&pid=4242") is True
    assert xtream.live == [2, 3, 4]
    assert xtream.answer("root", "action=user_activity&sub=kill&pid=4242&server_id=1") == no(4, "Connection not found")
    assert xtream.answer("root", "action=user_activity&sub=kill&pid=4242&server_id=2") is True
    assert xtream.live == [3, 4]


@pytest.mark.every_kind
def test_hls_is_closed_by_its_activity(xtream: Xtream) -> None:
    assert xtream.answer("resb", "action=user_activity&sub=kill&activity_id=3") == DENIED
    assert xtream.answer("resa", "action=user_activity&sub=kill&activity_id=3") is True
    assert xtream.live == [1, 2, 4]
    assert xtream.a.calls == xtream.b.calls == []
    assert xtream.answer("root", "action=user_activity&sub=kill&activity_id=x") == no(6, "Invalid activity_id")


@pytest.mark.every_kind
def test_a_process_takes_its_traces_along(xtream: Xtream) -> None:
    xtream.update("assignments", {"stream_id": 6, "server_id": 1}, pid=5151, stream_status=0)
    assert xtream.answer("root", "action=process&pid=5151&server=1") is True
    assert xtream.live == [1, 2, 3]
    [row] = xtream.rows("assignments", stream_id=6)
    assert (row["pid"], row["stream_status"]) == (None, 1)


def test_g38_other_sites_and_g39_head(xtream: Xtream) -> None:
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example"},
        {"Sec-Purpose": "prefetch"},
        {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"},  # G-46: the address bar
    ):
        response = xtream.ask("root", START, headers=headers)
        assert (response.status_code, response.json()["result"]) == (403, False), headers
        assert next(iter(response.json())) == "result"
    head = xtream.ask("root", START, method="HEAD")
    assert (head.status_code, head.headers["Allow"]) == (405, "GET, POST, OPTIONS")
    assert xtream.ask("root", START, method="PUT").json()["result"] is False
    assert xtream.a.calls == []
    mine = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "X-Requested-With": "XMLHttpRequest"}
    assert xtream.ask("root", START, headers=mine).content == OK


def test_g40_the_body_wins(xtream: Xtream) -> None:
    assert xtream.ask("root", START, method="POST", data={"sub": "stop"}).content == OK
    assert xtream.ask("root", START, method="POST", json={"sub": "stop", "stream_id": 5}).content == OK
    assert xtream.ask("root", START, method="POST", files={"sub": (None, "stop")}).content == OK
    assert xtream.a.calls == ["POST stream/stop/5"] * 3


def test_g41_switched_off_at_once(xtream: Xtream) -> None:
    assert xtream.answer("root", START) is True
    xtream.switch_off("root")
    assert xtream.answer("root", START) == NOT_LOGGED_IN
    for name, change in (("vodop", {"is_banned": 1}), ("resa", {"is_reseller": 0})):
        group = {"vodop": 6, "resa": 4}[name]
        xtream.update("groups", {"group_id": group}, **change)
        assert xtream.answer(name, "action=movie&sub=start&stream_id=6&server_id=1") == NOT_LOGGED_IN


def test_g42_a_wrong_secret(xtream: Xtream, caplog: pytest.LogCaptureFixture) -> None:
    wrong = "not-the-secret"
    caplog.set_level("INFO")
    for server in (1, 2):
        xtream.set_control(server, secret=xtream.panel.sealer.everywhere.sealed(wrong, streaming_server_place(server)))
        assert xtream.answer("root", START[:-1] + str(server)) == UNAVAILABLE
    assert len(xtream.a.calls) == len(xtream.b.calls) == 1
    assert [row["error_class"] for row in xtream.log] == ["auth", "auth"]
    assert "node 1: stream start: auth" in caplog.text
    assert wrong not in caplog.text
    assert wrong not in repr(xtream.log)
    assert wrong not in xtream.a.requests[0].path


def test_g43_redirects_are_not_followed(xtream: Xtream) -> None:
    xtream.a.fail("*", redirect(xtream.b.url))
    assert xtream.answer("root", START) == UNAVAILABLE
    assert xtream.b.calls == []


def test_g44_the_files_of_exactly_this_movie(xtream: Xtream) -> None:
    xtream.a.state.hold_files("6.mp4", "6.srt", "61.mp4")
    assert xtream.answer("root", "action=movie&sub=delete&stream_id=6&server_id=1") is True
    assert xtream.a.state.files == {"61.mp4"}


@pytest.mark.every_kind
def test_g45_twenty_at_once(xtream: Xtream) -> None:
    xtream.a.node.latency = 0.05
    clients = [xtream.client(name) for name in ("root",) * 20]
    bodies: list[bytes] = []

    def ask(client: Any) -> None:
        bodies.append(client.get(f"/api.php?{START}").content)

    threads = [threading.Thread(target=ask, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bodies == [OK] * 20
    assert 1 <= len(xtream.a.calls) <= 20
    assert max(xtream.a.node.most_at_once.values()) == 1


def test_all_nodes_down(xtream: Xtream) -> None:
    xtream.a.stop_listening()
    xtream.b.stop_listening()
    failed = no(8, "Command failed on server 1, 2", failed_servers=[1, 2])
    assert xtream.answer("root", START[:-1] + "-1") == failed


def test_the_documents_alias(xtream: Xtream) -> None:
    assert xtream.client("root").get(f"/api?{START}").content == OK
    assert xtream.client("root").get(f"/api/api.php?{START}").status_code == 404
