"""What a request leaves to workers, and how its progress is read over HTTP."""

import pytest
import sqlalchemy as sa

from core.jobs import jobs
from core.panel import Panel
from core.storage.tables import Job
from core.workers import workers
from tests.conftest import MakeWorld
from tests.worlds.accounts import MAC, WELCOME, accounts_world, new_account
from tests.worlds.harness import PREFIXES, World

MESSAGE = f"POST stb_msg/{MAC('10')}"
# the listeners to a new account without a phone number
ANNOUNCED = ["push_created", "telegram_new_account", "welcome_device", "welcome_mail"]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_job_is_shown_to_whose_it_is_and_to_admins(world: World, prefix: str) -> None:
    with world.panel.database.write() as connection:
        job_id = jobs.add(world.panel, connection, "theme", {"secret": "hunter2"}, actor_id=2)
    world.execute(
        sa.update(Job).values(state="running", done=3, total=10, result='{"updated":3}', lease_until=2_000_000_000)
    )
    expected = {
        "error": 0,
        "err_msg": "",
        "message": "",
        "job": {
            "id": job_id,
            "kind": "theme",
            "state": "running",
            "done": 3,
            "total": 10,
            "result": {"updated": 3},
            "failure": "",
        },
    }
    for who in ("resa", "admin", "radm"):
        assert world.php_login(who).get(f"{prefix}get_job_status.php?id={job_id}").json() == expected
    for who in ("obs", "noname"):
        assert world.php_login(who).get(f"{prefix}get_job_status.php?id={job_id}").json()["code"] == 4
    client = world.php_login("admin")
    assert client.get(f"{prefix}get_job_status.php?id=99999").json()["code"] == 4
    for bad in ("", "?id=", "?id=x", "?id[]=1"):
        assert client.get(f"{prefix}get_job_status.php{bad}").json()["code"] == 6


def test_what_a_request_announces_outlives_its_process(make_world: MakeWorld, kind: str) -> None:
    with accounts_world(make_world, kind, SHOWBOX_JOBS_IN_PROCESS="no") as accounts:
        assert accounts.post("reseller1", "add_account", **new_account(plan="78-GBP"))["error"] == 0
        assert accounts.calls("POST")[-1] != MESSAGE
        assert sorted(job.kind for job in jobs.open_jobs(accounts.panel)) == ANNOUNCED
        # as a process that starts later
        later = Panel(accounts.panel.config, clock=accounts.panel.clock)
        try:
            assert jobs.work_off(later, workers.KINDS) == len(ANNOUNCED)
            assert jobs.open_jobs(later) == []
        finally:
            later.close()
        assert accounts.calls("POST")[-1] == MESSAGE
        assert accounts.portal.requests[-1].fields == {"msg": WELCOME}


def test_what_fails_announces_nothing(make_world: MakeWorld) -> None:
    with accounts_world(make_world, "sqlite", SHOWBOX_JOBS_IN_PROCESS="no") as accounts:
        assert accounts.post("reseller1", "add_account", **new_account(plan="999-GBP"))["error"] == 1
        assert jobs.open_jobs(accounts.panel) == []
