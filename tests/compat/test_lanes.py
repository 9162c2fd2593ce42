"""Whose turn it is at the server's threads (:mod:`compat.serving.lanes`)."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from compat.serving import lanes
from tests.worlds.waiting import until

THREADS = 4
HASHING = "/login.php"


class Work:
    """A task that is at work until it is told to end."""

    def __init__(self, path: str = "/hello") -> None:
        self.requests = [SimpleNamespace(path=path)]
        self.began, self.ended = threading.Event(), threading.Event()

    def service(self) -> None:
        self.began.set()
        self.ended.wait()

    def cancel(self) -> None:
        self.ended.set()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A dispatcher whose beginners are ones for ever, unless a test says else."""
    monkeypatch.setattr(lanes, "_FIRST_SECONDS", 1000.0)
    dispatcher, tasks = lanes.LaneDispatcher(THREADS, {HASHING}), []

    def begin(*paths: str) -> list[Work]:
        new = [Work(path) for path in paths]
        tasks.extend(new)
        for task in new:
            dispatcher.add_task(task)
        return new

    yield SimpleNamespace(begin=begin, dispatcher=dispatcher)
    for task in tasks:
        task.ended.set()
    dispatcher.shutdown()
    assert not dispatcher.threads


def begun(tasks: list[Work]) -> list[bool]:
    return [task.began.is_set() for task in tasks]


def test_one_begins_and_the_next_one_when_it_ends(made: Any) -> None:
    tasks = made.begin("/a", "/b", "/c")
    until(lambda: begun(tasks) == [True, False, False], "one has begun")
    # its thread takes the next one, without being called
    tasks[0].ended.set()
    until(lambda: begun(tasks) == [True, True, False], "one more")
    tasks[1].ended.set()
    until(lambda: all(begun(tasks)), "all")


def test_who_works_for_longer_is_not_counted(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_FIRST_SECONDS", 0.02)
    tasks = made.begin(*["/waits"] * THREADS, "/one-too-many")
    until(lambda: begun(tasks) == [True] * THREADS + [False], "as many as there are threads")
    tasks[0].ended.set()
    until(lambda: all(begun(tasks)), "the last one")


def test_a_lane_that_is_full_holds_nobody_else_up(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_FIRST_SECONDS", 0.02)
    hashing, others = made.begin(*[HASHING] * THREADS), made.begin("/a", "/b")
    until(lambda: all(begun(others)), "both others")
    assert begun(hashing) == [True] * (THREADS // 2) + [False] * (THREADS // 2)
    for task in others:
        task.ended.set()
    hashing[0].ended.set()
    until(lambda: begun(hashing) == [True] * 3 + [False], "one more of the lane")


def test_a_task_that_fails_leaves_its_thread_and_its_turn(made: Any, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RuntimeError

    for _ in range(2 * THREADS):
        made.dispatcher.add_task(SimpleNamespace(requests=[], service=fail, cancel=fail))
    tasks = made.begin("/a", "/b")
    until(lambda: begun(tasks) == [True, False], "one begins")
    assert len(made.dispatcher.threads) == THREADS
