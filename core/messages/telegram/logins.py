"""A user who wishes so is told of each of his logins. Source: contract chapter 80, "Who is told"."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from sqlalchemy import Connection, bindparam, select

from core.access.audit import By
from core.errors import PanelError
from core.jobs import jobs
from core.jobs.jobs import Work
from core.messages.telegram.audience import Notice, tell
from core.messages.telegram.settings import has_telegram
from core.messages.telegram.templates import LOGIN_ALERT
from core.panel import Panel
from core.storage.tables import TelegramNotificationSettings, User

log = logging.getLogger(__name__)

KIND = "telegram_login"
_DEVICE_CHARACTERS = 150
_WISHED = (
    select(User.id)
    .join(TelegramNotificationSettings, TelegramNotificationSettings.user_id == User.id)
    .where(User.id == bindparam("user_id"), User.telegram_chat_id.is_not(None))
    .where(TelegramNotificationSettings.notify_login == 1)
)


@dataclass(frozen=True, slots=True)
class _Login:
    """What is told of a login, under the names of the template's placeholders."""

    username: str
    ip_address: str
    device: str
    login_time: str

    def stored(self) -> dict[str, str]:
        return asdict(self)

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        return cls(**stored)


def note_login(panel: Panel, by: By) -> None:
    """To be called after a login; nothing that goes wrong here breaks it."""
    try:
        if has_telegram(panel) and panel.database.first(_WISHED, user_id=by.actor.id) is not None:
            login = _Login(
                by.actor.username,
                by.origin.address,
                by.origin.user_agent[:_DEVICE_CHARACTERS] or "-",
                panel.clock.now().isoformat(sep=" "),
            )

            def act(connection: Connection) -> None:
                jobs.add(panel, connection, KIND, login.stored(), actor_id=by.actor.id)

            panel.database.transact(act)
            jobs.ring(panel)
    except PanelError as error:
        log.warning("a login could not be told by Telegram: %s", type(error).__name__)


def _run(work: Work) -> None:
    notice = Notice(
        claim=f"job:{work.record.id}",
        kind=LOGIN_ALERT,
        template=LOGIN_ALERT,
        switch="notify_login",
        values=_Login.read(work.payload).stored(),
        user_ids=frozenset({work.actor_id}),
    )
    tell(work.panel, notice)


KINDS = {KIND: jobs.Kind(_run)}
