"""The world of the push and mail jobs: the users and accounts of chapter 60's golden cases, devices, a mail server."""

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from core.config import Mail, Push
from core.jobs.scheduled import Options, run_job
from core.panel import Panel
from core.storage.tables import (
    Account,
    MailLog,
    MailReminderTracking,
    MailSettings,
    MailTemplate,
    PushExpiryTracking,
    PushSubscription,
)
from core.storage.tables.secret_columns import MAIL
from core.values.clock import Clock
from core.workers.schedule import find
from simulators.push_service import Browser
from tests.conftest import MakeWorld
from tests.worlds.harness import World
from tests.worlds.mail_server import PASSWORD, USER
from tests.worlds.reminders import TEHRAN_9, Lines, fill


class Notices:
    """One panel; ``moment`` is its clock, in Unix seconds."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.moment = TEHRAN_9

    @property
    def panel(self) -> Panel:
        return self.world.panel

    def job(self, name: str, **options: Any) -> tuple[int, str]:
        """Exit code and lines."""
        job, output = find(name), Lines()
        assert job is not None
        return run_job(self.panel, job, Options(**options), output), output.text

    def at(self, moment: str) -> None:
        """The clock of Tehran."""
        zone = self.panel.clock.zone
        self.moment = datetime.datetime.fromisoformat(moment).replace(tzinfo=zone).timestamp()

    def subscribe(self, user_id: int, browser: Browser, **values: Any) -> None:
        self.world.insert(PushSubscription, [{"user_id": user_id, **browser.keys, **values}])

    def rows(self, model: Any) -> list[dict[str, Any]]:
        return self.world.rows(sa.select(*model.__table__.c).order_by(model.id))

    @property
    def devices(self) -> list[int]:
        """Whose they are."""
        return [row["user_id"] for row in self.rows(PushSubscription)]

    @property
    def told(self) -> list[tuple[int, str, str]]:
        """Account, day and MAC of what was told by push."""
        return [(row["account_id"], str(row["expiry_date"]), row["mac"]) for row in self.rows(PushExpiryTracking)]

    @property
    def tracked(self) -> list[tuple[int, int, str]]:
        """Account, stage and end date of what was sent by mail."""
        rows = self.rows(MailReminderTracking)
        return sorted((row["account_id"], row["reminder_stage"], str(row["end_date"])) for row in rows)

    @property
    def logs(self) -> list[dict[str, Any]]:
        return self.rows(MailLog)

    def change(self, account_id: int, **values: Any) -> None:
        self.world.execute(sa.update(Account).where(Account.id == account_id).values(**values))

    def mail_settings(self, user_id: int, port: int, **values: Any) -> None:
        row = {
            "user_id": user_id,
            "smtp_host": "127.0.0.1",
            "smtp_port": port,
            "smtp_secure": "none",
            "smtp_username": USER,
            "from_name": "ShowBox",
        }
        row |= values
        password = self.panel.sealer.sealed(PASSWORD, MAIL.place(row))
        self.world.insert(MailSettings, [{"smtp_password": password} | row])

    def mail_templates(self, user_id: int, **bodies: str) -> None:
        """``reminder`` and ``expired``: the HTML of the two."""
        names = {"reminder": "Expiry Reminder", "expired": "Account Expired"}
        rows = [
            {"user_id": user_id, "name": names[key], "subject": "{name} {days}", "body_html": html, "is_active": 1}
            for key, html in bodies.items()
        ]
        self.world.insert(MailTemplate, rows)

    def configure(self, push: dict[str, Any] | None = None, mail: dict[str, Any] | None = None) -> None:
        update = {
            "push": Push(**({"allow_insecure": True, "retry_seconds": (0.0, 0.0)} | (push or {}))),
            "mail": Mail(**(mail or {})),
        }
        self.panel.config = self.panel.config.model_copy(update=update)


@contextmanager
def notices_world(make_world: MakeWorld, kind: str, **settings: str) -> Iterator[Notices]:
    world = make_world(kind, **settings)
    notices = Notices(world)
    config, clock = world.panel.config, world.panel.clock
    world.panel.clock = Clock("Asia/Tehran", source=lambda: notices.moment)
    notices.configure()
    fill(world)
    try:
        yield notices
    finally:
        world.panel.config, world.panel.clock = config, clock
