"""The fixture of contract chapter 40 §5, and what tests of the ledger ask of it."""

from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from core.storage.tables import Account, AuditEntry, Plan, Transaction, User
from core.values.clock import Clock
from tests.worlds.harness import World, user_row
from tests.worlds.plans import COLUMNS, PLANS

MAC = "00:1A:79:00:00:0{}".format
NOVEMBER_20, NOVEMBER_23 = 1763651163, 1763899402
CREDIT_TEXT = "Credit adjustment by admin: add 100 (Previous: 0, New: 100)"
ROWS = (
    (1, 3, "30.00", "GBP", 0, f'Plan "Six Months" assigned for user001 ,John Doe , {MAC(1)}', NOVEMBER_20),
    (2, 3, "-30.00", "GBP", 0, f'Plan "Six Months" assigned for goneuser ,Jane Roe , {MAC(2)}', NOVEMBER_23),
    (3, 3, "-55.50", None, 1, "Account renewal: user001 - Plan: One Year", NOVEMBER_23),
    (4, 3, "100.00", "GBP", 1, CREDIT_TEXT, NOVEMBER_23 + 300),
    (5, 5, "-185000000.00", None, 0, f'Plan "New" assigned for zz ,{MAC(5)}', NOVEMBER_23 + 599),
)
_COLUMNS = ("id", "for_user", "amount", "currency", "type", "details", "timestamp")


def ledger_row(*values: Any) -> dict[str, Any]:
    """A row as the PHP panel would have written it: id, owner, amount, currency, type, details, time."""
    row = dict(zip(_COLUMNS, values, strict=True))
    return {**row, "amount": Decimal(row["amount"]), "creator": "system"}


def fill_chapter_40(world: World) -> World:
    world.panel.clock = Clock("Asia/Tehran")
    admin = {"permissions": "0|0|1|0|0"}
    world.insert(
        User,
        [
            user_row(1, "admin", super_user=1),
            user_row(2, "radmin", **admin, balance=100, plans="5-GBP"),
            user_row(3, "res", name="Reseller", balance="100.50", plans="7-GBP,5-GBP,99-GBP"),
            user_row(4, "obs", is_observer=1, **admin),
            user_row(5, "resirr", currency_id="IRR", balance="500000000.00", plans="5-IRR"),
        ],
    )
    world.insert(Plan, [dict(zip(COLUMNS, plan, strict=True)) for plan in PLANS])
    account = {"id": 1, "username": "user001", "mac": MAC(1).lower(), "full_name": "John Doe"}
    world.insert(Account, [{**account, "reseller": 3, "plan": 1}])
    world.insert(Transaction, [ledger_row(*row) for row in ROWS])
    next_transaction_is(world, 6)
    return world


def next_transaction_is(world: World, number: int) -> None:
    """The fixture's rows brought their ids along; PostgreSQL does not learn of them."""
    if world.panel.database.dialect == "postgresql":
        world.execute(f"SELECT setval(pg_get_serial_sequence('_transactions', 'id'), {number - 1})")


def balance(world: World, username: str) -> Decimal:
    return Decimal(str(world.user(username)["balance"])).quantize(Decimal("0.01"))


def stored(world: World, number: int) -> dict[str, Any]:
    [row] = world.rows(sa.select(*Transaction.__table__.c).where(Transaction.id == number))
    return row


def count(world: World, table: Any = Transaction) -> int:
    return int(world.rows(sa.select(sa.func.count().label("rows")).select_from(table))[0]["rows"])


def audits(world: World, target_type: str = "transaction") -> list[dict[str, Any]]:
    columns = sa.select(*AuditEntry.__table__.c).where(AuditEntry.target_type == target_type)
    return world.rows(columns.order_by(AuditEntry.id))
