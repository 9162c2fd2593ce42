"""Who does the work that jobs and the clock ask for: what workers run when they are rung, and each minute.

In the server's own process by default; ``flask --app wsgi worker`` is a process of its own.
"""

import logging
from collections.abc import Mapping
from functools import partial

from core.accounts import change, create, recovery, remove
from core.devices import batch, welcome
from core.errors import PanelError
from core.jobs import events, given_answers, jobs
from core.jobs.bell import bell
from core.jobs.turns import first_of_the_minute
from core.messages import delivery
from core.messages.mail import notices as mail_notices
from core.messages.mail import send as mail_send
from core.messages.push import triggers
from core.messages.reminders import starts
from core.messages.sms import notices, send
from core.messages.telegram import logins, sweeps
from core.messages.telegram import notices as telegram_notices
from core.messages.telegram import send as telegram_send
from core.panel import Panel
from core.resellers import themes
from core.security.counters import DatabaseCounters
from core.security.sealed_columns import seal_all
from core.sync import on_request, sync
from core.workers import schedule
from core.xtream import command_log, pending, polling

log = logging.getLogger(__name__)

# importing them declares their listeners (core.jobs.events), and how their operations are settled
LISTENING = (change, create, remove, welcome, notices, triggers, mail_notices, telegram_notices, sweeps)
# every kind of job, by the name that its rows bear
KINDS: Mapping[str, jobs.Kind] = {
    **events.KINDS,
    **themes.KINDS,
    **starts.KINDS,
    **schedule.KINDS,
    **send.KINDS,
    **batch.KINDS,
    **triggers.KINDS,
    **mail_send.KINDS,
    **telegram_send.KINDS,
    **logins.KINDS,
    **pending.KINDS,
    **on_request.KINDS,
}


def attach(panel: Panel, *, by_the_clock: bool = True) -> None:
    """Teach the panel's queue what to do; from now on a ring may start workers in this process.

    Without ``by_the_clock`` they do nothing that nobody asks for.
    """
    bell(panel).attach(lambda: _work_off(panel))
    if by_the_clock:
        # in each process: they share the work anyhow, and one may have ended within this minute
        bell(panel).every("minute", lambda: True, lambda: _each_minute(panel))
        look = partial(first_of_the_minute, panel, "xtream")
        bell(panel).every("xtream", look, lambda: polling.look_at_nodes(panel))
        schedule.attach(panel)


def start(panel: Panel) -> None:
    """Take up now what an earlier process left behind, in this process if workers belong here."""
    bell(panel).ring()
    if panel.config.jobs.in_process:
        panel.start_thread(lambda: _finish(panel), "open-operations")


def work(panel: Panel) -> None:
    """Work until told to end."""
    bell(panel).ring()
    panel.start_thread(lambda: _finish(panel), "open-operations")
    bell(panel).work()


def _each_minute(panel: Panel) -> None:
    _work_off(panel)
    _finish(panel)
    try:
        jobs.forget_old(panel)
        given_answers.forget_old(panel)
        on_request.forget_old(panel)
        if isinstance(panel.counters, DatabaseCounters):
            panel.counters.forget_old()
        delivery.settle_interrupted(panel)
        delivery.forget_old(panel)
        command_log.forget_old(panel)
    except PanelError as error:
        log.warning("old jobs and messages could not be tidied up: %s", type(error).__name__)


def _work_off(panel: Panel) -> None:
    try:
        jobs.work_off(panel, KINDS)
    except PanelError as error:
        # the database is away: the next minute may find it back
        log.warning("jobs could not be looked at: %s", type(error).__name__)


def seal_stored(panel: Panel) -> None:
    """Secrets that came into a database of our own in clear, from an older version or a restored dump, are sealed."""
    try:
        seal_all(panel.database, panel.layout, panel.sealer)
    except PanelError as error:
        log.warning("stored passwords could not be sealed: %s", type(error).__name__)


def _finish(panel: Panel) -> None:
    seal_stored(panel)
    try:
        recovery.finish_open_operations(panel)
    except PanelError as error:
        log.warning("open operations could not be looked at: %s", type(error).__name__)
    try:
        sync.finish_interrupted(panel)
    except PanelError as error:
        log.warning("a sync that was interrupted could not be finished: %s", type(error).__name__)
