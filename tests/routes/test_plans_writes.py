"""Adding, changing and deleting plans: golden cases A, E and D of contract chapter 40, and plan_update (§3.5)."""

from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from core.storage.tables import DeletedPlan, PlanNote, User
from tests.worlds.harness import ENCODINGS, PREFIXES, Client
from tests.worlds.plans import PLANS, Plans

A1 = {"plan_id": "1-month-gbp", "currency": "GBP", "price": 10.00, "expiry_days": 30}
A2 = {"tariff_id": "50", "name": "P50", "currency": "gbp", "price": "10.01", "days": "30", "category": "application"}
CREATED = "Plan created successfully"


def _call(endpoint: str, fields: dict[str, Any]) -> str:
    return f"{endpoint}.php?{urlencode(fields)}"


# A: adding


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a1_the_document_s_request(sqlite_plans: Plans, prefix: str, encoding: str) -> None:
    answer = sqlite_plans.client("admin").post(f"{prefix}add_plan.php", A1, encoding).json()
    id = answer.get("plan_id")
    assert answer == {"error": 0, "err_msg": CREATED, "message": CREATED, "plan_id": id, "id": id}
    assert sqlite_plans.row(id) == ("1-month-gbp", "1-month-gbp", "GBP", "10.00", 30, None)


def test_a1_to_a3_what_is_stored(plans: Plans) -> None:
    first = plans.post("admin", "add_plan", A1)
    assert (first["error"], first["plan_id"]) == (0, first["id"])
    listed = next(plan for plan in plans.get("admin", "get_plans.php")["plans"] if plan["id"] == first["id"])
    assert listed["timestamp"] == plans.world.rows(sa.select(PlanNote.created_at))[0]["created_at"] > 1700000000

    added = plans.get("radmin", _call("add_plan", A2))
    assert added["err_msg"] == CREATED
    assert plans.row(added["id"]) == ("50", "P50", "GBP", "10.01", 30, "application")
    again = plans.get("radmin", _call("add_plan", {**A2, "price": 12}))
    assert (again["error"], again["plan_id"], again["message"]) == (0, added["id"], "Plan updated successfully")
    assert plans.row(added["id"]) == ("50", "P50", "GBP", "12.00", 30, "application")
    change = plans.audit[-1]
    assert (change["action"], change["target_type"], change["target_id"]) == ("update", "plan", str(added["id"]))
    assert (change["old_value"]["price"], change["new_value"]["price"]) == ("10.01", "12.00")
    assert (change["username"], plans.audit[-2]["action"], plans.audit[-2]["old_value"]) == ("radmin", "create", None)

    fields = {"tariff_id": 60, "name": "U", "currency": "GBP", "price": 10, "days": 0, "category": ""}
    unlimited = plans.get("admin", _call("add_plan", fields))
    assert plans.row(unlimited["id"]) == ("60", "U", "*", "0.00", 0, None)
    assert len(plans.rows) == len(PLANS) + 3


@pytest.mark.every_kind
def test_an_addition_to_a_plan_that_is_there_leaves_what_was_not_sent(plans: Plans) -> None:
    answer = plans.post("admin", "add_plan", {"plan_id": 7, "currency": "GBP", "price": 60, "expiry_days": 365})
    assert (answer["error"], answer["id"]) == (0, 2)
    assert plans.row(2) == ("7", "One Year", "GBP", "60.00", 365, "new_device")
    plans.post(
        "admin", "add_plan", {"tariff_id": 7, "name": "N", "currency": "GBP", "price": 60, "days": 1, "category": ""}
    )
    assert plans.row(2) == ("7", "N", "GBP", "60.00", 1, None)


@pytest.mark.every_kind
def test_the_legacy_rial_is_found_and_stays(plans: Plans) -> None:
    plans.add(20, "6", "Rial", "IRT", "5.00", 30, None)
    answer = plans.get("admin", _call("add_plan", {**A2, "tariff_id": 6, "currency": "IRR", "price": 7}))
    assert answer["id"] == 20
    assert plans.row(20) == ("6", "P50", "IRT", "7.00", 30, "application")
    # with both spellings the exact one is the plan
    plans.add(21, "6", "Rial", "IRR", "5.00", 30, None)
    assert plans.get("admin", _call("add_plan", {**A2, "tariff_id": 6, "currency": "IRR", "price": 8}))["id"] == 21
    assert plans.get("admin", "remove_plan.php?plan=6&currency=IRT")["error"] == 0
    assert [row[0] for row in plans.rows if row[1] == "6"] == [20]


BAD = [
    {"currency": "IRT"},
    {"currency": "IRT", "days": 0},
    {"currency": "AED"},
    {"currency": ""},
    {"currency": "GBP'"},
    {"price": "-1"},
    {"price": "1,000"},
    {"price": "abc"},
    {"price": "NaN"},
    {"price": "1e20"},
    {"price": ""},
    {"days": "30.5"},
    {"days": "-1"},
    {"days": "abc"},
    {"days": "99999999999"},
    {"days": ""},
    {"days": None},
    {"category": "foo"},
    {"category": "New_Device"},
    {"currency": "*", "days": 30},
    {"tariff_id": "0"},
    {"tariff_id": ""},
    {"tariff_id": "a'b"},
    {"tariff_id": "a b"},
    {"tariff_id": "x" * 101},
    {"tariff_id": "é"},
    {"name": ""},
    {"name": "  "},
    {"name": "<>"},
    {"name": "x" * 256},
]
UNREADABLE = [
    {},
    {"tariff_id": ["5"], "currency": "GBP", "price": 1, "days": 1},
    {"tariff_id": "5", "currency": {"a": 1}, "price": 1, "days": 1},
    {"tariff_id": "5", "currency": "GBP", "price": [1], "days": 1},
    {"tariff_id": "5", "currency": "GBP", "price": 1, "days": {}},
]


def test_a4_bad_values(plans: Plans) -> None:
    for bad in BAD:
        fields = {name: value for name, value in {**A2, **bad}.items() if value is not None}
        answer = plans.get("radmin", _call("add_plan", fields))
        assert (answer["error"], answer["code"]) == (1, 6), bad
    for fields in UNREADABLE:
        assert plans.post("radmin", "add_plan", fields)["code"] == 6, fields
    assert [row[0] for row in plans.rows] == [1, 2, 3, 4, 9]
    assert plans.audit == []


def test_a5_who_may_not(plans: Plans) -> None:
    calls = [
        _call("add_plan", A2),
        _call("edit_plan", {"plan_id": 2, "name": "One", "price": 60, "days": 365}),
        "remove_plan.php?plan=5&currency=GBP",
        "plan_update.php?id=7&price=1",
    ]
    for call in calls:
        for who in ("res", "obs"):
            assert plans.get(who, call)["code"] == 3, (who, call)
        assert plans.get(None, call)["code"] == 2
    assert plans.get("radmin", calls[3])["code"] == 3
    assert [row[4] for row in plans.rows] == [plan[4] for plan in PLANS]
    assert (len(plans.rows), plans.audit) == (5, [])


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
    ],
    ids=["mail", "link", "cross-site", "same-site", "origin"],
)
def test_a6_other_sites_and_links_change_nothing(plans: Plans, headers: dict[str, str]) -> None:
    plans = plans
    plans.offers()
    client = Client(plans.world.url, plans.client("admin").cookies, headers)
    for call in (
        _call("add_plan", A2),
        _call("edit_plan", {"plan_id": 2, "name": "One", "price": 60, "days": 365}),
        "remove_plan.php?plan=5&currency=GBP",
        "plan_update.php?id=7&price=1",
        "add_currency.php?name=aed",
        "remove_currency.php?id=AED",
        "sync_plans_web.php",
        "sync_plans.php",
    ):
        for prefix in PREFIXES:
            response = client.get(f"{prefix}{call}")
            assert response.status_code == 403, call
            if response.headers["Content-Type"] == "application/json":
                assert response.json()["error"] == 1
    assert (len(plans.rows), plans.audit, plans.portal.calls) == (5, [], [])
    same = Client(plans.world.url, client.cookies, {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"})
    assert same.get("/" + _call("add_plan", A2)).json()["error"] == 0


def test_names_carry_no_markup(sqlite_plans: Plans) -> None:
    answer = sqlite_plans.post("admin", "add_plan", {**A2, "name": ' <b>"Best"</b>\n plan\x07 '})
    assert sqlite_plans.row(answer["id"])[1] == "b'Best'/b  plan"


@pytest.mark.every_kind
def test_a_pair_added_twice_at_once_is_one_plan(plans: Plans) -> None:
    clients = [plans.client("admin"), plans.client("radmin")] * 4
    # no two requests are the same, as a double click's would be
    calls = [_call("add_plan", {**A2, "price": number + 1}) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda pair: pair[0].get(f"/{pair[1]}").json(), zip(clients, calls, strict=True)))
    assert {answer["error"] for answer in answers} == {0}
    assert len({answer["plan_id"] for answer in answers}) == 1
    assert [answer["message"] for answer in answers].count(CREATED) == 1
    assert len([row for row in plans.rows if row[1] == "50"]) == 1


# E: editing

E1 = {
    "plan_id": 2,
    "external_id": "7",
    "currency": "GBP",
    "name": "One",
    "price": 60,
    "days": 365,
    "category": "new_device",
}


@pytest.mark.every_kind
def test_e1_an_edit_says_how_the_price_changed(plans: Plans) -> None:
    answer = plans.get("radmin", _call("edit_plan", E1))
    assert answer == {
        "error": 0,
        "err_msg": "",
        "message": "Plan updated successfully. Price changed from 55.50 to 60.00",
        "plan_id": 2,
        "id": 2,
    }
    assert plans.row(2) == ("7", "One", "GBP", "60.00", 365, "new_device")
    assert (plans.audit[-1]["old_value"]["name"], plans.audit[-1]["new_value"]["name"]) == ("One Year", "One")
    # the hidden fields change nothing; a category that is not sent stays
    named = {"plan_id": 2, "external_id": "70", "currency": "USD", "name": "Two", "price": "60.00", "expiry_days": 365}
    assert plans.post("admin", "edit_plan", named)["message"] == "Plan updated successfully"
    assert plans.row(2) == ("7", "Two", "GBP", "60.00", 365, "new_device")
    by_name = plans.get("admin", _call("edit_plan", {**E1, "plan_id": "x-7", "currency": "GBP"}))
    assert by_name["code"] == 4


@pytest.mark.every_kind
def test_e2_a_plan_becomes_unlimited_and_stays_assigned(plans: Plans) -> None:
    plans.set_keys("radmin", "7-gbp,5-GBP")
    assert plans.get("admin", _call("edit_plan", {**E1, "days": 0}))["error"] == 0
    assert plans.row(2) == ("7", "One", "*", "0.00", 0, "new_device")
    assert (plans.keys("res"), plans.keys("radmin")) == ("7-*,5-GBP,99-GBP", "7-*,5-GBP")
    assert [plan["id"] for plan in plans.get("res", "get_plans.php")["plans"]] == [2, 1, 9]


def test_e3_and_e4_what_an_edit_refuses(plans: Plans) -> None:
    plans.add(10, "9", "Nine", "GBP", "5.00", 30, None)
    for fields, code in [
        ({"plan_id": 9, "name": "U", "price": 5, "days": 30}, 6),
        ({"plan_id": 10, "name": "U", "price": 5, "days": 0}, 5),
        ({"plan_id": 999, "name": "a", "price": 1, "days": 1}, 4),
        ({"plan_id": "9" * 5000, "name": "a", "price": 1, "days": 1}, 4),
        ({"plan_id": 5, "name": "a", "price": 1, "days": 1}, 4),
        ({"name": "a", "price": 1, "days": 1}, 6),
        ({**E1, "name": ""}, 6),
        ({**E1, "price": "1,000"}, 6),
        ({**E1, "days": ""}, 6),
        ({**E1, "category": "foo"}, 6),
        ({"plan_id": 2, "price": 60, "days": 365}, 6),
    ]:
        answer = plans.post("admin", "edit_plan", fields, "form")
        assert (answer["error"], answer["code"]) == (1, code), fields
    assert [row for row in plans.rows if row[0] != 10] == list(PLANS)
    assert plans.audit == []


def test_an_unlimited_plan_may_be_renamed(plans: Plans) -> None:
    assert plans.get("admin", "edit_plan.php?plan_id=9&name=Ever&price=0&days=0&currency=*")["error"] == 0
    assert plans.row(9) == ("9", "Ever", "*", "0.00", 0, None)


# D: deleting


def test_d1_a_deleted_plan_leaves_its_name(plans: Plans) -> None:
    plans.set_keys("resirr", "5-IRR,5-GBP")
    answer = plans.get("admin", "remove_plan.php?plan=5&currency=GBP")
    text = "Plan deleted successfully"
    assert answer == {"error": 0, "err_msg": text, "message": text}
    assert [plan["id"] for plan in plans.get("admin", "get_plans.php")["plans"]] == [9, 4, 3, 2]
    assert (plans.keys("radmin"), plans.keys("res"), plans.keys("resirr")) == ("", "7-GBP,99-GBP", "5-IRR")
    [account] = plans.get("admin", "get_accounts.php")["accounts"]
    assert (account["plan"], account["plan_name"]) == (1, "Six Months")
    [row] = plans.audit
    assert (row["action"], row["target_type"], row["target_id"]) == ("delete", "plan", "1")
    assert (row["old_value"]["external_id"], row["old_value"]["assigned_to"]) == ("5", [2, 3, 5])
    assert plans.world.rows(sa.select(DeletedPlan.id, DeletedPlan.name)) == [{"id": 1, "name": "Six Months"}]


def test_d2_a_number_is_never_taken_for_an_external_id(plans: Plans) -> None:
    for value in (5, "5", "05", "9" * 5000):
        assert plans.post("admin", "remove_plan", {"plan_id": value})["code"] == 4
    assert plans.rows == list(PLANS)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_d3_by_row_id(sqlite_plans: Plans, encoding: str) -> None:
    assert sqlite_plans.post("admin", "remove_plan", {"plan_id": 1}, encoding)["error"] == 0
    assert [row[0] for row in sqlite_plans.rows] == [2, 3, 4, 9]


def test_d4_and_the_other_ways_to_name_a_plan(plans: Plans) -> None:
    plans.add(10, "1-month-gbp", "Month", "GBP", "10.00", 30, None)
    for call, code in [
        ("plan=nope&currency=GBP", 4),
        ("plan=7&currency=USD", 4),
        ("plan=5", 6),
        ("currency=GBP", 6),
        ("", 6),
        ("plan=9&currency=GBP", 4),
    ]:
        assert plans.get("admin", f"remove_plan.php?{call}")["code"] == code, call
    assert plans.client(None).get("/remove_plan.php?plan=5&currency=GBP").json()["code"] == 2
    assert len(plans.rows) == 6
    for call in ("plan=9&currency=*", "plan_id=1-month-gbp", "plan=7", "plan=5&currency=irt", "plan=5&currency=GBP"):
        assert plans.get("admin", f"remove_plan.php?{call}")["error"] == 0, call
    assert [row[0] for row in plans.rows] == [4]


@pytest.mark.every_kind
def test_a_double_click_deletes_once_and_says_so_twice(plans: Plans) -> None:
    plans.add(10, "5", "Six Months", "GBP", "30.00", 180, None)
    client = plans.client("admin").in_a_browser()
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(client.get, ["/remove_plan.php?plan=5&currency=GBP"] * 2))
    assert [answer.json()["error"] for answer in answers] == [0, 0]
    # the row that a panel made twice is the plan now, and is still assigned
    assert [row[0] for row in plans.rows] == [2, 3, 4, 9, 10]
    assert plans.keys("radmin") == "5-GBP"


def test_an_assignment_during_a_deletion_is_not_lost(plans: Plans) -> None:
    """The lists are read under a lock, so that what is not committed yet is waited for."""
    client = plans.client("admin")
    with ThreadPoolExecutor(1) as pool:
        with plans.world.panel.database.write() as assigning:
            assigning.execute(sa.update(User).where(User.username == "res").values(plans="5-GBP,8-USD"))
            removed = pool.submit(client.get, "/remove_plan.php?plan=5&currency=GBP")
            wait([removed], timeout=0.3)
        assert removed.result().json()["error"] == 0
    assert plans.keys("res") == "8-USD"


# plan_update


def test_plan_update(plans: Plans) -> None:
    plans.add(10, "20", None, "IRT", "5.00", 30, None)
    for call, code in [
        ("id=5&price=10", 6),
        ("id=nope&price=10", 4),
        ("id=7&price=-1", 6),
        ("id=7", 6),
        ("price=7", 6),
        ("id=9&price=5", 6),
        ("id=7&currency=USD&price=5", 4),
        ("id=n'o&currency=USD&price=5&days=3", 6),
    ]:
        assert plans.get("admin", f"plan_update.php?{call}")["code"] == code, call
    assert plans.audit == []
    answer = plans.get("admin", "plan_update.php?id=7&price=12.9")
    assert (answer["err_msg"], answer["plan_id"]) == ("", 2)
    assert answer["message"] == "Plan updated successfully. Price changed from 55.50 to 12.90"
    assert plans.row(2) == ("7", "One Year", "GBP", "12.90", 365, "new_device")
    assert plans.get("admin", "plan_update.php?id=5&currency=irr&price=1000")["id"] == 3
    assert plans.get("admin", "plan_update.php?plan_id=20&currency=IRR&price=6")["id"] == 10
    assert plans.get("admin", "plan_update.php?external_id=9&price=0")["error"] == 0
    made = plans.get("admin", "plan_update.php?id=77&currency=USD&price=5&days=30")
    assert plans.row(made["id"]) == ("77", "77", "USD", "5.00", 30, None)
    assert [row[4] for row in plans.rows] == ["30.00", "12.90", "1000.00", "12.00", "0.00", "6.00", "5.00"]
