"""The panel's cron scripts over HTTP (contract chapter 60): refused, or started in the background by the key."""

import pytest
import sqlalchemy as sa

from core.storage.tables import Job
from core.workers.cron_scripts import ALL_SCRIPTS, JOB_SCRIPTS, RESET_SCRIPT, SETUP_SCRIPTS
from core.workers.schedule import JOBS
from tests.conftest import MakeWorld
from tests.worlds.harness import World
from tests.worlds.reminders import reminders_world
from tests.worlds.waiting import until

KEY = "a-key-of-cron-0123456789"
PUSH = "cron_check_expired.php"
REFUSED = [
    *(f"/{folder}{name}" for name in JOB_SCRIPTS for folder in ("", "cron/") if name != PUSH),
    "/scripts/cleanup_old_reminders.php",
    *(f"/{folder}{name}" for name in (*SETUP_SCRIPTS, RESET_SCRIPT) for folder in ("", "scripts/")),
]
UNKNOWN = [
    "/cron/anything.php",
    "/scripts/anything.php",
    "/scripts/cron_check_expiry_reminders.php",
    "/cron/create_sms_tables.php",
    "/api/cron_check_expiry_reminders.php",
]


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world("sqlite")


@pytest.mark.parametrize("key", ["", f"?cron_key={KEY}"])
def test_scripts_are_refused_where_no_key_is_configured(world: World, key: str) -> None:
    client = world.client()
    for path in REFUSED:
        for method in ("GET", "POST"):
            response = client.request(method, path + key, headers={"X-Cron-Key": KEY})
            assert (response.status_code, response.json()["code"]) == (403, 3), path
    for path in UNKNOWN:
        assert (client.get(path + key).status_code, client.get(path).json()["code"]) == (404, 4), path
    for folder in ("", "cron/", "api/"):
        response = client.get(f"/{folder}{PUSH}{key}")
        assert (response.status_code, response.headers["Content-Type"]) == (403, "text/plain"), folder
    assert world.rows(sa.select(Job.id)) == []


def test_34_a_test_run_is_no_way_in(make_world: MakeWorld) -> None:
    with reminders_world(make_world, "sqlite") as panel:
        response = panel.world.client().get("/cron/cron_disable_expired_accounts.php?run=test")
        assert response.status_code == 403
        assert panel.account(15)["status"] == 1
        assert panel.portal.calls == []


@pytest.mark.every_kind
def test_the_key_starts_a_job_in_the_background(make_world: MakeWorld, kind: str) -> None:
    with reminders_world(make_world, kind, cron_key=KEY) as panel:
        client = panel.world.client()
        script = "/cron/cron_disable_expired_accounts.php"
        for wrong in ("?cron_key=", f"?cron_key={KEY}x", "?cron_key[]=x", "?cron_key=%ff", "?run=test"):
            assert client.get(script + wrong).status_code == 403, wrong
        assert client.get(script, headers={"X-Cron-Key": "é"}).status_code == 403
        assert client.get(f"/create_sms_tables.php?cron_key={KEY}").status_code == 403
        by_query = client.get(f"{script}?cron_key={KEY}")
        by_header = client.request("POST", script.removeprefix("/cron"), headers={"X-Cron-Key": KEY})
        for started in (by_query, by_header):
            assert (started.status_code, started.json()["error"]) == (202, 0)
        states = sa.select(Job.state)
        until(lambda: {row["state"] for row in panel.world.rows(states)} == {"done"}, "both jobs are done")
        assert panel.account(15)["status"] == 0
        assert panel.portal.calls.count("PUT accounts/00:1A:79:00:00:05") == 1


@pytest.mark.parametrize("path", ["/cron/cron_send_expiry_mail.php", "/cron_send_expiry_mail.php"])
def test_the_mails_of_ends_are_started_by_their_script(make_world: MakeWorld, path: str) -> None:
    with reminders_world(make_world, "sqlite", cron_key=KEY) as panel:
        client = panel.world.client()
        assert client.get(path).status_code == 403
        assert panel.world.rows(sa.select(Job.kind)) == []
        started = client.get(f"{path}?cron_key={KEY}")
        assert (started.status_code, started.json()["error"]) == (202, 0)
        [job] = panel.world.rows(sa.select(Job.kind, Job.payload))
        assert "mail-expiry" in f"{job['kind']} {job['payload']}"
        until(lambda: panel.world.rows(sa.select(Job.state)) == [{"state": "done"}], "the job is done")


def test_every_job_has_its_script() -> None:
    assert {job.script: job.name for job in JOBS if job.script}.items() <= JOB_SCRIPTS.items()
    assert len(set(ALL_SCRIPTS)) == len(ALL_SCRIPTS)
