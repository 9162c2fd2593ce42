"""Sending text messages, each at most once: claimed, logged as pending, sent, and marked as what became of it.

Each message has a name (:class:`Message`), and a claim of that name in ``_sbx_sms_claims``. What the provider certainly
did not take loses its claim, and may be sent again; what it may have taken keeps it. A claim whose process has ended
in the middle counts as "may have". Source: contract chapter 60 S5 to S8.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any, TypeVar

import orjson
import sqlalchemy as sa
from sqlalchemy import Connection, delete, insert, or_, select, update

from core.errors import DatabaseBusy
from core.jobs import claims
from core.messages.sms.provider import PEER_TO_PEER, PERHAPS, Delivery, Fate, Text, provider
from core.messages.sms.settings import Sender
from core.panel import Panel
from core.storage.narrow_text import storable
from core.storage.tables import SmsClaim, SmsLog, SmsReminderTracking
from core.storage.writing import insert_if_absent

SENT, FAILED, PENDING = "sent", "failed", "pending"
INTERRUPTED = f"The sending was interrupted; {PERHAPS}"
# longer than any call to the provider with all that belongs to it
_LEASE_SECONDS = 900
# longer than a reminder can be due before its account ends
_KEPT_SECONDS = 150 * 24 * 3600
_LONGEST_ANSWER = 10_000
# so many hopeless calls one after the other, and the rest is not tried
_GIVE_UP_AFTER = 3
_TRIES = 3
_ERROR_CHARACTERS = 300
Result = TypeVar("Result")


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
    that failed, else ``answer`` is the last one's."""

    sent: int = 0
    failed: int = 0
    known: int = 0
    bulk_id: str | None = None
    error: str | None = None
    answer: Any = None
    hopeless: int = field(default=0, repr=False)

    @property
    def done(self) -> int:
        return self.sent + self.failed + self.known

    def count(self, delivery: Delivery, messages: int) -> None:
        if delivery.fate is Fate.SENT:
            self.sent += messages
            self.bulk_id = self.bulk_id or delivery.bulk_id(0, messages)
        else:
            self.failed += messages
        if self.error is None:
            self.answer = delivery.answer
        self.error = self.error or delivery.error
        self.hopeless = self.hopeless + 1 if delivery.is_hopeless else 0


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
    tally, claimed_by = Tally(), claims.new_owner()
    for batch in _batches(panel, messages):
        claimed = _patiently(partial(_claim, panel, sent_by, claimed_by, batch))
        tally.known += len(batch) - len(claimed)
        if claimed:
            fresh = [message for message, _ in claimed]
            if tally.hopeless >= _GIVE_UP_AFTER:
                delivery = Delivery(Fate.REFUSED, f"Not tried: {tally.error}"[:_ERROR_CHARACTERS], is_hopeless=True)
            else:
                texts = [Text(message.number, message.text) for message in fresh]
                delivery = provider(panel).send(sender.account, texts, seconds)
            _patiently(partial(_settle, panel, claimed, delivery))
            tally.count(delivery, len(fresh))
        report(tally)
    return tally


def _patiently(step: Callable[[], Result]) -> Result:
    """A step whose transaction may be the victim of a deadlock, which did nothing: once more."""
    for _ in range(_TRIES - 1):
        try:
            return step()
        except DatabaseBusy:
            continue
    return step()


def settle_interrupted(panel: Panel) -> None:
    """Close the log rows of messages whose sending was cut short; their claims stay."""
    now = panel.clock.stamp()
    with panel.database.read() as connection:
        rows = connection.execute(
            select(SmsClaim.name, SmsClaim.log_id, SmsClaim.owner, SmsClaim.claimed_at).where(
                SmsClaim.owner.is_not(None)
            )
        ).all()
    gone = [row for row in rows if row.claimed_at < now - _LEASE_SECONDS or claims.is_gone(row.owner)]
    if not gone:
        return
    with panel.database.write() as connection:
        for part in _parts(gone):
            connection.execute(
                update(SmsLog)
                .where(SmsLog.id.in_([row.log_id for row in part]), SmsLog.status == PENDING)
                .values(status=FAILED, error_message=INTERRUPTED)
            )
            names = [row.name for row in part]
            connection.execute(update(SmsClaim).where(SmsClaim.name.in_(names)).values(owner=None))


def forget_old(panel: Panel) -> None:
    """Delete claims that nothing can ask for any more."""
    with panel.database.write() as connection:
        old = panel.clock.stamp() - _KEPT_SECONDS
        connection.execute(delete(SmsClaim).where(SmsClaim.owner.is_(None), SmsClaim.claimed_at < old))


def claimed_names(connection: Connection, names: Iterable[str]) -> set[str]:
    """Those of ``names`` under which something was sent, or is being sent."""
    found: set[str] = set()
    for part in _parts(list(names)):
        found.update(connection.scalars(select(SmsClaim.name).where(SmsClaim.name.in_(part))))
    return found


def _parts(items: Sequence[Any], size: int = 500) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _batches(panel: Panel, messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """What goes out in one call: equal texts, or where the provider allows it any."""
    settings = panel.config.sms
    if settings.sending_type == PEER_TO_PEER:
        yield from _parts(messages, settings.recipients_per_call)
        return
    by_text: dict[str, list[Message]] = {}
    for message in messages:
        by_text.setdefault(message.text, []).append(message)
    for alike in by_text.values():
        yield from _parts(alike, settings.recipients_per_call)


def _claim(panel: Panel, sent_by: int, owner: str, batch: Sequence[Message]) -> list[tuple[Message, int]]:
    """Those messages of ``batch`` that nobody has sent or is sending, now ours, each with the id of its log row."""
    claimed: list[tuple[Message, int]] = []
    now, stamp = panel.clock.now(), panel.clock.stamp()
    with panel.database.write() as connection:
        for message in batch:
            claim = {"name": message.claim, "log_id": 0, "owner": owner, "claimed_at": stamp}
            if not insert_if_absent(connection, SmsClaim, **claim):
                continue
            if message.stage is not None and not _track(panel, connection, message, message.stage):
                # the PHP panel, which knows no claims, was faster
                connection.execute(delete(SmsClaim).where(SmsClaim.name == message.claim))
                continue
            values = storable(
                connection,
                SmsLog,
                account_id=message.account_id,
                mac=message.mac,
                recipient_name=message.recipient,
                recipient_number=message.number,
                message=message.text,
                message_type=message.kind,
                sent_by=sent_by,
                sent_at=now,
                created_at=now,
                status=PENDING,
            )
            key = connection.execute(insert(SmsLog).values(**values)).inserted_primary_key
            assert key is not None  # noqa: S101 - one row was inserted
            connection.execute(update(SmsClaim).where(SmsClaim.name == message.claim).values(log_id=int(key[0])))
            claimed.append((message, int(key[0])))
    return claimed


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


def _settle(panel: Panel, claimed: Sequence[tuple[Message, int]], delivery: Delivery) -> None:
    """Mark the log rows, and let go of the claims, or drop those of what certainly did not go out."""
    answer = None if delivery.answer is None else orjson.dumps(delivery.answer).decode()[:_LONGEST_ANSWER]
    is_sent = delivery.fate is Fate.SENT
    with panel.database.write() as connection:
        values = storable(connection, SmsLog, api_response=answer, error_message=delivery.error)
        row = sa.update(SmsLog).where(SmsLog.id == sa.bindparam("log"))
        ids = [
            {"log": log_id, "bulk": delivery.bulk_id(number, len(claimed))}
            for number, (_, log_id) in enumerate(claimed)
        ]
        connection.execute(row.values(**values, status=SENT if is_sent else FAILED, bulk_id=sa.bindparam("bulk")), ids)
        names = [message.claim for message, _ in claimed]
        if delivery.fate is Fate.REFUSED:
            connection.execute(delete(SmsClaim).where(SmsClaim.name.in_(names)))
            _untrack(panel, connection, [message for message, _ in claimed])
        else:
            connection.execute(update(SmsClaim).where(SmsClaim.name.in_(names)).values(owner=None))


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
