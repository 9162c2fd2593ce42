"""Sending one user's expiry reminders to set-top boxes: one sweep, message by message.

The rows are in :mod:`core.messages.reminders.store`, which also says what a killed sweep leaves. Who starts a sweep
is in :mod:`core.messages.reminders.starts`. Source: contract chapter 60, ``send_expiry_reminders.php`` and S3 to S7.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import update

from core.access.actors import Actor
from core.access.audit import Origin, write_audit
from core.access.permissions import SEND_REMINDERS, Scope, scope_of
from core.accounts.on_portals import servers
from core.messages.pace import Pace
from core.messages.placeholders import account_values, render
from core.messages.reminders import store
from core.messages.reminders.settings import Settings, ensure_row
from core.messages.reminders.store import Due, Earlier, Stage
from core.panel import Panel
from core.portal import PortalError
from core.storage.tables import ReminderSettings

SENT, SKIPPED, FAILED = "sent", "skipped", "failed"
ALREADY_SENT = "Already sent reminder for this expiry date"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one account. ``text``: the message of ``sent``, the reason of ``skipped``, the portal's error of
    ``failed``; ``sent_at``: of an earlier sweep."""

    due: Due
    status: str
    text: str
    sent_at: datetime | None = None


@dataclass(slots=True)
class Tally:
    """How far a sweep is; ``results`` grows."""

    days: int
    target: date
    total: int = 0
    results: list[Result] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """``sent``, ``skipped`` and ``failed``."""
        statuses = [result.status for result in self.results]
        return {status: statuses.count(status) for status in (SENT, SKIPPED, FAILED)}


@dataclass(frozen=True, slots=True)
class Item:
    """An account of a sweep with its text, and what an earlier sweep stored for it."""

    due: Due
    text: str
    earlier: Earlier | None

    @property
    def is_over(self) -> bool:
        """Whether it is not to be sent (again)."""
        return self.earlier is not None and (self.earlier.is_sent or self.earlier.is_unfinished)


def begin(panel: Panel, settings: Settings) -> Tally:
    """The tally of a sweep that starts today."""
    return Tally(settings.days, panel.clock.today() + timedelta(days=settings.days))


def plan(panel: Panel, actor: Actor, settings: Settings, tally: Tally) -> list[Item]:
    """Who is due, in the actor's scope, with the texts."""
    owner = None if scope_of(actor, SEND_REMINDERS) is Scope.ALL else actor.id
    with panel.database.read() as connection:
        accounts = store.due_accounts(connection, tally.target, owner)
        earlier = store.earlier_rows(connection, tally.target, tally.days)
    tally.total = len(accounts)
    return [Item(due, _text(settings.template, due, tally), earlier.get(due.mac.upper())) for due in accounts]


def carry_out(
    panel: Panel,
    actor: Actor,
    origin: Origin,
    settings: Settings,
    tally: Tally,
    pace: Pace,
    heard: Callable[[Result], None],
) -> None:
    """Send what is due and not sent yet, one after the other; ``heard`` is called after each account.

    To be run under the lock of all sweeps. A failed message hinders no other. Raises PortalNotConfigured.
    """
    stage = Stage(tally.target, tally.days, actor.id)
    done: dict[str, Earlier] = {}
    for item in plan(panel, actor, settings, tally):
        result = _skipped(item) if item.is_over else _send(panel, item, stage, pace, done)
        tally.results.append(result)
        heard(result)
    _finish(panel, actor, origin, tally)


def _send(panel: Panel, item: Item, stage: Stage, pace: Pace, done: dict[str, Earlier]) -> Result:
    # before the claim: portals that are not configured leave no row
    servers(panel)
    pace.wait()
    # two accounts of one device get one message
    earlier = done.get(item.due.mac.upper(), item.earlier)
    row_id = (
        None if earlier is not None and earlier.is_sent else store.claim(panel, item.due, stage, item.text, earlier)
    )
    if row_id is None:
        return Result(item.due, SKIPPED, ALREADY_SENT, earlier.sent_at if earlier else None)
    error = _tell(panel, item.due.mac, item.text)
    store.close(panel, row_id, error)
    pace.sent()
    status = FAILED if error else SENT
    done[item.due.mac.upper()] = Earlier(row_id, status, panel.clock.now(), error)
    return Result(item.due, status, error or item.text)


def _tell(panel: Panel, mac: str, text: str) -> str | None:
    """None when server 1 or server 2 took the message, else the text of the first failure."""
    errors = []
    every_server = servers(panel)
    for server in every_server:
        try:
            server.send_message(mac, text)
        except PortalError as error:
            errors.append(error.text)
    return errors[0] if len(errors) == len(every_server) else None


def _skipped(item: Item) -> Result:
    assert item.earlier is not None  # noqa: S101 - see Item.is_over
    reason = store.UNFINISHED if item.earlier.is_unfinished else ALREADY_SENT
    return Result(item.due, SKIPPED, reason, item.earlier.sent_at)


def _text(template: str, due: Due, tally: Tally) -> str:
    values = account_values(
        name=due.shown_name, username=due.username, mac=due.mac, end_date=tally.target, days=tally.days
    )
    return render(template, values)


def _finish(panel: Panel, actor: Actor, origin: Origin, tally: Tally) -> None:
    told: dict[str, Any] = {**tally.counts, "days_before": tally.days, "target_date": tally.target.isoformat()}
    with panel.database.write() as connection:
        ensure_row(panel, connection, actor.id)
        row = update(ReminderSettings).where(ReminderSettings.user_id == actor.id)
        connection.execute(row.values(last_sweep_at=panel.clock.now()))
        write_audit(panel, connection, actor, origin, "send", "reminder", target_name=actor.username, new=told)
