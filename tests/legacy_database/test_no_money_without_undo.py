"""Tables of MyISAM undo nothing: no money moves there and no portal is asked, until they are converted."""

from typing import Any

import pytest
import sqlalchemy as sa

from simulators.stalker import StalkerPortal
from tests.worlds.accounts import new_account
from tests.worlds.harness import World

TABLES = ("_users", "_transactions", "_accounts")
CHECKED = (*TABLES, "_sbx_operations", "_audit_log", "_sbx_ledger_notes")
WRITES: dict[str, dict[str, Any]] = {
    "add_account": {},
    "edit_account": {"original_username": "", "name": "Another"},
    "remove_account": {"id": ""},
    "adjust_credit": {"reseller_id": 2, "action": "add", "amount": "5"},
    "add_reseller": {"username": "res.new", "password": "pw-new", "name": "New", "balance": "10", "currency": "GBP"},
    "new_transaction": {"user_id": 2, "amount": "5", "type": 1, "details": "by hand"},
}


def _rows(world: World) -> dict[str, list[Any]]:
    return {
        table: world.rows(sa.text(f"SELECT * FROM {table} ORDER BY 1"))
        for table in CHECKED
        if world.panel.layout.has_table(table)
    }


@pytest.mark.parametrize("live", ["1.11.66"], indirect=True)
def test_no_money_moves_on_tables_that_cannot_undo(live: World, portal: StalkerPortal) -> None:
    keys = live.rows(
        sa.text(
            "SELECT table_name AS t, constraint_name AS k FROM information_schema.referential_constraints"
            " WHERE constraint_schema = DATABASE()"
        )
    )
    for key in keys:
        live.execute(f"ALTER TABLE {key['t']} DROP FOREIGN KEY {key['k']}")
    [account] = live.rows(sa.text("SELECT username FROM _accounts ORDER BY id LIMIT 1"))
    client = live.client("admin", "admin123")
    [plan] = live.rows(sa.text("SELECT external_id, currency_id FROM _plans WHERE days > 0 ORDER BY id LIMIT 1"))
    for table in TABLES:
        live.execute(f"ALTER TABLE {table} ENGINE=MyISAM")
    before = _rows(live)
    portal.forget_requests()
    for endpoint, fields in WRITES.items():
        sent = {name: value or account["username"] for name, value in fields.items()}
        if endpoint == "add_account":
            sent = new_account(plan=f"{plan['external_id']}-{plan['currency_id']}", mac="00:1A:79:FE:DC:BA")
        answer = client.post(f"/{endpoint}.php", sent, "json").json()
        assert (answer["error"], answer["code"]) == (1, 7), (endpoint, answer)
        assert "_accounts, _transactions, _users: MyISAM" in answer["message"], endpoint
        assert "try again" not in answer["message"]
    assert _rows(live) == before
    assert [call for call in portal.calls if not call.startswith("GET")] == []

    for table in TABLES:
        live.execute(f"ALTER TABLE {table} ENGINE=InnoDB")
    booked = client.post("/adjust_credit.php", WRITES["adjust_credit"], "json").json()
    assert booked["error"] == 0, booked
