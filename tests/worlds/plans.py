"""The world of the tests of plans: the fixture of contract chapter 40 §5 before a simulated portal."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import orjson
import sqlalchemy as sa
from pydantic import SecretStr

from core.storage.tables import Account, AuditEntry, Plan, User
from simulators.faults import Answer
from simulators.portal.settings import Dialect
from simulators.stalker import StalkerPortal
from simulators.wire import Response
from tests.conftest import MakeWorld
from tests.worlds.accounts import configured
from tests.worlds.harness import Client, World, user_row
from tests.worlds.logged_in import logged_in

SECONDS = 0.5
CRON_KEY = "a-long-key-of-crontabs"
COLUMNS = ("id", "external_id", "name", "currency_id", "price", "days", "category")
PLANS: tuple[tuple[Any, ...], ...] = (
    (1, "5", "Six Months", "GBP", "30.00", 180, "renew_device"),
    (2, "7", "One Year", "GBP", "55.50", 365, "new_device"),
    (3, "5", "Six Months", "IRR", "65000000.00", 180, "renew_device"),
    (4, "8", "App", "USD", "12.00", 30, "application"),
    (9, "9", "Unlimited", "*", "0.00", 0, None),
)
# the portal's answer of golden case T1
T1 = [
    {"id": "5", "name": "Six Months", "days_to_expires": "180"},
    {"id": "9", "name": "Unl", "days_to_expires": "0"},
    {"id": "10", "name": "N", "days_to_expires": None},
]


class Plans:
    """One served panel with its portal."""

    def __init__(self, world: World, portal: StalkerPortal) -> None:
        self.world = world
        self.portal = portal
        self._clients: dict[str, Client] = {}

    def client(self, username: str | None) -> Client:
        """The same session each time; None is nobody."""
        if username is None:
            return self.world.client()
        if username not in self._clients:
            self._clients[username] = logged_in(self.world, username)
        return self._clients[username]

    def get(self, who: str | None, call: str) -> dict[str, Any]:
        """The answer to ``name.php?…``."""
        response = self.client(who).get(f"/api/{call}")
        assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
        answer: dict[str, Any] = response.json()
        if answer["error"]:
            assert answer["err_msg"] == answer["message"]
            assert answer["err_msg"]
        return answer

    def post(self, who: str, endpoint: str, fields: dict[str, Any], encoding: str = "json") -> dict[str, Any]:
        answer: dict[str, Any] = self.client(who).post(f"/{endpoint}.php", fields, encoding).json()
        return answer

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """All plans as :data:`PLANS` has them, prices as texts."""
        found = self.world.rows(sa.select(*(Plan.__table__.c[name] for name in COLUMNS)).order_by(Plan.id))
        return [tuple(f"{row[name]:.2f}" if name == "price" else row[name] for name in COLUMNS) for row in found]

    def row(self, id: int) -> tuple[Any, ...]:
        """Everything of a plan but its id."""
        [row] = [row[1:] for row in self.rows if row[0] == id]
        return row

    def keys(self, username: str) -> str:
        return str(self.world.user(username)["plans"])

    def set_keys(self, username: str, plans: str | None) -> None:
        self.world.execute(sa.update(User).where(User.username == username).values(plans=plans))

    def add(self, *plan: Any) -> None:
        """A plan as a panel would have made it."""
        self.world.insert(Plan, [dict(zip(COLUMNS, plan, strict=True))])

    @property
    def audit(self) -> list[dict[str, Any]]:
        """The audit rows, their values read."""
        rows = self.world.rows(sa.select(*AuditEntry.__table__.c).order_by(AuditEntry.id))
        values = {"old_value", "new_value"}
        return [
            {name: orjson.loads(value) if name in values and value else value for name, value in row.items()}
            for row in rows
        ]

    def offers(self, tariffs: Any = T1) -> None:
        """What the portal answers to every question for its tariffs."""
        body = orjson.dumps({"status": "OK", "results": tariffs})
        self.portal.fail("GET tariffs*", Answer(Response(body, content_type="application/json")), times=None)


@contextmanager
def plans_world(make_world: MakeWorld, kind: str, *, seconds: float = SECONDS) -> Iterator[Plans]:
    """``seconds``: how long a portal call may take."""
    world = make_world(kind)
    with ExitStack() as stack:
        portal = stack.enter_context(StalkerPortal(dialect=Dialect.PANEL))
        stack.enter_context(configured(world, [portal], seconds))
        security = world.panel.config.security.model_copy(update={"cron_key": SecretStr(CRON_KEY)})
        world.panel.config = world.panel.config.model_copy(update={"security": security})
        _fill(world)
        yield Plans(world, portal)


def _fill(world: World) -> None:
    world.insert(
        User,
        [
            user_row(1, "admin", super_user=1),
            user_row(2, "radmin", permissions="0|0|1|0|0", balance=100, plans="5-GBP"),
            user_row(3, "res", balance="100.50", plans="7-GBP,5-GBP,99-GBP", permissions="1|1|0|1|1|1|0"),
            user_row(4, "obs", is_observer=1, permissions="1|1|1|1|1"),
            user_row(5, "resirr", currency_id="IRR", balance="500000000.00", plans="5-IRR"),
        ],
    )
    world.insert(Plan, [dict(zip(COLUMNS, plan, strict=True)) for plan in PLANS])
    world.insert(
        Account,
        [
            {
                "id": 1,
                "username": "user001",
                "mac": "00:1a:79:00:00:01",
                "full_name": "John Doe",
                "reseller": 3,
                "plan": 1,
                "status": 1,
            }
        ],
    )
    if world.panel.database.dialect == "postgresql":
        # ids that were given explicitly leave PostgreSQL's counter behind
        world.execute("SELECT setval(pg_get_serial_sequence('_plans', 'id'), 1000)")
