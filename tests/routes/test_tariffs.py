"""The portal's tariffs and the plans made of them: golden cases T and S of contract chapter 40, and a faulty portal."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from simulators.faults import Answer, Cut, Delay, Fault, Hang, HangUp
from simulators.wire import Response
from tests.conftest import MakeWorld
from tests.worlds.harness import NOT_LOGGED_IN, PREFIXES, Client
from tests.worlds.plans import CRON_KEY, PLANS, SECONDS, T1, Plans, plans_world
from tests.worlds.waiting import until

FAILED = "Failed to fetch tariff plans from Stalker Portal"
FAILURE = {"error": 1, "err_msg": FAILED, "message": FAILED, "code": 8}


def _answer(body: bytes, status: int = 200) -> Answer:
    return Answer(Response(body, status, content_type="application/json"))


FAULTS: dict[str, Fault] = {
    "down": HangUp(),
    "silent": Hang(),
    "slow": Delay(SECONDS * 3),
    "half": Cut(),
    "half, announced so": Cut(consistent=True),
    "error": _answer(b'{"status":"ERROR"}'),
    "html": Answer(Response(b"<html>Service</html>")),
    "empty": _answer(b""),
    "a list": _answer(b"[]"),
    "a text for a list": _answer(b'{"status":"OK","results":"no"}'),
    "false": _answer(b'{"status":"OK","results":false}'),
    "401": _answer(b'{"status":"ERROR","results":"","error":"401 Unauthorized request"}', 401),
    "500": _answer(b"", 500),
}


# T: the tariffs


@pytest.mark.parametrize("prefix", PREFIXES)
def test_t1_the_tariffs_as_numbers(plans: Plans, prefix: str) -> None:
    plans = plans
    plans.offers()
    answer = plans.client("radmin").get(f"{prefix}get_tariffs.php").json()
    assert answer == {
        "error": 0,
        "err_msg": "",
        "message": "",
        "tariffs": [
            {"id": 5, "name": "Six Months", "days": 180, "description": "", "external_id": "5"},
            {"id": 9, "name": "Unl", "days": 0, "description": "", "external_id": "9"},
            {"id": 10, "name": "N", "days": 30, "days_guessed": 1, "description": "", "external_id": "10"},
        ],
        "count": 3,
    }
    assert plans.portal.calls == ["GET tariffs/"]


def test_a_real_portal_s_tariffs(sqlite_plans: Plans) -> None:
    sqlite_plans.portal.add_plan("78", "1 Month", days_to_expires=30)
    [tariff] = sqlite_plans.post("admin", "get_tariffs", {}, "form")["tariffs"]
    assert (tariff["id"], tariff["external_id"], tariff["name"], tariff["days"]) == (1, "78", "1 Month", 30)


def test_tariffs_of_every_shape(sqlite_plans: Plans) -> None:
    sqlite_plans.offers(
        [
            {"name": "no id"},
            {"id": None, "name": "none"},
            {"id": 7, "name": None, "days_to_expires": 365, "description": "<b>d</b>"},
            {"id": "gold", "name": " <i> ", "days_to_expires": "", "external_id": "g-1"},
            {"id": "007", "name": "B & C<script>", "days_to_expires": "x"},
            {"id": "9" * 40, "name": "long", "days_to_expires": -5},
            "no record",
        ]
    )
    assert [tuple(tariff.values()) for tariff in sqlite_plans.get("admin", "get_tariffs.php")["tariffs"]] == [
        (7, "Tariff 7", 365, "bd/b", "7"),
        ("gold", "i", 30, 1, "", "g-1"),
        ("007", "B & Cscript", 30, 1, "", "007"),
        ("9" * 40, "long", 30, 1, "", "9" * 40),
    ]


def test_a_portal_without_tariffs(sqlite_plans: Plans) -> None:
    sqlite_plans.offers([])
    answer = sqlite_plans.get("admin", "get_tariffs.php")
    assert (answer["error"], answer["tariffs"], answer["count"]) == (0, [], 0)
    assert sqlite_plans.get("admin", "sync_plans_web.php")["total_plans"] == 0


@pytest.mark.parametrize("fault", FAULTS)
def test_t2_a_faulty_portal_changes_nothing(sqlite_plans: Plans, fault: str) -> None:
    plans = sqlite_plans
    plans.portal.add_plan("78", "1 Month")
    plans.portal.fail("GET tariffs*", FAULTS[fault], times=None)
    begun = time.monotonic()
    assert plans.get("admin", "get_tariffs.php") == FAILURE
    assert plans.get("admin", "sync_plans_web.php") == FAILURE
    response = plans.client("admin").get("/sync_plans.php")
    assert (response.status_code, response.text) == (200, FAILED + "\n")
    assert time.monotonic() - begun < 6 * SECONDS + 2
    assert (plans.rows, plans.audit) == (list(PLANS), [])
    # the failure is not kept
    plans.portal.clear_faults()
    assert plans.get("admin", "get_tariffs.php")["count"] == 1


def test_t2_a_portal_that_is_gone_or_not_configured(sqlite_plans: Plans) -> None:
    sqlite_plans.portal.stop_listening()
    assert sqlite_plans.get("admin", "get_tariffs.php") == FAILURE
    sqlite_plans.world.panel.portals._primary = None
    assert sqlite_plans.get("admin", "get_tariffs.php") == FAILURE


def test_t3_who_may_not(plans: Plans) -> None:
    plans = plans
    for call, refused in (("get_tariffs.php", ("res", "obs")), ("sync_plans_web.php", ("res", "obs", "radmin"))):
        for who in refused:
            assert plans.get(who, call)["code"] == 3, (who, call)
        assert plans.get(None, call) == NOT_LOGGED_IN
    assert plans.portal.calls == []


@pytest.mark.one_process("each keeps the tariffs for a minute")
def test_a_good_answer_is_kept_for_a_minute_an_import_asks_anew(sqlite_plans: Plans) -> None:
    plans = sqlite_plans
    plans.portal.add_plan("78", "1 Month")
    for who in ("admin", "radmin", "admin"):
        assert plans.get(who, "get_tariffs.php")["count"] == 1
    assert plans.portal.calls == ["GET tariffs/"]
    plans.portal.add_plan("79", "2 Months")
    assert plans.get("admin", "sync_plans_web.php")["total_plans"] == 2
    assert plans.get("admin", "get_tariffs.php")["count"] == 2
    assert plans.portal.calls == ["GET tariffs/"] * 2


@pytest.mark.one_process("each asks the portal once")
def test_a_slow_portal_holds_up_nobody_else(make_world: MakeWorld) -> None:
    """Pages that ask at once share one call, and the session's other requests are answered meanwhile."""
    with plans_world(make_world, "sqlite", seconds=10) as plans, ThreadPoolExecutor(4) as pool:
        plans.portal.add_plan("78", "1 Month")
        plans.portal.fail("GET tariffs*", Delay(0.6), times=None)
        client = plans.client("admin")
        slow = [pool.submit(client.get, "/get_tariffs.php") for _ in range(4)]
        until(lambda: plans.portal.calls, "the portal is asked")
        assert client.get("/get_plans.php").json()["error"] == 0
        assert not any(answer.done() for answer in slow)
        assert [answer.result().json()["count"] for answer in slow] == [1] * 4
        assert plans.portal.calls == ["GET tariffs/"]


# S: plans made of tariffs


def test_s2_the_import_of_the_web_page(plans: Plans) -> None:
    plans.world.execute("DELETE FROM _plans")
    plans.offers()
    answer = plans.get("admin", "sync_plans_web.php")
    assert (answer["synced_count"], answer["updated_count"], answer["total_plans"]) == (9, 0, 3)
    assert answer["plans"] == [
        {"id": 5, "name": "Six Months", "days": 180},
        {"id": 9, "name": "Unl", "days": 0},
        {"id": 10, "name": "N", "days": 30, "days_guessed": 1},
    ]
    prices = {"GBP": "10.00", "USD": "12.00", "EUR": "11.00", "IRR": "500000.00"}
    assert sorted(row[1:] for row in plans.rows) == sorted(
        [("9", "Unl", "*", "0.00", 0, None)]
        + [("5", "Six Months", code, price, 180, None) for code, price in prices.items()]
        + [("10", "N", code, price, 30, None) for code, price in prices.items()],
        key=lambda row: row[:3],
    )
    assert {plan["timestamp"] > 1700000000 for plan in plans.get("admin", "get_plans.php")["plans"]} == {True}
    again = plans.get("admin", "sync_plans_web.php")
    assert (again["error"], again["synced_count"], again["updated_count"]) == (0, 0, 9)
    [row] = plans.audit
    assert (row["action"], row["target_type"], row["new_value"]["9-*"]) == ("import", "plan", ["Unl", 0])
    assert plans.get("radmin", "sync_plans_web.php")["code"] == 3


def test_an_import_keeps_prices_and_what_it_does_not_know(plans: Plans) -> None:
    plans.add(20, "10", "Rial", "IRT", "5.00", 7, "application")
    plans.add(21, "10", "Doubled", "GBP", "6.00", 8, None)
    plans.add(22, "10", "Doubled later", "GBP", "7.00", 9, None)
    plans.offers([*T1, {"id": "5", "name": "Half a year", "days_to_expires": "182"}, {"id": "a b", "name": "odd"}])
    answer = plans.get("admin", "sync_plans_web.php")
    # of 5: USD and EUR, of 10: USD and EUR are new
    assert (answer["synced_count"], answer["updated_count"], answer["total_plans"]) == (4, 5, 3)
    assert plans.row(1) == ("5", "Half a year", "GBP", "30.00", 182, "renew_device")
    assert plans.row(9) == ("9", "Unl", "*", "0.00", 0, None)
    # the portal tells no length of 10: what was set stays (90 §13 M6)
    assert plans.row(20) == ("10", "N", "IRT", "5.00", 7, "application")
    assert plans.row(21) == ("10", "N", "GBP", "6.00", 8, None)
    assert plans.row(22) == ("10", "Doubled later", "GBP", "7.00", 9, None)
    assert plans.row(4) == PLANS[3][1:]
    [row] = plans.audit
    assert row["old_value"]["5-GBP"] == ["Six Months", 180]
    assert row["new_value"]["5-GBP"] == ["Half a year", 182]


def test_a_tariff_that_becomes_unlimited_or_limited_leaves_the_other_plans(plans: Plans) -> None:
    plans.offers([{"id": "5", "name": "Six", "days_to_expires": 0}, {"id": "9", "name": "Nine", "days_to_expires": 9}])
    answer = plans.get("admin", "sync_plans_web.php")
    assert (answer["synced_count"], answer["updated_count"]) == (5, 0)
    assert [row for row in plans.rows if row[0] < 10] == list(PLANS)
    assert ("5", "Six", "*", "0.00", 0, None) in [row[1:] for row in plans.rows]


@pytest.mark.every_kind
def test_two_imports_at_once_make_each_plan_once(plans: Plans) -> None:
    plans.offers()
    client, key = plans.client("admin"), plans.client(None)
    with ThreadPoolExecutor(4) as pool:
        calls = [(client, "/sync_plans_web.php"), (key, f"/sync_plans.php?cron_key={CRON_KEY}")] * 2
        answers = list(pool.map(lambda call: call[0].get(call[1]), calls))
    assert {answer.status_code for answer in answers} == {200}
    pairs = [row[1:4:2] for row in plans.rows]
    assert len(pairs) == len(set(pairs)) == 5 + 6


def test_the_first_prices_are_configured(sqlite_plans: Plans) -> None:
    plans = sqlite_plans
    plans.offers([T1[2]])
    panel = plans.world.panel
    section = type(panel.config.panel)(tariff_prices="EUR 7.5")  # type: ignore[arg-type]
    panel.config = panel.config.model_copy(update={"panel": section})
    assert plans.get("admin", "sync_plans_web.php")["synced_count"] == 1
    assert plans.rows[-1][1:] == ("10", "N", "EUR", "7.50", 30, None)


# S1: the import of crontabs


@pytest.mark.parametrize("prefix", PREFIXES)
def test_s1_nobody_may_import_not_even_from_this_machine(plans: Plans, prefix: str) -> None:
    plans = plans
    plans.offers()
    key = {"X-Cron-Key": CRON_KEY[:-1]}
    calls: list[tuple[Client, str, dict[str, str]]] = [
        (plans.client(None), "", {}),
        (plans.client(None), "", {"X-Forwarded-For": "127.0.0.1"}),
        (plans.client(None), "?cron_key=", {}),
        (plans.client(None), "?cron_key=1", {}),
        (plans.client(None), "?cron_key[]=1", {}),
        (plans.client(None), "?cron_key=%FF", key),
        *((plans.client(who), "", {}) for who in ("radmin", "res", "obs")),
    ]
    for client, query, headers in calls:
        response = client.get(f"{prefix}sync_plans.php{query}", headers=headers)
        assert response.status_code == 403
        assert response.headers["Content-Type"] == "text/html; charset=UTF-8"
        assert response.text.count("\n") == 1
    assert (plans.rows, plans.portal.calls) == (list(PLANS), [])


def test_without_a_configured_key_none_is_right(sqlite_plans: Plans) -> None:
    panel = sqlite_plans.world.panel
    panel.config = panel.config.model_copy(update={"security": type(panel.config.security)()})
    for query in ("", "?cron_key=", f"?cron_key={CRON_KEY}"):
        assert sqlite_plans.client(None).get(f"/sync_plans.php{query}").status_code == 403
    assert sqlite_plans.portal.calls == []


def test_the_import_of_crontabs_adds_and_never_changes(plans: Plans) -> None:
    plans.offers([T1[0], T1[1], {"id": "11", "name": "<b>Ann & Bob</b>", "days_to_expires": 7}])
    response = plans.client(None).get(f"/api/sync_plans.php?cron_key={CRON_KEY}")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "text/html; charset=UTF-8")
    assert response.text.splitlines() == [
        "5 GBP: already exists",
        "5 USD: imported Six Months - 180 days",
        "5 EUR: imported Six Months - 180 days",
        "5 IRR: already exists",
        "9 *: already exists",
        *(f"11 {code}: imported bAnn & Bob/b - 7 days" for code in ("GBP", "USD", "EUR", "IRR")),
        "Imported 6 plans",
    ]
    assert plans.row(9) == PLANS[4][1:]
    [row] = plans.audit
    assert (row["user_id"], row["username"], row["action"]) == (0, "cron", "import")
    by_header = plans.client(None).get("/sync_plans.php", headers={"X-Cron-Key": CRON_KEY})
    assert by_header.text.splitlines()[-1] == "Imported 0 plans"
    assert plans.client("admin").get("/sync_plans.php").text.splitlines()[-1] == "Imported 0 plans"
    assert len(plans.audit) == 1


def test_only_the_key_lets_the_import_be_opened_as_a_page(sqlite_plans: Plans) -> None:
    plans = sqlite_plans
    plans.offers()
    for site in ("none", "cross-site", "same-origin"):
        headers = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": site}
        assert plans.client("admin").get("/sync_plans.php", headers=headers).status_code == 403
    assert plans.rows == list(PLANS)
    answer: Any = plans.client(None).get(f"/sync_plans.php?cron_key={CRON_KEY}", headers=headers)
    assert (answer.status_code, len(plans.rows)) == (200, 5 + 6)


def test_m6_a_guess_never_takes_the_place_of_a_length_that_was_set(plans: Plans) -> None:
    """A portal that tells no lengths put corrected ones back to 30 days."""
    assert plans.row(1)[4] == 180
    plans.offers([{"id": "5", "name": "Six Months"}, {"id": "11", "name": "New"}])
    answer = plans.post("admin", "sync_plans_web", {})
    assert answer["error"] == 0
    assert plans.row(1)[4] == 180
    assert [(line["id"], line["days"], line.get("days_guessed")) for line in answer["plans"]] == [
        (5, 30, 1),
        (11, 30, 1),
    ]


# M7 of chapter 90 §13: tariffs without an external id of their own

ODD = [
    {"id": "5", "external_id": "", "name": "None", "days_to_expires": "30"},
    {"id": "6", "external_id": "x", "name": "First", "days_to_expires": "30"},
    {"id": "7", "external_id": "X", "name": "Second", "days_to_expires": "30"},
    {"id": "8", "external_id": "8", "name": "Right", "days_to_expires": "30"},
]
NONE = "The tariff None has no external id: the portal cannot give it to an account"
SHARED = "The tariffs First and Second have the same external id X: the portal gives the first"


def test_m7_tariffs_without_an_external_id_of_their_own_are_told(sqlite_plans: Plans) -> None:
    sqlite_plans.offers(ODD)
    answer = sqlite_plans.get("admin", "get_tariffs.php")
    assert [tariff["external_id"] for tariff in answer["tariffs"]] == ["", "x", "X", "8"]
    assert (answer["warning"], answer["warning_text"]) == (1, f"{NONE}; {SHARED}")


def test_m7_imports_tell_them_as_well(sqlite_plans: Plans) -> None:
    sqlite_plans.offers(ODD)
    answer = sqlite_plans.get("admin", "sync_plans_web.php")
    assert (answer["error"], answer["warning"], answer["warning_text"]) == (0, 1, f"{NONE}; {SHARED}")
    lines = sqlite_plans.client("admin").get("/sync_plans.php").text.splitlines()
    assert lines[-3:] == [f"Warning: {NONE}", f"Warning: {SHARED}", "Imported 0 plans"]


def test_m7_a_new_plan_of_such_a_tariff_says_so(sqlite_plans: Plans) -> None:
    sqlite_plans.offers(ODD)
    plan = {"name": "New", "currency": "GBP", "price": "5", "days": 30}
    answer = sqlite_plans.post("admin", "add_plan", plan | {"plan_id": "5"})
    assert (answer["error"], answer["warning"], answer["warning_text"]) == (0, 1, NONE)
    assert sqlite_plans.post("admin", "add_plan", plan | {"plan_id": "7"})["warning_text"] == SHARED
    for good in ("6", "8", "gold"):
        assert "warning" not in sqlite_plans.post("admin", "add_plan", plan | {"plan_id": good})


def test_m7_a_plan_is_made_also_while_the_portal_is_away(sqlite_plans: Plans) -> None:
    sqlite_plans.portal.stop_listening()
    plan = {"plan_id": "5", "name": "New", "currency": "GBP", "price": "5", "days": 30}
    answer = sqlite_plans.post("admin", "add_plan", plan)
    assert (answer["error"], "warning" in answer) == (0, False)
