"""Sessions of the Xtream API: logins here, sessions of a bound panel, what keeps them alive; and spelling of answers.

Source: contract chapter 95 §2 and §4.
"""

import os
import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests

from core.access.identity import STARTED_MARK
from core.storage.tables import User
from tests.conftest import MakeWorld
from tests.worlds.databases import require_redis
from tests.worlds.harness import legacy_hash, php_encode, user_row
from tests.worlds.servers import REDIS_URL
from tests.worlds.xtream import NEW, OK, OLD, Xtream, no, xtream_world

START = "action=stream&sub=start&stream_id=5&server_id=1"
NOT_LOGGED_IN = no(2, "Not logged in")


@pytest.fixture
def own(make_world: MakeWorld) -> Iterator[Xtream]:
    with xtream_world(make_world, "own sqlite") as xtream:
        yield xtream


@pytest.fixture(params=[NEW, OLD])
def bound(request: pytest.FixtureRequest, make_world: MakeWorld) -> Iterator[Xtream]:
    with xtream_world(make_world, request.param) as xtream:
        yield xtream


def _session(xtream: Xtream, **values: object) -> requests.Response:
    client = xtream.world.php_session(php_encode(values))
    return client.get(f"/api.php?{START}")


def test_a_login_here_opens_it(own: Xtream) -> None:
    client = own.world.client()
    # the fields of Xtream's own login page, which mean nothing here
    fields = {"username": "root", "password": "root-pass", "g-recaptcha-response": "x", "referrer": "x"}
    assert client.post("/login.php", fields).json()["error"] == 0
    assert client.get(f"/api.php?{START}").content == OK
    assert "hash|" not in own.world.session_file(client.session_id).read_text()
    redirected = client.get("/reseller.php")
    assert (redirected.status_code, redirected.headers["Location"]) == (302, "/dashboard.php")


def test_a_hash_means_nothing_without_a_bound_database(own: Xtream) -> None:
    assert _session(own, hash=legacy_hash("root"), ip="127.0.0.1").json() == NOT_LOGGED_IN


def test_a_session_of_the_bound_panel(bound: Xtream) -> None:
    marks = {"hash": legacy_hash("root"), "ip": "127.0.0.1", "last_activity": 1}
    assert _session(bound, **marks).content == OK
    assert _session(bound, hash=legacy_hash("resa"), ip="").json() == no(3, "Permission denied")
    for nobody in (legacy_hash("nobody"), "", "x", 5):
        assert _session(bound, hash=nobody).json() == NOT_LOGGED_IN
    bound.switch_off("root")
    assert _session(bound, **marks).json() == NOT_LOGGED_IN
    bound.update("accounts", {"id": 1}, status=1, username="renamed")
    assert _session(bound, **marks).json() == NOT_LOGGED_IN


def test_14_a_session_of_the_bound_panel_ends_by_its_age_however_busy(bound: Xtream) -> None:
    """Issue "no way in", line 14: such a session knows of no beginning, so that its first command here is that."""
    client = bound.world.php_session(php_encode({"hash": legacy_hash("root"), "ip": "127.0.0.1"}))
    file = bound.world.session_file(client.session_id)
    for _ in range(2):
        assert client.get(f"/api.php?{START}").content == OK
    begun = file.read_text()
    assert f"{STARTED_MARK}|i:" in begun
    days = bound.world.panel.config.session.absolute_days
    ago = int(bound.world.panel.clock.stamp()) - days * 86400 - 1
    file.write_text(re.sub(rf"{STARTED_MARK}\|i:\d+", f"{STARTED_MARK}|i:{ago}", begun))
    assert client.get(f"/api.php?{START}").json() == NOT_LOGGED_IN
    assert not file.exists()


def test_a_changed_address_ends_a_session_where_the_bound_panel_says_so(bound: Xtream) -> None:
    assert _session(bound, hash=legacy_hash("root"), ip="10.1.1.1").content == OK
    bound.update("settings", {"id": 1}, ip_logout="1")
    assert _session(bound, hash=legacy_hash("root"), ip="127.0.0.1").content == OK
    client = bound.world.php_session(php_encode({"hash": legacy_hash("root"), "ip": "10.1.1.1"}))
    file = bound.world.session_file(client.session_id)
    assert client.get(f"/api.php?{START}").json() == NOT_LOGGED_IN
    assert not file.exists()


def test_an_account_id_of_the_panel_counts_before_a_hash(bound: Xtream) -> None:
    login = {"login": 1, "username": "watcher", "user_id": bound.user_id("watcher"), "hash": legacy_hash("root")}
    assert _session(bound, **login).json() == no(3, "Permission denied")


def test_a_name_alone_makes_nobody_an_account_of_the_bound_database(bound: Xtream) -> None:
    """Those who may add users of the panel choose their names."""
    bound.world.execute(f"DELETE FROM _sbx_xt_members WHERE user_id = {bound.user_id('root')}")
    client = bound.world.client()
    assert client.post("/login.php", {"username": "root", "password": "root-pass"}).json()["error"] == 0
    assert client.get(f"/api.php?{START}").json() == no(3, "Permission denied")
    assert client.get("/api.php?action=user&sub=kill&user_id=101").json() == no(3, "Permission denied")
    assert "hash|" not in bound.world.session_file(client.session_id).read_text()


def test_a_login_marks_the_session_for_the_bound_panel(bound: Xtream) -> None:
    client = bound.world.client()
    assert client.post("/login.php", {"username": "resa", "password": "resa-pass"}).json()["error"] == 0
    content = bound.world.session_file(client.session_id).read_text()
    assert f'hash|s:32:"{legacy_hash("resa")}"' in content
    assert 'ip|s:9:"127.0.0.1"' in content


def test_answers_that_hold_result_alone(make_world: MakeWorld) -> None:
    with xtream_world(make_world, "own sqlite", SHOWBOX_XTREAM_PLAIN_RESULT="yes") as xtream:
        assert xtream.body("root", START) == b'{"result":true}'
        assert xtream.body("root", "action=nope") == b'{"result":false}'
        assert xtream.ask("root", START, method="HEAD").status_code == 405
        assert xtream.ask("root", START, headers={"Sec-Fetch-Site": "cross-site"}).content == b'{"result":false}'


def test_what_pages_poll(own: Xtream) -> None:
    for name in ("stats", "chart_stats"):
        assert own.ask(None, f"action={name}").status_code == 401
        answer = own.ask("root", f"action={name}&server_id=1")
        assert (answer.status_code, answer.json()["result"]) == (404, False)
    assert own.ask("root", "action=reseller_dashboard").json() == no(6, "Unknown action")


def test_polling_keeps_no_session_alive_and_blocks_no_command(own: Xtream) -> None:
    """Ten seconds of ten clients that poll once a second, as fast as they can."""
    client = own.client("root")
    assert client.get(f"/api.php?{START}").content == OK
    file = own.world.session_file(client.session_id)
    content = file.read_bytes()
    then = file.stat().st_mtime - 1000
    os.utime(file, (then, then))
    own.a.node.latency = 0.3
    answers: list[int] = []

    def poll() -> None:
        with requests.Session() as session:
            for _ in range(10):
                response = session.get(f"{own.world.url}/api.php?action=stats", headers=cookie, timeout=60)
                answers.append(response.status_code)

    cookie = {"Cookie": f"PHPSESSID={client.session_id}"}
    threads = [threading.Thread(target=poll) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [404] * 100
    assert file.stat().st_mtime == then
    assert file.read_bytes() == content
    assert client.get(f"/api.php?{START}").content == OK
    assert file.stat().st_mtime > then


@pytest.mark.parametrize("store", ["sql", "redis"])
def test_polling_in_the_other_stores(make_world: MakeWorld, store: str) -> None:
    settings = {"SHOWBOX_SESSION_STORE": store}
    if store == "redis":
        require_redis()
        settings["SHOWBOX_SESSION_REDIS_URL"] = REDIS_URL
    with xtream_world(make_world, "own sqlite", **settings) as xtream:
        client = xtream.world.client()
        assert client.post("/login.php", {"username": "root", "password": "root-pass"}).json()["error"] == 0
        # 20 minutes are fewer than the 24 that a session may idle, 40 are more
        for minutes, status in ((20, 404), (40, 401)):
            with xtream.world.later(60 * minutes):
                assert client.get("/api.php?action=stats").status_code == status, minutes


@pytest.mark.parametrize("tables", [[], ["users"], ["users", "lines"]])
def test_a_database_of_neither_family_is_refused(make_world: MakeWorld, tmp_path: Path, tables: list[str]) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as database:
        for name in tables:
            database.execute(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY)")
    world = make_world("sqlite", SHOWBOX_XTREAM_DATABASE_URL=f"sqlite:///{path}")
    world.insert(User, [user_row(1, "admin", super_user=1)])
    response = world.php_login("admin").get(f"/api.php?{START}")
    assert response.status_code == 503
    assert response.json()["result"] is False
    assert "neither family" in response.json()["err_msg"]
    assert world.client().post("/login.php", {"username": "admin", "password": "admin123"}).json()["error"] == 0
    with closing(sqlite3.connect(path)) as database:
        assert [row[0] for row in database.execute("SELECT name FROM sqlite_master ORDER BY name")] == sorted(tables)
