"""The places of those who wait for other machines (issue "no way in", line 6)."""

import threading
from contextlib import ExitStack

import pytest

from compat.serving.waiting_requests import NoPlace, Places


@pytest.mark.parametrize(("threads", "places"), [(1, 1), (2, 1), (4, 2), (8, 5), (24, 17)])
def test_6_some_threads_are_always_free(threads: int, places: int) -> None:
    waiting = Places(threads)
    with ExitStack() as stack:
        for _ in range(places):
            stack.enter_context(waiting.one())
        with pytest.raises(NoPlace), waiting.one():
            pass
    # all are given back, those of failures too
    for _ in range(places + 1):
        with pytest.raises(ZeroDivisionError), waiting.one():
            raise ZeroDivisionError


def test_6_a_place_that_becomes_free_soon_is_waited_for() -> None:
    waiting = Places(1)
    asked, got = threading.Event(), threading.Event()

    def ask() -> None:
        asked.set()
        with waiting.one():
            got.set()

    with waiting.one():
        other = threading.Thread(target=ask)
        other.start()
        assert asked.wait(60)
        assert not got.is_set()
    other.join(60)
    # either it was there in time, or it was refused: it never stays
    assert not other.is_alive()
