"""Work that outlives its request: how far a job is, and the panel's cron scripts. What jobs do stands in core."""
