"""Counting that all processes share: what two panels over one database count together, on each kind of database."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from limits.storage import Storage

from core.config import load_config
from core.errors import TooManyAttempts, WrongCredentials
from core.panel import Panel
from core.security.counters import DatabaseCounters
from core.security.quota import Quota
from core.security.throttle import LoginThrottle
from core.storage.tables import Counter
from tests.conftest import MakeWorld
from tests.worlds.databases import require_redis
from tests.worlds.servers import REDIS_URL

PER_MINUTE = 3


@pytest.fixture
def pair(make_world: MakeWorld, kind: str) -> Iterator[tuple[Panel, Panel]]:
    """Two panels as two processes have them: nothing in common but the database."""
    world = make_world(kind)
    with_own_memory = Panel(world.config)
    yield world.panel, with_own_memory
    with_own_memory.close()


@pytest.fixture(params=["database", "redis"])
def throttles(request: pytest.FixtureRequest, make_world: MakeWorld) -> Iterator[list[LoginThrottle]]:
    settings = {}
    if request.param == "redis":
        require_redis()
        settings = {"SHOWBOX_SESSION_STORE": "redis", "SHOWBOX_SESSION_REDIS_URL": REDIS_URL}
    world = make_world("sqlite", **settings)
    panels = [world.panel, Panel(world.config)]
    yield [LoginThrottle(PER_MINUTE, panel.counters) for panel in panels]
    panels[1].close()


def test_what_one_process_counts_the_other_sees(pair: tuple[Panel, Panel]) -> None:
    one, other = (panel.counters for panel in pair)
    assert (one.get("x"), one.incr("x", 60), other.incr("x", 60), one.get("x")) == (0, 1, 2, 2)
    assert other.incr("x", 60, amount=-1) == 1
    assert 50 < one.get_expiry("x") - time.time() <= 60
    # never below nothing
    assert one.incr("y", 60, amount=-1) == 0


def test_a_window_ends(pair: tuple[Panel, Panel]) -> None:
    counters = pair[0].counters
    assert isinstance(counters, DatabaseCounters)
    counters.incr("x", 0)
    assert counters.get("x") == 0
    assert counters.incr("x", 60) == 1
    counters.incr("z", 0)
    counters.forget_old()
    assert counters.get("x") == 1


def test_nothing_is_lost_when_all_count_at_once(pair: tuple[Panel, Panel]) -> None:
    def count(number: int) -> int:
        return pair[number % 2].counters.incr("x", 60)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(count, range(40))) == list(range(1, 41))


def test_a_quota_is_shared_and_moves_with_time(pair: tuple[Panel, Panel]) -> None:
    quotas = [Quota("mail", 2, 60, panel.counters) for panel in pair]
    assert [quotas[0].allows("a"), quotas[1].allows("a"), quotas[0].allows("a"), quotas[1].allows("b")] == [
        True,
        True,
        False,
        True,
    ]
    with pytest.raises(TooManyAttempts) as refused:
        quotas[1].take("a", "Too many")
    assert refused.value.retry_after is not None
    assert 50 <= refused.value.retry_after <= 60
    an_hour_ago = int((time.time() - 3600) * 1000)
    with pair[0].database.write() as connection:
        connection.execute(sa.update(Counter).values(hits=f"{an_hour_ago} {int(time.time() * 1000)}"))
    assert [quotas[0].allows("a"), quotas[0].allows("a")] == [True, False]


@pytest.fixture
def address() -> str:
    """That nobody else has, since Redis remembers earlier tests."""
    return uuid.uuid4().hex


def _guess(throttle: LoginThrottle, address: str, verify: Callable[[], None]) -> bool:
    """Whether the guess was verified at all."""
    try:
        with throttle.attempt(address, f"user of {address}"):
            verify()
            raise WrongCredentials
    except WrongCredentials:
        return True
    except TooManyAttempts:
        return False


def test_failures_in_one_process_close_the_other(throttles: list[LoginThrottle], address: str) -> None:
    assert [_guess(throttles[0], address, lambda: None) for _ in range(PER_MINUTE)] == [True] * PER_MINUTE
    assert not _guess(throttles[1], address, lambda: None)


def test_a_burst_of_guesses_over_all_processes_is_not_larger_than_the_limit(
    throttles: list[LoginThrottle], address: str
) -> None:
    together = threading.Barrier(12)

    def guess(number: int) -> bool:
        together.wait()
        return _guess(throttles[number % 2], address, lambda: time.sleep(0.02))

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(guess, range(12))) == PER_MINUTE


def test_a_burst_of_right_passwords_is_let_in(throttles: list[LoginThrottle], address: str) -> None:
    def enter(number: int) -> None:
        with throttles[number % 2].attempt(address, f"{number} of {address}"):
            pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enter, range(16)))


@pytest.mark.parametrize("jobs_redis", ["", "redis://127.0.0.1:6379/0"])
def test_redis_counts_where_it_is_used_for_anything(jobs_redis: str) -> None:
    panel = Panel(
        load_config(None, {"SHOWBOX_DATABASE_URL": "sqlite:///unused.db", "SHOWBOX_JOBS_REDIS_URL": jobs_redis})
    )
    assert isinstance(panel.counters, Storage)
    assert isinstance(panel.counters, DatabaseCounters) is not bool(jobs_redis)
    panel.close()


@pytest.mark.parametrize("name", ["علی \N{GRINNING FACE}", "a\0b", "x" * 4000, "half \ud83d", "CASE"])
def test_whatever_was_typed_is_counted_by_itself(pair: tuple[Panel, Panel], name: str) -> None:
    one, other = (panel.counters for panel in pair)
    key = f"login-failures/name/{name}"
    assert (one.incr(key, 60), other.incr(key, 60), one.get(key), one.get(key.lower() + "?")) == (1, 2, 2, 0)
    quota = Quota("typed", 1, 60, other)
    assert (quota.allows(name), quota.allows(name)) == (True, False)
    one.clear(key)
    assert other.get(key) == 0
