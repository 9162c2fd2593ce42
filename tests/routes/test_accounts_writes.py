"""The golden cases B to F of contract chapter 20: adding, editing, updating, deleting and switching accounts."""

import datetime
import threading
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
import requests
import sqlalchemy as sa

from core.storage.tables import AccountNote, ArchivedAccount, AuditEntry, Operation, User
from core.values.clock import Clock
from legacy_routes.app import create_app
from simulators.faults import Answer, Delay, Exchange, Fault, Respond
from simulators.wire import Response
from tests.conftest import MakeWorld
from tests.worlds.accounts import MAC, WELCOME, Accounts, accounts_world, new_account
from tests.worlds.harness import PREFIXES, HttpServer
from tests.worlds.logged_in import logged_in

ERROR = Answer(Response(b'{"status":"ERROR","results":"","error":"Out of order"}', content_type="application/json"))
TOGGLE_REFUSAL = "Permission denied. You do not have permission to toggle account status."


@pytest.fixture
def accounts(make_world: MakeWorld, kind: str) -> Iterator[Accounts]:
    with accounts_world(make_world, kind) as accounts:
        yield accounts


@pytest.fixture
def light_accounts(make_world: MakeWorld) -> Iterator[Accounts]:
    with accounts_world(make_world, "sqlite") as accounts:
        yield accounts


@pytest.fixture
def dual(make_world: MakeWorld, kind: str) -> Iterator[Accounts]:
    with accounts_world(make_world, kind, dual=True) as accounts:
        yield accounts


def _wait_for(condition: Any) -> None:
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=5)
    while not condition():
        assert datetime.datetime.now(datetime.UTC) < end
        threading.Event().wait(0.02)


def _audit(accounts: Accounts) -> list[dict[str, Any]]:
    return accounts.world.rows(sa.select(*AuditEntry.__table__.c).order_by(AuditEntry.id))


# B: adding

B1 = {
    "username": "new1",
    "password": "pw-secret",
    "name": "Ann & Bob",
    "email": "",
    "phone_number": "+440000000000",
    "mac": "00:1a:79:00:00:10",
    "plan": "78-GBP",
    "status": "1",
    "expire_billing_date": "2030/01/01",
    "comment": "",
}


@pytest.mark.parametrize("prefix", PREFIXES)
def test_b1_a_reseller_buys(accounts: Accounts, prefix: str) -> None:
    answer = accounts.client("reseller1").post(f"{prefix}add_account.php", B1, "multipart").json()
    assert answer == {
        "error": 0,
        "err_msg": "Account created successfully",
        "message": "Account created successfully",
        "account_id": 13,
        "stalker_response": {"server_1": "success", "server_2": "skipped"},
        "end_date": "2025-02-16",
    }
    [created] = [request for request in accounts.portal.requests if request.call.startswith("POST accounts")]
    assert list(created.fields) == [
        *("login", "password", "full_name", "account_number", "tariff_plan", "status", "stb_mac", "end_date"),
        *("comment", "reseller", "phone"),
    ]
    assert created.fields == {
        "login": "new1",
        "password": "pw-secret",
        "full_name": "Ann & Bob",
        "account_number": "10000012",
        "tariff_plan": "78",
        "status": "1",
        "stb_mac": "00:1A:79:00:00:10",
        "end_date": "2025/02/16",
        "comment": "",
        "reseller": "2",
        "phone": "+440000000000",
    }
    row = accounts.row("new1")
    assert row is not None
    assert {name: row[name] for name in ("mac", "phone_number", "reseller", "plan", "tariff_plan", "status")} == {
        "mac": "00:1A:79:00:00:10",
        "phone_number": "+440000000000",
        "reseller": 2,
        "plan": 1,
        "tariff_plan": "78",
        "status": 1,
    }
    assert row["end_date"] == datetime.date(2025, 2, 16)
    assert accounts.balance("reseller1") == Decimal("89.50")
    [entry] = accounts.transactions
    assert (entry["creator"], entry["for_user"], entry["amount"]) == ("system", 2, Decimal("-10.50"))
    assert (entry["type"], entry["currency"]) == (0, "GBP")
    assert entry["details"] == 'Plan "Premium Monthly" assigned for new1 ,Ann & Bob , 00:1A:79:00:00:10'
    _wait_for(lambda: accounts.portal.calls[-1].startswith("POST stb_msg"))
    theme, message = accounts.portal.requests[-2:]
    assert theme.fields == {"key": "theme-key", "login": "new1", "theme": "emerald"}
    assert message.fields == {"msg": WELCOME}
    [audit] = _audit(accounts)
    assert (audit["action"], audit["target_type"], audit["target_id"]) == ("create", "account", str(row["id"]))
    [note] = accounts.world.rows(sa.select(*AccountNote.__table__.c))
    assert (note["portal_reseller_seen"], note["portal_reseller_known"]) == (2, 1)
    everything = str(_audit(accounts)) + str(accounts.world.rows(sa.select(*Operation.__table__.c)))
    assert "pw-secret" not in everything
    assert accounts.open_operations() == []


EXAMPLE_1 = {
    "username": "user999",
    "password": "pw-secret",
    "full_name": "John Doe",
    "email": "john@example.com",
    "phone": "+1234567890",
    "mac": "00:1A:79:12:34:56",
    "tariff_plan": "Premium Package",
    "end_date": "2026-01-17",
    "status": 1,
}


def test_b2_the_documents_first_example(accounts: Accounts) -> None:
    answer = accounts.post("admin", "add_account", "json", **EXAMPLE_1)
    assert (answer["error"], answer["err_msg"]) == (0, "Account created successfully")
    assert isinstance(answer["account_id"], int)
    assert answer["stalker_response"]["server_1"] == "success"
    row = accounts.row("user999")
    assert row is not None
    assert row["end_date"] == datetime.date(2026, 1, 17)
    assert row["tariff_plan"] == "Premium Package"
    assert accounts.transactions == []


def test_b3_on_two_servers(dual: Accounts) -> None:
    answer = dual.post("admin", "add_account", "json", **EXAMPLE_1)
    assert answer["err_msg"] == "Account created successfully on both servers"
    assert answer["stalker_response"] == {"server_1": "success", "server_2": "success"}
    first, second = ([r for r in portal.requests if r.call.startswith("POST accounts")] for portal in dual.portals)
    assert (len(first), len(second)) == (1, 1)
    assert first[0].sequence < second[0].sequence
    assert dual.open_operations() == []


@pytest.mark.every_kind
def test_b4_server_2_refuses(dual: Accounts) -> None:
    dual.portals[1].fail("POST accounts", ERROR)
    answer = dual.post("reseller1", "add_account", **new_account(plan="78-GBP"))
    assert answer["error"] == 1
    assert "server 2" in answer["err_msg"]
    assert dual.calls("DELETE") == ["DELETE accounts/00:1A:79:00:00:10"]
    assert [portal.user("new10") for portal in dual.portals] == [None, None]
    assert dual.row("new10") is None
    assert dual.transactions == []
    assert dual.balance("reseller1") == 100
    assert dual.open_operations() == []


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"username": "user001"}, "Username already exists"),
        ({"username": "USER001"}, "Username already exists"),
        ({"mac": "001a79000001"}, "MAC address already in use"),
    ],
)
def test_b5_names_and_macs_are_unique(accounts: Accounts, fields: dict[str, Any], text: str) -> None:
    answer = accounts.post("admin", "add_account", "json", **{**new_account(plan=1, status=1), **fields})
    assert answer == {"error": 1, "err_msg": text, "message": text, "code": 5}
    assert accounts.calls("POST") == []


def test_b5_the_portal_knows_the_name(accounts: Accounts) -> None:
    accounts.portal.add_user("new10", MAC("77"))
    answer = accounts.post("reseller1", "add_account", **new_account(plan="78-GBP"))
    assert (answer["err_msg"], answer["code"]) == ("Username already exists", 5)
    assert accounts.balance("reseller1") == 100
    assert accounts.portal.user("new10") is not None


def test_b6_too_little_credit(accounts: Accounts) -> None:
    accounts.world.execute(sa.update(User).where(User.id == 2).values(balance=5))
    answer = accounts.post("reseller1", "add_account", **new_account(plan="78-GBP"))
    assert answer["error"] == 1
    assert "Not enough credit" in answer["err_msg"]
    assert accounts.calls("POST") == []


def test_b7_b8_which_plan_is_meant(accounts: Accounts) -> None:
    accounts.world.execute(sa.update(User).where(User.id == 2).values(max_users=0))
    assert accounts.post("reseller1", "add_account", **new_account(0x11, plan="34-IRR"))["error"] == 1
    assert accounts.post("reseller1", "add_account", **new_account(0x12, plan="0"))["error"] == 1
    assert accounts.balance("reseller1") == 100
    assert accounts.post("reseller1", "add_account", **new_account(0x13, plan="12"))["error"] == 0
    assert accounts.balance("reseller1") == 75
    row = accounts.row("new13")
    assert row is not None
    assert row["plan"] == 2
    assert accounts.post("reseller1", "add_account", **new_account(0x14, plan="1-month-gbp-GBP"))["error"] == 0
    assert accounts.balance("reseller1") == 65


def test_b9_the_newest_form_needs_a_plan(accounts: Accounts) -> None:
    fields = {**new_account(plan="0"), "name": "", "first_name": "Ann", "last_name": "Lee"}
    assert "plan" in accounts.post("admin", "add_account", **fields)["err_msg"]
    empty = {**fields, "first_name": "", "last_name": ""}
    assert "plan" in accounts.post("admin", "add_account", **empty)["err_msg"]
    assert accounts.calls("POST") == []
    answer = accounts.post("admin", "add_account", **{**fields, "plan": "78-GBP"})
    assert answer["error"] == 0
    row = accounts.row("new10")
    assert row is not None
    assert row["full_name"] == "Ann Lee"


def test_b10_a_super_admin_needs_none(accounts: Accounts) -> None:
    assert accounts.post("admin", "add_account", **new_account(plan="0", expire_billing_date=""))["error"] == 0
    row = accounts.row("new10")
    assert row is not None
    assert row["end_date"] is None
    [created] = [request for request in accounts.portal.requests if request.call.startswith("POST accounts")]
    # an empty end is an error of a strict portal (90 §13 M5)
    assert ("end_date" in created.fields, created.fields["tariff_plan"]) == (False, "")


def test_b11_b12_discounts_for_a_reseller(accounts: Accounts) -> None:
    fields = {"reseller": "2", "plan": "12-GBP"}
    for discount in ("26", "-1"):
        assert accounts.post("admin", "add_account", **new_account(**fields, discount=discount))["error"] == 1
    assert (accounts.balance("reseller1"), accounts.transactions) == (100, [])
    assert accounts.post("admin", "add_account", **new_account(**fields, discount="5"))["error"] == 0
    assert accounts.balance("reseller1") == 80
    [entry] = accounts.transactions
    assert (entry["amount"], entry["for_user"]) == (-20, 2)
    row = accounts.row("new10")
    assert row is not None
    assert row["reseller"] == 2


def test_b13_the_limit_of_accounts(accounts: Accounts) -> None:
    accounts.world.execute("UPDATE _accounts SET reseller = 2")
    answer = accounts.post("reseller1", "add_account", **new_account(plan="78-GBP"))
    assert "limit" in answer["err_msg"]
    assert accounts.portal.calls == []


def test_b14_no_permission(accounts: Accounts) -> None:
    for who in ("obs", "reseller2"):
        answer = accounts.post(who, "add_account", **new_account(plan="78-GBP"))
        assert (answer["error"], answer["code"]) == (1, 3)
    assert accounts.portal.calls == []


def _in_parallel(jobs: list[Any]) -> list[Any]:
    results: list[Any] = [None] * len(jobs)

    def run(index: int) -> None:
        results[index] = jobs[index]()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.every_kind
def test_b15_two_at_once_on_a_balance_for_one(accounts: Accounts) -> None:
    accounts.world.execute("UPDATE _users SET balance = 10.50 WHERE id = 2")
    clients = [logged_in(accounts.world, "reseller1") for _ in range(2)]
    answers = _in_parallel(
        [
            lambda client=client, number=number: client.post(
                "/add_account.php", new_account(0x20 + number, plan="78-GBP")
            ).json()
            for number, client in enumerate(clients)
        ]
    )
    assert sorted(answer["error"] for answer in answers) == [0, 1]
    assert accounts.balance("reseller1") == 0
    assert len(accounts.transactions) == 1


@pytest.mark.every_kind
def test_twenty_at_once_on_a_balance_for_seven(accounts: Accounts) -> None:
    """Twenty on one kind of database, ten on the others."""
    callers = 20 if accounts.panel.database.dialect == "sqlite" else 10
    accounts.world.execute("UPDATE _users SET balance = 73.50, max_users = 0 WHERE id = 2")
    clients = [logged_in(accounts.world, "reseller1") for _ in range(callers)]
    answers = _in_parallel(
        [
            lambda client=client, number=number: client.post(
                "/add_account.php", new_account(0x20 + number, plan="78-GBP")
            ).json()
            for number, client in enumerate(clients)
        ]
    )
    assert [answer["error"] for answer in answers].count(0) == 7, answers
    assert all("Not enough credit" in answer["err_msg"] for answer in answers if answer["error"])
    assert accounts.balance("reseller1") == 0
    assert sum(entry["amount"] for entry in accounts.transactions) == Decimal("-73.50")
    created = [user for user in accounts.portal.users if user.login.startswith("new")]
    assert len(created) == 7
    assert len({user.account_number for user in created}) == 7
    assert len(accounts.world.rows(sa.text("SELECT id FROM _accounts"))) == 10


def test_b16_a_reseller_admin_without_a_plan(accounts: Accounts) -> None:
    answer = accounts.post("radmin", "add_account", **new_account(plan="0"))
    assert "Not enough credit" not in answer["err_msg"]
    row = accounts.row("new10")
    assert row is not None
    assert (answer["error"], row["end_date"]) == (0, datetime.date(2025, 2, 16))


BAD_VALUES: list[dict[str, str]] = [
    {"mac": "00:1A:79:00:00"},
    {"mac": ""},
    {"password": ""},
    {"username": ""},
    {"username": "a'b"},
    {"username": "x" * 101},
    {"email": "nobody"},
    {"status": "2"},
    {"end_date": "2025-02-30"},
    {"reseller": "77"},
    {"comment": "x" * 2001},
]


def test_bad_values_of_an_addition(accounts: Accounts) -> None:
    for fields in BAD_VALUES:
        answer = accounts.post("admin", "add_account", **{**new_account(plan="78-GBP"), **fields})
        assert answer["error"] == 1, fields
    assert accounts.calls("POST") == []
    assert accounts.open_operations() == []


def test_an_addition_needs_post(accounts: Accounts) -> None:
    assert accounts.client("admin").get("/add_account.php", params=new_account()).status_code == 405
    assert accounts.portal.calls == []


# C: editing and renewing

C1 = {
    "original_username": "user001",
    "username": "user001",
    "password": "",
    "name": "John Doe",
    "email": "",
    "phone": "+440000000000",
    "plan": "2",
    "status": "1",
    "comment": "",
}


def _edit(accounts: Accounts, who: str, target: str, **fields: Any) -> dict[str, Any]:
    return accounts.post(who, "edit_account", "multipart", original_username=target, username=target, **fields)


def _puts(accounts: Accounts, portal: int = 0) -> list[Any]:
    return [request.fields for request in accounts.portals[portal].requests if request.method == "PUT"]


@pytest.mark.every_kind
def test_c1_a_reseller_renews(accounts: Accounts) -> None:
    answer = accounts.post("reseller1", "edit_account", "multipart", **C1)
    assert answer == {
        "error": 0,
        "err_msg": "",
        "message": "Account updated and renewed successfully",
        "renewed": True,
        "previous_end_date": "2025-02-15",
        "new_end_date": "2025-05-16",
        "days_extended": 90,
    }
    [put] = _puts(accounts)
    # the tariff of the plan goes with it (90 §13 M15)
    assert put["tariff_plan"] == "12"
    assert not {"stb_mac", "login", "password"} & set(put)
    assert accounts.balance("reseller1") == 75
    [entry] = accounts.transactions
    assert (entry["amount"], entry["type"], entry["currency"]) == (-25, 1, "GBP")
    assert (entry["creator"], entry["details"]) == ("reseller1", "Account renewal: user001 - Plan: Quarter")
    row = accounts.row("user001")
    assert row is not None
    assert (row["plan"], row["end_date"], row["id"]) == (2, datetime.date(2025, 5, 16), 10)
    [audit] = _audit(accounts)
    assert (audit["action"], audit["target_type"]) == ("update", "account")
    assert "renewed" in audit["details"]
    [note] = accounts.world.rows(sa.select(*AccountNote.__table__.c))
    assert note["changed_at"] > 0


def test_c2_an_expired_account_counts_from_today(accounts: Accounts) -> None:
    assert _edit(accounts, "admin", "user002", plan="1")["new_end_date"] == "2025-02-16"
    assert accounts.transactions == []


def test_c3_a_plan_without_length(accounts: Accounts) -> None:
    assert _edit(accounts, "admin", "user001", plan="3")["new_end_date"] == "2099-12-31"
    row = accounts.row("user001")
    assert row is not None
    assert row["end_date"] == datetime.date(2099, 12, 31)


def test_c4_only_the_name(accounts: Accounts) -> None:
    answer = _edit(accounts, "admin", "user001", plan="0", name="John Smith")
    assert (answer["error"], answer["renewed"], answer["new_end_date"]) == (0, False, "2025-02-15")
    assert _puts(accounts) == [{"full_name": "John Smith", "end_date": "2025/02/15"}]


def test_c5_a_combined_key(accounts: Accounts) -> None:
    assert _edit(accounts, "admin", "user001", plan="78-GBP")["new_end_date"] == "2025-03-17"
    row = accounts.row("user001")
    assert row is not None
    assert row["plan"] == 1


def test_c6_the_portal_is_down(accounts: Accounts) -> None:
    accounts.portal.stop_listening()
    answer = accounts.post("reseller1", "edit_account", "multipart", **C1)
    assert (answer["error"], answer["code"]) == (1, 8)
    row = accounts.row("user001")
    assert row is not None
    assert row["end_date"] == datetime.date(2025, 2, 15)
    assert (accounts.balance("reseller1"), accounts.transactions, accounts.open_operations()) == (100, [], [])


def test_c7_c8_refusals(accounts: Accounts) -> None:
    assert _edit(accounts, "reseller1", "user002", plan="1")["code"] == 3
    assert _edit(accounts, "admin", "user001", plan="777")["error"] == 1
    assert _edit(accounts, "admin", "nobody", plan="1")["code"] == 4
    assert accounts.calls("PUT") == []
    row = accounts.row("user001")
    assert row is not None
    assert row["plan"] is None


def test_c9_a_country_code_that_the_dialog_loses(accounts: Accounts) -> None:
    accounts.world.execute("UPDATE _accounts SET phone_number = '+971500000000' WHERE id = 10")
    assert _edit(accounts, "admin", "user001", phone="500000000")["error"] == 0
    row = accounts.row("user001")
    assert row is not None
    assert row["phone_number"] == "+971500000000"
    assert _edit(accounts, "admin", "user001", phone="")["error"] == 0
    row = accounts.row("user001")
    assert row is not None
    assert row["phone_number"] is None
    assert _puts(accounts)[-1] == {"phone": "", "end_date": "2025/02/15"}


@pytest.mark.every_kind
def test_a_rename(accounts: Accounts) -> None:
    answer = accounts.post("admin", "edit_account", original_username="user001", username="renamed")
    assert answer["error"] == 0
    assert _puts(accounts)[-1] == {"login": "renamed", "end_date": "2025/02/15"}
    assert accounts.portal.user("renamed") is not None
    row = accounts.row("renamed")
    assert row is not None
    assert row["id"] == 10
    taken = accounts.post("admin", "edit_account", original_username="renamed", username="user002")
    assert (taken["err_msg"], taken["code"]) == ("Username already exists", 5)


def test_a_reseller_without_the_right_to_names(accounts: Accounts) -> None:
    accounts.world.execute("UPDATE _users SET permissions = '1|1|0|1|1|1|0|0' WHERE id = 2")
    answer = _edit(accounts, "reseller1", "user001", name="Other", email="o@example.com", phone="+4411")
    assert answer["error"] == 0
    row = accounts.row("user001")
    assert row is not None
    assert (row["full_name"], row["email"], row["phone_number"]) == ("John Doe", "j@example.com", None)


@pytest.mark.every_kind
def test_server_2_follows_later(dual: Accounts) -> None:
    dual.portals[1].stop_listening()
    answer = _edit(dual, "admin", "user001", name="John Smith")
    assert (answer["error"], answer["warning"], answer["server2_warning"]) == (0, 1, True)
    assert answer["server2_error"]
    [left] = dual.open_operations()
    assert left["state"] == "confirming"
    assert "server 2" in _audit(dual)[-1]["details"]


# D: partial updates


def test_d1_an_end_date(accounts: Accounts) -> None:
    answer = accounts.post("admin", "update_account", "json", username="user001", end_date="2025-05-15")
    assert answer == {
        "error": 0,
        "err_msg": "Account updated successfully",
        "message": "Account updated successfully",
        "previous_end_date": "2025-02-15",
        "new_end_date": "2025-05-15",
        "days_extended": 89,
    }
    row = accounts.row("user001")
    assert row is not None
    assert row["reseller"] == 2
    assert _puts(accounts) == [{"end_date": "2025/05/15"}]
    assert accounts.transactions == []


def test_d2_a_reseller_may_not(accounts: Accounts) -> None:
    answer = accounts.post("reseller1", "update_account", "json", username="user001", end_date="2026-01-01")
    assert (answer["error"], answer["code"]) == (1, 3)
    assert accounts.calls("PUT") == []


def test_d3_an_impossible_date(accounts: Accounts) -> None:
    assert accounts.post("admin", "update_account", username="user001", end_date="2025-02-30")["error"] == 1


def test_d4_an_unknown_tariff_is_not_sent(accounts: Accounts) -> None:
    answer = accounts.post(
        "admin",
        "update_account",
        "json",
        username="user001",
        tariff_plan="Extended Premium",
        end_date="2025-06-17",
    )
    assert (answer["error"], answer["warning"], answer["new_end_date"]) == (0, 1, "2025-06-17")
    assert _puts(accounts) == [{"end_date": "2025/06/17"}]


def test_d5_the_forms_old_names(accounts: Accounts) -> None:
    answer = accounts.post("admin", "update_account", username="user001", name="John Smith", mac=MAC("01"))
    assert (answer["error"], answer["days_extended"]) == (0, 0)
    row = accounts.row("user001")
    assert row is not None
    assert (row["full_name"], row["reseller"], row["end_date"]) == ("John Smith", 2, datetime.date(2025, 2, 15))


@pytest.mark.parametrize("word", ["unlimited", "0000-00-00", " Unlimited "])
def test_unlimited_is_said_by_a_word_and_null_and_empty_keep(light_accounts: Accounts, word: str) -> None:
    accounts = light_accounts
    for kept in ("", None):
        answer = accounts.post("admin", "update_account", "json", username="user001", end_date=kept)
        assert (answer["error"], answer["new_end_date"], answer["days_extended"]) == (0, "2025-02-15", 0)
    assert _puts(accounts) == []
    refused = accounts.post("reseller1", "update_account", "json", username="user001", end_date=word)
    assert (refused["error"], refused["code"]) == (1, 3)
    answer = accounts.post("admin", "update_account", "json", username="user001", end_date=word)
    assert (answer["error"], answer["new_end_date"], answer["days_extended"]) == (0, None, None)
    assert _puts(accounts) == [{"end_date": "0000-00-00 00:00:00"}]


def test_an_update_with_a_plan_is_a_renewal(accounts: Accounts) -> None:
    answer = accounts.post("reseller1", "update_account", "json", username="user001", plan="12-GBP")
    assert answer["new_end_date"] == "2025-05-16"
    assert accounts.balance("reseller1") == 75
    assert [entry["type"] for entry in accounts.transactions] == [1]
    both = accounts.post("admin", "update_account", username="user001", plan="12-GBP", end_date="2025-07-01")
    assert both["code"] == 6


# E: deleting


def test_e1_a_reseller_deletes(accounts: Accounts) -> None:
    _edit(accounts, "reseller1", "user001", plan="2")
    accounts.forget()
    answer = accounts.post("reseller1", "remove_account", "multipart", id="user001")
    text = "Account deleted successfully"
    assert answer == {"error": 0, "err_msg": text, "message": text, "transactions_preserved": True}
    assert accounts.calls("DELETE") == ["DELETE accounts/00:1A:79:00:00:01"]
    assert accounts.row("user001") is None
    assert len(accounts.transactions) == 1
    [archived] = accounts.world.rows(sa.select(*ArchivedAccount.__table__.c))
    assert (archived["id"], archived["reason"], archived["email"]) == (10, "deleted", "j@example.com")
    assert _audit(accounts)[-1]["action"] == "delete"


def test_e2_e3_refusals(accounts: Accounts) -> None:
    assert accounts.post("reseller1", "remove_account", username="user002")["code"] == 3
    assert accounts.post("obs", "remove_account", username="user002")["code"] == 3
    assert accounts.portal.calls == []


def test_e4_the_portal_no_longer_has_it(accounts: Accounts) -> None:
    requests.delete(f"{accounts.portal.base_url}accounts/{MAC('01')}", timeout=60)
    assert accounts.post("admin", "remove_account", username="user001")["error"] == 0
    assert accounts.row("user001") is None


def test_an_account_that_only_the_portal_has(accounts: Accounts) -> None:
    accounts.portal.add_user("stranger", MAC("66"))
    assert accounts.post("radmin", "remove_account", username="stranger")["code"] == 4
    assert accounts.post("admin", "remove_account", username="stranger")["error"] == 0
    assert accounts.portal.user("stranger") is None


# F: switching on and off


def _toggle(accounts: Accounts, who: str, username: str, status: str, prefix: str = "/") -> dict[str, Any]:
    query = {"username": username, "status": status}
    answer: dict[str, Any] = accounts.client(who).get(f"{prefix}toggle_account_status.php", params=query).json()
    return answer


def test_f1_a_reseller_switches_off(accounts: Accounts) -> None:
    answer = _toggle(accounts, "reseller1", "user001", "0")
    assert answer == {"error": 0, "err_msg": "", "message": "John Doe is now disabled"}
    [put] = [request for request in accounts.portal.requests if request.method == "PUT"]
    assert put.body == b"status=0"
    row = accounts.row("user001")
    assert row is not None
    assert (row["status"], row["end_date"]) == (0, datetime.date(2025, 2, 15))
    [audit] = _audit(accounts)
    assert (audit["target_type"], audit["old_value"], audit["new_value"]) == (
        "account_status",
        '{"status":1}',
        '{"status":0}',
    )


def test_f2_no_permission(accounts: Accounts) -> None:
    answer = _toggle(accounts, "reseller2", "user002", "0", "/api/")
    assert answer == {"error": 1, "err_msg": TOGGLE_REFUSAL, "message": TOGGLE_REFUSAL, "code": 3}


def test_f3_a_bad_status(accounts: Accounts) -> None:
    for query in ({"status": "abc"}, {}, {"status": "2"}):
        response = accounts.client("admin").get("/toggle_account_status.php", params={"username": "user001", **query})
        assert response.json()["error"] == 1, query
    assert accounts.portal.calls == []


def test_f4_without_a_name(accounts: Accounts) -> None:
    assert _toggle(accounts, "admin", "user003", "1")["message"] == "user003 is now active"


def test_f5_the_documents_endpoint(accounts: Accounts) -> None:
    text = "Status updated successfully"
    answer = accounts.post("admin", "change_status", "json", username="user001", status=0)
    assert answer == {"error": 0, "err_msg": text, "message": text}
    row = accounts.row("user001")
    assert row is not None
    assert row["status"] == 0
    assert accounts.post("admin", "change_status", mac="001a79000001", status="1")["err_msg"] == text
    row = accounts.row("user001")
    assert row is not None
    assert row["status"] == 1


@pytest.mark.parametrize("sessions", [1, 2])
@pytest.mark.every_kind
def test_a_double_click_switches_once(accounts: Accounts, sessions: int) -> None:
    clients = [accounts.client("reseller1").in_a_browser()] * 2
    if sessions == 2:
        clients = [logged_in(accounts.world, "reseller1").in_a_browser() for _ in range(2)]
    query = {"username": "user001", "status": "0"}
    answers = _in_parallel(
        [lambda client=client: client.get("/toggle_account_status.php", params=query).json() for client in clients]
    )
    assert answers[0] == answers[1] == {"error": 0, "err_msg": "", "message": "John Doe is now disabled"}
    assert len(accounts.calls("PUT")) == 1
    assert len(_audit(accounts)) == 1


@pytest.mark.every_kind
def test_an_identical_addition_in_a_browser_counts_once(accounts: Accounts) -> None:
    fields = new_account(plan="78-GBP")
    client = accounts.client("reseller1").in_a_browser()
    answers = _in_parallel([lambda: client.post("/add_account.php", fields).json() for _ in range(2)])
    assert answers[0] == answers[1]
    assert answers[0]["error"] == 0
    assert accounts.balance("reseller1") == Decimal("89.50")


def test_a_script_that_adds_twice_gets_the_true_second_answer(accounts: Accounts) -> None:
    fields = new_account(plan="78-GBP")
    answers = [accounts.post("reseller1", "add_account", **fields) for _ in range(2)]
    assert [(answer["error"], answer["err_msg"]) for answer in answers] == [
        (0, answers[0]["err_msg"]),
        (1, "Username already exists"),
    ]
    assert accounts.balance("reseller1") == Decimal("89.50")


@pytest.mark.parametrize(
    ("endpoint", "fields"),
    [
        ("add_account", {**new_account(plan="78-GBP"), "reseller": 5}),
        ("update_account", {"username": "user001", "reseller": 5}),
        ("assign_reseller", {"username": "user001", "reseller_id": 5}),
        ("bulk_assign_reseller", {"usernames": ["user001"], "reseller_id": 5}),
    ],
    ids=["add", "update", "assign", "bulk"],
)
def test_an_observer_is_no_owner(light_accounts: Accounts, endpoint: str, fields: dict[str, Any]) -> None:
    before = light_accounts.row("user001")
    answer = light_accounts.post("admin", endpoint, "json", **fields)
    assert (answer["error"], answer["code"], answer["err_msg"]) == (1, 6, "An observer cannot own accounts")
    assert light_accounts.row("user001") == before
    assert light_accounts.row(str(new_account()["username"])) is None


@pytest.mark.every_kind
def test_field_19_a_new_address_alone_asks_no_portal(accounts: Accounts) -> None:
    answer = accounts.post("admin", "update_account", "json", username="user001", email="new@example.com")
    assert answer["error"] == 0
    row = accounts.row("user001")
    assert row is not None
    assert row["email"] == "new@example.com"
    assert accounts.calls("PUT") == []


@pytest.mark.every_kind
def test_field_18_off_on_and_off_again_are_three_switches(accounts: Accounts) -> None:
    client = accounts.client("admin").in_a_browser()
    for status in (0, 1, 0):
        assert client.post("/change_status.php", {"username": "user001", "status": status}).json()["error"] == 0
    row = accounts.row("user001")
    assert row is not None
    assert row["status"] == 0
    assert len(accounts.calls("PUT")) == 3


def test_an_account_added_removed_and_added_is_there(accounts: Accounts) -> None:
    client = accounts.client("admin").in_a_browser()
    fields = new_account(plan="78-GBP")
    calls = [("add_account", fields), ("remove_account", {"username": fields["username"]}), ("add_account", fields)]
    assert [client.post(f"/{name}.php", sent).json()["error"] for name, sent in calls] == [0, 0, 0]
    assert accounts.row(str(fields["username"])) is not None


@pytest.mark.every_kind
def test_a_double_click_in_two_processes_counts_once(accounts: Accounts) -> None:
    """Two apps over one database share nothing else, as two processes."""
    panel = accounts.world.panel
    # sessions of both live by the real clock
    with patch.object(panel, "clock", Clock("Asia/Tehran")):
        other = HttpServer(create_app(panel))
    try:
        here = accounts.client("reseller1").in_a_browser()
        there = replace(here, url=other.url, headers={**here.headers, "Origin": other.url})
        fields = new_account(plan="78-GBP")
        answers = _in_parallel(
            [lambda client=client: client.post("/add_account.php", fields).json() for client in (here, there)]
        )
        # a moment later it is still remembered, in either
        answers += [client.post("/add_account.php", fields).json() for client in (here, there)]
    finally:
        other.close()
    assert answers == [answers[0]] * 4
    assert answers[0]["error"] == 0
    assert accounts.balance("reseller1") == Decimal("89.50")


def test_a_slow_portal_does_not_hold_the_database(accounts: Accounts) -> None:
    accounts.client("admin")
    accounts.portal.fail("PUT accounts", Delay(0.3))
    slow = threading.Thread(target=lambda: _edit(accounts, "admin", "user001", name="Slow"))
    slow.start()
    _wait_for(lambda: accounts.calls("PUT"))
    accounts.world.execute("UPDATE _accounts SET full_name = 'Quick' WHERE id = 11")
    assert slow.is_alive()
    slow.join()
    assert [row and row["full_name"] for row in map(accounts.row, ("user001", "user002"))] == ["Slow", "Quick"]


# what stands although something else failed


class _LoseTheRecord(Fault):
    """Does what was asked; when it answers, the panel can no longer write down that it is done."""

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts

    def act(self, exchange: Exchange, respond: Respond) -> None:
        response = respond()
        self.accounts.world.execute("ALTER TABLE _sbx_operations RENAME TO hidden_operations")
        exchange.send(response)


@pytest.mark.parametrize(
    ("call", "endpoint", "fields"),
    [
        ("PUT accounts", "edit_account", {"original_username": "user001", "name": "Other"}),
        ("DELETE accounts", "remove_account", {"id": "user001"}),
    ],
)
def test_a_fault_after_the_commit_is_no_failure(
    dual: Accounts, call: str, endpoint: str, fields: dict[str, str]
) -> None:
    dual.portals[1].fail(call, _LoseTheRecord(dual))
    answer = dual.post("admin", endpoint, **fields)
    dual.world.execute("ALTER TABLE hidden_operations RENAME TO _sbx_operations")
    assert answer["error"] == 0, answer
    row = dual.row("user001")
    assert row is None or row["full_name"] == "Other"
    assert dual.open_operations()
    dual.finish_operations()
    assert dual.portals[0].snapshot()["users"] == dual.portals[1].snapshot()["users"]


# the owner that the portal names (§9: three-way), from the first sync on


def test_an_account_that_was_sold_and_reassigned_stays_with_its_new_owner(accounts: Accounts) -> None:
    accounts.post("reseller1", "add_account", **new_account(plan="78-GBP"))
    for owner, named in ((4, 2), (4, 2), (3, 3)):
        if named == 3:
            accounts.portal.change_user("new10", reseller=3)
        accounts.world.execute("UPDATE _accounts SET reseller = 4 WHERE username = 'new10'")
        accounts.forward += 10
        assert accounts.post("admin", "sync_accounts")["error"] == 0
        row = accounts.row("new10")
        assert row is not None
        assert row["reseller"] == owner


@pytest.mark.every_kind
def test_an_owner_given_by_an_update_outlasts_the_portals_first_word(accounts: Accounts) -> None:
    accounts.post("admin", "update_account", username="user001", reseller="4")
    accounts.portal.change_user("user001", reseller=2)
    accounts.forward += 10
    for named, owner in ((2, 4), (3, 3)):
        accounts.portal.change_user("user001", reseller=named)
        assert accounts.post("admin", "sync_accounts")["error"] == 0
        row = accounts.row("user001")
        assert row is not None
        assert row["reseller"] == owner


# the setting for portals that want every field


def test_full_updates_are_a_setting_of_each_portal(make_world: MakeWorld, kind: str) -> None:
    with accounts_world(make_world, kind, dual=True, portal_section={"primary_full_updates": True}) as accounts:
        accounts.world.execute("UPDATE _accounts SET phone_number = '+4477' WHERE id = 10")
        _edit(accounts, "admin", "user001", name="Other", password="pw-secret")
        assert list(_puts(accounts)[0].items()) == [
            ("login", "user001"),
            ("full_name", "Other"),
            ("email", "j@example.com"),
            ("phone", "+4477"),
            ("status", "1"),
            ("stb_mac", MAC("01")),
            ("end_date", "2025/02/15"),
        ]
        # a password goes alone and last (90 §13 M8)
        assert _puts(accounts)[1] == {"password": "pw-secret"}
        assert _puts(accounts, 1) == [{"full_name": "Other", "end_date": "2025/02/15"}, {"password": "pw-secret"}]
        _edit(accounts, "admin", "user001", phone="")
        assert _puts(accounts)[-1]["phone"] == ""
        accounts.post(
            "admin", "update_account", "json", username="user001", tariff_plan="Quarter", end_date="unlimited"
        )
        no_end = "0000-00-00 00:00:00"
        assert {"tariff_plan": "12", "end_date": no_end, "login": "user001"}.items() <= _puts(accounts)[-1].items()
        _toggle(accounts, "admin", "user001", "0")
        assert (_puts(accounts)[-1], _puts(accounts, 1)[-1]) == ({"status": "0"}, {"status": "0"})
