"""The golden cases 1 to 32 of contract chapter 30 F: the list of resellers, adding, changing and deleting them."""

import datetime
import threading
import time
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa

from compat.guards.loop_guard import LoopGuard
from core.storage.tables import (
    Account,
    ArchivedPayment,
    Credential,
    Currency,
    Plan,
    ResellerPayment,
    SmsSettings,
    SmsTemplate,
    User,
    WebauthnCredential,
)
from tests.worlds.harness import ENCODINGS, NOT_LOGGED_IN, PREFIXES, Client, legacy_hash, user_row
from tests.worlds.resellers import DARK, DEFAULT_THEME, Resellers, refused
from tests.worlds.statements import statements

# the list


def test_golden_1_3_the_list(resellers: Resellers) -> None:
    answer = resellers.get("admin", "/get_resellers.php")
    assert list(answer) == ["error", "resellers"]
    assert [item["id"] for item in answer["resellers"]] == [5, 4, 3, 2]
    assert answer["resellers"][3] == {
        "id": 2,
        "username": "reseller1",
        "full_name": "Reseller One",
        "name": "Reseller One",
        "email": "r1@example.com",
        "max_users": 5,
        "currency": "GBP",
        "currency_id": "GBP",
        "currency_name": "GBP",
        "theme": DEFAULT_THEME,
        "super_user": 0,
        "is_observer": 0,
        "permissions": "1|1|0|1|1|1|1",
        "balance": 500.0,
        "plans": "1-GBP,2-GBP",
        "account_count": 3,
        "ip_ranges": "",
        "timestamp": 1700000000,
    }
    assert answer["resellers"][1]["is_observer"] == 1
    assert resellers.get("watcher", "/api/get_resellers.php") == answer
    assert resellers.client("readmin").post("/get_resellers.php").json() == answer
    assert legacy_hash("pw1") not in str(answer)


def test_golden_2_4_who_may_not(resellers: Resellers) -> None:
    answer = resellers.get("reseller1", "/api/get_resellers.php")
    refused(answer, 3)
    assert "resellers" not in answer
    response = resellers.world.client().get("/get_resellers.php")
    assert (response.status_code, response.json()) == (200, NOT_LOGGED_IN)


def test_golden_5_currencies_are_codes(resellers: Resellers) -> None:
    resellers.world.execute(sa.update(User).where(User.id == 5).values(currency_id="IRT", plans="7-IRT,8-x-irt"))
    resellers.world.execute(sa.delete(Currency).where(Currency.id == "GBP"))
    try:
        first, *_, last = resellers.get("readmin", "/get_resellers.php")["resellers"]
    finally:
        resellers.world.insert(Currency, [{"id": "GBP", "name": "GBP"}])
    assert last["currency_name"] == "GBP"
    assert [first[key] for key in ("currency", "currency_id", "currency_name")] == ["IRR"] * 3
    assert first["plans"] == "7-IRR,8-x-IRR"


def test_old_rows_cannot_become_script(light_resellers: Resellers) -> None:
    name = 'O\'Brien <b>"x"</b> \\ ` &#39;);alert(1)//'
    values = {"username": "a'b\"<c>", "email": "x'y@example.com", "plans": "1-GBP'", "permissions": None, "theme": None}
    light_resellers.world.execute(sa.update(User).where(User.id == 5).values(name=name, **values))
    item = light_resellers.get("admin", "/get_resellers.php")["resellers"][0]
    assert item["name"] == "O’Brien ‹b›”x”‹/b›   #39;);alert(1)//"
    assert item["full_name"] == item["name"]
    assert [item[key] for key in ("username", "email", "plans", "permissions", "theme")] == [
        "a’b”‹c›",
        "x’y@example.com",
        "1-GBP",
        "",
        None,
    ]


@pytest.mark.one_process("the statements of one are counted")
def test_500_resellers_take_one_query(resellers: Resellers) -> None:
    resellers.world.insert(User, [user_row(n, "limited") | {"username": f"r{n}"} for n in range(100, 600)])
    client = resellers.client("admin")
    client.get("/get_resellers.php")
    with statements(resellers.panel) as seen:
        answer = client.get("/get_resellers.php").json()
    assert len(answer["resellers"]) == 504
    assert sum("_accounts" in statement for statement in seen) == 1
    assert len([statement for statement in seen if statement.startswith("SELECT")]) == 1, seen
    assert min(_seconds_of_work(client) for _ in range(5)) < 0.3


def _seconds_of_work(client: Client) -> float:
    """Of this process, the server and its client, whatever else the machine does."""
    before = time.process_time()
    client.get("/get_resellers.php")
    return time.process_time() - before


def test_the_loop_of_an_empty_list_ends(light_resellers: Resellers) -> None:
    client = light_resellers.client("admin")
    light_resellers.world.execute(sa.delete(Account))
    light_resellers.world.execute(sa.delete(User).where(User.id > 1))
    answers = [client.get("/get_resellers.php") for _ in range(15)]
    assert [answer.json()["error"] for answer in answers] == [0] * 10 + [1] * 5
    assert answers[0].json()["resellers"] == []
    assert {answer.status_code for answer in answers[10:]} == {429}
    assert answers[-1].headers["Retry-After"] == "5"
    light_resellers.world.insert(User, [user_row(9, "limited")])
    assert len(client.get("/get_resellers.php").json()["resellers"]) == 1


def test_a_pause_ends_the_refusal() -> None:
    guard = LoopGuard(2, 0.1)
    assert [guard.is_looping("a") for _ in range(4)] == [False, False, True, True]
    assert not guard.is_looping("b")
    time.sleep(0.15)
    assert not guard.is_looping("a")


# adding

RES6 = {
    "username": "res6",
    "password": "pw",
    "full_name": "Res Six",
    "email": "s@example.com",
    "max_users": 100,
    "currency": "GBP",
    "theme": "light",
    "initial_balance": 500.00,
}


@pytest.mark.parametrize("prefix", PREFIXES)
def test_golden_6_8_the_documents_call(resellers: Resellers, prefix: str) -> None:
    answer = resellers.client("admin").post(f"{prefix}add_reseller.php", RES6, "json").json()
    assert answer == {"error": 0, "err_msg": "Reseller created successfully", "reseller_id": 6}
    row = resellers.world.user("res6")
    assert (row["name"], row["email"], row["max_users"], row["theme"]) == ("Res Six", "s@example.com", 100, "light")
    assert (row["permissions"], row["super_user"], row["is_observer"]) == ("0|0|0|0|1|0", 0, 0)
    assert resellers.balance("res6") == Decimal("500.00")
    [entry] = resellers.transactions
    assert (entry["creator"], entry["for_user"], entry["type"], entry["currency"]) == ("admin", 6, 1, "GBP")
    assert Decimal(str(entry["amount"])) == Decimal(500)
    assert entry["details"] == "Credit adjustment by admin: add 500 (Previous: 0, New: 500)"
    templates = resellers.world.rows(sa.select(SmsTemplate.name, SmsTemplate.template).where(SmsTemplate.user_id == 6))
    assert sorted(template["name"] for template in templates) == [
        "1 Day Before Expiry",
        "3 Days Before Expiry",
        "7 Days Before Expiry",
        "Account Expired",
        "Expiry Reminder",
        "New Account Welcome",
        "Payment Reminder",
        "Renewal Confirmation",
    ]
    assert all("{name}" in template["template"] and "{expiry_date}" in template["template"] for template in templates)
    [settings] = resellers.world.rows(sa.select(*SmsSettings.__table__.c).where(SmsSettings.user_id == 6))
    assert (settings["auto_send_enabled"], settings["days_before_expiry"], settings["api_token"]) == (0, 7, None)
    [audit] = resellers.audit("create", "user")
    assert (audit["target_id"], audit["target_name"]) == ("6", "res6")
    assert '"max_users":100' in audit["new_value"]
    assert "password" not in audit["new_value"]
    assert resellers.portal.requests == []
    assert resellers.world.client("res6", "pw").get("/get_user_info.php").json()["user"]["id"] == 6
    again = resellers.client("admin").post(f"{prefix}add_reseller.php", {**RES6, "username": "RES6"}, "json").json()
    refused(again, 5, "Username already exists")
    assert len(resellers.world.rows(sa.select(User.id))) == 6


FORM_7 = {
    "username": "res7",
    "password": "pw",
    "name": "Res",
    "email": "",
    "max_users": "0",
    "currency": "IRR",
    "balance": "12.35",
    "plans": "",
    "theme": "digital",
    "can_edit_accounts": "1",
    "use_ip_ranges": "",
    "permissions": "1|0|0|0|0|0|0|0",
    "is_observer": "0",
}


def test_golden_7_11_15_the_forms_call(resellers: Resellers) -> None:
    assert resellers.post("admin", "add_reseller", "multipart", **FORM_7)["error"] == 0
    row = resellers.world.user("res7")
    assert (row["permissions"], row["currency_id"], row["theme"]) == ("1|0|0|0|0|0|0|0", "IRR", "digital")
    assert resellers.balance("res7") == Decimal("12.35")
    fields = {"username": "watch2", "password": "p", "name": "W", "super_user": "1"}
    made = resellers.post("readmin", "add_reseller", **fields, is_observer="1", permissions="1|1|1|1|1|1|1")
    assert made["error"] == 0
    row = resellers.world.user("watch2")
    assert (row["permissions"], row["is_observer"], row["super_user"]) == ("0|0|0|0|0|0|0", 1, 0)
    # absent: the defaults
    assert (row["currency_id"], row["theme"], row["plans"], row["email"]) == ("GBP", DEFAULT_THEME, "", "")
    assert len(resellers.transactions) == 1


ADD = {"username": "x", "password": "p", "name": "X"}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_golden_9_10_12_13_14_what_is_refused(resellers: Resellers, encoding: str) -> None:
    before = resellers.world.rows(sa.select(User.id))
    cases: list[tuple[dict[str, Any], str | None]] = [
        ({"name": ""}, "Missing required fields"),
        ({"password": " "}, "Missing required fields"),
        ({"username": ""}, "Missing required fields"),
        ({"permissions": "junk"}, None),
        ({"permissions": "1|1|1|1|1|1|1|1|1"}, None),
        ({"permissions": "1||1"}, None),
        ({"balance": "-1"}, None),
        ({"balance": "abc"}, None),
        ({"balance": "1e400"}, None),
        ({"balance": "NaN"}, None),
        ({"balance": "99999999999999"}, None),
        ({"currency": "ZZZ"}, None),
        ({"max_users": "-1"}, None),
        ({"max_users": "many"}, None),
        ({"max_users": "9999999999"}, None),
        ({"theme": "a&login=user00001"}, None),
        ({"theme": "x" * 51}, None),
        ({"name": "<img src=x>"}, None),
        ({"name": "x&#39;);alert(1)//"}, None),
        ({"name": 'a"b'}, None),
        ({"username": "a b"}, None),
        ({"username": "a'b"}, None),
        ({"username": "x" * 101}, None),
        ({"email": "nobody"}, None),
        ({"email": "o'b@example.com"}, None),
        ({"use_ip_ranges": "x" * 1001}, None),
        (
            {"plans": "1-GBP,3-USD"},
            "A reseller with currency GBP cannot have these plans: 1 Year (USD)",
        ),
        ({"plans": "nonsense"}, None),
    ]
    for change, text in cases:
        refused(resellers.post("admin", "add_reseller", encoding, **{**ADD, **change}), 6, text)
    for who in ("reseller1", "watcher", "limited"):
        refused(resellers.post(who, "add_reseller", encoding, **ADD), 3)
    assert resellers.world.rows(sa.select(User.id)) == before
    assert resellers.transactions == []


def test_json_that_is_no_text_is_refused(light_resellers: Resellers) -> None:
    for field in ("username", "name", "balance", "permissions", "is_observer", "max_users"):
        refused(light_resellers.post("admin", "add_reseller", "json", **{**ADD, field: {"a": 1}}), 6)
    assert (
        light_resellers.post("admin", "add_reseller", "json", **ADD, plans=["2-GBP", "1-GBP"], currency=1)["error"] == 0
    )
    assert light_resellers.world.user("x")["plans"] == "2-GBP,1-GBP"


@pytest.mark.every_kind
def test_one_of_two_at_once_gets_the_name(resellers: Resellers) -> None:
    clients = [resellers.world.client("admin") for _ in range(6)]
    answers = _at_once([lambda c=c: c.post("/add_reseller.php", ADD).json() for c in clients])  # type: ignore[misc]
    assert sorted(answer["error"] for answer in answers) == [0, 1, 1, 1, 1, 1]
    assert {answer["code"] for answer in answers if answer["error"]} == {5}
    assert len(resellers.world.rows(sa.select(User.id).where(User.username == "x"))) == 1


def _at_once(calls: list[Any]) -> list[Any]:
    answers: list[Any] = [None] * len(calls)

    def run(number: int) -> None:
        answers[number] = calls[number]()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_templates_in_the_operators_language_with_contact(light_resellers: Resellers) -> None:
    light_resellers.configure("sms", template_language="en", support_contact="Call +44 20 0000")
    assert light_resellers.post("admin", "add_reseller", **ADD)["error"] == 0
    templates = light_resellers.world.rows(sa.select(SmsTemplate.template, SmsTemplate.description))
    assert len(templates) == 8
    assert all(row["template"].startswith("Dear {name}") for row in templates)
    assert all(row["template"].endswith("\nCall +44 20 0000") for row in templates)
    assert sum(row["description"] is not None for row in templates) == 4


# changing

FORM_16 = {
    "id": "2",
    "username": "reseller1",
    "password": "",
    "name": "Reseller One",
    "email": "r1@example.com",
    "max_users": "5",
    "currency": "GBP",
    "theme": DEFAULT_THEME,
    "can_edit_accounts": "1",
    "permissions": "1|1|0|1|1|1|1",
    "is_observer": "0",
    "use_ip_ranges": "",
}


@pytest.mark.parametrize("prefix", PREFIXES)
def test_golden_16_17_the_forms_call(resellers: Resellers, prefix: str) -> None:
    before = resellers.world.user("reseller1")
    admin = resellers.client("admin")
    assert admin.post(f"{prefix}update_reseller.php", FORM_16, "multipart").json() == {"error": 0, "err_msg": ""}
    assert resellers.world.user("reseller1") == before
    assert resellers.portal.requests == []
    assert resellers.audit("update", "user") == []
    resellers.client("reseller1")
    answer = admin.post(f"{prefix}update_reseller.php", {**FORM_16, "theme": DARK}, "multipart").json()
    text = "Reseller updated successfully. Theme changed for all 3 accounts."
    assert answer == {"error": 0, "err_msg": text}
    assert resellers.themed == [
        {"key": "theme-key", "login": f"user0000{number}", "theme": DARK} for number in (2, 5, 6)
    ]
    assert [request.call for request in resellers.portal.requests] == ["POST update_account.php"] * 3
    times = [request.at for request in resellers.portal.requests]
    assert all(later - earlier >= 0.1 for earlier, later in pairwise(times))
    assert resellers.world.user("reseller1") == {**before, "theme": DARK}


def test_golden_18_a_theme_that_failed(resellers: Resellers) -> None:
    answer = resellers.post("admin", "update_reseller", "multipart", id="5", theme="cappuccino")
    assert answer == {
        "error": 0,
        "warning": 1,
        "warning_text": "Reseller updated. Theme changed for 0/1 accounts (1 failed).",
        "err_msg": "Reseller updated. Theme changed for 0/1 accounts (1 failed).",
    }
    assert resellers.world.user("limited")["theme"] == "cappuccino"
    assert resellers.post("admin", "update_reseller", id="5", theme="") == {"error": 0, "err_msg": ""}
    assert resellers.world.user("limited")["theme"] == ""
    # nobody's accounts
    everybody = resellers.post("admin", "update_reseller", id="4", theme="digital")["err_msg"]
    assert everybody == "Reseller updated successfully. Theme changed for all 0 accounts."


@pytest.mark.every_kind
def test_golden_19_24_what_is_not_sent_stays(resellers: Resellers) -> None:
    resellers.world.execute(sa.update(User).where(User.id == 2).values(currency_id="IRT", theme="default"))
    before = resellers.world.user("reseller1")
    assert resellers.post("admin", "update_reseller", id="2", name="New Name") == {"error": 0, "err_msg": ""}
    assert resellers.world.user("reseller1") == {**before, "name": "New Name"}
    form = {key: value for key, value in FORM_16.items() if key not in ("currency", "theme")}
    assert resellers.post("admin", "update_reseller", "multipart", **form)["error"] == 0
    assert resellers.world.user("reseller1") == {**before, "name": "Reseller One"}
    # writing IRR over a stored IRT keeps the stored spelling; null is absent
    nothing = {"theme": None, "email": None, "permissions": None, "is_observer": None, "max_users": None}
    assert resellers.post("admin", "update_reseller", "json", id=2, currency="irr", **nothing)["error"] == 0
    assert resellers.world.user("reseller1") == {**before, "name": "Reseller One"}
    assert resellers.post("admin", "update_reseller", id="2", email="", max_users="")["error"] == 0
    row = resellers.world.user("reseller1")
    assert (row["email"], row["max_users"]) == ("", 0)
    assert resellers.portal.requests == []


DOCUMENT_20 = {
    "id": "2",
    "username": "reseller1",
    "password": "newpass123",
    "name": "Reseller One Updated",
    "email": "new@example.com",
    "max_users": "200",
    "theme": DARK,
    "currency": "USD",
    "permissions": "1|1|0|0|1|1|1",
    "is_observer": 0,
}


@pytest.mark.every_kind
def test_golden_20_the_documents_call(resellers: Resellers) -> None:
    old_session = resellers.world.client("reseller1")
    assert old_session.get("/get_user_info.php").json()["error"] == 0
    answer = resellers.post("admin", "update_reseller", "json", **DOCUMENT_20)
    text = "Reseller updated successfully. Theme changed for all 3 accounts."
    assert answer == {"error": 0, "err_msg": text}
    row = resellers.world.user("reseller1")
    assert (row["name"], row["email"], row["max_users"]) == ("Reseller One Updated", "new@example.com", 200)
    assert (row["currency_id"], row["permissions"], row["plans"]) == ("USD", "1|1|0|0|1|1|1", "1-GBP,2-GBP")
    assert resellers.balance("reseller1") == Decimal(500)
    wrong = resellers.world.client().post("/login.php", {"username": "reseller1", "password": "pw1"}).json()
    assert wrong["error"] == 1
    resellers.world.client("reseller1", "newpass123")
    assert old_session.get("/get_user_info.php").json() == NOT_LOGGED_IN
    [audit] = resellers.audit("update", "user")
    assert '"password_changed":true' in audit["new_value"]
    assert "newpass123" not in str(audit)
    [permissions] = resellers.audit("update", "permissions")
    assert (permissions["old_value"], permissions["new_value"]) == (
        '{"permissions":"1|1|0|1|1|1|1"}',
        '{"permissions":"1|1|0|0|1|1|1"}',
    )


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_golden_21_22_23_25_what_is_refused(resellers: Resellers, encoding: str) -> None:
    before = resellers.world.rows(sa.select(*User.__table__.c).order_by(User.id))
    cases: list[tuple[str, dict[str, Any], int, str | None]] = [
        ("readmin", {"id": "3", "permissions": "1|1|0|0|0|0|0"}, 3, None),
        ("readmin", {"id": "3", "permissions": "1|1"}, 3, None),
        ("readmin", {"id": "3", "is_observer": "1"}, 3, None),
        ("readmin", {"id": "1", "name": "X", "password": "taken-over"}, 4, None),
        ("admin", {"id": "1", "name": "X"}, 4, None),
        ("admin", {"id": "999", "name": "X"}, 4, None),
        ("admin", {"id": "2", "username": "Limited"}, 5, "Username already exists"),
        ("admin", {"id": "2", "name": ""}, 6, "Missing required fields"),
        ("admin", {"id": "2", "username": " "}, 6, "Missing required fields"),
        ("admin", {"name": "X"}, 6, "Missing required fields"),
        ("admin", {"id": "0", "name": "X"}, 6, "Missing required fields"),
        ("admin", {"id": "x", "name": "X"}, 6, None),
        ("admin", {"id": "2", "theme": "a&login=user00001"}, 6, None),
        ("admin", {"id": "2", "permissions": "junk"}, 6, None),
        ("admin", {"id": "2", "currency": "ZZZ"}, 6, None),
        ("admin", {"id": "2", "name": "<b>"}, 6, None),
        ("admin", {"id": "2", "username": "a<b"}, 6, None),
        ("admin", {"id": "2", "email": "x"}, 6, None),
        ("admin", {"id": "2", "max_users": "-1"}, 6, None),
        ("reseller1", {"id": "2", "name": "X"}, 3, None),
        ("watcher", {"id": "2", "name": "X"}, 3, None),
    ]
    for who, fields, code, text in cases:
        refused(resellers.post(who, "update_reseller", encoding, **fields), code, text)
    assert resellers.world.rows(sa.select(*User.__table__.c).order_by(User.id)) == before
    assert resellers.portal.requests == []


@pytest.mark.every_kind
def test_an_observer_has_no_permissions(resellers: Resellers) -> None:
    assert resellers.post("admin", "update_reseller", id="2", is_observer="7")["error"] == 0
    row = resellers.world.user("reseller1")
    assert (row["is_observer"], row["permissions"]) == (1, "0|0|0|0|0|0|0")
    assert resellers.post("admin", "update_reseller", id="2", permissions="1|1|1|1|1|1|1|1")["error"] == 0
    assert resellers.world.user("reseller1")["permissions"] == "0|0|0|0|0|0|0|0"
    assert resellers.post("admin", "update_reseller", id="2", is_observer="0", permissions="1|1")["error"] == 0
    row = resellers.world.user("reseller1")
    assert (row["is_observer"], row["permissions"]) == (0, "1|1")


def test_what_the_form_shows_of_an_old_row_reads_back_unchanged(light_resellers: Resellers) -> None:
    old = {"name": 'O\'Brien & "Sons"', "username": "john smith", "permissions": "1|1|1|1|1", "theme": "a&b"}
    light_resellers.world.execute(sa.update(User).where(User.id == 5).values(**old))
    before = light_resellers.world.user("john smith")
    shown = light_resellers.get("admin", "/get_resellers.php")["resellers"][0]
    form = {key: shown[key] for key in ("id", "username", "name", "email", "max_users", "currency", "theme")}
    form |= {"permissions": shown["permissions"], "is_observer": 0, "use_ip_ranges": "", "password": ""}
    form["email"] = ""
    assert light_resellers.post("admin", "update_reseller", "json", **form) == {"error": 0, "err_msg": ""}
    assert light_resellers.world.user("john smith") == {**before, "email": None} | {"ip_ranges": before["ip_ranges"]}


@pytest.mark.every_kind
def test_a_reseller_admin_changes_himself_and_goes_on(resellers: Resellers) -> None:
    here, there = resellers.world.client("readmin"), resellers.world.client("readmin")
    assert there.get("/get_user_info.php").json()["error"] == 0
    answer = here.post(
        "/update_reseller.php", {"id": "3", "username": "boss", "password": "new-pass", "old_password": "pw4"}
    ).json()
    assert answer["error"] == 0
    assert here.get("/get_user_info.php").json()["user"]["username"] == "boss"
    assert there.get("/get_user_info.php").json() == NOT_LOGGED_IN


def test_a_new_user_of_an_old_name_does_not_inherit_sessions(resellers: Resellers) -> None:
    # as an older panel wrote sessions: without the user's id, and so long ago that it never came here
    old = resellers.world.php_session(
        f'login|i:1;username|s:7:"limited";last_activity|i:{int(resellers.panel.clock.seconds()) - 2};'
    )
    newer = resellers.world.client("limited")
    assert resellers.post("admin", "update_reseller", id="5", username="renamed")["error"] == 0
    assert resellers.world.client("renamed", "pw6").get("/get_user_info.php").json()["user"]["id"] == 5
    assert resellers.post("admin", "add_reseller", username="limited", password="other", name="L")["error"] == 0
    for session in (old, newer):
        assert session.get("/get_accounts.php").json() == NOT_LOGGED_IN
    # another existing user takes a name over
    assert resellers.post("admin", "update_reseller", id="6", username="elsewhere")["error"] == 0
    assert resellers.post("admin", "update_reseller", id="2", username="limited")["error"] == 0
    late = resellers.world.php_session(
        f'login|i:1;username|s:7:"limited";last_activity|i:{int(resellers.panel.clock.seconds()) - 2};'
    )
    assert late.get("/get_accounts.php").json() == NOT_LOGGED_IN


def test_a_demotion_during_the_session_works_at_once(resellers: Resellers) -> None:
    client = resellers.world.client("readmin")
    assert client.get("/get_resellers.php").json()["error"] == 0
    assert resellers.post("admin", "update_reseller", id="3", permissions="1|1|0|1|1|1|1")["error"] == 0
    assert client.get("/get_resellers.php").json()["error"] == 1
    observer = resellers.world.client("readmin")
    assert resellers.post("admin", "update_reseller", id="3", permissions="1|1|1|1")["error"] == 0
    assert observer.post("/adjust_credit.php", {"reseller_id": 2, "action": "add", "amount": 1}).json()["error"] == 0
    assert resellers.post("admin", "update_reseller", id="3", is_observer="1")["error"] == 0
    assert observer.post("/adjust_credit.php", {"reseller_id": 2, "action": "add", "amount": 2}).json()["error"] == 1
    assert resellers.balance("reseller1") == Decimal(501)


# deleting


@pytest.mark.parametrize("prefix", PREFIXES)
def test_golden_26_27_the_ways_to_delete(resellers: Resellers, prefix: str) -> None:
    resellers.world.insert(User, [user_row(n, "limited") | {"username": f"gone{n}"} for n in (7, 8, 9)])
    admin, done = resellers.client("admin"), {"error": 0, "err_msg": "Reseller deleted successfully"}
    assert admin.get(f"{prefix}remove_reseller.php?id=4").json() == done
    assert admin.post(f"{prefix}remove_reseller.php", {"reseller_id": 7}, "json").json() == done
    assert admin.post(f"{prefix}remove_reseller.php", {"id": 8}, "multipart").json() == done
    assert admin.request("DELETE", f"{prefix}remove_reseller.php", json={"id": 9}).json() == done
    assert [row["id"] for row in resellers.world.rows(sa.select(User.id).order_by(User.id))] == [1, 2, 3, 5]
    assert [row["target_name"] for row in resellers.audit("delete", "user")] == ["watcher", "gone7", "gone8", "gone9"]


def test_golden_28_to_31_what_is_refused(resellers: Resellers) -> None:
    before = resellers.world.rows(sa.select(User.id).order_by(User.id))
    cases = [
        ("admin", "?id=2", 6),
        ("admin", "?id=3", 6),
        ("readmin", "?id=3", 3),
        ("readmin", "?id=1", 4),
        ("admin", "?id=1", 4),
        ("admin", "", 6),
        ("admin", "?id=0", 6),
        ("admin", "?id=-4", 6),
        ("admin", "?id=x", 6),
        ("admin", "?id=999", 4),
        ("reseller1", "?id=4", 3),
        ("watcher", "?id=5", 3),
    ]
    for who, query, code in cases:
        refused(resellers.get(who, f"/remove_reseller.php{query}"), code)
    response = resellers.world.client().get("/remove_reseller.php?id=4")
    assert (response.status_code, response.json()) == (200, NOT_LOGGED_IN)
    admin = resellers.client("admin")
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"}):
        assert admin.get("/remove_reseller.php?id=4", headers=headers).status_code == 403
    assert resellers.world.rows(sa.select(User.id).order_by(User.id)) == before


def test_golden_32_money_is_kept_and_the_rest_goes(resellers: Resellers) -> None:
    assert resellers.post("admin", "adjust_credit", reseller_id=4, action="add", amount="7.50")["error"] == 0
    session = resellers.world.client("watcher")
    payment = {
        "id": 1,
        "reseller_id": 4,
        "amount": "100.50",
        "currency": "GBP",
        "payment_date": datetime.date(2026, 11, 1),
        "bank_name": "Cash",
        "recorded_by": 1,
        "recorded_by_username": "admin",
        "status": "cancelled",
        "cancellation_reason": "dup",
    }
    resellers.world.insert(ResellerPayment, [payment])
    resellers.world.insert(WebauthnCredential, [{"user_id": 4, "credential_id": "c", "public_key": "k"}])
    assert resellers.get("admin", "/remove_reseller.php?id=4")["error"] == 0
    [archived] = resellers.world.rows(sa.select(*ArchivedPayment.__table__.c))
    assert {key: archived[key] for key in payment if key != "amount"} == {
        key: value for key, value in payment.items() if key != "amount"
    }
    assert Decimal(str(archived["amount"])) == Decimal("100.50")
    assert (archived["reseller_name"], archived["reseller_username"]) == ("Watcher", "watcher")
    assert [entry["for_user"] for entry in resellers.transactions] == [4]
    for model in (ResellerPayment, WebauthnCredential):
        assert resellers.world.rows(sa.select(*model.__table__.c)) == []
    assert resellers.world.rows(sa.select(Credential.user_id).where(Credential.user_id == 4)) == []
    [audit] = resellers.audit("delete", "user")
    for part in ('"balance":7.5,', '"payments":1', '"transactions":1', '"currency_id":"GBP"'):
        assert part in audit["old_value"], audit["old_value"]
    assert session.get("/get_accounts.php").json() == NOT_LOGGED_IN


def test_a_plan_that_is_gone_does_not_hinder_an_edit(light_resellers: Resellers) -> None:
    light_resellers.world.execute(sa.delete(Plan))
    assert light_resellers.post("admin", "update_reseller", id="2", name="Other")["error"] == 0
