"""The API document's Examples 1 to 3 by curl, as they are printed there but for the host and the cookie."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from tests.conftest import MakeWorld
from tests.worlds.accounts import Accounts, accounts_world

CREATE = """curl -X POST http://localhost:8000/add_account.php \\
  -H "Content-Type: application/json" \\
  -H "Cookie: PHPSESSID=xxx" \\
  -d '{
    "username": "premium_user_001",
    "password": "secure_pass_123",
    "mac": "00:1A:79:12:34:56",
    "full_name": "Premium Customer",
    "email": "premium@customer.com",
    "tariff_plan": "1 Year Premium",
    "end_date": "2026-01-17",
    "status": 1
  }'
"""
SYNC = """curl -X POST http://localhost:8000/sync_accounts.php \\
  -H "Cookie: PHPSESSID=xxx"
"""
UPDATE = """curl -X POST http://localhost:8000/update_account.php \\
  -H "Content-Type: application/json" \\
  -H "Cookie: PHPSESSID=xxx" \\
  -d '{
    "username": "premium_user_001",
    "end_date": "2026-06-17",
    "tariff_plan": "Extended Premium"
  }'
"""


@pytest.fixture(params=[False, True], ids=["single", "dual"])
def accounts(make_world: MakeWorld, kind: str, request: pytest.FixtureRequest) -> Iterator[Accounts]:
    with accounts_world(make_world, kind, dual=request.param) as accounts:
        yield accounts


def _run(accounts: Accounts, command: str) -> dict[str, Any]:
    session = accounts.client("admin").session_id
    command = command.replace("http://localhost:8000", accounts.world.url).replace("xxx", session)
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_examples_1_to_3(accounts: Accounts) -> None:
    is_dual = len(accounts.portals) > 1
    created = _run(accounts, CREATE)
    text = "Account created successfully" + (" on both servers" if is_dual else "")
    assert (created["error"], created["err_msg"], type(created["account_id"])) == (0, text, int)
    assert created["stalker_response"] == {"server_1": "success", "server_2": "success" if is_dual else "skipped"}
    for portal in accounts.portals:
        user = portal.user("premium_user_001")
        assert user is not None
        assert (user.full_name, user.stb_mac, user.status) == ("Premium Customer", "00:1A:79:12:34:56", 1)
        assert user.has_password("secure_pass_123")

    accounts.forward += 60
    synced = _run(accounts, SYNC)
    assert synced.pop("sync_time").endswith(" seconds")
    documented = {"error": 0, "err_msg": "", "synced": 4, "skipped": 0, "total_accounts": 4}
    assert documented.items() <= synced.items()
    row = accounts.row("premium_user_001")
    assert row is not None
    assert (row["id"], row["email"]) == (created["account_id"], "premium@customer.com")

    assert (
        _run(accounts, UPDATE).items()
        >= {
            "error": 0,
            "err_msg": "Account updated successfully",
            "previous_end_date": "2026-01-17",
            "new_end_date": "2026-06-17",
            "days_extended": 151,
        }.items()
    )
    for portal in accounts.portals:
        user = portal.user("premium_user_001")
        assert user is not None
        assert user.end_date.replace("/", "-").startswith("2026-06-17")
    assert accounts.world.rows(sa.text("SELECT id FROM _transactions")) == []
    assert accounts.open_operations() == []
