"""Turns that several processes take: two panels over one database, on each kind of it."""

import datetime
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
import sqlalchemy as sa

from core.config import load_config
from core.jobs.bell import Queue, bell
from core.jobs.turns import first_of_the_minute, seconds_until_turn
from core.panel import Panel
from core.storage.tables import State
from core.values.clock import Clock
from core.workers import workers
from tests.conftest import MakeWorld

NINE = datetime.datetime(2025, 3, 1, 9, 0, 30, tzinfo=datetime.UTC).timestamp()
Pair = tuple[Panel, Panel]


@pytest.fixture
def now() -> list[float]:
    return [NINE]


@pytest.fixture
def pair(make_world: MakeWorld, kind: str, now: list[float]) -> Iterator[Pair]:
    """As two processes have them: nothing in common but the database."""
    world = make_world(kind)
    world.execute(sa.delete(State).where(State.name.like("turn/%")))
    panels = tuple(Panel(world.config, clock=Clock("UTC", source=lambda: now[0])) for _ in range(2))
    yield panels[0], panels[1]
    for panel in panels:
        panel.close()


def test_of_several_processes_one_begins_what_is_due(pair: Pair, now: list[float]) -> None:
    def ask(number: int) -> bool:
        return first_of_the_minute(pair[number % 2], "sweep")

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(ask, range(8))) == 1
    assert not first_of_the_minute(pair[0], "sweep")
    assert first_of_the_minute(pair[1], "another")
    now[0] += 60
    assert [first_of_the_minute(panel, "sweep") for panel in pair] == [True, False]
    # a clock that went back, and who need not ask
    now[0] -= 60
    assert not first_of_the_minute(pair[1], "sweep")
    assert not first_of_the_minute(pair[1], "never", lambda: False)


def test_all_keep_one_pace(pair: Pair) -> None:
    def ask(number: int) -> float:
        return time.time() + seconds_until_turn(pair[number % 2], "texts", 5.0)

    with ThreadPoolExecutor(4) as pool:
        turns = sorted(pool.map(ask, range(8)))
    assert all(abs(later - turn - 5.0) < 1.0 for turn, later in pairwise(turns)), turns


def test_without_a_database_nothing_is_begun_and_nothing_waits() -> None:
    panel = Panel(load_config(None, {"SHOWBOX_DATABASE_URL": "mysql://nobody@127.0.0.1:9/none"}))
    assert not first_of_the_minute(panel, "sweep")
    assert seconds_until_turn(panel, "texts", 5.0) == 0.0
    panel.close()


def test_everything_by_the_clock_asks_whose_turn_it_is(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool]] = []
    monkeypatch.setattr(Queue, "every", lambda queue, name, is_time, action: asked.append((name, is_time())))
    scheduling = [
        panel.config.model_copy(update={"jobs": panel.config.jobs.model_copy(update={"scheduler": True})})
        for panel in pair
    ]
    for panel, config in zip(pair, scheduling, strict=True):
        panel.config = config
        bell(panel)
        workers.attach(panel)
    begun = [name for name, is_first in asked if is_first]
    assert len(asked) > 10
    # what all do together, each taking from the same rows
    assert begun.count("minute") == 2
    others = [name for name in begun if name != "minute"]
    assert len(others) == len(set(others))
    assert {"xtream", "job-reminders", "job-sms-stages"} <= set(others)
