"""The world of the account tests: the fixture of contract chapter 20 §11 before real simulated portals."""

import datetime
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from core.accounts import recovery
from core.panel import Panel
from core.storage.tables import Account, Plan, Transaction, User
from core.values.clock import Clock
from simulators.portal.settings import Dialect
from simulators.stalker import StalkerPortal
from tests.conftest import MakeWorld
from tests.worlds.harness import Client, World, user_row
from tests.worlds.logged_in import logged_in

MAC = "00:1A:79:00:00:{}".format
NOON = datetime.datetime(2025, 1, 17, 8, 30, tzinfo=datetime.UTC).timestamp()
SECONDS = 0.4
WELCOME = "Welcome!"


class Accounts:
    """One served panel with its portals; ``forward`` moves its clock."""

    def __init__(self, world: World, portals: list[StalkerPortal]) -> None:
        self.world = world
        self.portals = portals
        self.forward = 0.0
        self._started = time.time()
        self._clients: dict[str, Client] = {}

    @property
    def panel(self) -> Panel:
        return self.world.panel

    @property
    def portal(self) -> StalkerPortal:
        return self.portals[0]

    def now(self) -> float:
        return NOON + time.time() - self._started + self.forward

    def client(self, username: str) -> Client:
        if username not in self._clients:
            self._clients[username] = logged_in(self.world, username)
        return self._clients[username]

    def post(self, who: str, endpoint: str, encoding: str = "form", /, **fields: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.client(who).post(f"/{endpoint}.php", fields, encoding).json()
        return answer

    def row(self, username: str) -> dict[str, Any] | None:
        found = self.world.rows(sa.select(*Account.__table__.c).where(Account.username == username))
        return found[0] if found else None

    def balance(self, username: str) -> Decimal:
        return Decimal(str(self.world.user(username)["balance"])).quantize(Decimal("0.01"))

    @property
    def transactions(self) -> list[dict[str, Any]]:
        return self.world.rows(sa.select(*Transaction.__table__.c).order_by(Transaction.id))

    def open_operations(self) -> list[dict[str, Any]]:
        return self.world.rows(sa.text("SELECT * FROM _sbx_operations WHERE state NOT IN ('done', 'undone')"))

    def finish_operations(self, forward: float = 600.0) -> None:
        """As the job does, ``forward`` seconds later; again while one stays open, be it that a short timeout of a test
        hit a busy machine, or that a worker of the panel is at it right now."""
        for _ in range(20):
            self.forward += forward
            findings = recovery.finish_open_operations(self.panel)
            if not self.open_operations():
                return
            time.sleep(0.05)
        raise AssertionError(f"still open: {findings} {self.open_operations()}")

    def calls(self, *methods: str, portal: int = 0) -> list[str]:
        return [call for call in self.portals[portal].calls if call.split(" ")[0] in methods]

    def forget(self) -> None:
        for portal in self.portals:
            portal.forget_requests()


@contextmanager
def accounts_world(
    make_world: MakeWorld,
    kind: str,
    *,
    dual: bool = False,
    seconds: float = 5.0,
    portal_section: Mapping[str, Any] | None = None,
    **settings: str,
) -> Iterator[Accounts]:
    """``seconds``: how long a portal call may take; ``portal_section``: changes of it; ``settings``: of
    :func:`make_world`."""
    world = make_world(kind, **settings)
    with ExitStack() as stack:
        names = ["one", "two"] if dual else ["one"]
        portals = [stack.enter_context(StalkerPortal(name=name, dialect=Dialect.PANEL)) for name in names]
        accounts = Accounts(world, portals)
        stack.enter_context(configured(world, portals, seconds, **portal_section or {}))
        original = world.panel.clock
        world.panel.clock = Clock("Asia/Tehran", source=accounts.now)
        stack.callback(setattr, world.panel, "clock", original)
        _fill(world)
        for portal in portals:
            _fill_portal(portal)
        yield accounts


@contextmanager
def configured(world: World, portals: list[StalkerPortal], seconds: float, **changes: Any) -> Iterator[None]:
    """The world's panel works with ``portals``, whose calls may take ``seconds``; ``changes``: of section [portal]."""
    panel, original = world.panel, world.panel.config
    settings = original.portal.model_copy(
        update={
            "primary_api_url": portals[0].base_url,
            "secondary_api_url": portals[-1].base_url,
            "dual_server": len(portals) > 1,
            "theme_key": SecretStr("theme-key"),
            "connect_seconds": seconds,
            "call_seconds": seconds,
            "recheck_seconds": 0.05,
            "primary_pause_seconds": 0.0,
            "secondary_pause_seconds": 0.0,
            **changes,
        }
    )
    welcome = original.panel.model_copy(update={"welcome_message": WELCOME})
    panel.config = original.model_copy(update={"portal": settings, "panel": welcome})
    try:
        yield
    finally:
        panel.config = original


def _fill(world: World) -> None:
    users = [
        user_row(1, "admin", super_user=1, permissions="1|1|1|1|1|1|1"),
        user_row(
            2,
            "reseller1",
            name="Reseller One",
            balance=100,
            permissions="1|1|0|1|1|1|0",
            plans="78-GBP,1-month-gbp-GBP,12-GBP",
            max_users=3,
            theme="emerald",
        ),
        user_row(3, "radmin", permissions="0|0|1|0|0|0|0"),
        user_row(4, "reseller2", currency_id="IRR", balance=5),
        user_row(5, "obs", is_observer=1, permissions="1|1|0|1|1|1|1"),
    ]
    plans = [
        (1, "78", "GBP", "10.50", 30, "Premium Monthly"),
        (2, "12", "GBP", "25.00", 90, "Quarter"),
        (3, "99", "*", "0.00", 0, "Unlimited"),
        (4, "1-month-gbp", "GBP", "10.00", 30, "One Month"),
        (12, "34", "IRR", "900.00", 30, "Rial"),
    ]
    columns = ("id", "external_id", "currency_id", "price", "days", "name")
    accounts = [
        _account(10, 1, reseller=2, full_name="John Doe", end_date=datetime.date(2025, 2, 15), email="j@example.com"),
        _account(11, 2, reseller=4, full_name="Jane Roe", end_date=datetime.date(2025, 1, 1)),
        _account(12, 3, reseller=None, full_name="", end_date=None),
    ]
    priced = [dict(zip(columns, plan, strict=True)) for plan in plans]
    world.insert_all([(User, users), (Plan, priced), (Account, accounts)])
    next_account_is_13(world)


def _account(id: int, number: int, **values: Any) -> dict[str, Any]:
    row = {
        "id": id,
        "username": f"user00{number}",
        "mac": MAC(f"0{number}"),
        "timestamp": 1705449600,
        "tariff_plan": "78",
        "status": 1,
    }
    return row | values


def next_account_is_13(world: World) -> None:
    world.execute("UPDATE _sbx_state SET value = '0' WHERE name = 'account_number'")
    if world.panel.database.dialect == "sqlite":
        world.execute("UPDATE sqlite_sequence SET seq = 12 WHERE name = '_accounts'")
    elif world.panel.database.dialect == "mysql":
        world.execute("ALTER TABLE _accounts AUTO_INCREMENT = 13")
    else:
        world.execute("SELECT setval(pg_get_serial_sequence('_accounts', 'id'), 12)")


def _fill_portal(portal: StalkerPortal) -> None:
    for external_id in ("78", "12", "99", "1-month-gbp", "34"):
        portal.add_plan(external_id, f"Tariff {external_id}")
    ends = {1: "2025-02-15 00:00:00", 2: "2025-01-01 00:00:00", 3: "0000-00-00 00:00:00"}
    names = {1: "John Doe", 2: "Jane Roe", 3: ""}
    for number in (1, 2, 3):
        portal.add_user(
            f"user00{number}",
            MAC(f"0{number}"),
            tariff_plan="78",
            full_name=names[number],
            end_date=ends[number],
            status=1,
        )


def add_subscriber(accounts: Accounts, username: str, mac: str) -> None:
    """An account of reseller1 that runs until 2025-02-15, here and on every portal."""
    values = {"username": username, "mac": mac, "full_name": "John Doe", "end_date": datetime.date(2025, 2, 15)}
    row = {"reseller": 2, "timestamp": 1705449600, "tariff_plan": "78", "status": 1}
    accounts.world.insert(Account, [values | row])
    for portal in accounts.portals:
        portal.add_user(username, mac, tariff_plan="78", full_name="John Doe", end_date="2025-02-15 00:00:00", status=1)


def new_account(number: int = 0x10, **fields: Any) -> dict[str, Any]:
    """The fields of an addition as every test may send them."""
    return {"username": f"new{number:x}", "password": "pw-secret", "mac": MAC(f"{number:02X}"), "name": "Ann", **fields}
