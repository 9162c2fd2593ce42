"""Waiting for long work takes a quarter of the threads, in whatever endpoint, and further callers not a moment."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from commands.sync import SYSTEM
from core.access.audit import By, Origin
from core.backup import backups
from core.backup.backups import AlreadyExporting
from core.config import Config, Server
from core.jobs import jobs
from core.jobs.jobs import Kind, Work
from core.jobs.locks import named_lock
from core.jobs.waiting_places import WaitingPlaces, waiting_places
from core.panel import Panel
from simulators.faults import Delay
from tests.conftest import MakeWorld
from tests.worlds.harness import World
from tests.worlds.reminders import reminders_world
from tests.worlds.waiting import until

BY_ADMIN = By(SYSTEM, Origin("192.0.2.1", "test"))


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world("sqlite")


@pytest.fixture
def all_taken(world: World) -> Iterator[None]:
    with ExitStack() as stack:
        _take_all(stack, world.panel)
        yield


def _take_all(stack: ExitStack, panel: Panel) -> None:
    while stack.enter_context(waiting_places(panel).one(1.0)):
        pass


@pytest.mark.parametrize(("threads", "places"), [(1, 1), (3, 1), (8, 2), (24, 6)])
def test_a_quarter_of_the_threads_may_wait(threads: int, places: int) -> None:
    panel = Panel(Config(server=Server(threads=threads)))
    waiting = WaitingPlaces(panel)
    with ExitStack() as stack:
        granted = [stack.enter_context(waiting.one(5.0)) for _ in range(threads + 1)]
    assert granted == [5.0] * places + [0] * (threads + 1 - places)
    # they are given back
    with waiting.one(5.0) as seconds:
        assert seconds == 5.0
    panel.close()


@pytest.mark.usefixtures("all_taken")
def test_a_job_that_nobody_may_wait_for_goes_on(world: World) -> None:
    go_on = threading.Event()

    def slow(work: Work) -> Mapping[str, Any]:
        go_on.wait(60)
        return {"sum": 1}

    began = time.monotonic()
    record = jobs.run_and_wait(world.panel, {"slow": Kind(slow)}, "slow", {}, 1, 30.0)
    assert time.monotonic() - began < 5
    assert record.state == jobs.RUNNING
    go_on.set()

    def closed() -> jobs.Record | None:
        found = jobs.read_job(world.panel, record.id)
        return found if found is not None and found.is_closed else None

    found = until(closed, "the job is closed")
    assert found is not None
    assert found.result == {"sum": 1}


@pytest.mark.usefixtures("all_taken")
def test_an_export_beside_another_is_refused_at_once(world: World) -> None:
    with named_lock(world.panel, "backup-export"):
        began = time.monotonic()
        with pytest.raises(AlreadyExporting):
            backups.export(world.panel, BY_ADMIN)
        assert time.monotonic() - began < 5


def test_a_sweep_that_nobody_may_wait_for_is_told_with_its_job(make_world: MakeWorld) -> None:
    with reminders_world(make_world, "sqlite") as reminders, ExitStack() as stack:
        reminders.settings(1)
        reminders.portal.fail("POST stb_msg", Delay(0.3), times=None)
        _take_all(stack, reminders.panel)
        answer = reminders.sweep()
        assert (answer["error"], answer["sent"]) == (0, 0)
        job = {"id": answer["job_id"]}
        until(lambda: reminders.post("admin", "get_job_status", **job)["job"]["state"] == "done", "the sweep is done")
        assert len(reminders.texts) == 2
