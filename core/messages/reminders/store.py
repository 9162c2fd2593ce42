"""The rows of the expiry reminders: whom they are due to, what went out already, claims and outcomes.

A row of ``_expiry_reminders`` is written as a claim before its message is sent, and tells the outcome afterwards:

``failed`` with :data:`INTERRUPTED`  the claim: a message is on its way, or its process was killed meanwhile
``sent``                             the portal took it
``failed`` with any other text       the portal did not take it, or gave no clear answer; the next sweep tries again

The way of a message is :mod:`core.messages.delivery`'s, which also says why an interrupted one is never sent again.
Source: contract chapter 60 S6, S7.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError

from core.accounts.end_dates import ends_on
from core.jobs.claims import INTERRUPTED
from core.messages.delivery import Channel, Claimed, Delivery, Outcome
from core.panel import Panel
from core.portal import normal_mac
from core.storage.tables import Account, ExpiryReminder
from core.storage.writing import insert_row

SENT, FAILED = "sent", "failed"


@dataclass(frozen=True, slots=True)
class Due:
    """An account that a reminder is due to. ``mac``: in the portal's spelling, where it is one at all."""

    account_id: int
    username: str
    full_name: str
    mac: str

    @property
    def shown_name(self) -> str:
        return self.full_name or self.username


@dataclass(frozen=True, slots=True)
class Earlier:
    """The row of an earlier sweep for the same device, end date and number of days."""

    id: int
    status: str | None
    sent_at: datetime
    error: str | None

    @property
    def is_sent(self) -> bool:
        return self.status == SENT

    @property
    def is_interrupted(self) -> bool:
        return not self.is_sent and self.error == INTERRUPTED


@dataclass(frozen=True, slots=True)
class Stage:
    """What all messages of one sweep have in common: accounts that end on ``target``, ``days`` from today."""

    target: date
    days: int
    sender_id: int


def due_accounts(connection: Connection, target: date, owner: int | None) -> list[Due]:
    """The active accounts whose last valid day is ``target``, by id; ``owner`` None: everybody's."""
    chosen = (
        select(Account.id, Account.username, Account.full_name, Account.mac)
        .where(ends_on(Account.end_date, target), Account.status == 1)
        .order_by(Account.id)
    )
    if owner is not None:
        chosen = chosen.where(Account.reseller == owner)
    return [
        Due(row.id, row.username, row.full_name or "", normal_mac(row.mac) or row.mac or "")
        for row in connection.execute(chosen)
    ]


def earlier_rows(connection: Connection, target: date, days: int) -> dict[str, Earlier]:
    """MAC in capitals → what earlier sweeps stored, by whomever."""
    model = ExpiryReminder
    chosen = select(model.mac, model.id, model.status, model.sent_at, model.error_message).where(
        ends_on(model.end_date, target), model.days_before == days
    )
    return {row.mac.upper(): Earlier(*row[1:]) for row in connection.execute(chosen)}


@dataclass(frozen=True, slots=True)
class Reminder:
    """One message to a device; ``earlier``: the row of an earlier sweep, whose sending failed."""

    due: Due
    stage: Stage
    text: str
    earlier: Earlier | None


class ReminderChannel(Channel[Reminder, Delivery]):
    """The rows of ``_expiry_reminders``, which remember what went out. ``done``: MAC in capitals → this run's."""

    name = "stb-reminder"
    keeps_claims = False

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self.done: dict[str, Earlier] = {}

    def claim_name(self, message: Reminder) -> str:
        device = message.due.mac.upper() or f"#{message.due.account_id}"
        return f"{device}:{message.stage.target}:{message.stage.days}"

    def write_down(self, connection: Connection, message: Reminder) -> int | None:
        values = self._values(message)
        try:
            with connection.begin_nested():
                if message.earlier is None:
                    return insert_row(connection, ExpiryReminder, values)
                return _take_again(connection, message.earlier, values)
        except IntegrityError:
            # a panel beside us knows nothing of our claims
            return None

    def _values(self, message: Reminder) -> dict[str, Any]:
        due, stage = message.due, message.stage
        return {
            "account_id": due.account_id,
            "mac": due.mac,
            "username": due.username,
            "full_name": due.full_name,
            "end_date": stage.target,
            "days_before": stage.days,
            "reminder_date": stage.target - timedelta(days=stage.days),
            "sent_at": self._panel.clock.now(),
            "sent_by": stage.sender_id,
            "message": message.text,
            "status": FAILED,
            "error_message": INTERRUPTED,
        }

    def settle(self, connection: Connection, claimed: Sequence[Claimed[Reminder]], delivery: Delivery) -> None:
        status, now = SENT if delivery.outcome is Outcome.SENT else FAILED, self._panel.clock.now()
        for reminder, row_id in claimed:
            row = update(ExpiryReminder).where(ExpiryReminder.id == row_id)
            connection.execute(row.values(status=status, error_message=delivery.error))
            self.done[reminder.due.mac.upper()] = Earlier(row_id, status, now, delivery.error)


def _take_again(connection: Connection, earlier: Earlier, values: dict[str, Any]) -> int | None:
    """A failed row is tried again in place."""
    open_ = sa.or_(ExpiryReminder.status.is_(None), ExpiryReminder.status != SENT)
    claimed = connection.execute(update(ExpiryReminder).where(ExpiryReminder.id == earlier.id, open_).values(**values))
    return earlier.id if claimed.rowcount == 1 else None
