"""Mails to customers with their rows: logged as pending, sent, and marked as what became of them.

The way of a mail is :mod:`core.messages.delivery`'s; ``_mail_reminder_tracking`` remembers what went out, or may have.
Source: contract chapters 60 S6 and 80, "Mail helper".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import Connection, delete, select, update

from core.jobs.claims import INTERRUPTED
from core.messages.delivery import Channel, Claimed, Delivery, Outcome
from core.messages.mail.message import Mail
from core.panel import Panel
from core.storage.tables import Account, MailLog, MailReminderTracking
from core.storage.writing import insert_if_absent, insert_row

TRACKING = MailReminderTracking.__tablename__
SENT, FAILED, PENDING = "sent", "failed", "pending"
REMINDER = "expiry_reminder"
# of what the log keeps; a MySQL text has 64 KiB
_BODY_BYTES = 65_000
_KEPT = timedelta(days=30)
# of rows that do not say of which end date they are
_RENEWED_DAYS = 30


@dataclass(frozen=True, slots=True)
class Subject:
    """What a reminder is about: ``stage`` 1 to 4 of the account's end on ``day``."""

    account_id: int
    mac: str
    stage: int
    day: date

    @property
    def key(self) -> tuple[str, int, date | None]:
        return self.mac.upper() or f"#{self.account_id}", self.stage, self.day


@dataclass(frozen=True, slots=True)
class Letter:
    """A reminder's mail; ``sent_by``: whose settings send it."""

    subject: Subject
    mail: Mail
    sent_by: int


class Tracking(Channel[Letter, Delivery]):
    """What was sent in which stage, read once, and what this run adds to it.

    ``since``: rows that do not say of which end date they are count from this day on.
    """

    name = "mail-expiry"
    # _mail_reminder_tracking remembers
    keeps_claims = False

    def __init__(self, panel: Panel, since: date) -> None:
        self._panel = panel
        layout = panel.layout
        self._has_mac, self._has_day = layout.has_column(TRACKING, "mac"), layout.has_column(TRACKING, "end_date")
        self._since = datetime.combine(since, time())
        with panel.database.read() as connection:
            self._rows = self._read(connection)
        self._by_mac = {
            (row.mac.upper(), stage, row.end_date) for (_, stage), row in self._rows.items() if row.mac and row.end_date
        }

    def _read(self, connection: Connection) -> dict[tuple[int, int], Any]:
        model = MailReminderTracking
        rows = connection.execute(
            select(
                model.id,
                model.account_id,
                model.reminder_stage,
                model.sent_at,
                model.mac if self._has_mac else sa.null().label("mac"),
                model.end_date if self._has_day else sa.null().label("end_date"),
            )
        )
        return {(row.account_id, row.reminder_stage): row for row in rows}

    def has(self, subject: Subject) -> bool:
        if subject.key in self._by_mac:
            return True
        row = self._rows.get((subject.account_id, subject.stage))
        return row is not None and self._is_about(row, subject.day)

    def _is_about(self, row: Any, day: date) -> bool:
        if row.end_date is not None:
            return bool(row.end_date == day)
        return bool(row.sent_at is not None and row.sent_at >= self._since)

    def claim_name(self, message: Letter) -> str:
        device, stage, day = message.subject.key
        return f"expiry:{device}:{stage}:{day}"

    def write_down(self, connection: Connection, message: Letter) -> int | None:
        """None when a panel beside us was faster."""
        if not self._track(connection, message.subject):
            return None
        self._by_mac.add(message.subject.key)
        about = About(REMINDER, message.sent_by, message.subject.account_id)
        return write_log(self._panel, connection, message.mail, about)

    def _track(self, connection: Connection, subject: Subject) -> bool:
        values: dict[str, Any] = {"sent_at": self._panel.clock.now()}
        if self._has_mac:
            values["mac"] = subject.mac or None
        if self._has_day:
            values["end_date"] = subject.day
        row = self._rows.get((subject.account_id, subject.stage))
        if row is not None:
            # of an earlier end date: the table has one row for each account and stage
            model = MailReminderTracking
            unchanged = model.sent_at.is_(None) if row.sent_at is None else model.sent_at == row.sent_at
            return connection.execute(update(model).where(model.id == row.id, unchanged).values(**values)).rowcount == 1
        key = {"account_id": subject.account_id, "reminder_stage": subject.stage}
        return insert_if_absent(connection, MailReminderTracking, **key, **values)

    def settle(self, connection: Connection, claimed: Sequence[Claimed[Letter]], delivery: Delivery) -> None:
        """Tell the outcome in the log, and forget what was certainly not sent."""
        model = MailReminderTracking
        for letter, log_id in claimed:
            close_log(connection, log_id, delivery.error)
            if delivery.outcome is Outcome.REFUSED:
                key = (letter.subject.account_id, letter.subject.stage)
                tracked = (model.account_id == key[0]) & (model.reminder_stage == key[1])
                connection.execute(delete(model).where(tracked))
                self._by_mac.discard(letter.subject.key)
                self._rows.pop(key, None)

    @classmethod
    def interrupted(cls, panel: Panel, connection: Connection, row_ids: Sequence[int]) -> None:
        _close_interrupted(connection, row_ids)


@dataclass(frozen=True, slots=True)
class About:
    """What the log says of a mail besides what it is."""

    kind: str
    sent_by: int
    account_id: int | None


@dataclass(frozen=True, slots=True)
class Posting:
    """A mail that is sent once under ``claim``. ``log_id``: its row of ``_mail_logs``, where there is one already;
    else ``about`` says what is written there."""

    claim: str
    mail: Mail
    log_id: int | None = None
    about: About | None = None


class MailChannel(Channel[Posting, Delivery]):
    """Mails that somebody sends, and those that follow an event."""

    name = "mail"

    def __init__(self, panel: Panel) -> None:
        self._panel = panel

    def claim_name(self, message: Posting) -> str:
        return message.claim

    def write_down(self, connection: Connection, message: Posting) -> int | None:
        if message.log_id is not None or message.about is None:
            return message.log_id
        return write_log(self._panel, connection, message.mail, message.about)

    def settle(self, connection: Connection, claimed: Sequence[Claimed[Posting]], delivery: Delivery) -> None:
        for _, log_id in claimed:
            close_log(connection, log_id, delivery.error)

    @classmethod
    def interrupted(cls, panel: Panel, connection: Connection, row_ids: Sequence[int]) -> None:
        _close_interrupted(connection, row_ids)


def write_log(panel: Panel, connection: Connection, mail: Mail, about: About) -> int:
    """A mail that is about to be sent, as pending; the id of its row."""
    values = {
        "account_id": about.account_id,
        "recipient_email": mail.recipient,
        "recipient_name": mail.recipient_name,
        "cc_emails": orjson.dumps(mail.copies).decode(),
        "subject": mail.subject,
        "body": mail.html.encode()[:_BODY_BYTES].decode(errors="ignore"),
        "message_type": about.kind,
        "sent_by": about.sent_by,
        "status": PENDING,
        "created_at": panel.clock.now(),
    }
    return insert_row(connection, MailLog, values)


def close_log(connection: Connection, log_id: int, error: str | None) -> None:
    """Tell what became of a mail; ``error`` None: it was sent."""
    status = SENT if error is None else FAILED
    connection.execute(update(MailLog).where(MailLog.id == log_id).values(status=status, error_message=error))


def _close_interrupted(connection: Connection, row_ids: Sequence[int]) -> None:
    open_ = update(MailLog).where(MailLog.id.in_(row_ids), MailLog.status == PENDING)
    connection.execute(open_.values(status=FAILED, error_message=INTERRUPTED))


def forget_old(panel: Panel) -> None:
    """Delete what was sent long ago, and before today about accounts that end later now than when they were told."""
    model, today = MailReminderTracking, panel.clock.today()
    present = select(Account.id).where(Account.id == model.account_id)
    much_later = present.where(Account.end_date > today + timedelta(days=_RENEWED_DAYS)).exists()
    renewed: sa.ColumnElement[bool] = much_later
    if panel.layout.has_column(TRACKING, "end_date"):
        later = present.where(Account.end_date > model.end_date).exists()
        renewed = sa.or_(later, sa.and_(model.end_date.is_(None), much_later))

    def act(connection: Connection) -> None:
        earlier = model.sent_at < datetime.combine(today, time())
        old = model.sent_at < panel.clock.now() - _KEPT
        connection.execute(delete(model).where(sa.or_(old, sa.and_(earlier, renewed))))

    panel.database.transact(act)


def copies(addresses: Iterable[str | None], recipient: str) -> tuple[str, ...]:
    """Distinct addresses, never the customer's own."""
    found: Sequence[str] = [address for address in addresses if address and address.lower() != recipient.lower()]
    return tuple({address.lower(): address for address in found}.values())
