"""The list of all scheduled jobs."""

from core.scheduled import ScheduledJob

JOBS: tuple[ScheduledJob, ...] = ()


def find(name: str) -> ScheduledJob | None:
    """The job of that name, or of that script of the panel (``cron_….php``)."""
    return next((job for job in JOBS if name in (job.name, job.script)), None)
