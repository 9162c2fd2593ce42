"""What people write to the bot, and its replies: the chat's id, help, and linking by a one-time token.

Updates are not stored and not logged. Source: contract chapter 80, "telegram/webhook.php".
"""

import hmac
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

from core.errors import PanelError
from core.messages.telegram.linking import LINKED, use_link
from core.messages.telegram.markdown import Text, filled
from core.messages.telegram.settings import StoredBot, bot, find_bot, has_telegram
from core.panel import Panel
from core.security.quota import Quota

log = logging.getLogger(__name__)

_COMMAND = re.compile(r"/(start|help)(?:@\w+)?(?:\s+(\S*))?", re.IGNORECASE)
_LINK = re.compile(r"link_([0-9]{1,9})_([0-9a-f]{32})")
# what makes an address or a number
_NOT_OF_A_NAME = re.compile(r"[^\w '-]|\d")
# limits of replies to callers who prove nothing
_CHAT_SECONDS, _PER_MINUTE = 3, 60
START = (
    "سلام {name}\nشناسه گفتگوی شما: `{chat_id}`\nآن را در بخش تلگرام پنل وارد کنید.\n\n"
    "Hello {name}\nYour chat id: `{chat_id}`\nEnter it in the Telegram section of the panel."
)
HELP = (
    "/start شناسه گفتگوی شما را نشان می‌دهد\n/help این راهنما را نشان می‌دهد\n\n"
    "/start shows your chat id\n/help shows this help"
)


@dataclass(frozen=True, slots=True)
class Written:
    """A message that somebody wrote to the bot."""

    chat_id: int
    text: str
    first_name: str

    @classmethod
    def read(cls, update: object) -> Self | None:
        """None for all that is no such message."""
        message = _part(update, "message")
        chat_id, text = _part(message, "chat").get("id"), message.get("text")
        if not isinstance(chat_id, int) or isinstance(chat_id, bool) or not isinstance(text, str):
            return None
        if not 0 < abs(chat_id) < 2**63:
            return None
        return cls(chat_id, text, str(_part(message, "from").get("first_name") or "")[:64])


def _part(value: object, name: str) -> Mapping[str, Any]:
    part = value.get(name) if isinstance(value, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def chat_replies(panel: Panel) -> Quota:
    return panel.own(make_chat_replies)


def make_chat_replies(panel: Panel) -> Quota:
    return Quota("telegram-chat", 1, _CHAT_SECONDS, panel.counters)


def all_replies(panel: Panel) -> Quota:
    return panel.own(make_all_replies)


def make_all_replies(panel: Panel) -> Quota:
    return Quota("telegram-replies", _PER_MINUTE, 60, panel.counters)


def knows_secret(stored: StoredBot | None, said: str) -> bool:
    """Whether the caller may be Telegram: always where no secret is set."""
    secret = stored.webhook_secret.get_secret_value() if stored is not None else ""
    return not secret or hmac.compare_digest(secret.encode(), said.encode())


def bot_of(panel: Panel) -> StoredBot | None:
    """None also where the database has no tables for it. Raises DatabaseFailed."""
    if not has_telegram(panel):
        return None
    with panel.database.read() as connection:
        return find_bot(panel, connection)


def receive(panel: Panel, stored: StoredBot, update: object) -> None:
    """Reply in the background, where there is something to reply to."""
    written = Written.read(update)
    if written is None or _COMMAND.match(written.text) is None:
        return
    proves_nothing = not stored.webhook_secret.get_secret_value()
    if proves_nothing:
        if not (chat_replies(panel).allows(written.chat_id) and all_replies(panel).allows("all")):
            return
        # whoever claims to be somebody else's chat has the panel's bot write what he likes to that person
        written = replace(written, first_name=_NOT_OF_A_NAME.sub("", written.first_name))
    panel.start_thread(partial(_reply, panel, stored, written), "telegram-reply")


def _reply(panel: Panel, stored: StoredBot, written: Written) -> None:
    try:
        text = _answer(panel, written)
    except PanelError as error:
        log.warning("a message to the bot could not be answered: %s", type(error).__name__)
        return
    delivery = bot(panel).send(stored.token, written.chat_id, text.text, markdown=text.is_markdown)
    if delivery.error:
        log.warning("a reply of the bot was not sent: %s", delivery.error)


def _answer(panel: Panel, written: Written) -> Text:
    found = _COMMAND.match(written.text)
    if found is not None and found[1].lower() == "help":
        return Text(HELP, is_markdown=False)
    link = _LINK.fullmatch(found[2] or "") if found is not None else None
    username = use_link(panel, int(link[1]), link[2], written.chat_id) if link is not None else None
    if username is not None:
        return filled(LINKED, {"username": username})
    return filled(START, {"name": written.first_name, "chat_id": str(written.chat_id)})
