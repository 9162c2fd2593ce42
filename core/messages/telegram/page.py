"""What the Telegram page is shown: the bot, the user, switches, templates, counts and whom one may write to.

Source: contract chapter 80, "telegram/get_settings.php".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from core.access.actors import RESELLER_ADMIN_FIELD, Actor, has_field
from core.access.permissions import SEE_BOT, SEND_TELEGRAM, may
from core.messages.log_page import Counts
from core.messages.telegram.log import count_log
from core.messages.telegram.settings import StoredBot, find_bot, has_telegram
from core.messages.telegram.switches import Switches, read_switches
from core.messages.telegram.templates import StoredTemplate, list_templates
from core.panel import Panel
from core.storage.tables import User


@dataclass(frozen=True, slots=True)
class Recipient:
    """A user whom one may write to, linked or not."""

    id: int
    username: str
    is_super: bool
    is_reseller_admin: bool
    chat_id: int | None


@dataclass(frozen=True, slots=True)
class View:
    """``mask``: of the token, for those who may see it. ``linked_at``: None for a user without a chat."""

    bot: StoredBot | None
    mask: str | None
    may_send: bool
    is_linked: bool
    linked_at: datetime | None
    switches: Switches
    templates: Sequence[StoredTemplate]
    counts: Counts
    recipients: Sequence[Recipient]


def read_view(panel: Panel, actor: Actor) -> View:
    if not has_telegram(panel):
        return View(None, None, False, False, None, Switches(), (), Counts(), ())
    sends, sees_all = may(actor, SEND_TELEGRAM), actor.super_user or actor.is_reseller_admin
    with panel.database.read() as connection:
        bot = find_bot(panel, connection)
        own = connection.execute(
            select(User.telegram_chat_id, User.telegram_linked_at).where(User.id == actor.id)
        ).one()
        is_linked = own.telegram_chat_id is not None
        return View(
            bot,
            bot.mask if bot is not None and may(actor, SEE_BOT) else None,
            sends,
            is_linked,
            own.telegram_linked_at if is_linked else None,
            read_switches(connection, actor.id),
            list_templates(connection) if sees_all else (),
            count_log(connection, None if sees_all else actor.id),
            recipients_of(panel, connection, actor) if sends else (),
        )


def recipients_of(panel: Panel, connection: Connection, actor: Actor) -> list[Recipient]:
    """Whom the actor may write to: super admins to all but observers, reseller admins to all but these and super
    admins; super admins first."""
    columns = [User.id, User.username, User.super_user, User.permissions, User.telegram_chat_id]
    found = select(*columns).order_by(User.super_user.desc(), User.username)
    if panel.layout.has_column("_users", "is_observer"):
        found = found.where(User.is_observer == 0)
    if not actor.super_user:
        found = found.where(User.super_user == 0)
    return [
        Recipient(
            row.id,
            row.username,
            row.super_user == 1,
            has_field(row.permissions, RESELLER_ADMIN_FIELD),
            row.telegram_chat_id,
        )
        for row in connection.execute(found)
    ]
