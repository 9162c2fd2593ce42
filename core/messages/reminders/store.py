"""The rows of the expiry reminders: whom they are due to, what went out already, claims and outcomes.

A row of ``_expiry_reminders`` is written as a claim before its message is sent, and tells the outcome afterwards:

``failed`` with :data:`UNFINISHED`  the claim: a message is on its way, or its process was killed meanwhile
``sent``                            the portal took it
``failed`` with any other text      the portal did not take it, or gave no clear answer; the next sweep tries again

The portal cannot be asked whether it has a message. So what a killed process left as a claim counts as "may have
arrived": it is shown as such and never sent again (at most once). The moment in which that loses a message, between
the claim's commit and the first byte to the portal, is some milliseconds; the other choice would repeat messages
whenever a process dies while the portal answers. Source: contract chapter 60 S6, S7.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from core.accounts.end_dates import ends_on
from core.errors import DatabaseFailed
from core.panel import Panel
from core.portal import normal_mac
from core.storage.narrow_text import storable
from core.storage.tables import Account, ExpiryReminder

SENT, FAILED = "sent", "failed"
UNFINISHED = "Interrupted while it was being sent: it may have arrived, and is not sent again"


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
    def is_unfinished(self) -> bool:
        return not self.is_sent and self.error == UNFINISHED


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


def claim(panel: Panel, due: Due, stage: Stage, message: str, earlier: Earlier | None) -> int | None:
    """The id of the row that now says that the message is on its way; None when somebody else has claimed it."""
    values = {
        "account_id": due.account_id,
        "mac": due.mac,
        "username": due.username,
        "full_name": due.full_name,
        "end_date": stage.target,
        "days_before": stage.days,
        "reminder_date": stage.target - timedelta(days=stage.days),
        "sent_at": panel.clock.now(),
        "sent_by": stage.sender_id,
        "message": message,
        "status": FAILED,
        "error_message": UNFINISHED,
    }
    try:
        with panel.database.write() as connection:
            stored = storable(connection, ExpiryReminder, **values)
            return _insert(connection, stored) if earlier is None else _take_again(connection, earlier, stored)
    except DatabaseFailed as error:
        # a panel beside us knows nothing of our lock
        if isinstance(error.__cause__, IntegrityError):
            return None
        raise


def close(panel: Panel, row_id: int, error: str | None) -> None:
    """Store the outcome: sent, or why not."""
    with panel.database.write() as connection:
        stored = storable(connection, ExpiryReminder, error_message=error)
        row = update(ExpiryReminder).where(ExpiryReminder.id == row_id)
        connection.execute(row.values(status=FAILED if error else SENT, **stored))


def _insert(connection: Connection, values: dict[str, Any]) -> int:
    key = connection.execute(insert(ExpiryReminder).values(**values)).inserted_primary_key
    assert key is not None  # noqa: S101 - one row was inserted
    return int(key[0])


def _take_again(connection: Connection, earlier: Earlier, values: dict[str, Any]) -> int | None:
    """A failed row is tried again in place."""
    open_ = sa.or_(ExpiryReminder.status.is_(None), ExpiryReminder.status != SENT)
    claimed = connection.execute(update(ExpiryReminder).where(ExpiryReminder.id == earlier.id, open_).values(**values))
    return earlier.id if claimed.rowcount == 1 else None
