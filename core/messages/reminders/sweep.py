"""Sending one user's expiry reminders to set-top boxes: one sweep, message by message.

The rows are in :mod:`core.messages.reminders.store`, which also says what a killed sweep leaves. Who starts a sweep
is in :mod:`core.messages.reminders.starts`. Source: contract chapter 60, ``send_expiry_reminders.php`` and S3 to S7.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, update

from core.access.actors import Actor
from core.access.audit import By
from core.access.permissions import SEND_REMINDERS, Scope, scope_of
from core.accounts.on_portals import servers
from core.jobs.claims import AUDITED, INTERRUPTED, first_time
from core.messages.by_hand import recorded
from core.messages.delivery import Delivery, Outbox, Outcome
from core.messages.pace import Pace
from core.messages.placeholders import account_values, render
from core.messages.reminders import store
from core.messages.reminders.settings import Settings, ensure_row
from core.messages.reminders.store import Due, Earlier, Reminder, ReminderChannel, Stage
from core.panel import Panel
from core.portal import PortalAuthentication, PortalError, PortalSwitchedOff, PortalTimeout, PortalUnreachable
from core.storage.tables import ReminderSettings

SENT, SKIPPED, FAILED = "sent", "skipped", "failed"
# the next message would fail alike
_HOPELESS = (PortalUnreachable, PortalTimeout, PortalAuthentication, PortalSwitchedOff)
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
    """How far a sweep is; ``results`` grows. ``is_recorded``: the logs have all of it."""

    days: int
    target: date
    total: int = 0
    results: list[Result] = field(default_factory=list)
    is_recorded: bool = True

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
        return self.earlier is not None and (self.earlier.is_sent or self.earlier.is_interrupted)


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
    by: By,
    settings: Settings,
    tally: Tally,
    pace: Pace,
    heard: Callable[[Result], None],
    *,
    once: str | None = None,
) -> None:
    """Send what is due and not sent yet, one after the other; ``heard`` is called after each account.

    To be run under the lock of all sweeps; told in the audit log ``once`` under that name. A failed message hinders no
    other. Raises PortalNotConfigured.
    """
    stage, channel = Stage(tally.target, tally.days, by.actor.id), ReminderChannel(panel)
    outbox = Outbox(panel, channel)
    for item in plan(panel, by.actor, settings, tally):
        # two accounts of one device get one message
        earlier = channel.done.get(item.due.mac.upper(), item.earlier)
        reminder = Reminder(item.due, stage, item.text, earlier)
        result = _skipped(item) if item.is_over else _send(panel, outbox, reminder, pace)
        tally.is_recorded = outbox.is_recorded
        tally.results.append(result)
        heard(result)
    _finish(panel, by, tally, once)


def _send(panel: Panel, outbox: Outbox[Reminder, Delivery], reminder: Reminder, pace: Pace) -> Result:
    # before the claim: portals that are not configured leave no row
    servers(panel)
    pace.wait()
    due, earlier = reminder.due, reminder.earlier

    def call(_: Sequence[Reminder]) -> Delivery:
        delivery = _tell(panel, due.mac, reminder.text)
        pace.sent()
        return delivery

    delivery = None if earlier is not None and earlier.is_sent else outbox.deliver([reminder], call)[1]
    if delivery is None:
        return Result(due, SKIPPED, ALREADY_SENT, earlier.sent_at if earlier else None)
    status = SENT if delivery.outcome is Outcome.SENT else FAILED
    return Result(due, status, delivery.error or reminder.text)


def _tell(panel: Panel, mac: str, text: str) -> Delivery:
    """Sent when server 1 or server 2 took the message, else refused with the text of the first failure: the next sweep
    tries again, also where the portal gave no clear answer (contract chapter 60)."""
    errors: list[PortalError] = []
    every_server = servers(panel)
    for server in every_server:
        try:
            server.send_message(mac, text)
        except PortalError as error:
            errors.append(error)
    if len(errors) < len(every_server):
        return Delivery(Outcome.SENT)
    return Delivery(Outcome.REFUSED, errors[0].text, all(isinstance(error, _HOPELESS) for error in errors))


def _skipped(item: Item) -> Result:
    assert item.earlier is not None  # noqa: S101 - see Item.is_over
    reason = INTERRUPTED if item.earlier.is_interrupted else ALREADY_SENT
    return Result(item.due, SKIPPED, reason, item.earlier.sent_at)


def _text(template: str, due: Due, tally: Tally) -> str:
    values = account_values(
        name=due.shown_name, username=due.username, mac=due.mac, end_date=tally.target, days=tally.days
    )
    return render(template, values)


def _finish(panel: Panel, by: By, tally: Tally, once: str | None) -> None:
    told: dict[str, Any] = {**tally.counts, "days_before": tally.days, "target_date": tally.target.isoformat()}

    def act(connection: Connection) -> None:
        if once is not None and not first_time(connection, AUDITED, once, panel.clock.stamp()):
            return
        ensure_row(panel, connection, by.actor.id)
        row = update(ReminderSettings).where(ReminderSettings.user_id == by.actor.id)
        connection.execute(row.values(last_sweep_at=panel.clock.now()))
        by.write_audit(panel, connection, "send", "reminder", target_name=by.actor.username, new=told)

    tally.is_recorded &= recorded(panel, act)
