"""The world of the reminder and cron tests: the fixture of contract chapter 60's golden cases, before real simulated
portals."""

import datetime
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from core.jobs.scheduled import Options, run_job
from core.panel import Panel
from core.storage.tables import Account, AuditEntry, ExpiryReminder, ReminderSettings, User
from core.values.clock import Clock
from core.workers.schedule import find
from simulators.portal.settings import Dialect
from simulators.stalker import StalkerPortal
from tests.conftest import MakeWorld
from tests.worlds.accounts import configured
from tests.worlds.harness import Client, World

MAC = "00:1A:79:00:00:{:02X}".format
TEHRAN_9 = datetime.datetime(2025, 11, 22, 5, 30, tzinfo=datetime.UTC).timestamp()
DAY = 24 * 3600
# user name, permissions, super admin, observer
USERS: tuple[tuple[str, str | None, int, int], ...] = (
    ("admin", "1|1|1|1|1|1|1", 1, 0),
    ("res1", "1|1|0|0|0|0|0", 0, 0),
    ("radm", "1|1|1|1|0|1|1", 0, 0),
    ("stbres", "1|1|0|0|1|0|1", 0, 0),
    ("stbobs", "1|1|1|1|1|1|1", 0, 1),
)
# id, username, owner, full name, last day, status
ACCOUNTS = (
    (11, "u7a", 4, "Ann Example", "2025-11-29", 1),
    (12, "u7b", 2, "Bob Example", "2025-11-29", 1),
    (13, "u7off", 2, "Off Example", "2025-11-29", 0),
    (14, "utoday", 2, "Tod Example", "2025-11-22", 1),
    (15, "uyest", 2, "Yes Example", "2025-11-21", 1),
    (16, "uold", 2, "Old Example", "2024-10-18", 0),
    (17, "u1", 2, "", "2025-11-23", 1),
)
REFUSED = MAC(2)


class Lines:
    """What a job printed."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)

    def progress(self, done: int, total: int) -> None: ...

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class Reminders:
    """One served panel with its portals; ``moment`` is its clock, in Unix seconds."""

    def __init__(self, world: World, portals: list[StalkerPortal]) -> None:
        self.world = world
        self.portals = portals
        self.moment = TEHRAN_9

    @property
    def panel(self) -> Panel:
        return self.world.panel

    @property
    def portal(self) -> StalkerPortal:
        return self.portals[0]

    def client(self, username: str | None) -> Client:
        return self.world.client() if username is None else self.world.php_login(username)

    def post(self, who: str | None, endpoint: str, encoding: str = "form", /, **fields: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.client(who).post(f"/{endpoint}.php", fields, encoding).json()
        return answer

    def get(self, who: str | None, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.client(who).get(f"/{path}").json()
        return answer

    def sweep(self, who: str | None = "admin") -> dict[str, Any]:
        return self.post(who, "send_expiry_reminders")

    def job(self, name: str, **options: Any) -> tuple[int, str]:
        """Exit code and lines."""
        job, output = find(name), Lines()
        assert job is not None
        return run_job(self.panel, job, Options(**options), output), output.text

    @property
    def texts(self) -> list[tuple[str, str]]:
        """MAC and text of every message that reached the first portal."""
        return [
            (request.path.rpartition("/")[2], str(request.fields["msg"]))
            for request in self.portal.requests
            if "/stb_msg/" in request.path
        ]

    @property
    def reminders(self) -> list[dict[str, Any]]:
        return self.world.rows(sa.select(*ExpiryReminder.__table__.c).order_by(ExpiryReminder.id))

    @property
    def audits(self) -> list[dict[str, Any]]:
        return self.world.rows(sa.select(*AuditEntry.__table__.c).order_by(AuditEntry.id))

    def account(self, account_id: int) -> dict[str, Any]:
        [row] = self.world.rows(sa.select(*Account.__table__.c).where(Account.id == account_id))
        return row

    def change(self, account_id: int, **values: Any) -> None:
        self.world.execute(sa.update(Account).where(Account.id == account_id).values(**values))

    def settings(self, user_id: int, **values: Any) -> None:
        """Store a user's settings; sending is switched on."""
        row = {
            "user_id": user_id,
            "days_before_expiry": 7,
            "message_template": "Dear {name}, {days} days",
            "auto_send_enabled": 1,
            "created_at": datetime.datetime.fromisoformat("2025-01-01"),
            "updated_at": datetime.datetime.fromisoformat("2025-01-01"),
        }
        self.world.insert(ReminderSettings, [row | values])


@contextmanager
def reminders_world(
    make_world: MakeWorld,
    kind: str,
    *,
    dual: bool = False,
    pause_ms: int = 0,
    wait_seconds: int = 60,
    cron_key: str = "",
    **settings: str,
) -> Iterator[Reminders]:
    """``settings``: of :func:`make_world`, each a world of its own; the others are those of the configuration."""
    world = make_world(kind, **settings)
    with ExitStack() as stack:
        names = ["one", "two"] if dual else ["one"]
        portals = [stack.enter_context(StalkerPortal(name=name, dialect=Dialect.PANEL)) for name in names]
        reminders = Reminders(world, portals)
        stack.enter_context(configured(world, portals, 1.0))
        panel = world.panel
        jobs = panel.config.jobs.model_copy(update={"message_pause_ms": pause_ms, "wait_seconds": wait_seconds})
        security = panel.config.security.model_copy(update={"cron_key": SecretStr(cron_key)})
        panel.config = panel.config.model_copy(update={"jobs": jobs, "security": security})
        original = world.panel.clock
        world.panel.clock = Clock("Asia/Tehran", source=lambda: reminders.moment)
        stack.callback(setattr, world.panel, "clock", original)
        fill(world)
        for portal in portals:
            for id, username, *_ in ACCOUNTS:
                if MAC(id - 10) != REFUSED:
                    portal.add_user(username, MAC(id - 10), status=1)
        yield reminders


def fill(world: World) -> None:
    """The users and accounts of the golden cases."""
    world.insert(
        User,
        [
            {
                "id": id,
                "username": username,
                "password": "",
                "name": username.title(),
                "permissions": permissions,
                "super_user": super_user,
                "is_observer": is_observer,
            }
            for id, (username, permissions, super_user, is_observer) in enumerate(USERS, start=1)
        ],
    )
    world.insert(
        Account,
        [
            {
                "id": id,
                "username": username,
                "mac": MAC(id - 10),
                "phone_number": None if username == "u1" else f"+44000000000{id - 10}",
                "reseller": owner,
                "full_name": name,
                "end_date": datetime.date.fromisoformat(last_day),
                "status": status,
            }
            for id, username, owner, name, last_day, status in ACCOUNTS
        ],
    )
