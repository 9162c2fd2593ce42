"""Messages of the bot to users, and their rows in ``_telegram_logs``, which are written when the outcome is known.

The way of a message is :mod:`core.messages.delivery`'s. Source: contract chapter 80, "Who is told", settled 7 and 14.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import SecretStr
from sqlalchemy import Connection

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

SENT, FAILED = "sent", "failed"
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

    def __init__(self, panel: Panel) -> None:
        self._panel = panel

    def claim_name(self, message: Message) -> str:
        return message.claim

    def settle(self, connection: Connection, claimed: Sequence[Claimed[Message]], delivery: BotDelivery) -> None:
        """The log's rows; a chat that has moved is known by its new id from now on."""
        now = self._panel.clock.now()
        for message, _ in claimed:
            if delivery.moved_to is not None:
                follow_move(connection, message.chat_id, delivery.moved_to)
            values = {
                "user_id": message.user_id,
                "chat_id": delivery.moved_to or message.chat_id,
                "message": message.text.text,
                "message_type": message.kind,
                "related_account_id": message.account_id,
                "related_account_mac": message.mac and message.mac[:_MAC_CHARACTERS],
                "telegram_message_id": delivery.message_id,
                "sent_at": now,
                "status": SENT if delivery.outcome is Outcome.SENT else FAILED,
                "error_message": delivery.error,
                "created_at": now,
            }
            insert_row(connection, TelegramLog, values)


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
        report(tally)
    return tally
