"""Text messages with their rows: written into ``_sms_logs`` as pending, sent, and marked as what became of them.

The way of a message is :mod:`core.messages.delivery`'s. Source: contract chapter 60 S5 to S8.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import Connection, delete, or_, update

from core.jobs.claims import INTERRUPTED
from core.messages.delivery import Channel, Claimed, Outbox, Outcome, parts, settle_interrupted
from core.messages.sms.provider import PEER_TO_PEER, SmsDelivery, Text, provider
from core.messages.sms.settings import Sender
from core.panel import Panel
from core.storage.tables import SmsLog, SmsReminderTracking
from core.storage.writing import insert_if_absent, insert_row

SENT, FAILED, PENDING = "sent", "failed", "pending"
_LONGEST_ANSWER = 10_000


@dataclass(frozen=True, slots=True)
class Stage:
    """A reminder as ``_sms_reminder_tracking`` keeps it, where the panel looks too."""

    word: str
    end_date: date


@dataclass(frozen=True, slots=True)
class Message:
    """``claim``: the name under which it is sent once: what it is about, or the job that asks for it. ``kind``: the
    log's ``message_type``."""

    claim: str
    number: str
    text: str
    kind: str
    account_id: int | None = None
    mac: str | None = None
    recipient: str | None = None
    stage: Stage | None = None


@dataclass(slots=True)
class Tally:
    """What became of the messages. ``known``: sent, or perhaps sent, before. ``error``, ``answer``: of the first call
    that failed, else ``answer`` is the last one's. ``is_recorded``: the logs have all of it."""

    sent: int = 0
    failed: int = 0
    known: int = 0
    bulk_id: str | None = None
    error: str | None = None
    answer: Any = None
    is_recorded: bool = True

    @property
    def reached(self) -> int:
        """Of what an earlier attempt sent, or may have, this one knows no more."""
        return self.sent + self.known

    @property
    def done(self) -> int:
        return self.reached + self.failed

    def count(self, delivery: SmsDelivery, messages: int) -> None:
        if delivery.outcome is Outcome.SENT:
            self.sent += messages
            self.bulk_id = self.bulk_id or delivery.bulk_id(0, messages)
        else:
            self.failed += messages
        if self.error is None:
            self.answer = delivery.answer
        self.error = self.error or delivery.error


def deliver(
    panel: Panel,
    sender: Sender,
    sent_by: int,
    messages: Sequence[Message],
    seconds: float,
    report: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Send what was not sent before; each call may take ``seconds``. ``report`` is called after each call.

    Raises only what the database, or ``report``, raises; messages that were not tried by then have no claim.
    """
    settle_interrupted(panel)
    tally, outbox = Tally(), Outbox(panel, SmsChannel(panel, sent_by))

    def call(fresh: Sequence[Message]) -> SmsDelivery:
        return provider(panel).send(sender.account, [Text(item.number, item.text) for item in fresh], seconds)

    for batch in _batches(panel, messages):
        count, delivery = outbox.deliver(batch, call)
        tally.known += len(batch) - count
        if delivery is not None:
            tally.count(delivery, count)
        tally.is_recorded = outbox.is_recorded
        report(tally)
    return tally


def _batches(panel: Panel, messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """What goes out in one call: equal texts, or where the provider allows it any."""
    settings = panel.config.sms
    if settings.sending_type == PEER_TO_PEER:
        yield from parts(messages, settings.recipients_per_call)
        return
    by_text: dict[str, list[Message]] = {}
    for message in messages:
        by_text.setdefault(message.text, []).append(message)
    for alike in by_text.values():
        yield from parts(alike, settings.recipients_per_call)


class SmsChannel(Channel[Message, SmsDelivery]):
    """``_sms_logs``, and ``_sms_reminder_tracking``, where the panel looks what it has sent."""

    name = "sms"
    made = SmsDelivery

    def __init__(self, panel: Panel, sent_by: int) -> None:
        self._panel = panel
        self._sent_by = sent_by

    def claim_name(self, message: Message) -> str:
        return message.claim

    def write_down(self, connection: Connection, message: Message) -> int | None:
        if message.stage is not None and not _track(self._panel, connection, message, message.stage):
            return None
        now = self._panel.clock.now()
        values = {
            "account_id": message.account_id,
            "mac": message.mac,
            "recipient_name": message.recipient,
            "recipient_number": message.number,
            "message": message.text,
            "message_type": message.kind,
            "sent_by": self._sent_by,
            "sent_at": now,
            "created_at": now,
            "status": PENDING,
        }
        return insert_row(connection, SmsLog, values)

    def settle(self, connection: Connection, claimed: Sequence[Claimed[Message]], delivery: SmsDelivery) -> None:
        answer = None if delivery.answer is None else orjson.dumps(delivery.answer).decode()[:_LONGEST_ANSWER]
        values = {"api_response": answer, "error_message": delivery.error}
        status = SENT if delivery.outcome is Outcome.SENT else FAILED
        row = sa.update(SmsLog).where(SmsLog.id == sa.bindparam("log"))
        ids = [
            {"log": log_id, "bulk": delivery.bulk_id(number, len(claimed))}
            for number, (_, log_id) in enumerate(claimed)
        ]
        connection.execute(row.values(**values, status=status, bulk_id=sa.bindparam("bulk")), ids)
        if delivery.outcome is Outcome.REFUSED:
            _untrack(self._panel, connection, [message for message, _ in claimed])

    @classmethod
    def interrupted(cls, panel: Panel, connection: Connection, row_ids: Sequence[int]) -> None:
        open_ = update(SmsLog).where(SmsLog.id.in_(row_ids), SmsLog.status == PENDING)
        connection.execute(open_.values(status=FAILED, error_message=INTERRUPTED))


def _track(panel: Panel, connection: Connection, message: Message, stage: Stage) -> bool:
    """Whether the reminder was not tracked before; where a panel has no tracking yet, our claim is enough."""
    if not panel.layout.has_table("_sms_reminder_tracking"):
        return True
    values: dict[str, object] = {
        "account_id": message.account_id,
        "reminder_stage": stage.word,
        "end_date": stage.end_date,
        "sent_at": panel.clock.now(),
        "created_at": panel.clock.now(),
    }
    if panel.layout.has_column("_sms_reminder_tracking", "mac"):
        values["mac"] = (message.mac or "")[:20]
    return insert_if_absent(connection, SmsReminderTracking, **values)


def _untrack(panel: Panel, connection: Connection, messages: Iterable[Message]) -> None:
    if not panel.layout.has_table("_sms_reminder_tracking"):
        return
    tracking = SmsReminderTracking
    tracked = [
        sa.and_(
            tracking.account_id == message.account_id,
            tracking.reminder_stage == message.stage.word,
            tracking.end_date == message.stage.end_date,
        )
        for message in messages
        if message.stage is not None
    ]
    if tracked:
        connection.execute(delete(tracking).where(or_(*tracked)))
