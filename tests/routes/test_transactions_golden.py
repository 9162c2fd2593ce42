"""The golden cases of contract chapter 40 §5 about transactions (X, N, C, G), on every database."""

import json
import threading
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from core.storage.tables import Correction, LedgerNote, SmsLog, User
from tests.conftest import MakeWorld
from tests.worlds.harness import ENCODINGS, NOT_LOGGED_IN, PREFIXES, Client, World
from tests.worlds.ledger import CREDIT_TEXT, MAC, audits, balance, count, fill_chapter_40, stored

CURL = {"User-Agent": "curl/8"}


@pytest.fixture
def world(make_world: MakeWorld, kind: str) -> World:
    return fill_chapter_40(make_world(kind))


def _list(client: Client, path: str = "/api/get_transactions.php", **headers: str) -> dict[str, Any]:
    response = client.get(path, headers=headers)
    assert response.content.startswith(b'{"error":0,'), response.text
    answer: dict[str, Any] = response.json()
    return answer


def _ids(answer: dict[str, Any]) -> list[int]:
    return [row["id"] for row in answer["transactions"]]


def test_x1_a_super_admin_sees_all_with_accounts_and_currencies(world: World) -> None:
    answer = _list(world.php_login("admin"), "/api/get_transactions.php?viewAllAccounts=false")
    assert _ids(answer) == [5, 4, 3, 2, 1]
    assert (answer["can_edit_transactions"], answer["total"]) == (True, 5)
    by_id = {row["id"]: row for row in answer["transactions"]}
    assert by_id[3] == {
        "id": 3,
        "creator": "system",
        "for_user": 3,
        "user_id": 3,
        "amount": -55.5,
        "currency": "GBP",
        "type": 1,
        "type_name": "debit",
        "signed_amount": -55.5,
        "details": "Account renewal: user001 - Plan: One Year",
        "description": "Account renewal: user001 - Plan: One Year",
        "timestamp": 1763899402,
        "date": "2025-11-23 15:33:22",
        "reseller_name": "Reseller",
        "reseller_username": "res",
        "mac_address": "00:1A:79:00:00:01",
        "formatted_description": "Account renewal, Plan: One Year, John Doe",
        "correction_amount": None,
        "correction_note": None,
        "corrected_by": None,
        "corrected_by_username": None,
        "corrected_at": None,
        "status": "active",
        "net_amount": -55.5,
        "has_correction": False,
    }
    assert by_id[2]["mac_address"] == MAC(2)
    assert by_id[2]["formatted_description"] == "New account, Plan: Six Months, Jane Roe"
    assert (by_id[4]["mac_address"], by_id[4]["formatted_description"]) == ("", CREDIT_TEXT)
    assert by_id[5]["currency"] == "IRR"
    assert (by_id[5]["mac_address"], by_id[5]["formatted_description"]) == (MAC(5), "New account, Plan: New")


def test_x2_the_document_s_clients_read_words_and_absolute_amounts(world: World) -> None:
    answer = _list(world.php_login("res"), "/get_transactions.php", **CURL)
    shown = [(row["id"], row["type"], row["amount"], row["user_id"]) for row in answer["transactions"]]
    assert shown == [(4, "credit", 100, 3), (3, "debit", 55.5, 3), (2, "debit", 30, 3), (1, "debit", 30, 3)]
    assert all(row["description"] and row["date"] for row in answer["transactions"])
    assert answer["can_edit_transactions"] is False


def test_x3_a_page_of_this_host_reads_numbers_and_signs(world: World) -> None:
    answer = _list(world.php_login("res"), "/get_transactions.php", **CURL, Referer=f"{world.url}/dashboard.html")
    assert [row["type"] for row in answer["transactions"]] == [1, 1, 0, 0]
    assert [row["amount"] for row in answer["transactions"]] == [100, -55.5, -30, 30]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_x4_who_sees_which_rows(world: World, prefix: str) -> None:
    seen = {
        (who, query): _ids(_list(world.php_login(who), f"{prefix}get_transactions.php{query}"))
        for who in ("res", "radmin", "obs")
        for query in ("?viewAllAccounts=true", "?viewAllAccounts=1", "?viewAllAccounts=false", "")
    }
    everything, own = [5, 4, 3, 2, 1], [4, 3, 2, 1]
    assert {ids for (who, _), ids in _tuples(seen) if who == "res"} == {tuple(own)}
    assert {ids for (who, _), ids in _tuples(seen) if who == "obs"} == {tuple(everything)}
    assert seen["radmin", "?viewAllAccounts=true"] == seen["radmin", "?viewAllAccounts=1"] == everything
    assert seen["radmin", "?viewAllAccounts=false"] == seen["radmin", ""] == []


def _tuples(seen: dict[Any, list[int]]) -> list[tuple[Any, tuple[int, ...]]]:
    return [(key, tuple(ids)) for key, ids in seen.items()]


def test_x_nobody(world: World) -> None:
    for prefix in PREFIXES:
        for method in ("GET", "POST"):
            response = world.client().request(method, f"{prefix}get_transactions.php")
            assert (response.status_code, response.json()) == (200, NOT_LOGGED_IN)


# new_transaction


@pytest.mark.parametrize("prefix", PREFIXES)
def test_n1_the_document_s_debit(world: World, prefix: str) -> None:
    admin, taken = world.php_login("admin"), Decimal(0)
    for number, encoding in enumerate(ENCODINGS, 6):
        wish = {"user_id": 3, "amount": 20.10, "type": "debit", "description": "Account creation charge"}
        answer = admin.post(f"{prefix}new_transaction.php", wish, encoding).json()
        taken += Decimal("20.10")
        assert answer == {
            "error": 0,
            "err_msg": "Transaction created successfully",
            "message": "Transaction created successfully",
            "transaction_id": answer["transaction_id"],
            "new_balance": float(Decimal("100.50") - taken),
        }
        row = stored(world, answer["transaction_id"])
        assert (row["amount"], row["type"], row["currency"]) == (Decimal("20.10"), 0, "GBP"), number
        assert (row["creator"], row["for_user"], row["details"]) == ("Admin", 3, "Account creation charge")
    assert balance(world, "res") == Decimal("100.50") - taken
    assert len(audits(world)) == len(ENCODINGS)


def test_n1_as_printed(world: World) -> None:
    wish = {"user_id": 3, "amount": 50.00, "type": "debit", "description": "Account creation charge"}
    answer = world.php_login("admin").post("/new_transaction.php", wish, "json").json()
    assert answer["new_balance"] == 50.5
    assert balance(world, "res") == Decimal("50.50")
    assert stored(world, answer["transaction_id"])["amount"] == Decimal("50.00")


def test_n2_the_legacy_credit_keeps_its_pence(world: World) -> None:
    answer = world.php_login("admin").get("/api/new_transaction.php?id=3&amount=25.75&type=1&details=Topup").json()
    assert (answer["error"], balance(world, "res")) == (0, Decimal("126.25"))
    assert stored(world, answer["transaction_id"])["type"] == 1


def test_n3_a_debit_takes_what_is_there_and_says_so(world: World) -> None:
    answer = world.php_login("admin").post("/new_transaction.php", {"id": 3, "amount": 500, "type": 0}).json()
    assert (answer["error"], answer["new_balance"], balance(world, "res")) == (0, 0, 0)
    assert stored(world, answer["transaction_id"])["amount"] == 500
    [audit] = audits(world)
    assert (audit["action"], audit["target_id"]) == ("create", str(answer["transaction_id"]))
    assert Decimal(json.loads(audit["old_value"])["balance"]) == Decimal("100.50")
    assert Decimal(json.loads(audit["new_value"])["moved"]) == Decimal("-100.50")
    assert "100.50 was taken" in audit["details"]


REFUSED: dict[str, dict[str, Any]] = {
    "type 2": {"type": "2"},
    "type refund": {"type": "refund"},
    "no type": {"type": ""},
    "negative": {"amount": "-5"},
    "zero": {"amount": "0"},
    "less than a penny": {"amount": "0.001"},
    "three decimals": {"amount": "1.005"},
    "text": {"amount": "abc"},
    "not a number": {"amount": "NaN"},
    "too large": {"amount": "1e400"},
    "one too large": {"amount": "10000000000000"},
    "no amount": {"amount": ""},
    "unknown user": {"id": "99"},
    "no user": {"id": ""},
    "a user that is no number": {"id": "three"},
    "a user beyond all integers": {"id": "9" * 18},
    "text too long": {"details": "x" * 2001},
}


def test_n4_what_is_refused_changes_nothing(world: World) -> None:
    admin = world.php_login("admin")
    good = {"id": "3", "amount": "1", "type": "credit"}
    for name, wrong in REFUSED.items():
        answer = admin.post("/new_transaction.php", {**good, **wrong}).json()
        assert answer["error"] == 1, name
        assert answer["err_msg"] == answer["message"] != "", name
        assert answer["code"] in (4, 6), (name, answer)
    for body in ({}, {**good, "amount": [1]}, {**good, "id": {"a": 1}}, {**good, "details": [1]}):
        assert admin.post("/new_transaction.php", body, "json").json()["code"] == 6, body
    for who in ("radmin", "res", "obs"):
        assert world.php_login(who).post("/new_transaction.php", good).json()["code"] == 3
    assert world.client().post("/new_transaction.php", good).json() == NOT_LOGGED_IN
    assert (count(world), balance(world, "res"), audits(world)) == (5, Decimal("100.50"), [])


@pytest.mark.every_kind
def test_n5_parallel_credits_all_count(world: World) -> None:
    admin = world.php_login("admin")
    path = "/api/new_transaction.php?id=3&amount=10&type=1"
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(admin.get(path).json())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer["error"] for answer in answers] == [0] * 6
    assert len({answer["transaction_id"] for answer in answers}) == 6
    assert balance(world, "res") == Decimal("160.50")


def test_n_a_debit_does_not_lift_a_balance_that_is_below_zero(world: World) -> None:
    world.execute(sa.update(User).where(User.id == 3).values(balance=Decimal("-5.25")))
    answer = world.php_login("admin").post("/new_transaction.php", {"id": 3, "amount": 7, "type": "debit"}).json()
    assert (answer["new_balance"], balance(world, "res")) == (-5.25, Decimal("-5.25"))


def test_n_sums_of_rials_are_exact_and_do_not_overflow(world: World) -> None:
    admin = world.php_login("admin")
    largest = "9999999499999999.99"
    wish = {"id": 5, "type": "credit"}
    answer = admin.post("/new_transaction.php", {**wish, "amount": largest}).json()
    assert answer["code"] == 6
    answer = admin.post("/new_transaction.php", {**wish, "amount": "9999499999999.99"}).json()
    assert answer["new_balance"] == 9999999999999.99
    answer = admin.post("/new_transaction.php", {**wish, "amount": "0.01"}).json()
    assert (answer["code"], balance(world, "resirr")) == (6, Decimal("9999999999999.99"))
    assert count(world) == 6


def test_n_text_cannot_become_script(world: World) -> None:
    wish = {"id": 3, "amount": 1, "type": "credit", "details": "<img src=x onerror=alert(1)>\x00 Ann & Bob's"}
    admin = world.php_login("admin")
    assert admin.post("/new_transaction.php", {**wish, "details": "bad\0"}).json()["error"] == 1
    number = admin.post("/new_transaction.php", {**wish, "details": wish["details"].replace("\0", "")}).json()
    assert stored(world, number["transaction_id"])["details"] == "img src=x onerror=alert(1) Ann & Bob's"


# corrections


def _correct(client: Client, encoding: str = "multipart", /, **fields: Any) -> dict[str, Any]:
    answer: dict[str, Any] = client.post("/api/edit_transaction.php", fields, encoding).json()
    return answer


def test_c1_c2_a_correction_and_its_undoing(world: World) -> None:
    before = stored(world, 2)
    radmin = world.php_login("radmin")
    wish = {"transaction_id": 2, "correction_amount": "5.25", "correction_note": "Refund", "status": "corrected"}
    answer = _correct(radmin, **wish)
    assert answer["error"] == 0
    assert answer["transaction"]["net_amount"] == -24.75
    assert answer["transaction"]["original_amount"] == -30
    assert answer["transaction"]["corrected_by"] == "radmin"
    row = next(row for row in _list(world.php_login("admin"))["transactions"] if row["id"] == 2)
    assert (row["correction_amount"], row["status"], row["has_correction"]) == (5.25, "corrected", True)
    assert (row["net_amount"], row["amount"], row["corrected_by_username"]) == (-24.75, -30, "radmin")
    assert row["corrected_at"] == answer["transaction"]["corrected_at"]
    assert balance(world, "res") == Decimal("100.50")
    [audit] = audits(world)
    assert (audit["action"], audit["target_id"], audit["target_name"]) == ("update", "2", before["details"])
    assert orjson.loads(audit["old_value"])["correction_amount"] is None
    assert orjson.loads(audit["new_value"])["net_amount"] == -24.75
    assert audit["details"].endswith("Refund")

    undone = _correct(radmin, transaction_id=2, correction_amount="", status="active", correction_note="undo")
    assert (undone["error"], undone["transaction"]["net_amount"]) == (0, -30)
    row = next(row for row in _list(world.php_login("admin"))["transactions"] if row["id"] == 2)
    assert (row["correction_amount"], row["has_correction"], row["net_amount"]) == (None, False, -30)
    assert row["correction_note"] == "undo"
    unchanged = ("id", "creator", "for_user", "amount", "currency", "type", "details", "timestamp")
    assert {key: stored(world, 2)[key] for key in unchanged} == {key: before[key] for key in unchanged}
    history = world.rows(sa.select(*Correction.__table__.c).order_by(Correction.id))
    assert [(row["status"], row["correction_note"]) for row in history] == [("corrected", "Refund"), ("active", "undo")]


def test_c3_a_void_leaves_nothing(world: World) -> None:
    for amount in ("", "-185000000"):
        answer = _correct(
            world.php_login("admin"),
            transaction_id=5,
            correction_amount=amount,
            status="voided",
            correction_note=f"void {amount}",
        )
        assert (answer["error"], answer["transaction"]["net_amount"]) == (0, 0)
    row = _list(world.php_login("admin"))["transactions"][0]
    assert (row["net_amount"], row["has_correction"], row["status"]) == (0, True, "voided")
    assert (row["correction_amount"], row["amount"]) == (-185000000, -185000000)
    assert balance(world, "resirr") == Decimal(500000000)


def test_c4_a_correction_in_rials_and_other_spellings(world: World) -> None:
    admin = world.php_login("admin")
    for text, shown in (
        ("185000000", 185000000),
        ("+185,000,000.50", 185000000.5),
        ("-5000", -5000),
        ("9999999999999.99", 9999999999999.99),
        ("0", None),
        ("0.00", None),
    ):
        answer = _correct(admin, transaction_id=5, correction_amount=text, correction_note="n")
        assert (answer["error"], answer["transaction"]["correction_amount"]) == (0, shown), text
        assert answer["transaction"]["status"] == "corrected"


def test_c5_what_is_refused_changes_nothing(world: World) -> None:
    good = {"transaction_id": "2", "correction_amount": "1", "correction_note": "why", "status": "corrected"}
    wrongs = (
        {"correction_note": "  "},
        {"correction_note": "<>"},
        {"correction_note": "x" * 2001},
        {"transaction_id": "99"},
        {"transaction_id": "0"},
        {"transaction_id": ""},
        {"transaction_id": "two"},
        {"transaction_id": "9" * 18},
        {"status": "foo"},
        {"correction_amount": "abc"},
        {"correction_amount": "-"},
        {"correction_amount": "1.005"},
        {"correction_amount": "1e30"},
    )
    before = [stored(world, number) for number in (1, 2)]
    for encoding in ("multipart", "json"):
        for wrong in wrongs:
            answer = _correct(world.php_login("admin"), encoding, **{**good, **wrong})
            assert (answer["error"], answer["message"] == answer["err_msg"] != "") == (1, True), wrong
            assert answer["code"] in (4, 6), wrong
    refusals = {who: _correct(world.php_login(who), **good) for who in ("res", "obs")}
    assert [answer["code"] for answer in refusals.values()] == [3, 3]
    assert "read-only" in refusals["obs"]["message"]
    assert "read-only" not in refusals["res"]["message"]
    assert _correct(world.client(), **good) == NOT_LOGGED_IN
    response = world.php_login("admin").get("/api/edit_transaction.php?transaction_id=2&correction_note=x")
    assert (response.status_code, response.json()["error"]) == (405, 1)
    assert [stored(world, number) for number in (1, 2)] == before
    assert (audits(world), count(world, Correction)) == ([], 0)


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}])
def test_other_sites_cannot_write(world: World, headers: dict[str, str]) -> None:
    admin = world.php_login("admin")
    admin.headers = headers
    answers = (
        admin.get("/new_transaction.php?id=3&amount=1&type=1"),
        admin.post("/api/edit_transaction.php", {"transaction_id": 2, "correction_note": "x"}),
    )
    assert [response.status_code for response in answers] == [403, 403]
    admin.headers = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"}
    assert admin.get("/new_transaction.php?id=3&amount=1&type=1").status_code == 403
    assert count(world) == 5


# days with data

NOVEMBER = "start_date=2025-11-01&end_date=2025-11-30"


def _dates(client: Client, query: str) -> dict[str, Any]:
    answer: dict[str, Any] = client.get(f"/api/get_dates_with_data.php?{query}").json()
    return answer


def test_g1_days_of_transactions(world: World) -> None:
    response = world.php_login("admin").get(f"/api/get_dates_with_data.php?type=transactions&{NOVEMBER}")
    assert response.json() == {
        "error": 0,
        "err_msg": "",
        "dates": ["2025-11-20", "2025-11-23"],
        "count": 2,
        "range": {"start": "2025-11-01", "end": "2025-11-30"},
    }
    assert response.headers["Cache-Control"] == "private, max-age=60"
    assert "Cookie" in response.headers["Vary"]
    assert "Pragma" not in response.headers


@pytest.mark.every_kind
def test_g2_own_messages(world: World) -> None:
    sent = {"recipient_number": "1", "message": "m"}
    first, last = (datetime.fromisoformat(text) for text in ("2025-11-20 00:00:00", "2025-11-21 23:59:59"))
    world.insert(SmsLog, [{**sent, "sent_by": 3, "sent_at": first}, {**sent, "sent_by": 2, "sent_at": last}])
    assert _dates(world.php_login("res"), f"type=sms_history&{NOVEMBER}")["dates"] == ["2025-11-20"]
    assert _dates(world.php_login("admin"), f"type=sms_history&{NOVEMBER}")["count"] == 2


def test_g3_what_is_refused(world: World) -> None:
    for who, query, code in (
        ("radmin", f"type=audit_log&{NOVEMBER}", 3),
        ("res", f"type=audit_log&{NOVEMBER}", 3),
        ("obs", f"type=audit_log&{NOVEMBER}", 3),
        ("admin", f"type=foo&{NOVEMBER}", 6),
        ("admin", NOVEMBER, 6),
        ("admin", "type=transactions&start_date=2025-1-5", 6),
        ("admin", "type=transactions&start_date=2025-13-45", 6),
        ("admin", "type=transactions&end_date=2025-02-29", 6),
        ("admin", "type=transactions&start_date=2025-11-02&end_date=2025-11-01", 6),
        ("admin", f"type=transactions&{NOVEMBER}&reseller_id=x", 6),
        ("admin", "type=foo&start_date=2025-1-5", 6),
    ):
        answer = _dates(world.php_login(who), query)
        assert (answer["error"], answer["code"]) == (1, code), query
        assert answer["err_msg"] != ""
    assert _dates(world.client(), f"type=transactions&{NOVEMBER}") == NOT_LOGGED_IN


def test_the_rows_that_we_write_are_never_guessed_by_their_text(world: World) -> None:
    admin = world.php_login("admin")
    text = "Account renewal: user001 - Plan: refund of renewal"
    number = admin.post("/new_transaction.php", {"id": 3, "amount": 5, "type": 1, "details": text}).json()
    row = _list(admin)["transactions"][0]
    assert (row["id"], row["type_name"], row["signed_amount"]) == (number["transaction_id"], "credit", 5)
    assert row["formatted_description"] == text
    [note] = world.rows(sa.select(*LedgerNote.__table__.c))
    assert (note["kind"], note["amount"], note["effect"]) == ("manual", 5, 5)
