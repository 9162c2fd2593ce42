"""Who waits for a sync, and what is answered meanwhile (contract README, "who may sync"), in one process and in two.

Two processes are two served panels that have nothing in common but the database.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from core.jobs import jobs
from core.storage.tables import Account, Job, Lock, User
from core.sync import shared_list
from core.values.clock import Clock
from core.workers import workers
from simulators.faults import Delay, Refuse
from simulators.stalker import StalkerPortal
from tests.conftest import MakeWorld
from tests.worlds.harness import Client, World, user_row
from tests.worlds.logged_in import logged_in
from tests.worlds.waiting import until

FAILED = "Failed to fetch accounts from Stalker Portal: "
MAC = "00:1A:79:00:00:0{}".format
ONE_FETCH = ["GET stb/", "GET accounts/"]


@pytest.fixture(scope="module")
def _portal() -> Iterator[StalkerPortal]:
    with StalkerPortal(dialect="panel") as portal:
        yield portal


@pytest.fixture
def portal(_portal: StalkerPortal) -> StalkerPortal:
    """With two accounts of reseller1 and one of nobody."""
    _portal.clear_faults()
    for user in _portal.users:
        _portal.state.delete_user(user)
    for number, owner in ((1, 2), (2, 2), (3, None)):
        _portal.add_user(f"user{number}", MAC(number), full_name=f"Number {number}", reseller=owner)
    _portal.forget_requests()
    return _portal


def _world(make_world: MakeWorld, kind: str, portal: StalkerPortal, **settings: str) -> World:
    return _fill(make_world(kind, **_settings(portal), **settings))


def _settings(portal: StalkerPortal) -> dict[str, str]:
    return {"SHOWBOX_PORTAL_PRIMARY_API_URL": portal.base_url, "SHOWBOX_SERVER_THREADS": "8"}


def _fill(world: World) -> World:
    world.insert(User, [user_row(1, "admin", super_user=1), user_row(2, "reseller1"), user_row(3, "radmin")])
    return world


@pytest.fixture
def world(make_world: MakeWorld, portal: StalkerPortal) -> World:
    return _world(make_world, "sqlite", portal)


@pytest.fixture
def pair(make_world: MakeWorld, kind: str, portal: StalkerPortal) -> tuple[World, World]:
    return _pair(make_world, kind, portal)


@pytest.fixture
def light_pair(make_world: MakeWorld, portal: StalkerPortal) -> tuple[World, World]:
    return _pair(make_world, "sqlite", portal)


def _pair(make_world: MakeWorld, kind: str, portal: StalkerPortal, **settings: str) -> tuple[World, World]:
    """Two panels over one database, with the same sessions, jobs and files."""
    settings |= _settings(portal)
    first = make_world(kind, **settings)
    shared = {
        "SHOWBOX_SESSION_PHP_SAVE_PATH": str(first.session_directory),
        "SHOWBOX_JOBS_QUEUE_FILE": first.config.jobs.queue_file,
        "SHOWBOX_PANEL_DATA_DIRECTORY": str(first.config.panel.data_directory),
    }
    # empties the database, too
    second = make_world(kind, **settings, **shared)
    return _fill(first), second


def _sync(client: Client) -> dict[str, Any]:
    answer: dict[str, Any] = client.post("/sync_accounts.php").json()
    return answer


def _at(world: World, client: Client) -> Client:
    """The same session, at another process."""
    return Client(world.url, client.cookies)


@contextmanager
def _patient(worlds: tuple[World, ...], seconds: float) -> Iterator[None]:
    """Pages wait so long for a sync."""
    originals = [world.panel.config for world in worlds]
    for world, original in zip(worlds, originals, strict=True):
        portal = original.portal.model_copy(update={"sync_wait_seconds": seconds})
        world.panel.config = original.model_copy(update={"portal": portal})
    yield
    for world, original in zip(worlds, originals, strict=True):
        world.panel.config = original


@pytest.mark.every_kind
def test_one_fetch_serves_all_processes_and_scopes(pair: tuple[World, World], portal: StalkerPortal) -> None:
    clients = [logged_in(world, name) for world in pair for name in ("admin", "reseller1")]
    portal.fail("GET accounts", Delay(0.6))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(_sync, clients))
    assert portal.calls == ONE_FETCH
    assert [(answer["error"], answer["synced"], "pending" in answer) for answer in answers] == [
        (0, 3, False),
        (0, 2, False),
    ] * 2
    assert len(pair[0].rows(sa.select(Account.id))) == 3


def test_a_failure_is_shared_as_well(make_world: MakeWorld, portal: StalkerPortal) -> None:
    pair = _pair(make_world, "sqlite", portal, SHOWBOX_PORTAL_LIST_SECONDS="0.5")
    portal.fail("GET accounts", Delay(3.0), times=None)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(_sync, [logged_in(one, "admin") for one in pair]))
    assert portal.calls == ONE_FETCH
    assert [answer["err_msg"] for answer in answers] == [f"{FAILED}Connection timeout"] * 2
    # it has ended, and nothing goes on
    assert ["job_id" in answer for answer in answers] == [False, False]


def test_a_young_list_answers_the_first_sync_of_each_session(pair: tuple[World, World], portal: StalkerPortal) -> None:
    first, second = pair
    admin = logged_in(first, "admin")
    assert _sync(admin)["synced"] == 3
    assert portal.calls == ONE_FETCH
    portal.add_user("user4", MAC(4))
    # pages sync by themselves after the login, in whatever process, and for all of one's own
    other = logged_in(second, "admin")
    assert (_sync(other)["synced"], _sync(logged_in(second, "reseller1"))["synced"]) == (3, 2)
    assert portal.calls == ONE_FETCH
    # who asks again wants to know
    assert _sync(_at(first, other))["synced"] == 4
    assert _sync(admin)["synced"] == 4
    assert portal.calls == ONE_FETCH * 3


def test_a_young_list_brings_others_scopes_in_line_too(world: World, portal: StalkerPortal) -> None:
    """What only one's own sync has looked at is taken over from the same list by everybody's."""
    assert _sync(logged_in(world, "reseller1"))["synced"] == 2
    assert _sync(logged_in(world, "admin"))["synced"] == 3
    assert portal.calls == ONE_FETCH
    assert len(world.rows(sa.select(Account.id))) == 3


def test_an_old_list_or_one_of_another_portal_answers_nothing(world: World, portal: StalkerPortal) -> None:
    _sync(logged_in(world, "admin"))
    original, later = world.panel.clock, time.time() + 301
    world.panel.clock = Clock("UTC", source=lambda: later)
    _sync(logged_in(world, "admin"))
    world.panel.clock = original
    assert portal.calls == ONE_FETCH * 2
    with StalkerPortal(dialect="panel") as moved:
        moved.add_user("elsewhere", MAC(9))
        settings = world.panel.config.portal.model_copy(update={"primary_api_url": moved.base_url})
        config = world.panel.config
        world.panel.config = config.model_copy(update={"portal": settings})
        _sync(logged_in(world, "admin"))
        world.panel.config = config
        assert moved.calls == ONE_FETCH
    assert portal.calls == ONE_FETCH * 2


def test_who_cannot_wait_is_told_the_last_numbers_and_a_job(
    light_pair: tuple[World, World], portal: StalkerPortal
) -> None:
    first, second = light_pair
    admin, reseller = logged_in(first, "admin"), logged_in(second, "reseller1")
    _sync(admin)
    portal.add_user("user4", MAC(4))
    portal.fail("GET accounts", Delay(6.0))
    with _patient(light_pair, 0.05):
        began = time.monotonic()
        answers = [_sync(admin), _sync(_at(second, admin))]
        assert _sync(reseller)["synced"] == 2
        own = _sync(reseller)
        assert time.monotonic() - began < 5.5
    # known to those of the other process, and to those who had none of their own
    assert [(answer["error"], answer["pending"], answer["synced"]) for answer in answers] == [(0, 1, 3)] * 2
    assert (own["error"], own["pending"], own["synced"], own["total_accounts"]) == (0, 1, 2, 2)
    assert answers[0]["job_id"] == answers[1]["job_id"] != own["job_id"]
    assert "goes on in the background" in own["message"]

    def job(client: Client, answer: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = client.post("/get_job_status.php", {"id": answer["job_id"]}).json()["job"]
        return found

    until(lambda: job(admin, answers[0])["state"] == job(reseller, own)["state"] == "done", "both jobs are done")
    assert job(admin, answers[0])["result"]["synced"] == 4
    assert job(reseller, own)["result"]["synced"] == 2
    assert portal.calls == ONE_FETCH * 2
    assert len(first.rows(sa.select(Account.id))) == 4


def test_how_far_a_long_fetch_is_can_be_read(world: World, portal: StalkerPortal) -> None:
    """The details of many new accounts are what takes the time at a real portal."""
    admin = logged_in(world, "admin")
    _sync(admin)
    many = 300
    for number in range(many):
        portal.add_user(f"new{number}", f"00:1A:79:01:{number >> 8:02X}:{number & 255:02X}")
    portal.settings.list_delay_per_account = 15.0
    seen: list[tuple[int, int, int]] = []
    lease = sa.select(Job.lease_until)
    try:
        with _patient((world,), 0.05):
            answer = _sync(admin)

        def is_done() -> bool:
            job = admin.post("/get_job_status.php", {"id": answer["job_id"]}).json()["job"]
            if job["state"] == "running" and job["total"]:
                left = world.rows(lease.where(Job.id == answer["job_id"]))[0]["lease_until"] - world.panel.clock.stamp()
                seen.append((job["done"], job["total"], left))
            return bool(job["state"] == "done")

        until(is_done, "the sync is done")
    finally:
        portal.settings.list_delay_per_account = 0.0
    fetching = [done for done, total, _ in seen if total == many and 0 < done < many]
    assert fetching == sorted(fetching)
    assert len(set(fetching)) > 1
    # a portal that hangs in the middle of it is waited for as long as at the beginning
    assert seen[0][2] > world.config.portal.list_seconds


@pytest.mark.one_process("each has its threads")
def test_waiting_takes_a_quarter_of_the_threads_and_hinders_nobody(world: World, portal: StalkerPortal) -> None:
    admin = logged_in(world, "admin")
    _sync(admin)
    callers = [logged_in(world, "admin") for _ in range(8)]
    for caller in callers:
        _sync(caller)
    portal.forget_requests()
    portal.fail("GET accounts", Delay(3.0))
    answers: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda c=caller: answers.append(_sync(c))) for caller in callers]
    for thread in threads:
        thread.start()
    # all but the two that wait have their answer long before the portal has given one
    until(lambda: len(answers) == 6, "all are answered")
    assert admin.get("/get_user_info.php").json()["error"] == 0
    assert len(answers) == 6
    assert [answer["pending"] for answer in answers] == [1] * 6
    for thread in threads:
        thread.join()
    assert [answer.get("pending") for answer in answers[6:]] == [None, None]
    assert portal.calls == ONE_FETCH


# of a process of this machine that is not there any more
def _dead(owner: str) -> str:
    machine = owner.partition(":")[0]
    return f"{machine}:4194304:1:dead"


@pytest.mark.every_kind
def test_what_a_killed_process_left_behind_holds_up_nobody(pair: tuple[World, World], portal: StalkerPortal) -> None:
    first, second = pair
    with first.panel.database.write() as connection:
        origin = {"address": "192.0.2.1", "user_agent": "test"}
        record = jobs.reserve(first.panel, connection, "sync", {"scope": 0, "origin": origin}, 1, lease_seconds=900)
        gone = _dead(str(record.owner))
        connection.execute(sa.update(Job).values(owner=gone))
        until = first.panel.clock.stamp() + 900
        connection.execute(sa.insert(Lock).values(name="portal-list", owner=gone, taken_at=1, lease_until=until))
    assert _sync(logged_in(second, "admin"))["synced"] == 3
    assert portal.calls == ONE_FETCH
    # and its job is done by the next who looks
    assert jobs.work_off(second.panel, workers.KINDS) == 1
    closed = jobs.read_job(second.panel, record.id)
    assert closed is not None
    assert closed.state == jobs.DONE


def test_a_portal_that_fails_at_once_does_not_inherit_the_list_of_the_one_before(
    light_pair: tuple[World, World],
) -> None:
    before, after = light_pair
    with StalkerPortal(dialect="panel") as other:
        assert before.client("admin").post("/sync_accounts.php").json()["error"] == 0
        other.fail("*", Refuse(), times=None)
        after.panel.config = after.panel.config.model_copy(
            update={"portal": after.panel.config.portal.model_copy(update={"primary_api_url": other.base_url})}
        )
        try:
            assert after.client("admin").post("/sync_accounts.php").json()["error"] == 1
            assert shared_list.last_list(after.panel) is None
            assert shared_list.fresh_list(after.panel) is None
            assert after.rows(sa.select(Account.id)) != []
        finally:
            other.clear_faults()
