"""Which chat belongs to which user: linked by its id, or by a one-time token that the user brings to the bot.

Source: contract chapter 80, "telegram/link_telegram.php", "telegram/webhook.php".
"""

import hashlib
import re
import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from core.access.actors import Actor
from core.errors import InvalidInput, UpstreamFailed
from core.messages.delivery import Outcome
from core.messages.telegram.bot import NOT_FOUND, UNREACHABLE
from core.messages.telegram.markdown import filled
from core.messages.telegram.settings import bot, require_bot, require_telegram
from core.messages.telegram.switches import give_row
from core.panel import Panel
from core.security.quota import Quota
from core.storage.tables import TelegramLink, User
from core.values.numerals import folded

LINK_SECONDS = 15 * 60
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CHAT_ID = re.compile(r"-?[0-9]{1,16}")
_ATTEMPTS, _ATTEMPTS_SECONDS = 5, 600
LINKED = (
    "{username}، این گفتگو به پنل وصل شد و از این پس پیام‌های پنل به اینجا می‌آید.\n\n"
    "{username}, this chat is linked to the panel; its notifications will come here."
)


@dataclass(frozen=True, slots=True)
class DeepLink:
    """``address`` opens the bot and brings it the token."""

    bot_username: str
    address: str


def attempts(panel: Panel) -> Quota:
    """How often a user may have the bot write to a chat that may not be his."""
    return panel.own(make_attempts)


def make_attempts(panel: Panel) -> Quota:
    return Quota("telegram-link", _ATTEMPTS, _ATTEMPTS_SECONDS, panel.counters)


def checked_chat_id(text: str) -> int:
    """Digits of any script, and the invisible marks that come with copied ones. Raises InvalidInput."""
    digits = folded(_CONTROL.sub("", text))
    if not _CHAT_ID.fullmatch(digits) or int(digits) == 0:
        raise InvalidInput(
            "The {field} is not valid; expected digits, as the bot answers them to /start", field="chat_id"
        )
    return int(digits)


def link_chat(panel: Panel, actor: Actor, text: str) -> None:
    """Link the actor's chat, if the bot can write to it. Raises InvalidInput, NotConfigured, TooManyAttempts,
    UpstreamFailed."""
    require_telegram(panel)
    chat_id = checked_chat_id(text)
    stored = require_bot(panel)
    attempts(panel).take(actor.id, "Too many attempts, please wait some minutes and try again")
    message = filled(LINKED, {"username": actor.username})
    delivery = bot(panel).send(stored.token, chat_id, message.text, markdown=message.is_markdown)
    if delivery.outcome is not Outcome.SENT:
        if delivery.error == UNREACHABLE:
            raise UpstreamFailed(UNREACHABLE)
        why = " (chat not found)" if delivery.error == NOT_FOUND else ""
        raise UpstreamFailed(f"The bot could not write to this chat{why}; open the bot, press Start, and try again")

    def act(connection: Connection) -> None:
        store_link(panel, connection, actor.id, delivery.moved_to or chat_id)

    panel.database.transact(act)


def unlink_chat(panel: Panel, actor: Actor) -> None:
    """Raises DatabaseFailed."""
    require_telegram(panel)

    def act(connection: Connection) -> None:
        unlinked = update(User).where(User.id == actor.id)
        connection.execute(unlinked.values(telegram_chat_id=None, telegram_linked_at=None))

    panel.database.transact(act)


def make_link(panel: Panel, actor: Actor) -> DeepLink:
    """A new one-time link of the actor's, in place of an older one. Raises NotConfigured."""
    stored = require_bot(panel)
    token = secrets.token_hex(16)

    def act(connection: Connection) -> None:
        connection.execute(select(User.id).where(User.id == actor.id).with_for_update())
        connection.execute(delete(TelegramLink).where(TelegramLink.user_id == actor.id))
        expires_at = panel.clock.stamp() + LINK_SECONDS
        link = {"user_id": actor.id, "token_hash": _hash(token), "expires_at": expires_at}
        connection.execute(insert(TelegramLink).values(**link))

    panel.database.transact(act)
    return DeepLink(stored.username, f"https://t.me/{stored.username}?start=link_{actor.id}_{token}")


def use_link(panel: Panel, user_id: int, token: str, chat_id: int) -> str | None:
    """Link the user by a token, which is burnt, and return the user's name; None when it is not valid (any more)."""
    model = TelegramLink

    def act(connection: Connection) -> str | None:
        valid = (model.user_id == user_id, model.token_hash == _hash(token), model.expires_at > panel.clock.stamp())
        if connection.execute(delete(model).where(*valid)).rowcount != 1:
            return None
        store_link(panel, connection, user_id, chat_id)
        return connection.scalar(select(User.username).where(User.id == user_id))

    return panel.database.transact(act)


def store_link(panel: Panel, connection: Connection, user_id: int, chat_id: int) -> None:
    linked = update(User).where(User.id == user_id)
    connection.execute(linked.values(telegram_chat_id=chat_id, telegram_linked_at=panel.clock.now()))
    give_row(panel, connection, user_id)


def follow_move(connection: Connection, old_id: int, new_id: int) -> None:
    """Telegram has given a chat a new id: all who have the old one get it."""
    connection.execute(update(User).where(User.telegram_chat_id == old_id).values(telegram_chat_id=new_id))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
