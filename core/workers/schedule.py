"""The list of all scheduled jobs, and the ways to start one without a command line: by the clock, or by request.

Running a job under its lock is in :mod:`core.jobs.scheduled`. Source: contract chapter 60, "Scheduled jobs".
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Self

from huey import crontab
from sqlalchemy import Connection

from core.accounts.disable_expired import DISABLE_EXPIRED
from core.backup.backups import BACKUP
from core.jobs import jobs
from core.jobs.bell import bell
from core.jobs.jobs import Kind, Work
from core.jobs.scheduled import COULD_NOT_RUN, Options, ScheduledJob, run_job
from core.jobs.turns import first_of_the_minute
from core.messages.mail.sweep import MAIL_EXPIRY
from core.messages.push.expired import PUSH_EXPIRED
from core.messages.reminders.log import CLEANUP
from core.messages.reminders.starts import REMINDERS
from core.messages.sms.sweeps import SMS_EXPIRY, SMS_STAGES
from core.messages.telegram.sweeps import DAILY_REPORT
from core.panel import Panel

log = logging.getLogger(__name__)

JOBS: tuple[ScheduledJob, ...] = (
    REMINDERS,
    PUSH_EXPIRED,
    DISABLE_EXPIRED,
    SMS_EXPIRY,
    SMS_STAGES,
    MAIL_EXPIRY,
    CLEANUP,
    DAILY_REPORT,
    BACKUP,
)
KIND = "scheduled"


@dataclass(frozen=True, slots=True)
class Start:
    """A scheduled job that is to run once, as a job of its own; ``name`` as :func:`find` takes it."""

    name: str

    def stored(self) -> dict[str, str]:
        return {"name": self.name}

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        return cls(stored["name"])


def find(name: str) -> ScheduledJob | None:
    """The job of that name, or of that script of the panel (``cron_….php``)."""
    return next((job for job in JOBS if name in (job.name, job.script)), None)


class LogOutput:
    """The lines of a job that nobody watches go to the log; its progress to the stored job, if it is one."""

    def __init__(self, name: str, work: Work | None = None) -> None:
        self._name = name
        self._work = work

    def line(self, text: str) -> None:
        log.info("job %s: %s", self._name, text)

    def progress(self, done: int, total: int) -> None:
        if self._work is not None:
            self._work.report(done, total)


def is_time(usual: str, now: datetime) -> bool:
    """Whether ``now`` is one of the minutes of ``usual`` (minute hour day month weekday)."""
    minute, hour, day, month, weekday = usual.split()
    return bool(crontab(minute, hour, day, month, weekday)(now))


def attach(panel: Panel) -> None:
    """Have the workers start each job at its usual time in the panel's zone, if that is switched on.

    Of several processes one does.
    """
    if not panel.config.jobs.scheduler:
        return
    for job in (job for job in JOBS if job.is_on(panel)):
        # on a thread of its own: a sweep of minutes must not hold up the workers
        start = partial(panel.start_thread, partial(run_job, panel, job, Options(), LogOutput(job.name)), job.name)
        name = f"job-{job.name}"
        bell(panel).every(name, partial(first_of_the_minute, panel, name, partial(_is_now, panel, job)), start)


def _is_now(panel: Panel, job: ScheduledJob) -> bool:
    return is_time(job.usual, panel.clock.now())


def start_in_background(panel: Panel, job: ScheduledJob) -> int:
    """Have a worker run the job as soon as possible; the id of what it is stored as."""
    panel.layout  # noqa: B018 - creates our tables where they are missing

    def act(connection: Connection) -> int:
        return jobs.add(panel, connection, KIND, Start(job.name).stored())

    job_id = panel.database.transact(act)
    jobs.ring(panel)
    return job_id


def _handle(work: Work) -> Mapping[str, Any]:
    job = find(Start.read(work.payload).name)
    if job is None:
        return {"exit_code": COULD_NOT_RUN}
    return {"exit_code": run_job(work.panel, job, Options(), LogOutput(job.name, work))}


KINDS: dict[str, Kind] = {KIND: Kind(_handle)}
