"""The list of plans: golden cases P1 to P6 of contract chapter 40, and what no page may get from an old row."""

import pytest
import sqlalchemy as sa

from core.storage.tables import PlanNote, User
from tests.worlds.harness import NOT_LOGGED_IN, PREFIXES
from tests.worlds.plans import Plans
from tests.worlds.statements import statements

ALL = [9, 4, 3, 2, 1]


def _ids(plans: Plans, who: str, query: str = "") -> list[int]:
    answer = plans.get(who, f"get_plans.php{query}")
    assert answer["error"] == 0
    return [plan["id"] for plan in answer["plans"]]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_p1_a_super_admin_sees_all_newest_first(plans: Plans, prefix: str) -> None:
    plans.world.insert(PlanNote, [{"plan_id": 2, "created_at": 1700000000}])
    response = plans.client("admin").get(f"{prefix}get_plans.php")
    assert response.text.startswith('{"error":0,')
    answer = response.json()
    assert list(answer) == ["error", "err_msg", "message", "plans"]
    assert [plan["id"] for plan in answer["plans"]] == ALL
    assert answer["plans"][4] == {
        "id": 1,
        "plan_id": "5",
        "external_id": "5",
        "name": "Six Months",
        "currency": "GBP",
        "currency_id": "GBP",
        "price": 30,
        "expiry_days": 180,
        "days": 180,
        "category": "renew_device",
        "timestamp": 0,
    }
    assert (answer["plans"][3]["price"], answer["plans"][3]["timestamp"]) == (55.5, 1700000000)
    assert (answer["plans"][2]["price"], answer["plans"][0]["category"]) == (65000000, None)


def test_p2_and_p3_who_sees_what(plans: Plans) -> None:
    seen = {
        ("res", "?viewAllAccounts=true"): [2, 1, 9],
        ("res", ""): [2, 1, 9],
        ("radmin", "?viewAllAccounts=true"): ALL,
        ("radmin", "?viewAllAccounts=1"): ALL,
        ("radmin", "?viewAllAccounts=false"): [1, 9],
        ("radmin", ""): [1, 9],
        ("obs", ""): ALL,
        ("resirr", ""): [3, 9],
    }
    assert {case: _ids(plans, *case) for case in seen} == seen
    assert plans.post("radmin", "get_plans", {"viewAllAccounts": True}, "form")["plans"][0]["id"] == 1


@pytest.mark.parametrize("prefix", PREFIXES)
def test_p4_nobody(plans: Plans, prefix: str) -> None:
    response = plans.client(None).get(f"{prefix}get_plans.php")
    assert (response.status_code, response.json()) == (200, NOT_LOGGED_IN)
    assert response.headers["Content-Type"] == "application/json"


def test_p5_and_p6_how_keys_are_read(plans: Plans) -> None:
    plans.add(10, "1-month-gbp", "Month", "GBP", 10, 30, None)
    plans.add(11, "20", "Old Rial", "IRT", 5, 30, None)
    for keys, who, seen in [
        ("1-month-gbp-GBP,5-GBP", "res", [10, 1, 9]),
        ("1-month-gbp", "res", [10, 9]),
        ("5-IRT", "resirr", [3, 9]),
        ("20-IRR,20-IRT,5-irr", "resirr", [11, 3, 9]),
        (" 7-GBP , ,7-GBP,9-*", "res", [2, 9]),
        ("7", "res", [2, 9]),
        ("", "res", [9]),
        (None, "res", [9]),
        ("-,--,-GBP,*,GBP", "res", [9]),
    ]:
        plans.set_keys(who, keys)
        assert _ids(plans, who) == seen, keys
    listed = {plan["id"]: plan["currency_id"] for plan in plans.get("admin", "get_plans.php")["plans"]}
    assert (listed[3], listed[11]) == ("IRR", "IRR")


def test_a_list_without_plans_is_a_success(plans: Plans) -> None:
    plans.world.execute("DELETE FROM _plans")
    assert plans.get("admin", "get_plans.php") == {"error": 0, "err_msg": "", "message": "", "plans": []}


def test_rows_that_only_an_old_panel_makes(plans: Plans) -> None:
    plans.add(20, "50", None, None, None, None, "")
    plans.add(21, None, None, "GBP", "1.00", 5, "<b>odd</b>")
    plans.add(22, "a');alert(1)//&#39;\\", '<img src=x onerror="x">', "GBP", "1.00", 5, None)
    hostile, empty, bare = plans.get("admin", "get_plans.php")["plans"][:3]
    # what the row does not say is unknown, not 0
    assert [bare[name] for name in ("name", "currency_id", "price", "days", "category")] == ["50", "", None, None, None]
    assert (empty["external_id"], empty["name"], empty["category"]) == ("", "", "bodd/b")
    assert not set("<>'\"\\&`") & set(hostile["external_id"])
    assert not set("<>") & set(hostile["name"])


@pytest.mark.one_process("the statements of one are counted")
def test_a_long_list_takes_one_query(sqlite_plans: Plans) -> None:
    plans = sqlite_plans
    plans.client("res")
    for number in range(100, 300):
        plans.add(number, str(number), f"Plan {number}", "GBP", 1, 30, None)
    keys = ",".join(f"{number}-GBP" for number in range(100, 300))
    plans.world.execute(sa.update(User).where(User.username == "res").values(plans=keys))
    with statements(plans.world.panel) as seen:
        assert len(_ids(plans, "res")) == 201
    assert len([text for text in seen if "_plans" in text]) == 1
