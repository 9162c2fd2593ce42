"""Named locks: one holder at a time, across threads and processes; what a dead process held is free."""

import threading
import time

import pytest
import sqlalchemy as sa

from core.errors import DatabaseBusy
from core.jobs.locks import LEASE_SECONDS, LockHeld, LockLost, is_held, named_lock
from core.storage import database as storage
from core.storage.tables import Lock
from core.values.clock import Clock
from tests.conftest import MakeWorld
from tests.worlds.harness import World
from tests.worlds.locked import ForeignLock, impatient


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


def test_a_lock_that_the_database_is_too_busy_to_tell_of_is_nobodys(world: World) -> None:
    panel = world.panel
    with named_lock(panel, "other"):
        pass
    stranger = ForeignLock(
        panel, "INSERT INTO _sbx_locks (name, owner, taken_at, lease_until) VALUES ('sweep','x',1,1)"
    )
    with impatient(panel):
        stranger.take()
        try:
            with pytest.raises(DatabaseBusy), named_lock(panel, "sweep"):
                pass
            if panel.database.dialect != "sqlite":
                with named_lock(panel, "other"):
                    pass
        finally:
            stranger.let_go()
        with named_lock(panel, "sweep"):
            pass


def test_what_was_done_under_a_lock_is_done_although_its_end_is_not_taken(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, done = make_world("sqlite"), []
    stranger = ForeignLock(world.panel, "DELETE FROM _sbx_locks")
    monkeypatch.setattr(storage, "_PAUSES", ())
    with impatient(world.panel), named_lock(world.panel, "sweep"):
        done.append(1)
        stranger.take()
    stranger.let_go()
    assert (done, len(world.rows(sa.select(Lock.name)))) == ([1], 1)
    assert not is_held(world.panel, "sweep")
    with named_lock(world.panel, "sweep"):
        assert is_held(world.panel, "sweep")
    assert world.rows(sa.select(Lock.name)) == []


def test_a_run_of_many_hours_is_stale(make_world: MakeWorld) -> None:
    world = make_world("sqlite")
    now = world.panel.clock.stamp()
    world.insert(Lock, [{"name": "sweep", "owner": "far:1:1:x", "taken_at": now - 7 * 3600, "lease_until": now + 600}])
    with pytest.raises(LockHeld) as held, named_lock(world.panel, "sweep"):
        pass
    assert held.value.is_stale
