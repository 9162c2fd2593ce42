"""Looking whether all agree: what was answered, what is stored, what was paid, what the portal has."""

import time
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from core.accounts import recovery
from core.errors import PanelError
from core.panel import Panel
from core.workers import workers
from drill.clients import Client
from drill.ground import RESELLERS, START_BALANCE, Ground

SETTLING_SECONDS = 90.0
# importing it declares how operations are settled
assert workers.KINDS


def settle(panel: Panel) -> list[str]:
    """What is still open although everything was there for long enough."""
    deadline = time.monotonic() + SETTLING_SECONDS
    while True:
        try:
            recovery.finish_open_operations(panel, even_if_not_due=True)
            waiting = recovery.open_operations(panel)
        except PanelError as error:
            waiting, reason = None, type(error).__name__
        if waiting == []:
            return []
        if time.monotonic() > deadline:
            records = [f"{record.kind} {record.username} {record.state}: {record.error}" for record in waiting or ()]
            return [f"open: {text}" for text in records] or [f"open: {reason}"]
        time.sleep(0.2)


def differences(ground: Ground, panel: Panel, clients: Iterable[Client]) -> list[str]:
    """Everything that does not agree; what was not told to a client is taken from now on as it is."""
    with panel.database.read() as connection:
        accounts = {
            row.username: row for row in _rows(connection, "SELECT username, mac, status, end_date FROM _accounts")
        }
        balances = {row.username: row for row in _rows(connection, "SELECT id, username, balance FROM _users")}
        ledger = list(_rows(connection, "SELECT for_user, amount, type, details FROM _transactions"))
    found = [*_against_portal(accounts, ground.portal_accounts()), *_balances(balances, ledger)]
    for client in clients:
        found += _promises(client, accounts, ledger)
    found += _credit(clients, ledger)
    return found


def _rows(connection: sa.Connection, statement: str) -> Iterable[Any]:
    return connection.execute(sa.text(statement)).all()


def _against_portal(accounts: dict[str, Any], portal: dict[str, dict[str, str]]) -> list[str]:
    found = [f"{name}: only on the portal" for name in portal.keys() - accounts.keys()]
    found += [f"{name}: not on the portal" for name in accounts.keys() - portal.keys()]
    for name in accounts.keys() & portal.keys():
        row, told = accounts[name], portal[name]
        if int(row.status) != int(told["status"]):
            found.append(f"{name}: status {row.status}, on the portal {told['status']}")
        ends = str(row.end_date)[:10], str(told["end_date"])[:10].replace("/", "-")
        if ends[0] != ends[1]:
            found.append(f"{name}: ends {ends[0]}, on the portal {ends[1]}")
    return found


def _effect(row: Any) -> Decimal:
    amount = Decimal(str(row.amount))
    return -abs(amount) if _is_sale(row) else amount if row.type == 1 else -amount


def _is_sale(row: Any) -> bool:
    return " assigned for " in row.details or row.details.startswith("Account renewal")


def _balances(users: dict[str, Any], ledger: list[Any]) -> list[str]:
    found = []
    for name in RESELLERS:
        user = users[name]
        expected = START_BALANCE + sum(_effect(row) for row in ledger if row.for_user == user.id)
        if Decimal(str(user.balance)) != expected:
            found.append(f"{name}: balance {user.balance}, by the ledger {expected}")
    return found


def _sales_of(name: str, ledger: list[Any]) -> int:
    sold, renewed = f" assigned for {name} ", f"Account renewal: {name} "
    return sum(1 for row in ledger if sold in row.details or row.details.startswith(renewed))


def _promises(client: Client, accounts: dict[str, Any], ledger: list[Any]) -> list[str]:
    found = list(client.complaints)
    client.complaints.clear()
    for name, expected in client.accounts.items():
        row = accounts.get(name)
        if expected.exists is not None and expected.exists != (row is not None):
            found.append(f"{name}: {'is there' if row else 'is not there'}, against what was answered")
        if row is not None and expected.exists and expected.status not in (None, int(row.status)):
            found.append(f"{name}: status {row.status}, answered was {expected.status}")
        sales = _sales_of(name, ledger)
        if not expected.sales <= sales <= expected.sales + expected.unsure_sales:
            found.append(f"{name}: {sales} paid, answered were {expected.sales} (+{expected.unsure_sales})")
        expected.exists, expected.sales, expected.unsure_sales = row is not None, sales, 0
        expected.status = None if row is None else int(row.status)
    return found


def _credit(clients: Iterable[Client], ledger: list[Any]) -> list[str]:
    found = []
    clients = list(clients)
    moved = sum((_effect(row) for row in ledger if not _is_sale(row)), Decimal(0))
    least = sum(client.credit for client in clients)
    most = least + sum(sum(client.unsure_credit) for client in clients)
    if not least <= moved <= most:
        found.append(f"credit: {moved} in the ledger, answered was {least} to {most}")
    # from now on as it is: told in one place, since it is not known whose answer was lost
    for client in clients:
        client.unsure_credit.clear()
        client.credit = 0
    if clients:
        clients[0].credit = int(moved)
    return found
