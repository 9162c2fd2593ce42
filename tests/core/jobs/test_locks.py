"""Named locks: one holder at a time, across threads and processes; what a dead process held is free."""

import threading
import time

import pytest

from core.jobs.locks import LEASE_SECONDS, LockHeld, LockLost, named_lock
from core.storage.tables import Lock
from core.values.clock import Clock
from tests.conftest import MakeWorld
from tests.worlds.harness import World


@pytest.fixture
def world(make_world: MakeWorld, kind: str) -> World:
    return make_world(kind)


def test_one_holder_at_a_time(world: World) -> None:
    with named_lock(world.panel, "sweep"):
        with pytest.raises(LockHeld) as held, named_lock(world.panel, "sweep"):
            pass
        assert not held.value.is_stale
        with named_lock(world.panel, "other"):
            pass
    with named_lock(world.panel, "sweep"):
        pass


def test_who_waits_gets_it_when_it_is_free(world: World) -> None:
    inside: list[str] = []
    together: list[int] = []

    def hold(name: str) -> None:
        with named_lock(world.panel, "sweep", wait=10):
            inside.append(name)
            together.append(len(inside))
            time.sleep(0.02)
            inside.remove(name)

    threads = [threading.Thread(target=hold, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert together == [1, 1, 1, 1]


def test_what_a_dead_process_held_is_free(world: World) -> None:
    now = world.panel.clock.stamp()
    with named_lock(world.panel, "other") as ours:
        machine = ours.owner.partition(":")[0]
    world.insert(
        Lock, [{"name": "sweep", "owner": f"{machine}:1:999999999:x", "taken_at": now, "lease_until": now + 600}]
    )
    with named_lock(world.panel, "sweep"):
        pass


def test_a_lease_that_ran_out_is_taken_over_and_its_holder_told(make_world: MakeWorld) -> None:
    world = make_world("sqlite")
    original, moment = world.panel.clock, [time.time()]
    world.panel.clock = Clock("Asia/Tehran", source=lambda: moment[0])
    try:
        with named_lock(world.panel, "sweep") as held:
            held.renew()
            moment[0] += LEASE_SECONDS + 1
            with named_lock(world.panel, "sweep"), pytest.raises(LockLost):
                held.renew()
    finally:
        world.panel.clock = original


def test_a_run_of_many_hours_is_stale(make_world: MakeWorld) -> None:
    world = make_world("sqlite")
    now = world.panel.clock.stamp()
    world.insert(Lock, [{"name": "sweep", "owner": "far:1:1:x", "taken_at": now - 7 * 3600, "lease_until": now + 600}])
    with pytest.raises(LockHeld) as held, named_lock(world.panel, "sweep"):
        pass
    assert held.value.is_stale
