"""Stops that wait: how often they are tried, when they are given up, and that workers run them."""

import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from core.jobs import jobs
from core.storage.tables.xtream import XtreamPending
from core.workers import workers
from core.xtream import pending
from core.xtream.removal import without
from tests.conftest import MakeWorld
from tests.worlds.xtream import Xtream, xtream_world


@pytest.fixture
def xtream(make_world: MakeWorld) -> Iterator[Xtream]:
    """With a clock of its own, which the tests move."""
    with xtream_world(make_world, "own sqlite") as xtream:
        clock = xtream.panel.clock
        original, started = clock._source, time.time()
        clock._source = lambda: started
        yield xtream
        clock._source = original


def _pass(xtream: Xtream, seconds: float) -> None:
    now = xtream.panel.clock.seconds() + seconds
    xtream.panel.clock._source = lambda: now


def _add(xtream: Xtream, stream: int = 77, server: int = 1) -> None:
    pending.add(xtream.panel, "stream", stream, [server])


def _row(xtream: Xtream) -> dict[str, object]:
    [row] = xtream.world.rows(sa.select(XtreamPending.__table__))
    return row


def test_it_waits_ever_longer_up_to_five_minutes(xtream: Xtream) -> None:
    xtream.a.stop_listening()
    _add(xtream)
    assert pending.deliver_due(xtream.panel) == 0
    assert xtream.a.requests == []
    waits = []
    for _ in range(8):
        row = _row(xtream)
        _pass(xtream, int(str(row["next_at"])) - xtream.panel.clock.seconds())
        before = xtream.panel.clock.stamp()
        pending.deliver_due(xtream.panel)
        waits.append(int(str(_row(xtream)["next_at"])) - before)
    assert waits == [10, 20, 40, 80, 160, 300, 300, 300]
    xtream.a.listen()


def test_it_is_given_up_after_a_day(xtream: Xtream) -> None:
    _add(xtream)
    _pass(xtream, 24 * 3600 + 1)
    assert pending.deliver_due(xtream.panel) == 0
    assert xtream.pending == []
    assert xtream.a.calls == []


def test_it_is_dropped_when_the_stream_is_there_again_or_the_server_is_not(xtream: Xtream) -> None:
    _add(xtream, 5)
    _add(xtream, 77, server=55)
    _pass(xtream, 6)
    assert pending.deliver_due(xtream.panel) == 0
    assert xtream.pending == []
    assert xtream.a.calls == []


def test_the_same_stop_waits_once(xtream: Xtream) -> None:
    _add(xtream)
    _add(xtream)
    assert xtream.pending == [(1, "stream_stop", 77)]


def test_workers_deliver_and_come_back_for_what_is_left(xtream: Xtream) -> None:
    xtream.a.node.admits = False
    _add(xtream, 77, 1)
    _add(xtream, 77, 2)
    _pass(xtream, 6)
    assert jobs.work_off(xtream.panel, workers.KINDS) > 0
    assert xtream.pending == [(1, "stream_stop", 77)]
    xtream.a.node.admits = True
    _pass(xtream, 10)
    assert jobs.work_off(xtream.panel, workers.KINDS) > 0
    assert xtream.pending == []
    assert (xtream.a.calls, xtream.b.calls) == (["POST stream/stop/77"] * 2, ["POST stream/stop/77"])
    _pass(xtream, 3600)
    jobs.work_off(xtream.panel, workers.KINDS)
    assert all(record.kind != pending.KIND for record in jobs.open_jobs(xtream.panel)), "nothing waits: no more jobs"


@pytest.mark.parametrize(
    ("stored", "id", "left"),
    [
        ("[5,6,7]", 6, "[5,7]"),
        ('["5","6"]', 6, '["5"]'),
        ("[51,15]", 5, None),
        ("[]", 5, None),
        ("", 5, None),
        (None, 5, None),
        ("{", 5, None),
        ('{"5":1}', 5, None),
        ("[5,5]", 5, "[]"),
    ],
)
def test_lists_of_bouquets(stored: str | None, id: int, left: str | None) -> None:
    assert without(stored, id) == left
