"""A request that tells people of something does not wait for it: neither for a mail server nor for Telegram.

Source: contract chapter 80, "Mail helper" and "Who is told"; how: core.jobs.events.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import sqlalchemy as sa

from core.jobs import jobs
from core.messages.mail.settings import WELCOME
from core.messages.telegram import templates
from core.storage.tables import MailSettings, MailTemplate, TelegramSettings, User
from core.storage.tables.secret_columns import BOT, MAIL
from simulators.faults import Hang
from simulators.telegram import TOKEN, BotApi
from tests.conftest import MakeWorld
from tests.worlds.accounts import Accounts, accounts_world, new_account
from tests.worlds.channels import outside
from tests.worlds.mail_server import PASSWORD, USER, MailServer
from tests.worlds.waiting import until

ADMIN = 1
REQUESTS = 11
MOST_SECONDS = 0.05


@contextmanager
def _dead_services(accounts: Accounts) -> Iterator[None]:
    """A bot and a mail server that take every message and never answer, and somebody to be told by each."""

    async def hang(_: Any) -> str:
        await asyncio.Event().wait()
        return "250 OK"

    world, seal = accounts.world, accounts.panel.sealer.sealed
    with BotApi() as api, MailServer() as mail, outside(world, api):
        api.fail(Hang(), times=None)
        mail.on_data = hang
        world.insert(TelegramSettings, [{"bot_token": seal(TOKEN, BOT.place({})), "bot_username": "ExampleBot"}])
        templates.give_missing(accounts.panel)
        world.execute(sa.update(User).where(User.id == ADMIN).values(telegram_chat_id=1))
        smtp = {"smtp_host": "127.0.0.1", "smtp_port": mail.port, "smtp_secure": "none", "smtp_username": USER}
        world.insert(MailSettings, [{"user_id": ADMIN, "smtp_password": seal(PASSWORD, MAIL.place(smtp)), **smtp}])
        world.insert(MailTemplate, [{"user_id": ADMIN, "name": WELCOME, "subject": "Hello", "body_html": "Hello"}])
        yield
        until(lambda: api.requests, "the bot is asked: without that nothing was shown")


def _seconds(accounts: Accounts, numbers: range) -> float:
    taken = []
    for number in numbers:
        wish = new_account(0x10 + number) | {"plan": "78-GBP", "email": f"c{number}@example.com"}
        started = time.perf_counter()
        answer = accounts.post("admin", "add_account", **wish)
        taken.append(time.perf_counter() - started)
        assert answer["error"] == 0, answer
    return median(taken)


def test_an_addition_does_not_wait_for_those_who_are_told(make_world: MakeWorld) -> None:
    with accounts_world(make_world, "sqlite") as accounts:
        silent = _seconds(accounts, range(REQUESTS))
        with _dead_services(accounts):
            telling = _seconds(accounts, range(REQUESTS, 2 * REQUESTS))
            assert {job.kind for job in jobs.open_jobs(accounts.panel)} >= {"welcome_mail", "telegram_new_account"}
        assert telling - silent < MOST_SECONDS
