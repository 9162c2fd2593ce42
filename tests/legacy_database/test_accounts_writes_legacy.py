"""Adding, renewing, switching and deleting in the databases of live panels, as their PHP left them."""

import sqlalchemy as sa

from core.storage.tables import Account, Transaction
from simulators.stalker import StalkerPortal
from tests.worlds.accounts import new_account
from tests.worlds.harness import World


def test_an_account_from_its_creation_to_its_end(live: World, portal: StalkerPortal) -> None:
    client = live.client("admin", "admin123")
    [plan] = live.rows(sa.text("SELECT id, external_id, currency_id FROM _plans WHERE days > 0 ORDER BY id LIMIT 1"))
    key = f"{plan['external_id']}-{plan['currency_id']}"
    before = len(live.rows(sa.select(Transaction.id)))

    added = client.post("/add_account.php", new_account(plan=key, mac="00:1A:79:FE:DC:BA"), "json").json()
    assert added["error"] == 0, added
    assert len(live.rows(sa.select(Transaction.id))) == before + 1
    renewed = client.post("/edit_account.php", {"original_username": "new10", "plan": str(plan["id"])}).json()
    assert (renewed["error"], renewed["renewed"]) == (0, True), renewed
    query = {"username": "new10", "status": "0"}
    switched = client.get("/toggle_account_status.php", params=query).json()
    assert switched["message"] == "Ann is now disabled"
    [row] = live.rows(sa.select(Account.id, Account.status, Account.plan).where(Account.username == "new10"))
    assert row == {"id": added["account_id"], "status": 0, "plan": plan["id"]}

    assert client.post("/remove_account.php", {"id": "new10"}).json()["error"] == 0
    assert live.rows(sa.select(Account.id).where(Account.username == "new10")) == []
    assert portal.user("new10") is None
