"""A Redis that hangs costs one wait, and is then left alone for a moment by all who use it.

Source: issue "Nothing lost", line 14.
"""

import os
import time
from collections.abc import Iterator

import pytest
from redis import Redis
from redis.exceptions import TimeoutError as RedisTimeout
from sqlalchemy.engine import make_url

from core.config import load_config
from core.jobs import jobs
from core.outbound import redis_servers
from core.outbound.redis_servers import ANSWER_SECONDS, CONNECT_SECONDS, LeftAlone, RedisServer
from core.panel import Panel
from core.storage.tables import User
from tests.conftest import MakeWorld
from tests.worlds.databases import prepared_database, require_redis
from tests.worlds.harness import Client, World, user_row
from tests.worlds.servers import REDIS_URL
from tests.worlds.silent_door import SilentDoor
from tests.worlds.waiting import until


@pytest.fixture
def door() -> Iterator[SilentDoor]:
    require_redis()
    door = SilentDoor(make_url(REDIS_URL).port or 6379)
    yield door
    door.close()


@pytest.fixture
def server(door: SilentDoor) -> Iterator[RedisServer]:
    server = RedisServer(_url(door))
    yield server
    server.close()


def _url(door: SilentDoor) -> str:
    return f"redis://127.0.0.1:{door.port}/0"


def test_no_request_waits_for_longer_than_two_seconds() -> None:
    assert CONNECT_SECONDS + ANSWER_SECONDS < 2


def test_it_is_asked_again_when_the_moment_is_over(
    door: SilentDoor, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Redis(connection_pool=server.pool)
    assert client.ping()
    door.fall_silent()
    with pytest.raises(RedisTimeout):
        client.ping()
    taken = door.connections
    for _ in range(20):
        with pytest.raises(LeftAlone):
            client.ping()
    assert door.connections == taken
    door.speak()
    monkeypatch.setattr(server, "_alone_until", time.monotonic())
    assert client.ping()


def test_a_new_connection_is_waited_for_once_as_well(door: SilentDoor, server: RedisServer) -> None:
    door.fall_silent()
    client = Redis(connection_pool=server.pool)
    with pytest.raises(RedisTimeout):
        client.ping()
    assert door.connections == 1
    with pytest.raises(LeftAlone):
        client.ping()
    assert door.connections == 1


def test_one_that_refuses_is_asked_each_time_since_that_costs_nothing(server: RedisServer, door: SilentDoor) -> None:
    door.close()
    client = Redis(connection_pool=server.pool)
    for _ in range(2):
        with pytest.raises(redis_servers.RedisConnectionError) as caught:
            client.ping()
        assert not isinstance(caught.value, LeftAlone)


@pytest.fixture
def silent_sessions(make_world: MakeWorld, door: SilentDoor) -> World:
    settings = {"SHOWBOX_SESSION_STORE": "redis", "SHOWBOX_SESSION_REDIS_URL": _url(door)}
    world = make_world("sqlite", **settings)
    world.insert(User, [user_row(1, "admin", super_user=1)])
    return world


def test_sessions_in_a_silent_redis_are_refused_at_once_after_the_first(
    silent_sessions: World, door: SilentDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = silent_sessions
    monkeypatch.setattr(redis_servers, "ALONE_SECONDS", 3600.0)
    client = Client(world.url).login("admin", "admin123")
    assert client.get("/get_user_info.php").json()["error"] == 0
    door.fall_silent()
    refused = client.get("/get_user_info.php")
    assert (refused.status_code, refused.json()["error"]) == (503, 1)
    taken = door.connections
    for _ in range(10):
        assert client.get("/get_user_info.php").status_code == 503
    assert door.connections == taken
    door.speak()
    monkeypatch.setattr(world.panel.redis.at(_url(door)), "_alone_until", 0.0)
    assert client.get("/get_user_info.php").json()["error"] == 0


def test_a_silent_redis_of_the_jobs_keeps_nobody_from_logging_in(
    make_world: MakeWorld, door: SilentDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed logins are counted in this process alone meanwhile."""
    monkeypatch.setattr(redis_servers, "ALONE_SECONDS", 3600.0)
    limits = {"SHOWBOX_SECURITY_LOGIN_ATTEMPTS_PER_MINUTE": "3", "SHOWBOX_JOBS_IN_PROCESS": "no"}
    world = make_world("sqlite", SHOWBOX_SESSION_STORE="sql", SHOWBOX_JOBS_REDIS_URL=_url(door), **limits)
    world.insert(User, [user_row(1, "admin", super_user=1)])
    door.fall_silent()
    Client(world.url).login("admin", "admin123")
    for _ in range(3):
        assert Client(world.url).post("/login.php", {"username": "admin", "password": "no"}).json()["code"] == 2
    assert Client(world.url).post("/login.php", {"username": "admin", "password": "admin123"}).status_code == 429
    assert door.connections == 1


def test_a_silent_redis_is_rung_once(door: SilentDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_servers, "ALONE_SECONDS", 3600.0)
    monkeypatch.setattr("core.jobs.bell._NAME", f"showbox-test-{os.getpid()}")
    settings = {"SHOWBOX_DATABASE_URL": prepared_database("sqlite", "rung"), "SHOWBOX_JOBS_REDIS_URL": _url(door)}
    panel = Panel(load_config(None, settings))
    try:
        door.fall_silent()
        for _ in range(10):
            jobs.ring(panel)
        until(lambda: door.connections == 1, "the one connection")
    finally:
        panel.close()
