"""Sending a text that an admin has typed to users. Source: contract chapter 80, "telegram/send_message.php".

The sending itself is a job: it goes on when the browser hangs up, and after a crash without sending anything twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from core.access.audit import By
from core.access.began import Began
from core.access.permissions import SEND_TELEGRAM, require
from core.errors import InvalidInput, NotFound, PanelError
from core.jobs import jobs
from core.jobs.jobs import Work
from core.messages.by_hand import LONGEST_WAIT_SECONDS, NothingSent, Result, Tally, audit_sending
from core.messages.telegram.markdown import LONGEST, Text, units
from core.messages.telegram.outbox import Message, deliver
from core.messages.telegram.page import Recipient, recipients_of
from core.messages.telegram.settings import require_bot
from core.panel import Panel

KIND = "send_telegram"


@dataclass(frozen=True, slots=True)
class Sending:
    """``pending``: not tried yet; the job goes on. ``errors``: user name and reason of each failure. ``is_recorded``:
    the logs have all of it."""

    job_id: int
    total: int
    sent: int
    failed: int
    errors: Sequence[tuple[str, str]]
    is_recorded: bool = True

    @property
    def pending(self) -> int:
        return self.total - self.sent - self.failed


@dataclass(frozen=True, slots=True)
class Chat:
    """One recipient as the job keeps it."""

    user_id: int
    chat_id: int


@dataclass(frozen=True, slots=True)
class Order:
    """What the job is to send, and for whom."""

    message: str
    chats: Sequence[Chat]
    began: Began

    def stored(self) -> dict[str, Any]:
        return {"message": self.message, "recipients": [asdict(chat) for chat in self.chats], **self.began.stored()}

    @classmethod
    def read(cls, stored: Mapping[str, Any], actor_id: int) -> Self:
        """``actor_id``: see :meth:`Began.read`."""
        chats = [Chat(item["user_id"], item["chat_id"]) for item in stored["recipients"]]
        return cls(stored["message"], chats, Began.read(stored, actor_id))


def send_message(panel: Panel, by: By, message: str, recipient_ids: Sequence[int]) -> Sending:
    """Raises NotAllowed, NotConfigured, InvalidInput, NotFound, and NothingSent when not one message went out."""
    require(by.actor, SEND_TELEGRAM)
    require_bot(panel)
    recipients = _checked(panel, by, message, recipient_ids)
    chats = [Chat(item.id, item.chat_id) for item in recipients if item.chat_id is not None]
    order = Order(message, chats, Began.of(by))
    seconds = min(panel.config.jobs.wait_seconds, LONGEST_WAIT_SECONDS)
    record = jobs.run_and_wait(panel, KINDS, KIND, order.stored(), by.actor.id, seconds)
    if record.state == jobs.FAILED:
        raise PanelError(record.error)
    result: Result[tuple[int, str]] = Result.read(record.result)
    names = {item.id: item.username for item in recipients}
    errors = [(names.get(user_id, str(user_id)), error) for user_id, error in result.errors]
    sending = Sending(record.id, len(recipients), result.sent, len(errors), errors, result.is_recorded)
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
    panel, order = work.panel, Order.read(work.payload, work.actor_id)
    stored = require_bot(panel)
    messages = [
        Message(
            claim=f"job:{work.record.id}:{chat.user_id}",
            user_id=chat.user_id,
            chat_id=chat.chat_id,
            text=Text(order.message),
            kind="manual",
        )
        for chat in order.chats
    ]

    def report(tally: Tally[int]) -> None:
        work.report(tally.done, len(messages), _result(tally).stored())

    tally = deliver(panel, stored.token, messages, report)
    audit_sending(work, order.began, "telegram", "Telegram messages", tally)
    return _result(tally).stored()


def _result(tally: Tally[int]) -> Result[tuple[int, str]]:
    return Result(tally.reached, tally.errors, tally.is_recorded)


KINDS = {KIND: jobs.Kind(_run, carries_on=True)}
