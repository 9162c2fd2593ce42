"""Many boxes at once: the answer comes in time with true counts and a job, and nothing is lost or repeated."""

import json
import time
from typing import Any

import sqlalchemy as sa

from core.devices import batch
from core.jobs import jobs
from core.jobs.claims import INTERRUPTED
from core.storage.tables import Claim, Job, StbActionLog
from core.workers import workers
from simulators.faults import Delay
from tests.worlds.stb import MAC1, MAC2, Boxes
from tests.worlds.waiting import until

MACS = [f"00:1A:79:00:01:{number:02X}" for number in range(1, 6)]


def waits(boxes: Boxes, seconds: int) -> None:
    panel = boxes.world.panel
    section = panel.config.jobs.model_copy(update={"wait_seconds": seconds})
    panel.config = panel.config.model_copy(update={"jobs": section})


def closed(boxes: Boxes, job_id: int) -> dict[str, Any]:
    """The job's state, once it is closed."""

    def found() -> dict[str, Any]:
        job: dict[str, Any] = boxes.get("admin", "/get_job_status.php", id=job_id)["job"]
        return job if job["state"] in ("done", "failed") else {}

    return until(found, "the job is closed")


def prepared(boxes: Boxes) -> None:
    for number, mac in enumerate(MACS):
        boxes.portals[0].add_user(f"many{number}", mac)


def test_a_slow_portal_does_not_hold_the_request(light_boxes: Boxes) -> None:
    boxes = light_boxes
    prepared(boxes)
    waits(boxes, 0)
    boxes.portals[0].fail("*", Delay(1.0), times=None)
    started = time.monotonic()
    answer = boxes.post("admin", "/send_message.php", {"mac": "|".join(MACS), "message": "Hi"})
    assert time.monotonic() - started < 4.5
    assert (answer["error"], answer["pending"]) == (0, 1)
    assert answer["sent_count"] + answer["failed_count"] + answer["pending_count"] == 5
    job = closed(boxes, answer["job_id"])
    assert (job["state"], [error for _, error, _ in job["result"]["done"]]) == ("done", [None] * 5)
    assert [call.partition("stb_msg/")[2].split()[0] for call in boxes.asked] == MACS
    assert [row["mac_address"] for row in boxes.log] == MACS
    assert len(boxes.audit) == 1
    assert boxes.get("reseller1", "/get_job_status.php", id=answer["job_id"])["code"] == 4


def test_a_job_whose_process_died_goes_on_without_repeating(boxes: Boxes) -> None:
    """It had told of the first box, and was sending to the second."""
    prepared(boxes)
    assert boxes.post("admin", "/send_event.php", {"mac": "|".join(MACS), "event": "reboot"})["error"] == 0
    [job] = boxes.world.rows(sa.select(Job.id, Job.result))
    boxes.forget()
    for mac in MACS[2:]:
        boxes.world.execute(sa.delete(Claim).where(Claim.name == f"job:{job['id']}:{mac}"))
    told = '{"done":[["' + MACS[0] + '",null,null]],"server2":null}'
    boxes.world.execute(sa.update(Job).values(state="running", owner=None, lease_until=0, result=told))
    assert jobs.work_off(boxes.world.panel, workers.KINDS) == 1
    assert len(boxes.asked) == 3
    [closed_job] = boxes.world.rows(sa.select(Job.state, Job.result))
    assert closed_job["state"] == "done"
    assert closed_job["result"].count(INTERRUPTED) == 1
    assert [row["mac_address"] for row in boxes.log] == MACS[1:]


def test_a_job_whose_process_died_believes_what_the_log_says_of_a_box(boxes: Boxes) -> None:
    """It had sent to two and told of none, and was sending to the third."""
    prepared(boxes)
    assert boxes.post("admin", "/send_event.php", {"mac": "|".join(MACS), "event": "reboot"})["error"] == 0
    [job] = boxes.world.rows(sa.select(Job.id))
    for mac in MACS[3:]:
        boxes.world.execute(sa.delete(Claim).where(Claim.name == f"job:{job['id']}:{mac}"))
        boxes.world.execute(sa.delete(StbActionLog).where(StbActionLog.mac_address == mac))
    third = sa.update(StbActionLog).where(StbActionLog.mac_address == MACS[2])
    boxes.world.execute(third.values(status="failed", error_message=INTERRUPTED))
    boxes.world.execute(sa.update(Job).values(state="running", owner=None, lease_until=0, result=None))
    asked = len(boxes.asked)
    assert jobs.work_off(boxes.world.panel, workers.KINDS) == 1
    assert len(boxes.asked) == asked + 2
    [closed_job] = boxes.world.rows(sa.select(Job.result))
    errors = [None, None, INTERRUPTED, None, None]
    assert [error for _, error, _ in json.loads(closed_job["result"] or "{}")["done"]] == errors
    assert [(row["mac_address"], row["error_message"]) for row in boxes.log] == list(zip(MACS, errors, strict=True))


def test_counts_of_what_is_refused_and_what_failed(light_boxes: Boxes) -> None:
    answer = light_boxes.post("admin", "/send_message.php", {"mac": f"{MAC1}|nonsense|{MACS[0]}", "message": "Hi"})
    assert (answer["error"], answer["warning"], answer["failed"]) == (0, 1, ["nonsense", MACS[0]])
    assert "pending" not in answer
    assert "1 of 3" in answer["wrn_msg"]
    assert light_boxes.post("admin", "/send_message.php", {"mac": MAC2, "message": "Hi"})["error"] == 0


def test_a_job_of_the_version_before_is_carried_out(light_boxes: Boxes) -> None:
    """Its payload names who began it by the login alone; the id stands in the job's row."""
    world = light_boxes.world
    content = {"kind": "message", "content": {"text": "Hi", "ttl": None}, "macs": [MAC1], "refused": []}
    author = {"username": "admin", "origin": {"address": "192.0.2.1", "user_agent": "curl/8"}}
    values = {"kind": batch.KIND, "state": "waiting", "actor_id": 1, "payload": json.dumps(content | author)}
    now = world.panel.clock.stamp()
    world.execute(sa.insert(Job).values(**values, due_at=now, created_at=now, updated_at=now))
    assert jobs.work_off(world.panel, workers.KINDS) == 1
    [job] = world.rows(sa.select(Job.state, Job.result))
    assert (job["state"], json.loads(job["result"] or "{}")) == (
        "done",
        {"done": [[MAC1, None, None]], "server2": None},
    )
    [row] = light_boxes.audit
    assert (row["user_id"], row["username"], row["ip_address"]) == (1, "admin", "192.0.2.1")
