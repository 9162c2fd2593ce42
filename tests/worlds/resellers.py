"""The world of the reseller tests: the fixture of contract chapter 30 F before a real simulated portal."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import sqlalchemy as sa

from core.storage.tables import Account, AuditEntry, Plan, User
from simulators.portal.settings import Dialect
from simulators.stalker import StalkerPortal
from tests.conftest import MakeWorld
from tests.worlds.accounts import MAC, Accounts, configured
from tests.worlds.books import fill_chapter_30
from tests.worlds.harness import World

DEFAULT_THEME = "HenSoft-TV Realistic-Centered SHOWBOX"
DARK = "HenSoft-TV Realistic-Dark"
# user00003 is unknown to the portal, whose theme script then does not say OK
ON_PORTAL = (1, 2, 4, 5, 6)


class Resellers(Accounts):
    """The served panel, and what it wrote."""

    def get(self, who: str, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.client(who).get(path).json()
        return answer

    def configure(self, section: str, **values: Any) -> None:
        """Change settings until the end of the test."""
        config = self.panel.config
        changed = getattr(config, section).model_copy(update=values)
        self.panel.config = config.model_copy(update={section: changed})

    def audit(self, action: str, target_type: str) -> list[dict[str, Any]]:
        wanted = sa.select(*AuditEntry.__table__.c).order_by(AuditEntry.id)
        return self.world.rows(wanted.where(AuditEntry.action == action, AuditEntry.target_type == target_type))

    def user_by_id(self, user_id: int) -> dict[str, Any] | None:
        found = self.world.rows(sa.select(*User.__table__.c).where(User.id == user_id))
        return found[0] if found else None

    def owners(self) -> dict[str, int | None]:
        rows = self.world.rows(sa.select(Account.username, Account.reseller).order_by(Account.id))
        return {row["username"]: row["reseller"] for row in rows}

    @property
    def themed(self) -> list[dict[str, str]]:
        """The forms that the theme script got."""
        return [request.fields for request in self.portal.requests if "update_account.php" in request.call]


@contextmanager
def resellers_world(
    make_world: MakeWorld, kind: str, *, dual: bool = False, seconds: float = 5.0
) -> Iterator[Resellers]:
    """``seconds``: how long a portal call may take."""
    world = make_world(kind)
    with ExitStack() as stack:
        names = ["one", "two"] if dual else ["one"]
        portals = [stack.enter_context(StalkerPortal(name=name, dialect=Dialect.PANEL)) for name in names]
        stack.enter_context(configured(world, portals, seconds))
        _fill(world)
        for portal in portals:
            for number in ON_PORTAL:
                portal.add_user(f"user0000{number}", MAC(f"0{number}"))
        yield Resellers(world, portals)


def refused(answer: dict[str, Any], code: int, text: str | None = None) -> None:
    """``answer`` is a failure with that code, its text the same in both keys."""
    assert (answer["error"], answer["code"]) == (1, code), answer
    assert answer["err_msg"] == answer["message"]
    assert answer["err_msg"]
    if text is not None:
        assert answer["err_msg"] == text


def _fill(world: World) -> None:
    fill_chapter_30(world)
    world.execute(sa.update(User).where(User.id == 2).values(max_users=5, theme=DEFAULT_THEME, ip_ranges=""))
    plans = [(2, "3 Months", "GBP", "25.00"), (3, "1 Year", "USD", "100.00"), (9, "Free", "*", "0.00")]
    columns = ("id", "name", "currency_id", "price")
    world.insert(Plan, [{**dict(zip(columns, plan, strict=True)), "external_id": str(plan[0])} for plan in plans])
    _next_user_is_6(world)


def _next_user_is_6(world: World) -> None:
    if world.panel.database.dialect == "sqlite":
        world.execute("UPDATE sqlite_sequence SET seq = 5 WHERE name = '_users'")
    elif world.panel.database.dialect == "mysql":
        world.execute("ALTER TABLE _users AUTO_INCREMENT = 6")
    else:
        world.execute("SELECT setval(pg_get_serial_sequence('_users', 'id'), 5)")
