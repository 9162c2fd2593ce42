"""Resellers in the databases of live panels, as their PHP left them: added, changed, credited, assigned to, deleted."""

import datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from core.storage.tables import Account, ArchivedPayment, ResellerPayment, SmsTemplate, Transaction, User
from simulators.stalker import StalkerPortal
from tests.worlds.harness import World, legacy_hash

FORM = {"username": "res.new", "password": "pw", "name": "O'Brien", "balance": "10.5", "plans": "", "currency": "GBP"}


def test_a_reseller_from_beginning_to_end(live: World, portal: StalkerPortal) -> None:
    client = live.client("admin", "admin123")

    def post(endpoint: str, **fields: Any) -> dict[str, Any]:
        answer: dict[str, Any] = client.post(f"/api/{endpoint}.php", fields, "multipart").json()
        assert answer["error"] == 0, (endpoint, answer)
        return answer

    new = post("add_reseller", **FORM)["reseller_id"]
    # so that the PHP panel can check it
    assert live.user("res.new")["password"] == legacy_hash("pw")
    templates = live.rows(sa.select(SmsTemplate.template).where(SmsTemplate.user_id == new))
    assert len(templates) == 8
    assert any("اشتراک" in row["template"] for row in templates)
    [account] = live.rows(sa.select(Account.username).where(Account.reseller > 1).order_by(Account.id).limit(1))
    post("assign_reseller", username=account["username"], reseller_id=new)
    portal.add_user(account["username"], "00:1A:79:FE:DC:BA")
    assert post("update_reseller", id=new, theme="digital")["err_msg"].endswith("all 1 accounts.")
    shown = client.get("/get_resellers.php").json()["resellers"][0]
    assert (shown["id"], shown["name"], shown["full_name"], shown["balance"]) == (new, "O’Brien", "O’Brien", 10.5)
    assert shown["account_count"] == 1
    assert post("adjust_credit", reseller_id=new, action="deduct", amount=11)["new_balance"] == 0
    post("assign_reseller", username=account["username"], reseller_id="")
    has_payments = live.panel.layout.has_table("_reseller_payments")
    if has_payments:
        payment = {"amount": Decimal(5), "payment_date": datetime.date(2026, 1, 2), "bank_name": "بانک ملت"}
        live.insert(ResellerPayment, [{**payment, "reseller_id": new, "recorded_by": 1, "recorded_by_username": "a"}])
    assert client.get(f"/api/remove_reseller.php?id={new}").json()["error"] == 0
    assert live.rows(sa.select(User.id).where(User.id == new)) == []
    assert live.rows(sa.select(SmsTemplate.id).where(SmsTemplate.user_id == new)) == []
    assert len(live.rows(sa.select(Transaction.id).where(Transaction.for_user == new))) == 2
    archived = live.rows(sa.select(ArchivedPayment.bank_name, ArchivedPayment.reseller_username))
    assert archived == ([{"bank_name": "بانک ملت", "reseller_username": "res.new"}] if has_payments else [])


@pytest.mark.parametrize("live", ["1.18.2"], indirect=True)
def test_templates_that_do_not_fit_hinder_nobody(live: World) -> None:
    live.execute("DELETE FROM _sms_templates")
    live.execute("ALTER TABLE _sms_templates MODIFY template VARCHAR(5) NOT NULL")
    # as found at the start
    live.panel._layout = None
    client = live.client("admin", "admin123")
    assert client.post("/add_reseller.php", FORM, "json").json()["error"] == 0
    new = live.user("res.new")["id"]
    assert live.rows(sa.select(SmsTemplate.id).where(SmsTemplate.user_id == new)) == []
    assert len(live.rows(sa.select(Transaction.id).where(Transaction.for_user == new))) == 1
