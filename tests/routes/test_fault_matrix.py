"""Every write endpoint while another connection holds the database: nothing was done and it says so, or it was done.

Generated from the declarations: a new endpoint joins by itself. Source: issue "Nothing lost", lines 3 and 12, and "It
is done when" 1. What portals and killed processes do to accounts: :mod:`tests.core.accounts.test_operations`.
"""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from core.storage import database as storage
from core.storage.tables import Base
from legacy_routes.app import all_endpoints
from tests.conftest import MakeWorld
from tests.routes.documented_operations import OPERATIONS
from tests.worlds.accounts import MAC, Accounts, accounts_world
from tests.worlds.locked import ForeignLock

# what is written beside the deed, or by the workers, is not what a request is asked for
_BESIDE = {"_audit_log", "_login_history", "_sbx_jobs", "_sbx_state", "_sbx_claims", "_sbx_given_answers", "_sbx_locks"}
_HELD = "UPDATE _sbx_state SET value = value"
# values that fit where nothing better is known
_FITTING: dict[str, Any] = {"username": "user001", "mac": MAC("01"), "id": 1, "plan": "2", "name": "Other", "status": 1}
# values with which the endpoints do something in the world of the accounts
_SENT: dict[str, dict[str, Any]] = {
    "add_account": {"username": "new77", "password": "pw-secret", "mac": MAC("77"), "name": "Ann", "plan": "1"},
    "edit_account": {"original_username": "user001", "name": "Matrix"},
    "update_account": {"username": "user002", "full_name": "Matrix"},
    "remove_account": {"id": "user003"},
    "toggle_account_status": {"username": "user001", "status": "0"},
    "change_status": {"username": "user002", "status": "0"},
    "add_reseller": {"username": "matrix", "password": "Pw-secret-77", "name": "M", "currency": "GBP"},
    "update_reseller": {"id": 4, "name": "Matrix"},
    "remove_reseller": {"id": 3},
    "adjust_credit": {"reseller_id": 2, "amount": "5", "action": "add"},
    "assign_plans": {"reseller_id": 4, "plans": "34-IRR"},
    "assign_reseller": {"username": "user001", "reseller_id": 4},
    "bulk_assign_reseller": {"usernames[]": ["user002"], "reseller_id": 2},
    "new_transaction": {"user_id": 2, "amount": "5", "type": "credit", "details": "M"},
    "add_plan": {"external_id": "m1", "currency": "GBP", "price": "5", "days": 30, "name": "M"},
    "edit_plan": {"plan_id": 4, "name": "Matrix", "price": "5", "days": 30},
    "remove_plan": {"plan_id": 12},
    "plan_update": {"id": "78", "currency": "GBP", "price": "7"},
    "add_currency": {"name": "XTS"},
    "update_reminder_settings": {"days_before_expiry": 9},
    "auto_logout_settings": {"timeout": 9},
}
WRITES = sorted({(one.name, method) for one in all_endpoints() for method in one.methods if one.is_write(method)})
_NOT_CALLED = {"login", "logout", "export_database", "import_database"}


@pytest.fixture
def accounts(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> Iterator[Accounts]:
    monkeypatch.setattr(storage, "_PAUSES", (0.02, 0.02, 0.02))
    with accounts_world(make_world, "sqlite") as accounts:
        engine = accounts.panel.database.engine

        def prepare(connection: Any, _record: object) -> None:
            connection.execute("PRAGMA busy_timeout = 10")

        sa.event.listen(engine, "connect", prepare)
        engine.dispose()
        yield accounts
        sa.event.remove(engine, "connect", prepare)
        engine.dispose()


def _request(accounts: Accounts, name: str, method: str) -> requests.Response:
    documented = next((one.sent for one in OPERATIONS if one.name == name and "{" not in str(one.sent)), {})
    sent = _SENT.get(name) or {**_FITTING, **documented}
    where = {"params": sent} if method in ("GET", "DELETE") else {"data": sent}
    return accounts.client("admin").request(method, f"/{name}.php", **where)


def _content(accounts: Accounts) -> dict[str, list[Any]]:
    tables = [table for table in Base.metadata.sorted_tables if table.name not in _BESIDE]
    with accounts.panel.database.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(*table.c))]
            for table in tables
            if accounts.panel.layout.has_table(table.name)
        }


def _portal(accounts: Accounts) -> str:
    return str(accounts.portal.state.snapshot())


@pytest.mark.parametrize(("name", "method"), [one for one in WRITES if one[0] not in _NOT_CALLED], ids=" ".join)
def test_a_write_that_finds_the_database_held_did_nothing_and_says_so(
    accounts: Accounts, name: str, method: str
) -> None:
    accounts.client("admin")
    before, portal = _content(accounts), _portal(accounts)
    lock = ForeignLock(accounts.panel, _HELD)
    lock.take()
    try:
        held = _request(accounts, name, method)
    finally:
        lock.let_go()
    assert held.status_code != 500, held.text
    if not held.headers["Content-Type"].startswith("application/json"):
        return
    answer = held.json()
    if answer.get("error") == 1 and "pending" not in answer:
        assert _content(accounts) == before, answer
        assert _portal(accounts) == portal, answer
    elif answer.get("error") == 0 and not answer.get("pending"):
        # it could do without the database: then there is nothing that it stores
        assert _request(accounts, name, method).json()["error"] == 0
        assert _content(accounts) == before, answer


@pytest.mark.parametrize("name", sorted(set(_SENT) & {name for name, method in WRITES if method == "POST"}))
def test_a_write_that_waits_a_moment_for_the_database_is_done(accounts: Accounts, name: str) -> None:
    accounts.client("admin")
    lock = ForeignLock(accounts.panel, _HELD)
    lock.take()
    timer = threading.Timer(0.03, lock.let_go)
    timer.start()
    answer = _request(accounts, name, "POST").json()
    timer.join()
    assert answer["error"] == 0, answer
