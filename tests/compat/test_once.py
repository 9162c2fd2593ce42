"""Identical writes within a moment: one effect, equal answers."""

import threading
import time
from typing import Any

import pytest

from compat.double_clicks import Once, key_of


def test_the_second_waits_for_the_firsts_answer() -> None:
    once: Once[int] = Once()
    calls: list[int] = []

    def act() -> int:
        calls.append(1)
        time.sleep(0.1)
        return len(calls)

    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(once.run(b"key", act))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (answers, calls) == ([1] * 5, [1])


def test_another_key_and_a_later_time_act_again() -> None:
    once: Once[int] = Once(seconds=0.05)
    calls: list[int] = []

    def act() -> int:
        calls.append(1)
        return len(calls)

    assert [once.run(b"one", act), once.run(b"two", act), once.run(b"one", act)] == [1, 2, 1]
    time.sleep(0.06)
    assert once.run(b"one", act) == 3
    assert len(once._entries) == 1


def test_a_refusal_may_be_tried_again() -> None:
    once: Once[int] = Once()
    outcomes: list[Any] = [ValueError("no"), 7]

    def act() -> int:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return int(outcome)

    with pytest.raises(ValueError, match="no"):
        once.run(b"key", act)
    assert once.run(b"key", act) == 7


def test_keys() -> None:
    same = {key_of("s", "add", {"a": 1, "b": "x"}), key_of("s", "add", {"b": "x", "a": 1})}
    assert len(same) == 1
    others = {key_of("s", "add", {"a": 2}), key_of("t", "add", {"a": 2}), key_of("s", "edit", {"a": 2})}
    assert len(others | same) == 4
