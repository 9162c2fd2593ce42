"""Who is told of what: users with a linked chat whose switch is on. Source: contract chapter 80, "Who is told"."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy import Connection, select

from core.access.actors import RESELLER_ADMIN_FIELD, has_field
from core.messages.by_hand import Tally
from core.messages.telegram.markdown import filled
from core.messages.telegram.outbox import Message, deliver
from core.messages.telegram.settings import find_bot, has_telegram
from core.messages.telegram.switches import WITHOUT_A_ROW
from core.messages.telegram.templates import find_template
from core.panel import Panel
from core.storage.tables import TelegramNotificationSettings, User

DASH = "-"


@dataclass(frozen=True, slots=True)
class Listener:
    """A user with a chat who wants to be told."""

    user_id: int
    chat_id: int
    is_admin: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """A message to several users. ``claim``: of what, without the recipient; ``switch``: who wants it.

    ``to_admins``: to super admins and reseller admins, besides ``user_ids``.
    """

    claim: str
    kind: str
    template: str
    switch: str
    values: Mapping[str, str]
    user_ids: frozenset[int]
    to_admins: bool = False
    account_id: int | None = None
    mac: str | None = None


def is_in_use(panel: Panel) -> SecretStr | None:
    """The bot's token; None where nobody can be told anything."""
    if not has_telegram(panel):
        return None
    with panel.database.read() as connection:
        stored = find_bot(panel, connection)
    return None if stored is None else stored.token


def listeners(panel: Panel, connection: Connection, switch: str) -> list[Listener]:
    """All with a linked chat whose switch is on; of some switches also those without a stored row."""
    model = TelegramNotificationSettings
    column = getattr(model, switch)
    wanted = sa.or_(column == 1, model.id.is_(None)) if switch in WITHOUT_A_ROW else column == 1
    observer = User.is_observer if panel.layout.has_column("_users", "is_observer") else sa.literal(0)
    found = (
        select(User.id, User.telegram_chat_id, User.super_user, User.permissions, observer.label("is_observer"))
        .outerjoin(model, model.user_id == User.id)
        .where(User.telegram_chat_id.is_not(None), wanted)
        .order_by(User.id)
    )
    return [
        Listener(
            row.id,
            row.telegram_chat_id,
            row.super_user == 1 or (has_field(row.permissions, RESELLER_ADMIN_FIELD) and row.is_observer != 1),
        )
        for row in connection.execute(found)
    ]


def tell(panel: Panel, notice: Notice) -> Tally[int]:
    """Send the notice to each who wants it, once. Nothing where there is no bot, or no such template."""
    token = is_in_use(panel)
    return Tally() if token is None else tell_all(panel, token, [notice])


def tell_all(panel: Panel, token: SecretStr, notices: Iterable[Notice]) -> Tally[int]:
    """As :func:`tell`, of several notices, by one outbox: a bot that does not answer is given up for all."""
    messages: list[Message] = []
    with panel.database.read() as connection:
        for notice in notices:
            template = find_template(connection, notice.template)
            if template is None:
                continue
            text = filled(template, notice.values)
            messages += [
                Message(
                    f"{notice.claim}:{who.user_id}",
                    who.user_id,
                    who.chat_id,
                    text,
                    notice.kind,
                    notice.account_id,
                    notice.mac,
                )
                for who in listeners(panel, connection, notice.switch)
                if who.user_id in notice.user_ids or (notice.to_admins and who.is_admin)
            ]
    return deliver(panel, token, messages) if messages else Tally()
