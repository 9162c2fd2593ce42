"""The panel's bot: its stored token, which never leaves the server, and changing it.

Source: contract chapter 80, "telegram/update_settings.php", "telegram/verify_bot.php". What each user wants to be told
of: :mod:`core.messages.telegram.switches`.
"""

import logging
import secrets
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Connection, insert, select, update

from core.access.actors import Actor
from core.access.audit import By
from core.access.permissions import CHANGE_BOT, require
from core.errors import DatabaseFailed, InvalidInput, PanelError, TooManyAttempts
from core.messages.telegram.bot import Bot, Identity, checked_token
from core.messages.telegram.templates import seed
from core.panel import Panel
from core.security.sealing import Unreadable
from core.security.throttle import WINDOW_SECONDS
from core.storage.tables import TelegramLog, TelegramNotificationSettings, TelegramSettings, TelegramTemplate
from core.storage.tables.secret_columns import BOT, WEBHOOK

log = logging.getLogger(__name__)

TABLES = tuple(
    model.__tablename__ for model in (TelegramSettings, TelegramLog, TelegramNotificationSettings, TelegramTemplate)
)
_HIDDEN = "\N{BULLET}" * 8


class NotConfigured(PanelError):
    default_text = "The Telegram bot is not set up yet"


@dataclass(frozen=True, slots=True)
class StoredBot:
    """``webhook_secret``: what Telegram's calls must bring; empty: nothing."""

    row_id: int
    token: SecretStr = field(repr=False)
    username: str
    webhook_secret: SecretStr = field(repr=False)

    @property
    def mask(self) -> str:
        """What is shown in place of the token, and comes back when a page saves what it was shown."""
        return mask(self.token.get_secret_value())


def mask(token: str) -> str:
    return f"{token.partition(':')[0]}:{_HIDDEN}"


def bot(panel: Panel) -> Bot:
    """The panel's client of the Bot API."""
    return panel.own(make_bot)


def make_bot(panel: Panel) -> Bot:
    return Bot(panel.config.telegram)


def has_telegram(panel: Panel) -> bool:
    """Whether this database has the tables and columns of Telegram; panels before 1.18.2 had none."""
    layout = panel.layout
    return layout.has_column("_users", "telegram_chat_id") and all(layout.has_table(table) for table in TABLES)


def require_telegram(panel: Panel) -> None:
    """Raises DatabaseFailed."""
    if not has_telegram(panel):
        raise DatabaseFailed("This panel's database has no tables for Telegram yet; its administrator must upgrade it")


def find_bot(panel: Panel, connection: Connection) -> StoredBot | None:
    """None where none is set up, or its token was sealed with another key."""
    row = _row(connection)
    if row is None or not (row.bot_token or "").strip():
        return None
    try:
        token = panel.sealer.unsealed(row.bot_token, BOT.place({})).strip()
        secret = panel.sealer.unsealed(row.webhook_secret, WEBHOOK.place({}))
    except Unreadable:
        log.warning("the stored bot token cannot be read with this server's key; enter it again")
        return None
    return StoredBot(row.id, SecretStr(token), row.bot_username or "", SecretStr(secret))


def require_bot(panel: Panel) -> StoredBot:
    """Raises DatabaseFailed, NotConfigured."""
    require_telegram(panel)
    with panel.database.read() as connection:
        found = find_bot(panel, connection)
    if found is None:
        raise NotConfigured
    return found


def verify_bot(panel: Panel, actor: Actor, text: str) -> Identity:
    """Whose token ``text`` is; the mask stands for the stored one. Stores nothing.

    Raises NotAllowed, InvalidInput, TooManyAttempts, TokenRefused, TelegramUnreachable.
    """
    require(actor, CHANGE_BOT)
    require_telegram(panel)
    if not panel.connection_tests.may(f"telegram/{actor.id}"):
        raise TooManyAttempts(retry_after=WINDOW_SECONDS)
    return bot(panel).identity(_meant(panel, text))


def change_bot(panel: Panel, by: By, text: str) -> Identity:
    """Store the token, if Telegram knows it, and the templates that are missing. Raises as :func:`verify_bot`."""
    require(by.actor, CHANGE_BOT)
    require_telegram(panel)
    token = _meant(panel, text)
    identity = bot(panel).identity(token)
    now = panel.clock.now()
    values = {
        "bot_token": panel.sealer.sealed(token.get_secret_value(), BOT.place({})),
        "bot_username": identity.username,
        "updated_at": now,
    }

    def act(connection: Connection) -> None:
        before = _row(connection, lock=True)
        if before is None:
            connection.execute(insert(TelegramSettings).values(created_at=now, **values))
        else:
            connection.execute(update(TelegramSettings).where(TelegramSettings.id == before.id).values(**values))
        seed(panel, connection)
        _audit(panel, connection, by, before, identity)

    panel.database.transact(act)
    return identity


def change_webhook(panel: Panel, url: str) -> None:
    """Have Telegram call ``url``, with a new secret that its calls must bring. Raises PanelError.

    For the command line: nothing of the panel does it by itself.
    """
    found = require_bot(panel)
    secret = SecretStr(secrets.token_urlsafe(32))
    bot(panel).set_webhook(found.token, url, secret)
    sealed = panel.sealer.sealed(secret.get_secret_value(), WEBHOOK.place({}))
    values = {"webhook_url": url[:500], "webhook_secret": sealed, "updated_at": panel.clock.now()}

    def act(connection: Connection) -> None:
        connection.execute(update(TelegramSettings).where(TelegramSettings.id == found.row_id).values(**values))

    panel.database.transact(act)


def _meant(panel: Panel, text: str) -> SecretStr:
    """Raises InvalidInput."""
    if not text:
        raise InvalidInput.missing("bot_token")
    if _HIDDEN in text:
        with panel.database.read() as connection:
            stored = find_bot(panel, connection)
        if stored is None or text != stored.mask:
            raise InvalidInput("The bot token is not complete; enter the whole token")
        return stored.token
    return SecretStr(checked_token(text))


def _row(connection: Connection, *, lock: bool = False) -> Any:
    model = TelegramSettings
    found = select(model.id, model.bot_token, model.bot_username, model.webhook_secret).order_by(model.id).limit(1)
    return connection.execute(found.with_for_update() if lock else found).first()


def _audit(panel: Panel, connection: Connection, by: By, before: Any, identity: Identity) -> None:
    old = None if before is None else before.bot_username
    details = "Telegram bot set"
    if old and old != identity.username:
        details = "Telegram bot replaced; linked users must start the new bot before it can write to them"
    by.write_audit(
        panel,
        connection,
        "update",
        "settings",
        target_name="telegram",
        old={"bot_username": old},
        new={"bot_username": identity.username},
        details=details,
    )
