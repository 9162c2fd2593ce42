"""Running one of the nightly jobs: under its lock, with the lines and the exit code that its crontab expects.

What each job does stands in its own module; the list of all is in :mod:`core.workers.schedule`. Source: contract
chapter 60, "Scheduled jobs" and S7.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from core.errors import PanelError
from core.jobs.locks import Held, LockHeld, named_lock
from core.panel import Panel

log = logging.getLogger(__name__)

DONE, COULD_NOT_RUN, SOME_FAILED = 0, 1, 2
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Output(Protocol):
    """Where a job tells what it does: lines that admins grep, and how far it is."""

    def line(self, text: str) -> None: ...

    def progress(self, done: int, total: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Options:
    """Of one run: ``days``: instead of the configured number; ``dry_run``: only tell; ``strict``: exit code 2 when
    something failed."""

    days: int | None = None
    dry_run: bool = False
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """What a job gets. ``held``: its lock, to be renewed with each step."""

    panel: Panel
    options: Options
    output: Output
    held: Held

    def line(self, text: str) -> None:
        """One line; line breaks and control characters of names become blanks."""
        self.output.line(
            "".join(" " if ord(character) < 32 or ord(character) == 127 else character for character in text)
        )

    def stamped(self, text: str) -> None:
        """One line that begins with the panel's time, as the panel's jobs write it."""
        self.line(f"[{self.panel.clock.now().isoformat(sep=' ')}] {text}")

    def step(self, done: int, total: int) -> None:
        """To be called after each item: shows the progress and renews the lock. Raises LockLost."""
        self.held.renew()
        self.output.progress(done, total)


@dataclass(frozen=True, slots=True)
class ScheduledJob:
    """``run`` returns how many items failed; ``lock``: what it must not run beside; ``script``: the panel's file name,
    None for a job that the panel did not have.

    ``usual``: when it usually runs, as a crontab says it (minute hour day month weekday). ``is_on``: whether the clock
    starts it at all.
    """

    name: str
    script: str | None
    lock: str
    usual: str
    summary: str
    run: Callable[[Run], int]
    is_on: Callable[[Panel], bool] = lambda _panel: True


def run_job(panel: Panel, job: ScheduledJob, options: Options, output: Output) -> int:
    """Run it now, and return the exit code. What goes wrong is a line that contains ``ERROR``, without internals."""
    try:
        with named_lock(panel, job.lock) as held:
            failed = job.run(Run(panel, options, output, held))
    except LockHeld as error:
        output.line(f"{'ERROR: ' if error.is_stale else ''}{job.name}: already running since {error.age} seconds")
        return COULD_NOT_RUN if error.is_stale else DONE
    except PanelError as error:
        output.line(f"ERROR: {job.name}: {error.text}")
        return COULD_NOT_RUN
    except Exception as error:
        # the message of an unexpected exception may hold anything
        log.error("job %s: unexpected %s", job.name, type(error).__name__)
        output.line(f"ERROR: {job.name}: an internal error occurred")
        return COULD_NOT_RUN
    return SOME_FAILED if failed and options.strict else DONE
