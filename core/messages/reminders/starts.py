"""Who starts a sweep of reminders: a user by hand (the web), or the nightly job J1 for all who have switched it on.

Both work under one lock, so that a message is not sent by two at once. Source: contract chapter 60,
``send_expiry_reminders.php`` and J1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy import Connection

from core.access.actors import Actor
from core.access.audit import CRON, By, Origin
from core.access.permissions import SEND_REMINDERS, may, require
from core.access.user_rows import read_user
from core.errors import NotLoggedIn, PanelError
from core.jobs import jobs
from core.jobs.events import announce
from core.jobs.jobs import Kind, Work
from core.jobs.locks import named_lock
from core.jobs.scheduled import Run, ScheduledJob
from core.messages.delivery import settle_interrupted
from core.messages.events import EndsAheadSwept
from core.messages.pace import Pace
from core.messages.reminders import sweep
from core.messages.reminders.settings import Settings, automatic, checked_days, read_settings
from core.messages.reminders.sweep import FAILED, SENT, SKIPPED, Result, Tally
from core.panel import Panel

KIND = "reminders"
LOCK = "stb-reminders"
LOCK_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep as far as it is. ``job_id``: it goes on as this job."""

    tally: Tally
    job_id: int | None = None


@dataclass(slots=True)
class _Live:
    """What the waiting request sees of the job's thread."""

    tally: Tally | None = None
    error: PanelError | None = None


# by hand


def sweep_now(panel: Panel, by: By) -> Sweep:
    """Send the actor's reminders, waiting for it up to the configured time; it then goes on as a job.

    Raises NotAllowed, LockHeld (a sweep is running), PortalNotConfigured, DatabaseFailed.
    """
    require(by.actor, SEND_REMINDERS)
    # what is told where the job has told nothing yet
    waiting = sweep.begin(panel, read_settings(panel, by.actor.id))
    live = _Live()
    kinds = {KIND: Kind(partial(_handle, live=live), carries_on=True)}
    record = jobs.run_and_wait(panel, kinds, KIND, by.origin.stored(), by.actor.id, panel.config.jobs.wait_seconds)
    # else it carries on, and what was sent by now may not be called undone
    if live.error is not None and record.is_closed:
        raise live.error
    if record.state == jobs.FAILED:
        raise PanelError("The reminders could not be sent because of an internal error")
    tally = live.tally or waiting
    # the thread may go on meanwhile
    return Sweep(replace(tally, results=tally.results[:]), None if record.is_closed else record.id)


def _handle(work: Work, live: _Live | None = None) -> Mapping[str, Any]:
    live = live or _Live()
    try:
        tally = _sweep_of(work, live)
    except PanelError as error:
        live.error = error
        raise
    return {**tally.counts, "total": tally.total}


def _sweep_of(work: Work, live: _Live) -> Tally:
    panel = work.panel
    actor = _actor(panel, work.actor_id)
    require(actor, SEND_REMINDERS)
    settings = read_settings(panel, actor.id)
    tally = live.tally = sweep.begin(panel, settings)
    with named_lock(panel, LOCK, wait=LOCK_SECONDS) as held:

        def heard(result: Result) -> None:
            if result.status != SKIPPED:
                held.renew()
            work.report(len(tally.results), tally.total, tally.counts)

        settle_interrupted(panel)
        by = By(actor, Origin.read(work.payload))
        sweep.carry_out(panel, by, settings, tally, Pace.of(panel), heard, once=f"job:{work.record.id}")
    return tally


def _actor(panel: Panel, user_id: int) -> Actor:
    with panel.database.read() as connection:
        actor = read_user(panel, connection, user_id)
    if actor is None:
        raise NotLoggedIn
    return actor


KINDS: dict[str, Kind] = {KIND: Kind(_handle, carries_on=True)}


# by the clock


def _run(run: Run) -> int:
    """J1. How many messages failed."""
    settle_interrupted(run.panel)
    chosen = automatic(run.panel)
    run.stamped(f"Expiry reminders: {len(chosen)} users have switched them on")
    pace, totals = Pace.of(run.panel), dict.fromkeys((SENT, SKIPPED, FAILED), 0)
    for user_id, settings in chosen:
        counts = _for_user(run, user_id, settings, pace)
        totals = {status: totals[status] + counts.get(status, 0) for status in totals}
    for status, count in totals.items():
        run.stamped(f"Total {status}: {count}")
    return totals[FAILED]


def _for_user(run: Run, user_id: int, settings: Settings, pace: Pace) -> Mapping[str, int]:
    with run.panel.database.read() as connection:
        actor = read_user(run.panel, connection, user_id)
    if actor is None or not may(actor, SEND_REMINDERS):
        run.stamped(f"User {actor.username if actor else user_id} skipped: no STB control permission")
        return {}
    if run.options.days is not None:
        settings = replace(settings, days=checked_days(run.options.days))
    tally = sweep.begin(run.panel, settings)
    run.stamped(f"User {actor.username}: accounts that end in {tally.days} days, on {tally.target}")
    if run.options.dry_run:
        return _tell_only(run, actor, settings, tally)

    # other channels need no portal
    def act(connection: Connection) -> None:
        announce(run.panel, connection, EndsAheadSwept(actor.id, run.panel.clock.today(), tally.days))

    run.panel.database.transact(act)
    jobs.ring(run.panel)

    def heard(result: Result) -> None:
        run.stamped(_line(result))
        if result.status == SKIPPED:
            run.output.progress(len(tally.results), tally.total)
        else:
            run.step(len(tally.results), tally.total)

    sweep.carry_out(run.panel, By(actor, CRON), settings, tally, pace, heard)
    counts = tally.counts
    run.stamped(f"User {actor.username}: " + ", ".join(f"{name.title()}={count}" for name, count in counts.items()))
    if not tally.is_recorded:
        run.stamped(f"WARNING: User {actor.username}: the database could not take all of it into the logs")
    return counts


def _tell_only(run: Run, actor: Actor, settings: Settings, tally: Tally) -> Mapping[str, int]:
    for item in sweep.plan(run.panel, actor, settings, tally):
        if not item.is_over:
            run.stamped(f"WOULD SEND: {item.due.username} ({item.due.shown_name})")
    return {}


def _line(result: Result) -> str:
    if result.status == SENT:
        return f"SENT: {result.due.username} ({result.due.shown_name})"
    return f"{'SKIP' if result.status == SKIPPED else 'FAIL'}: {result.due.username} - {result.text}"


REMINDERS = ScheduledJob(
    name="reminders",
    script="cron_check_expiry_reminders.php",
    lock=LOCK,
    usual="0 9 * * *",
    summary="Remind customers on their set-top boxes before their accounts end",
    run=_run,
)
