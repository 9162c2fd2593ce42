"""Jobs: stored with what asks for them, run once, taken up again when their process dies, their progress readable."""

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.config import load_config
from core.errors import DatabaseBusy, DatabaseRefused, UpstreamFailed
from core.jobs import jobs
from core.jobs.bell import bell
from core.jobs.jobs import Kind, Work
from core.panel import Panel
from core.storage.tables import Job
from core.values.clock import Clock
from core.workers import workers
from tests.conftest import MakeWorld
from tests.worlds.databases import create_database, prepared_database, require_redis
from tests.worlds.forked import Forked
from tests.worlds.harness import World
from tests.worlds.servers import REDIS_URL
from tests.worlds.waiting import until


class Handlers:
    """Kinds of jobs as the tests need them, and what they were given."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.go_on = threading.Event()
        self.kinds = {
            "note": Kind(self._note),
            "fail": Kind(self._fail, attempts=3),
            "break": Kind(self._break),
            "slow": Kind(self._slow),
        }

    def _note(self, work: Work) -> Mapping[str, Any]:
        self.seen.append(work.payload)
        return {"sum": len(self.seen)}

    def _fail(self, work: Work) -> None:
        self.seen.append(work.payload)
        raise UpstreamFailed("The portal could not be reached")

    def _break(self, work: Work) -> None:
        raise ValueError("hunter2")

    def _slow(self, work: Work) -> Mapping[str, Any]:
        work._reported_at = 0
        work.report(3, 10, {"sent": 3})
        self.go_on.wait(60)
        return {"sent": 10}


@pytest.fixture
def handlers() -> Iterator[Handlers]:
    made = Handlers()
    yield made
    made.go_on.set()


@pytest.fixture
def world(make_world: MakeWorld, kind: str) -> World:
    return make_world(kind)


def _add(world: World, kind: str, **payload: Any) -> int:
    with world.panel.database.write() as connection:
        return jobs.add(world.panel, connection, kind, payload, actor_id=1)


def _job(world: World, job_id: int) -> jobs.Record:
    record = jobs.read_job(world.panel, job_id)
    assert record is not None
    return record


def test_a_job_runs_once_and_its_outcome_can_be_read(world: World, handlers: Handlers) -> None:
    job_id = _add(world, "note", text="Grüße")
    assert jobs.work_off(world.panel, handlers.kinds) == 1
    assert jobs.work_off(world.panel, handlers.kinds) == 0
    assert handlers.seen == [{"text": "Grüße"}]
    record = _job(world, job_id)
    assert (record.state, record.result, record.owner) == (jobs.DONE, {"sum": 1}, None)


def test_a_job_exists_only_if_its_transaction_does(world: World, handlers: Handlers) -> None:
    with suppress(RuntimeError), world.panel.database.write() as connection:
        jobs.add(world.panel, connection, "note", {})
        raise RuntimeError
    assert jobs.work_off(world.panel, handlers.kinds) == 0


def test_workers_at_once_run_each_job_once(world: World, handlers: Handlers) -> None:
    for number in range(10):
        _add(world, "note", number=number)
    threads = [threading.Thread(target=jobs.work_off, args=(world.panel, handlers.kinds)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(payload["number"] for payload in handlers.seen) == list(range(10))


def test_a_failure_is_tried_again_later_and_then_given_up(make_world: MakeWorld, handlers: Handlers) -> None:
    world = make_world("sqlite")
    original, moment = world.panel.clock, [time.time()]
    world.panel.clock = Clock("Asia/Tehran", source=lambda: moment[0])
    try:
        job_id = _add(world, "fail")
        for wait in (60, 120, 240):
            jobs.work_off(world.panel, handlers.kinds)
            assert jobs.work_off(world.panel, handlers.kinds) == 0
            moment[0] += wait
        record = _job(world, job_id)
        assert (record.state, record.error) == (jobs.FAILED, "The portal could not be reached")
        assert len(handlers.seen) == 3
        moment[0] += jobs.KEPT_SECONDS
        jobs.forget_old(world.panel)
        assert jobs.read_job(world.panel, job_id) is None
    finally:
        world.panel.clock = original


def test_what_carries_on_is_tried_for_hours_while_the_database_is_away(
    make_world: MakeWorld, handlers: Handlers
) -> None:
    world = make_world("sqlite")
    original, moment = world.panel.clock, [time.time()]
    world.panel.clock = Clock("Asia/Tehran", source=lambda: moment[0])

    def away(work: Work) -> None:
        handlers.seen.append(work.payload)
        raise DatabaseBusy if len(handlers.seen) < 14 else DatabaseRefused

    kinds = {"away": Kind(away, carries_on=True)}
    try:
        job_id, began = _add(world, "away"), moment[0]
        while jobs.work_off(world.panel, kinds):
            moment[0] = max(moment[0], _job(world, job_id).due_at)
        record = _job(world, job_id)
        assert (record.state, record.error, len(handlers.seen)) == (jobs.FAILED, DatabaseRefused.default_text, 14)
        assert moment[0] - began > 3600
    finally:
        world.panel.clock = original


def test_an_unexpected_fault_hinders_no_other_job_and_tells_no_secret(
    make_world: MakeWorld, handlers: Handlers, caplog: pytest.LogCaptureFixture
) -> None:
    world = make_world("sqlite")
    broken, fine = _add(world, "break"), _add(world, "note")
    jobs.work_off(world.panel, handlers.kinds)
    assert (_job(world, broken).state, _job(world, fine).state) == (jobs.FAILED, jobs.DONE)
    assert "hunter2" not in f"{_job(world, broken).error} {caplog.text}"


def test_what_takes_too_long_goes_on_and_tells_how_far_it_is(world: World, handlers: Handlers) -> None:
    record = jobs.run_and_wait(world.panel, handlers.kinds, "slow", {}, actor_id=1, seconds=0.2)
    assert (record.state, record.done, record.total, record.result) == (jobs.RUNNING, 3, 10, {"sent": 3})
    assert jobs.work_off(world.panel, handlers.kinds) == 0
    handlers.go_on.set()
    until(lambda: _job(world, record.id).is_closed, "the job is closed")
    assert _job(world, record.id).result == {"sent": 10}


def test_who_was_taken_over_stops(make_world: MakeWorld, handlers: Handlers) -> None:
    world = make_world("sqlite")
    work = Work(world.panel, _job(world, _add(world, "note")))
    jobs.work_off(world.panel, handlers.kinds)
    work._reported_at = 0
    with pytest.raises(jobs.JobTaken):
        work.report(1, 2)


_DYING = """
import sys
import time
from core.jobs import jobs
from core.config import load_config
from core.panel import Panel
panel = Panel(load_config(None, {"SHOWBOX_DATABASE_URL": sys.argv[1]}))
def hang(work):
    print("begun", flush=True)
    time.sleep(60)
jobs.work_off(panel, {"note": jobs.Kind(hang)})
"""


def test_a_killed_process_loses_no_job(world: World, handlers: Handlers) -> None:
    job_id = _add(world, "note", text="kept")
    url = world.config.database.url.get_secret_value()
    process = Forked("-c", [_DYING, url], cwd=Path.cwd(), environment=os.environ)
    assert process.stdout.readline() == "begun\n"
    assert jobs.work_off(world.panel, handlers.kinds) == 0
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    process.close()
    assert jobs.work_off(world.panel, handlers.kinds) == 1
    assert handlers.seen == [{"text": "kept"}]
    assert _job(world, job_id).attempts == 2


def test_a_job_that_kills_its_process_is_given_up(make_world: MakeWorld, handlers: Handlers) -> None:
    world = make_world("sqlite")
    job_id = _add(world, "note")
    world.execute(sa.update(Job).values(state=jobs.RUNNING, attempts=20, lease_until=0, owner="gone"))
    assert jobs.work_off(world.panel, handlers.kinds) == 0
    assert _job(world, job_id).state == jobs.FAILED


@pytest.mark.parametrize("storage", ["file", "redis"])
def test_a_ring_wakes_the_workers_of_this_process(
    storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handlers: Handlers
) -> None:
    monkeypatch.setattr(workers, "KINDS", handlers.kinds)
    monkeypatch.setattr("core.jobs.bell._NAME", f"showbox-test-{os.getpid()}")
    settings = {"SHOWBOX_DATABASE_URL": prepared_database("sqlite", f"ring-{storage}")}
    if storage == "redis":
        require_redis()
        settings["SHOWBOX_JOBS_REDIS_URL"] = REDIS_URL
    else:
        settings["SHOWBOX_JOBS_QUEUE_FILE"] = str(tmp_path / "deep" / "jobs")
    panel = Panel(load_config(None, settings))
    try:
        workers.attach(panel)
        panel.layout  # noqa: B018 - creates the tables
        with panel.database.write() as connection:
            jobs.add(panel, connection, "note", {"text": "heard"})
        jobs.ring(panel)
        until(lambda: handlers.seen, "the job was run")
        assert handlers.seen == [{"text": "heard"}]
        # also those that have gone to rest
        bell(panel).rest()
        with panel.database.write() as connection:
            jobs.add(panel, connection, "note", {"text": "again"})
        jobs.ring(panel)
        until(lambda: len(handlers.seen) == 2, "the next job was run")
    finally:
        panel.close()


def test_a_closed_panel_leaves_no_database_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handlers: Handlers
) -> None:
    """Neither those of the workers' threads nor the queue's; Python 3.13 warns of them."""
    monkeypatch.setattr(workers, "KINDS", handlers.kinds)
    url = f"sqlite:///{tmp_path}/panel.db"
    panel = Panel(load_config(None, {"SHOWBOX_DATABASE_URL": url, "SHOWBOX_JOBS_QUEUE_FILE": f"{tmp_path}/jobs"}))
    workers.attach(panel)
    panel.layout  # noqa: B018 - creates the tables
    with panel.database.write() as connection:
        jobs.add(panel, connection, "note", {"text": "heard"})
    jobs.ring(panel)
    until(lambda: handlers.seen, "the job was done")
    assert {"panel.db", "jobs"} <= _open_below(tmp_path)
    panel.close()
    until(lambda: not _open_below(tmp_path), "all are closed")


def _open_below(folder: Path) -> set[str]:
    """The names of the files that this process has open there."""
    names = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            place = descriptor.readlink()
            if place.is_relative_to(folder):
                names.add(place.name)
    return names


def test_a_queue_that_is_down_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    settings = {
        "SHOWBOX_DATABASE_URL": create_database("sqlite", "no-queue"),
        "SHOWBOX_JOBS_REDIS_URL": "redis://:hunter2@127.0.0.1:1/0",
    }
    panel = Panel(load_config(None, settings))
    jobs.ring(panel)
    panel.close()
    assert "the queue of jobs cannot be reached" in caplog.text
    assert "hunter2" not in caplog.text
