"""Mails and Telegram messages by hand whose process is killed at a random message are finished without repeating one.

``SHOWBOX_TEST_KILLS=20`` makes more rounds of it. Why at most once: core.messages.delivery.
"""

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from core.access.actors import bare_actor
from core.access.audit import By, Origin
from core.config import load_config
from core.jobs import jobs
from core.jobs.claims import INTERRUPTED
from core.messages.mail import send as mail_send
from core.messages.mail.send import Wish, send_mail
from core.messages.telegram.send import send_message
from core.panel import Panel
from core.storage.tables import Account, Claim, Job, MailLog, MailSettings, TelegramLog, TelegramSettings, User
from core.storage.tables.secret_columns import BOT, MAIL
from core.workers import workers
from simulators.recording import RecordedRequest
from simulators.telegram import TOKEN, BotApi
from tests.worlds.databases import prepared_database
from tests.worlds.forked import Forked
from tests.worlds.killed import start_worker
from tests.worlds.mail_server import PASSWORD, USER, MailServer
from tests.worlds.waiting import until

ROUNDS = int(os.environ.get("SHOWBOX_TEST_KILLS", "1"))
MESSAGES = 30
BY = By(bare_actor(1, "admin", super_user=True), Origin("127.0.0.1", "test"))


@pytest.fixture
def api() -> Iterator[BotApi]:
    with BotApi() as api:
        yield api


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def panel(api: BotApi, server: MailServer, monkeypatch: pytest.MonkeyPatch, request: Any) -> Iterator[Panel]:
    """Of which other processes have the configuration too; nobody works but who is started."""
    settings = {
        "SHOWBOX_DATABASE_URL": prepared_database("sqlite", f"killed_{request.node.originalname}"),
        "SHOWBOX_TELEGRAM_API_BASE": api.base_url,
        "SHOWBOX_JOBS_WAIT_SECONDS": "0",
        "SHOWBOX_SECURITY_APPLICATION_KEY": "a-key-for-the-tests-of-killing",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    panel = Panel(load_config(None))
    _fill(panel, server.port)
    yield panel
    panel.close()


def _fill(panel: Panel, port: int) -> None:
    panel.layout  # noqa: B018 - the tables are looked at before they are written to
    mail = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_secure": "none", "smtp_username": USER}
    numbers = range(2, MESSAGES + 2)
    with panel.database.write() as connection:
        users = [{"id": n, "username": f"u{n}", "password": "", "telegram_chat_id": n} for n in numbers]
        connection.execute(sa.insert(User).values(id=1, username="admin", password="", super_user=1))
        connection.execute(sa.insert(User), users)
        accounts = [
            {"id": n, "username": f"a{n}", "mac": f"M{n}", "email": f"c{n}@example.com", "status": 1} for n in numbers
        ]
        connection.execute(sa.insert(Account), accounts)
        sealed = panel.sealer.sealed(PASSWORD, MAIL.place(mail))
        connection.execute(sa.insert(MailSettings).values(user_id=1, smtp_password=sealed, **mail))
        token = panel.sealer.sealed(TOKEN, BOT.place({}))
        connection.execute(sa.insert(TelegramSettings).values(bot_token=token, bot_username="B"))


class _Killer:
    """Ends the process when the ``at``-th message is there, before the sender learns of it."""

    def __init__(self, at: int) -> None:
        self._at, self._seen = at, 0
        self.process: Forked | None = None

    def seen(self) -> None:
        self._seen += 1
        if self._seen == self._at:
            until(lambda: self.process, "the worker is known").kill()


def _killed_and_finished(panel: Panel, killer: _Killer) -> None:
    killer.process = start_worker()
    assert killer.process.wait(60) == -signal.SIGKILL
    killer.process.close()
    jobs.work_off(panel, workers.KINDS)
    with panel.database.read() as connection:
        assert set(connection.scalars(sa.select(Job.state))) == {"done"}


def _stored(panel: Panel, ask: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """The job that the request leaves behind when its own process does nothing of it."""
    with monkeypatch.context() as patched:
        patched.setattr(panel, "start_thread", lambda target, name: threading.Thread())
        patched.setattr(threading.Thread, "join", lambda self, seconds=None: None)
        ask()
    with panel.database.write() as connection:
        connection.execute(sa.update(Job).values(state="waiting", owner=None, lease_until=0))


def _forget(panel: Panel) -> None:
    with panel.database.write() as connection:
        for model in (MailLog, TelegramLog, Claim, Job):
            connection.execute(sa.delete(model))


def test_telegram(panel: Panel, api: BotApi, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(ROUNDS):
        api.forget()
        _forget(panel)
        _stored(panel, lambda: send_message(panel, BY, "Hello", range(2, MESSAGES + 2)), monkeypatch)
        killer = _Killer(random.randint(1, MESSAGES - 1))

        def look(_: RecordedRequest, killer: _Killer = killer) -> bool:
            killer.seen()
            return False

        api.fail(None, look, times=0)  # type: ignore[arg-type]
        _killed_and_finished(panel, killer)
        assert api.counts == Counter(dict.fromkeys(range(2, MESSAGES + 2), 1))
        with panel.database.read() as connection:
            logs = connection.execute(sa.select(TelegramLog.status, TelegramLog.error_message)).all()
        # of the one that was on its way nobody knows
        assert Counter(map(tuple, logs)) == {("sent", None): MESSAGES - 1, ("failed", INTERRUPTED): 1}


def test_mail(panel: Panel, server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_send, "_PAUSE_SECONDS", 0.0)
    wish = Wish("accounts", "S", "x", "", "", list(range(2, MESSAGES + 2)))
    for _ in range(ROUNDS):
        server.forget()
        _forget(panel)
        _stored(panel, lambda: send_mail(panel, BY, wish), monkeypatch)
        killer = _Killer(random.randint(1, MESSAGES - 1))

        async def seen(_: Any, killer: _Killer = killer) -> str:
            killer.seen()
            return "250 OK"

        server.on_data = seen
        _killed_and_finished(panel, killer)
        assert max(server.counts.values()) == 1
        assert len(server.counts) == MESSAGES
        with panel.database.read() as connection:
            rows = connection.execute(sa.select(MailLog.status, MailLog.error_message)).all()
        doubtful = [row for row in rows if (row.status, row.error_message) == ("failed", INTERRUPTED)]
        assert len(doubtful) == 1
        assert Counter(row.status for row in rows) == {"sent": MESSAGES - 1, "failed": 1}
