"""Who runs jobs and schedules, and what stands behind the panel's cron scripts. The frame of a job:
:mod:`core.jobs`."""
