"""The session's life in each store, parallel requests of one session, and what happens while a store is away."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import redis
import sqlalchemy as sa

from core.storage.tables import StoredSession
from tests.conftest import MakeWorld
from tests.routes.conftest import fill_chapter_10
from tests.worlds.databases import prepared_database, require_redis
from tests.worlds.harness import NOT_LOGGED_IN, Client, World, php_encode
from tests.worlds.servers import REDIS_URL


@pytest.fixture(params=["sql", "redis", "php-files"])
def stored(request: pytest.FixtureRequest, make_world: MakeWorld) -> World:
    settings = {"SHOWBOX_SESSION_STORE": request.param}
    if request.param == "redis":
        require_redis()
        settings["SHOWBOX_SESSION_REDIS_URL"] = REDIS_URL
    return fill_chapter_10(make_world("sqlite", **settings))


def test_the_life_of_a_session(stored: World) -> None:
    client = stored.client("admin")
    other = stored.client("resa")
    assert client.get("/get_user_info.php").json()["user"]["username"] == "admin"
    assert client.get("/session_heartbeat.php").json()["expired"] is False
    stale = dict(client.cookies)
    client.login("resa", "resa-pass")
    assert client.get("/get_user_info.php").json()["user"]["username"] == "resa"
    assert Client(stored.url, stale).get("/get_user_info.php").json() == NOT_LOGGED_IN
    stale = dict(client.cookies)
    client.get("/logout.php")
    assert Client(stored.url, stale).get("/get_user_info.php").json() == NOT_LOGGED_IN
    assert other.get("/get_user_info.php").json()["error"] == 0


def test_requests_of_one_session_run_at_once_and_lose_nothing(stored: World) -> None:
    client = stored.client("admin")
    answers: list[dict[str, Any]] = []

    def beat(number: int) -> None:
        path = "/get_accounts.php" if number % 3 == 0 else "/session_heartbeat.php"
        answers.append(client.request("POST" if number % 2 else "GET", path).json())

    threads = [threading.Thread(target=beat, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer["error"] for answer in answers] == [0] * 24
    assert client.get("/session_heartbeat.php").json()["expired"] is False


def test_a_request_that_is_still_running_does_not_bring_a_session_back(stored: World) -> None:
    client = stored.client("admin")
    stop = threading.Event()

    def beat() -> None:
        while not stop.is_set():
            client.request("POST", "/session_heartbeat.php", headers={"Cookie": f"PHPSESSID={id_}"})

    id_ = client.session_id
    threads = [threading.Thread(target=beat) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    Client(stored.url, {"PHPSESSID": id_}).get("/logout.php")
    time.sleep(0.2)
    stop.set()
    for thread in threads:
        thread.join()
    assert Client(stored.url, {"PHPSESSID": id_}).get("/get_user_info.php").json() == NOT_LOGGED_IN


def test_an_ordinary_request_writes_no_session(make_world: MakeWorld) -> None:
    world = fill_chapter_10(make_world("sqlite", SHOWBOX_SESSION_STORE="sql"))
    client = world.client("admin")
    client.get("/get_user_info.php")
    before = world.rows(sa.select(StoredSession.__table__))
    for _ in range(3):
        client.get("/get_user_info.php")
    assert world.rows(sa.select(StoredSession.__table__)) == before


def _without_database(tmp_path: Path, store: str) -> World:
    """A panel whose database server does not answer."""
    (tmp_path / "sessions").mkdir()
    return World(
        "mysql://nobody@127.0.0.1:9/none",
        {"SHOWBOX_SESSION_STORE": store, "SHOWBOX_SESSION_PHP_SAVE_PATH": str(tmp_path / "sessions")},
        prepare=False,
    )


@pytest.mark.parametrize("store", ["sql", "php-files"])
def test_without_a_database_everything_says_so_in_the_envelope(tmp_path: Path, store: str) -> None:
    world = _without_database(tmp_path, store)
    try:
        response = world.client().post("/login.php", {"username": "admin", "password": "x"})
        assert (response.status_code, response.json()["error"], response.json()["code"]) == (503, 1, 7)
        assert "127.0.0.1" not in response.text
        assert world.client().get("/api/auto_logout_settings.php").status_code == 503
    finally:
        world.close()


def test_a_heartbeat_without_a_database_keeps_the_user_logged_in(tmp_path: Path) -> None:
    world = _without_database(tmp_path, "php-files")
    try:
        client = world.php_session(php_encode({"login": 1, "username": "admin", "last_activity": int(time.time()) - 9}))
        answer = client.get("/api/session_heartbeat.php").json()
        assert (answer["error"], answer["expired"], answer["timeout_minutes"]) == (0, False, 5)
    finally:
        world.close()


def test_a_heartbeat_without_its_session_store_is_no_verdict(tmp_path: Path) -> None:
    world = _without_database(tmp_path, "sql")
    try:
        client = Client(world.url, {"PHPSESSID": "k3v9x0a7b2c4dk3v9x0a7b2c4d"})
        response = client.get("/api/session_heartbeat.php")
        # any JSON with error 1 would throw the user out
        assert (response.status_code, response.headers["Content-Type"]) == (503, "text/plain")
    finally:
        world.close()


def test_a_heartbeat_that_cannot_be_stored_ends_nothing(make_world: MakeWorld) -> None:
    world = fill_chapter_10(make_world("sqlite", SHOWBOX_SESSION_STORE="sql"))
    client = world.client("admin")
    world.execute(
        "CREATE TRIGGER refuse BEFORE UPDATE ON _sbx_sessions BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    try:
        assert client.get("/api/session_heartbeat.php").json()["expired"] is False
        assert client.get("/api/get_user_info.php").json()["error"] == 0
    finally:
        world.execute("DROP TRIGGER refuse")
    assert client.get("/api/session_heartbeat.php").json()["expired"] is False


def test_redis_down(make_world: MakeWorld) -> None:
    world = make_world("sqlite", SHOWBOX_SESSION_STORE="redis", SHOWBOX_SESSION_REDIS_URL="redis://127.0.0.1:9/0")
    client = Client(world.url, {"PHPSESSID": "k3v9x0a7b2c4dk3v9x0a7b2c4d"})
    response = client.get("/get_user_info.php")
    assert (response.status_code, response.json()["error"]) == (503, 1)


def test_two_panels_share_redis(tmp_path: Path) -> None:
    require_redis()
    url = prepared_database("sqlite", "redis_pair")
    settings = {"SHOWBOX_SESSION_STORE": "redis", "SHOWBOX_SESSION_REDIS_URL": REDIS_URL}
    first, second = World(url, settings), World(url, settings)
    try:
        fill_chapter_10(first)
        client = first.client("admin")
        assert Client(second.url, client.cookies).get("/get_user_info.php").json()["error"] == 0
    finally:
        first.close()
        second.close()
        for key in redis.Redis.from_url(REDIS_URL).scan_iter(f"showbox:session:{client.session_id}"):
            redis.Redis.from_url(REDIS_URL).delete(key)
