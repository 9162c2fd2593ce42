"""Sending a text that an admin has typed to users. Source: contract chapter 80, "telegram/send_message.php".

The sending itself is a job: it goes on when the browser hangs up, and after a crash without sending anything twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.access.audit import By
from core.access.permissions import SEND_TELEGRAM, require
from core.errors import InvalidInput, NotFound, PanelError
from core.jobs import jobs
from core.jobs.jobs import Work
from core.messages.by_hand import LONGEST_WAIT_SECONDS, NothingSent, Tally, audit_sending, author
from core.messages.telegram.markdown import LONGEST, Text, units
from core.messages.telegram.outbox import Message, deliver
from core.messages.telegram.page import Recipient, recipients_of
from core.messages.telegram.settings import require_bot
from core.panel import Panel

KIND = "send_telegram"


@dataclass(frozen=True, slots=True)
class Sending:
    """``pending``: not tried yet; the job goes on. ``errors``: user name and reason of each failure."""

    job_id: int
    total: int
    sent: int
    failed: int
    errors: Sequence[tuple[str, str]]

    @property
    def pending(self) -> int:
        return self.total - self.sent - self.failed


def send_message(panel: Panel, by: By, message: str, recipient_ids: Sequence[int]) -> Sending:
    """Raises NotAllowed, NotConfigured, InvalidInput, NotFound, and NothingSent when not one message went out."""
    require(by.actor, SEND_TELEGRAM)
    require_bot(panel)
    recipients = _checked(panel, by, message, recipient_ids)
    payload = {
        "message": message,
        "recipients": [{"user_id": item.id, "chat_id": item.chat_id} for item in recipients],
        **author(by),
    }
    seconds = min(panel.config.jobs.wait_seconds, LONGEST_WAIT_SECONDS)
    record = jobs.run_and_wait(panel, KINDS, KIND, payload, by.actor.id, seconds)
    if record.state == jobs.FAILED:
        raise PanelError(record.error)
    result = record.result or {}
    names = {item.id: item.username for item in recipients}
    errors = [(names.get(user_id, str(user_id)), error) for user_id, error in result.get("errors", ())]
    sending = Sending(record.id, len(recipients), result.get("sent", 0), len(errors), errors)
    if not sending.sent and not sending.pending:
        raise NothingSent("The message could not be sent to anybody", sending)
    return sending


def _checked(panel: Panel, by: By, message: str, recipient_ids: Sequence[int]) -> list[Recipient]:
    """Those of the wanted that have a chat. Raises InvalidInput, NotFound."""
    if not message:
        raise InvalidInput.missing("message")
    if units(message) > LONGEST:
        raise InvalidInput(f"The message is too long (more than {LONGEST} characters)")
    if not recipient_ids:
        raise InvalidInput.missing("recipient_ids", "a list of user ids")
    with panel.database.read() as connection:
        allowed = recipients_of(panel, connection, by.actor)
    wanted = set(recipient_ids)
    reachable = [item for item in allowed if item.id in wanted and item.chat_id is not None]
    if not reachable:
        raise NotFound("None of the chosen users can be reached; they must link Telegram first")
    return reachable


def _run(work: Work) -> Mapping[str, Any]:
    """The job: what an earlier attempt has sent, or may have, is not sent again."""
    panel, payload = work.panel, work.payload
    stored = require_bot(panel)
    messages = [
        Message(
            claim=f"job:{work.record.id}:{item['user_id']}",
            user_id=item["user_id"],
            chat_id=item["chat_id"],
            text=Text(payload["message"]),
            kind="manual",
        )
        for item in payload["recipients"]
    ]

    def report(tally: Tally[int]) -> None:
        work.report(tally.done, len(messages), _result(tally))

    tally = deliver(panel, stored.token, messages, report)
    audit_sending(work, "telegram", "Telegram messages", tally)
    return _result(tally)


def _result(tally: Tally[int]) -> dict[str, Any]:
    return {"sent": tally.reached, "errors": tally.errors}


KINDS = {KIND: jobs.Kind(_run)}
