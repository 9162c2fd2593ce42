"""Messages of the bot to users, and their rows in ``_telegram_logs``: written as pending with the claim, so that none
that went out is missing there, and shown when the outcome is known (:mod:`core.messages.telegram.log`).

The way of a message is :mod:`core.messages.delivery`'s. Source: contract chapter 80, "Who is told", settled 7 and 14.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import SecretStr
from sqlalchemy import Connection, update

from core.jobs.claims import INTERRUPTED
from core.messages.by_hand import Tally
from core.messages.delivery import Channel, Claimed, Outbox, Outcome, settle_interrupted
from core.messages.pace import Pace
from core.messages.telegram.bot import BotDelivery
from core.messages.telegram.linking import follow_move
from core.messages.telegram.markdown import Text
from core.messages.telegram.settings import bot
from core.panel import Panel
from core.storage.tables import TelegramLog
from core.storage.writing import insert_row

SENT, FAILED, PENDING = "sent", "failed", "pending"
# 25 a second: Telegram allows a bot some 30
_PAUSE_SECONDS = 0.04
_MAC_CHARACTERS = 17


@dataclass(frozen=True, slots=True)
class Message:
    """``claim``: the name under which it is sent once. ``kind``: the log's ``message_type``."""

    claim: str
    user_id: int
    chat_id: int
    text: Text
    kind: str
    account_id: int | None = None
    mac: str | None = None


class TelegramChannel(Channel[Message, BotDelivery]):
    name = "telegram"
    made = BotDelivery

    def __init__(self, panel: Panel) -> None:
        self._panel = panel

    def claim_name(self, message: Message) -> str:
        return message.claim

    def write_down(self, connection: Connection, message: Message) -> int | None:
        now = self._panel.clock.now()
        values = {
            "user_id": message.user_id,
            "chat_id": message.chat_id,
            "message": message.text.text,
            "message_type": message.kind,
            "related_account_id": message.account_id,
            "related_account_mac": message.mac and message.mac[:_MAC_CHARACTERS],
            "sent_at": now,
            "status": PENDING,
            "created_at": now,
        }
        return insert_row(connection, TelegramLog, values)

    def settle(self, connection: Connection, claimed: Sequence[Claimed[Message]], delivery: BotDelivery) -> None:
        """A chat that has moved is known by its new id from now on."""
        now = self._panel.clock.now()
        for message, row_id in claimed:
            if delivery.moved_to is not None:
                follow_move(connection, message.chat_id, delivery.moved_to)
            values = {
                "chat_id": delivery.moved_to or message.chat_id,
                "telegram_message_id": delivery.message_id,
                "sent_at": now,
                "status": SENT if delivery.outcome is Outcome.SENT else FAILED,
                "error_message": delivery.error,
            }
            connection.execute(update(TelegramLog).where(TelegramLog.id == row_id).values(**values))

    @classmethod
    def interrupted(cls, panel: Panel, connection: Connection, row_ids: Sequence[int]) -> None:
        open_ = update(TelegramLog).where(TelegramLog.id.in_(row_ids), TelegramLog.status == PENDING)
        connection.execute(open_.values(status=FAILED, error_message=INTERRUPTED))


def deliver(
    panel: Panel,
    token: SecretStr,
    messages: Sequence[Message],
    report: Callable[[Tally[int]], None] = lambda tally: None,
) -> Tally[int]:
    """Send what was not sent before, one after the other. ``report`` is called after each.

    Raises only what the database, or ``report``, raises; messages that were not tried by then have no claim.
    """
    settle_interrupted(panel)
    pace, outbox = Pace(_PAUSE_SECONDS), Outbox(panel, TelegramChannel(panel))
    tally: Tally[int] = Tally()

    def call(batch: Sequence[Message]) -> BotDelivery:
        [message] = batch
        pace.wait()
        delivery = bot(panel).send(token, message.chat_id, message.text.text, markdown=message.text.is_markdown)
        pace.sent()
        return delivery

    for message in messages:
        _, delivery = outbox.deliver([message], call)
        tally.count(message.user_id, delivery)
        tally.is_recorded = outbox.is_recorded
        report(tally)
    return tally
