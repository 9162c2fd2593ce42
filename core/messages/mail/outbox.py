"""Mails to customers with their rows: claimed, logged as pending, sent, and marked as what became of them.

A row of ``_mail_reminder_tracking`` is the claim. What the mail server certainly did not take loses its claim, and is
sent by the next run; what it may have taken keeps it, and so does what a killed process leaves: at most once. Source:
contract chapters 60 S6 and 80, "Mail helper".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import Connection, delete, insert, select, update

from core.messages.mail.message import Mail
from core.messages.mail.smtp import PERHAPS, Delivery, Fate
from core.panel import Panel
from core.storage.narrow_text import storable
from core.storage.tables import Account, MailLog, MailReminderTracking
from core.storage.writing import insert_if_absent

TRACKING = MailReminderTracking.__tablename__
SENT, FAILED, PENDING = "sent", "failed", "pending"
REMINDER = "expiry_reminder"
INTERRUPTED = f"The sending was interrupted; {PERHAPS}, and it is not sent again"
# of what the log keeps; a MySQL text has 64 KiB
_BODY_CHARACTERS = 16_000
_KEPT = timedelta(days=30)
_RENEWED_DAYS = 7


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


class Tracking:
    """What was sent in which stage, read once, and the claims of this run.

    ``since``: rows that do not say of which end date they are count from this day on.
    """

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

    def claim(self, subject: Subject, mail: Mail, sent_by: int) -> int | None:
        """The id of the mail's log row; None when a panel beside us was faster."""
        with self._panel.database.write() as connection:
            if not self._claim(connection, subject):
                return None
            log_id = _log(self._panel, connection, subject.account_id, mail, sent_by)
        self._by_mac.add(subject.key)
        return log_id

    def _claim(self, connection: Connection, subject: Subject) -> bool:
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

    def settle(self, subject: Subject, log_id: int, delivery: Delivery) -> None:
        """Tell the outcome in the log, and let go of the claim of what was certainly not sent."""
        is_sent, model = delivery.fate is Fate.SENT, MailReminderTracking
        with self._panel.database.write() as connection:
            values = storable(connection, MailLog, error_message=delivery.error)
            row = update(MailLog).where(MailLog.id == log_id)
            connection.execute(row.values(status=SENT if is_sent else FAILED, **values))
            if delivery.fate is Fate.REFUSED:
                claimed = sa.and_(model.account_id == subject.account_id, model.reminder_stage == subject.stage)
                connection.execute(delete(model).where(claimed))
        if delivery.fate is Fate.REFUSED:
            self._by_mac.discard(subject.key)
            self._rows.pop((subject.account_id, subject.stage), None)


def _log(panel: Panel, connection: Connection, account_id: int, mail: Mail, sent_by: int) -> int:
    values = storable(
        connection,
        MailLog,
        account_id=account_id,
        recipient_email=mail.recipient,
        recipient_name=mail.recipient_name,
        cc_emails=orjson.dumps(mail.copies).decode(),
        subject=mail.subject,
        body=mail.html[:_BODY_CHARACTERS],
        message_type=REMINDER,
        sent_by=sent_by,
        status=PENDING,
        created_at=panel.clock.now(),
    )
    key = connection.execute(insert(MailLog).values(**values)).inserted_primary_key
    assert key is not None  # noqa: S101 - one row was inserted
    return int(key[0])


def settle_interrupted(panel: Panel) -> int:
    """Close the log rows that a killed run left open, and return how many. To be called under the job's lock."""
    with panel.database.write() as connection:
        open_ = update(MailLog).where(MailLog.message_type == REMINDER, MailLog.status == PENDING)
        return connection.execute(open_.values(status=FAILED, error_message=INTERRUPTED)).rowcount


def forget_old(panel: Panel) -> None:
    """Delete what was sent long ago, and before today about accounts that were renewed since."""
    model, today = MailReminderTracking, panel.clock.today()
    renewed = select(Account.id).where(Account.end_date > today + timedelta(days=_RENEWED_DAYS))
    with panel.database.write() as connection:
        earlier = model.sent_at < datetime.combine(today, time())
        old = model.sent_at < panel.clock.now() - _KEPT
        connection.execute(delete(model).where(sa.or_(old, sa.and_(earlier, model.account_id.in_(renewed)))))


def copies(addresses: Iterable[str | None], recipient: str) -> tuple[str, ...]:
    """Distinct addresses, never the customer's own."""
    found: Sequence[str] = [address for address in addresses if address and address.lower() != recipient.lower()]
    return tuple({address.lower(): address for address in found}.values())
