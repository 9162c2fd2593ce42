"""The world of the mail and Telegram tests: chapter 80's users, before a real SMTP server and a simulated Bot API."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from core.config import Mail, Telegram
from core.messages.telegram import bot as telegram_bot
from core.messages.telegram import linking, settings, webhook
from core.panel import Panel
from core.security.quota import Quota
from core.storage.tables import (
    AuditEntry,
    MailLog,
    MailSettings,
    TelegramLog,
    TelegramNotificationSettings,
    TelegramSettings,
    User,
)
from core.storage.tables.secret_columns import BOT, MAIL
from core.values.clock import Clock
from simulators.telegram import TOKEN, BotApi
from tests.conftest import MakeWorld
from tests.worlds.harness import World, user_row
from tests.worlds.mail_server import PASSWORD, USER, MailServer

# 10:30 in Tehran
MORNING = datetime(2026, 11, 22, 7, 0, tzinfo=UTC).timestamp()
ADMIN, RITA, BOB, SAM, OBS = 1, 5, 7, 8, 9
CHATS = {ADMIN: 100001, RITA: 100005, BOB: 100007, SAM: 100008}


class Channels:
    """One served panel; ``moment`` is its clock, in Unix seconds."""

    def __init__(self, world: World, api: BotApi, mail: MailServer) -> None:
        self.world = world
        self.api = api
        self.mail = mail
        self.moment = MORNING

    @property
    def panel(self) -> Panel:
        return self.world.panel

    def post(self, who: str | None, endpoint: str, encoding: str = "multipart", /, **fields: Any) -> dict[str, Any]:
        client = self.world.client() if who is None else self.world.php_login(who)
        answer: dict[str, Any] = client.post(f"/api/{endpoint}.php", fields, encoding).json()
        return answer

    def get(self, who: str | None, path: str) -> dict[str, Any]:
        client = self.world.client() if who is None else self.world.php_login(who)
        answer: dict[str, Any] = client.get(f"/api/{path}").json()
        return answer

    def rows(self, model: Any) -> list[dict[str, Any]]:
        return self.world.rows(sa.select(*model.__table__.c).order_by(model.id))

    @property
    def telegram_logs(self) -> list[dict[str, Any]]:
        return self.rows(TelegramLog)

    @property
    def mail_logs(self) -> list[dict[str, Any]]:
        return self.rows(MailLog)

    @property
    def audits(self) -> list[dict[str, Any]]:
        return self.rows(AuditEntry)

    @property
    def chats(self) -> dict[int, int | None]:
        """The linked chat of each user."""
        return {row["id"]: row["telegram_chat_id"] for row in self.rows(User)}

    def set_bot(self, **values: Any) -> None:
        row = {"bot_token": self.panel.sealer.sealed(TOKEN, BOT.place({})), "bot_username": "ExampleBot"}
        self.world.insert(TelegramSettings, [row | values])

    def link(self, *user_ids: int, **switches: int) -> None:
        """Give the users their chats; ``switches``: of a stored row, if any."""
        for user_id in user_ids:
            self.world.execute(sa.update(User).where(User.id == user_id).values(telegram_chat_id=CHATS[user_id]))
            if switches:
                self.world.insert(TelegramNotificationSettings, [{"user_id": user_id, **switches}])

    def set_mail(self, user_id: int = ADMIN, **values: Any) -> None:
        row = {
            "user_id": user_id,
            "smtp_host": "127.0.0.1",
            "smtp_port": self.mail.port,
            "smtp_secure": "none",
            "smtp_username": USER,
            "from_name": "ShowBox",
        }
        row |= values
        password = self.panel.sealer.sealed(PASSWORD, MAIL.place(row))
        self.world.insert(MailSettings, [{"smtp_password": password} | row])


@contextmanager
def channels_world(
    make_world: MakeWorld, kind: str, api: BotApi, mail: MailServer, **settings: str
) -> Iterator[Channels]:
    """``settings``: of :func:`make_world`."""
    world = make_world(kind, **settings)
    channels = Channels(world, api, mail)
    panel, clock = world.panel, world.panel.clock
    with outside(world, api):
        panel.clock = Clock("Asia/Tehran", source=lambda: channels.moment)
        _fill(world)
        try:
            yield channels
        finally:
            panel.clock = clock


@contextmanager
def outside(world: World, api: BotApi) -> Iterator[None]:
    """The world's panel speaks to ``api``, and all limits begin anew."""
    panel, config = world.panel, world.panel.config
    panel.config = config.model_copy(update={"telegram": Telegram(api_base=api.base_url), "mail": Mail()})
    client = telegram_bot.Bot(panel.config.telegram, wait=lambda seconds: None)
    with ExitStack() as stack:
        stack.callback(setattr, panel, "config", config)
        stack.callback(client.close)
        stack.enter_context(panel.lend(settings.make_bot, client))
        stack.enter_context(panel.lend(linking.make_attempts, Quota("link", 5, 600, panel.counters)))
        stack.enter_context(panel.lend(webhook.make_chat_replies, Quota("chat", 1, 3, panel.counters)))
        stack.enter_context(panel.lend(webhook.make_all_replies, Quota("replies", 60, 60, panel.counters)))
        yield


def _fill(world: World) -> None:
    all_rights = "1|1|1|1|1|1|1|1"
    world.insert(
        User,
        [
            user_row(ADMIN, "admin", super_user=1, permissions=all_rights, email="admin@example.com", balance=1000),
            user_row(RITA, "radm", permissions=all_rights) | {"username": "rita", "name": "Rita"},
            user_row(BOB, "resa", permissions="1|1|0|1|0|1|0", email="bob@example.com", balance=500)
            | {"username": "bob", "name": "Bob"},
            user_row(SAM, "resb", permissions="1|1|0|1|0|1|0", balance=500) | {"username": "sam", "name": "Sam"},
            user_row(OBS, "obs", is_observer=1, permissions=None),
        ],
    )
