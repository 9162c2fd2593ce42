"""Work that outlives a request: jobs, their bell, claims, locks and the frame of scheduled jobs. Which jobs there
are: :mod:`core.workers`."""
