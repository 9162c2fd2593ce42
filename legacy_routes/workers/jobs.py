"""Work that goes on after its request was answered: how far it is (ours; contract chapters 30 C and 60)."""

from compat.endpoints import Answer, Endpoints
from compat.fields import Integer, RequestModel
from core.access.permissions import READ_JOBS, may_touch
from core.errors import NotFound
from core.jobs.jobs import read_job
from legacy_routes.gate import LOGGED_IN, Call, caller

endpoints = Endpoints(chapter="60")


class JobForm(RequestModel):
    id: Integer


@endpoints.endpoint("get_job_status", "GET", "POST", who=LOGGED_IN, model=JobForm)
def get_job_status(call: Call, form: JobForm) -> Answer:
    """How far a job is that an answer named by its `job_id`, and what came of it: one's own, for admins any."""
    record = read_job(call.panel, form.id)
    if record is None or not may_touch(caller(call), READ_JOBS, record.actor_id):
        raise NotFound("Job not found")
    return {
        "err_msg": "",
        "message": "",
        "job": {
            "id": record.id,
            "kind": record.kind,
            "state": record.state,
            "done": record.done,
            "total": record.total,
            "result": record.result,
            "failure": record.error or "",
        },
    }
