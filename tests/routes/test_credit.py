"""The golden cases 33 to 45 of contract chapter 30 F: the credit of resellers, and the plans that they may sell."""

import threading
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from core.storage.tables import LedgerNote, Plan, User
from tests.worlds.harness import ENCODINGS, PREFIXES, user_row
from tests.worlds.logged_in import logged_in
from tests.worlds.resellers import Resellers, refused
from tests.worlds.waiting import PATIENCE_SECONDS

DONE = "Credit adjusted successfully"
BALANCE = Decimal("500.00")


def _row(entry: dict[str, Any]) -> tuple[Any, ...]:
    amount = Decimal(str(entry["amount"])).quantize(Decimal("0.01"))
    return (entry["creator"], entry["for_user"], amount, entry["currency"], entry["type"], entry["details"])


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_golden_33_34_adding(resellers: Resellers, prefix: str, encoding: str) -> None:
    admin = resellers.client("admin")
    fields = {"reseller_id": 2, "action": "add", "amount": "100"}
    answer = admin.post(f"{prefix}adjust_credit.php", fields, encoding).json()
    assert answer == {"error": 0, "err_msg": DONE, "new_balance": 600.0}
    text = "Credit adjustment by admin: add 100 (Previous: 500, New: 600)"
    assert _row(resellers.transactions[0]) == ("admin", 2, Decimal("100.00"), "GBP", 1, text)
    fields = {"reseller_id": 2, "amount": 100.00, "type": "credit", "description": "Top-up payment"}
    assert admin.post(f"{prefix}adjust_credit.php", fields, encoding).json()["new_balance"] == 700
    assert resellers.transactions[1]["details"].endswith("(Previous: 600, New: 700) - Top-up payment")
    notes = resellers.world.rows(sa.select(LedgerNote.kind, LedgerNote.description).order_by(LedgerNote.transaction_id))
    assert notes == [
        {"kind": "adjustment", "description": None},
        {"kind": "adjustment", "description": "Top-up payment"},
    ]
    audit = resellers.audit("update", "credit")[0]
    assert (audit["target_id"], audit["target_name"], audit["old_value"]) == ("2", "reseller1", '{"balance":500}')
    assert audit["new_value"] == '{"balance":600,"action":"add","amount":100}'
    assert resellers.portal.requests == []


def test_golden_35_36_taking_and_setting(resellers: Resellers) -> None:
    def adjust(**fields: Any) -> float:
        answer = resellers.post("admin", "adjust_credit", reseller_id=2, **fields)
        assert (answer["error"], answer["err_msg"]) == (0, DONE)
        return float(answer["new_balance"])

    assert adjust(action="deduct", amount="700.55") == 0
    assert adjust(action="SET", amount="600.10") == 600.1
    assert adjust(type="debit", amount="0.11") == 599.99
    assert adjust(action="set", amount="0.5") == 0.5
    assert adjust(action="add", type="credit", amount=" +1.5 ") == 2
    # nothing changes: no row
    assert adjust(action="set", amount="2.00") == 2
    assert adjust(action="set", amount="0") == 0
    assert adjust(action="deduct", amount="5") == 0
    rows = [_row(entry) for entry in resellers.transactions]
    assert [(row[2], row[4]) for row in rows] == [
        (Decimal("500.00"), 0),
        (Decimal("600.10"), 1),
        (Decimal("0.11"), 0),
        (Decimal("599.49"), 0),
        (Decimal("1.50"), 1),
        (Decimal("2.00"), 0),
    ]
    assert rows[0][5] == "Credit adjustment by admin: deduct 700.55 (Previous: 500, New: 0)"
    assert rows[1][5] == "Credit adjustment by admin: set 600.1 (Previous: 0, New: 600.1)"


def test_rials_and_currencies_without_a_row(resellers: Resellers) -> None:
    resellers.world.execute(sa.update(User).where(User.id == 5).values(currency_id="IRT"))
    assert (
        resellers.post("admin", "adjust_credit", reseller_id=5, action="add", amount="9999999999999.99")["error"] == 0
    )
    refused(resellers.post("admin", "adjust_credit", reseller_id=5, action="add", amount="0.01"), 6)
    assert resellers.balance("limited") == Decimal("9999999999999.99")
    [entry] = resellers.transactions
    assert (entry["currency"], Decimal(str(entry["amount"]))) == ("IRR", Decimal("9999999999999.99"))


REFUSED: list[tuple[str, dict[str, Any], int]] = [
    ("admin", {"action": "add", "amount": "-10"}, 6),
    ("admin", {"action": "set", "amount": "-5"}, 6),
    ("admin", {"action": "add", "amount": "abc"}, 6),
    ("admin", {"action": "add", "amount": ""}, 6),
    ("admin", {"action": "add", "amount": "0"}, 6),
    ("admin", {"action": "deduct", "amount": "0.001"}, 6),
    ("admin", {"action": "bogus", "amount": "1"}, 6),
    ("admin", {"amount": "1"}, 6),
    ("admin", {"action": "add", "amount": "1e400"}, 6),
    ("admin", {"action": "add", "amount": "NaN"}, 6),
    ("admin", {"action": "add", "amount": "1,000"}, 6),
    ("admin", {"action": "add", "amount": "99999999999999"}, 6),
    ("admin", {"action": "add", "type": "debit", "amount": "1"}, 6),
    ("admin", {"type": "gift", "amount": "1"}, 6),
    ("admin", {"action": "add", "amount": "1", "description": "<b>x</b>"}, 6),
    ("admin", {"action": "add", "amount": "1", "description": "&lt;b&gt;"}, 6),
    ("admin", {"action": "add", "amount": "1", "description": "x" * 256}, 6),
    ("admin", {"action": "add", "amount": "1", "reseller_id": ""}, 6),
    ("admin", {"action": "add", "amount": "1", "reseller_id": "two"}, 6),
    ("admin", {"action": "add", "amount": "1", "reseller_id": "99"}, 4),
    ("admin", {"action": "add", "amount": "1", "reseller_id": "1"}, 4),
    ("readmin", {"action": "add", "amount": "1", "reseller_id": "3"}, 3),
    ("readmin", {"action": "add", "amount": "1", "reseller_id": "1"}, 4),
    ("reseller1", {"action": "add", "amount": "1"}, 3),
    ("watcher", {"action": "add", "amount": "1"}, 3),
]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_golden_37_38_39_what_is_refused(resellers: Resellers, encoding: str) -> None:
    for who, fields, code in REFUSED:
        refused(resellers.post(who, "adjust_credit", encoding, **{"reseller_id": "2", **fields}), code)
    assert resellers.balance("reseller1") == BALANCE
    assert resellers.transactions == []
    assert resellers.audit("update", "credit") == []


@pytest.mark.parametrize("body", ['{"reseller_id":2,"action":"add","amount":1e400}', '{"reseller_id":2', "[1]"])
def test_numbers_that_json_cannot_hold(light_resellers: Resellers, body: str) -> None:
    response = light_resellers.client("admin").request(
        "POST", "/adjust_credit.php", data=body, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 200
    refused(response.json(), 6)
    assert light_resellers.balance("reseller1") == BALANCE


def test_golden_38_a_reseller_admin_is_named(resellers: Resellers) -> None:
    description = "سلام\u200cدنیا\x07 & co"
    fields = {"reseller_id": 2, "action": "add", "amount": 1, "description": description}
    assert resellers.post("readmin", "adjust_credit", "json", **fields)["new_balance"] == 501
    [entry] = resellers.transactions
    assert entry["creator"] == "readmin"
    text = "Credit adjustment by readmin: add 1 (Previous: 500, New: 501) - سلام\u200cدنیا & co"
    assert entry["details"] == text
    resellers.world.insert(User, [user_row(7, "limited", super_user=1) | {"username": "root"}])
    assert (
        resellers.world.client("root", "pw6")
        .post("/adjust_credit.php", {"reseller_id": 2, "action": "deduct", "amount": 1})
        .json()["new_balance"]
        == 500
    )
    assert resellers.transactions[1]["creator"] == "admin"


def test_a_taking_does_not_forgive_an_old_debt(resellers: Resellers) -> None:
    resellers.world.execute(sa.update(User).where(User.id == 2).values(balance=-50))
    assert resellers.post("admin", "adjust_credit", reseller_id=2, action="deduct", amount=10)["new_balance"] == -50
    assert resellers.transactions == []


@pytest.mark.every_kind
def test_golden_40_a_hundred_at_once(resellers: Resellers) -> None:
    """All hundred on one kind of database; on the others fewer, by as many at once."""
    each = 50 if resellers.panel.database.dialect == "sqlite" else 15
    answers: list[dict[str, Any]] = []
    together = threading.Barrier(2, timeout=PATIENCE_SECONDS)

    def add() -> None:
        client = logged_in(resellers.world, "admin")
        together.wait()
        for _ in range(each):
            answers.append(
                client.post("/adjust_credit.php", {"reseller_id": 2, "action": "add", "amount": 1}, "json").json()
            )

    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer["error"] for answer in answers] == [0] * 2 * each
    assert sorted(answer["new_balance"] for answer in answers) == [float(500 + n) for n in range(1, 2 * each + 1)]
    assert resellers.balance("reseller1") == Decimal(500 + 2 * each)
    assert len(resellers.transactions) == 2 * each


def test_a_double_click_in_a_browser_counts_once(light_resellers: Resellers) -> None:
    client = logged_in(light_resellers.world, "admin").in_a_browser()
    fields = {"reseller_id": 2, "action": "add", "amount": 100}
    first, second = (client.post("/adjust_credit.php", fields, "multipart").json() for _ in range(2))
    assert first == second == {"error": 0, "err_msg": DONE, "new_balance": 600.0}
    assert client.post("/adjust_credit.php", {**fields, "amount": 101}).json()["new_balance"] == 701
    assert len(light_resellers.transactions) == 2


# plans


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_golden_41_43_assigning_plans(resellers: Resellers, prefix: str, encoding: str) -> None:
    admin = resellers.client("admin")
    for sent, stored in (("1-GBP,9-*", "1-GBP,9-*"), (" 2-gbp ,,1-GBP,2-GBP", "2-GBP,1-GBP"), ("", "")):
        answer = admin.post(f"{prefix}assign_plans.php", {"reseller_id": 2, "plans": sent}, encoding).json()
        assert answer == {"error": 0, "err_msg": "", "plans": stored}
        assert resellers.world.user("reseller1")["plans"] == stored
    audit = resellers.audit("update", "user")[0]
    assert (audit["old_value"], audit["new_value"]) == ('{"plans":"1-GBP,2-GBP"}', '{"plans":"1-GBP,9-*"}')


def test_plans_as_lists_with_hyphens_and_in_old_currencies(resellers: Resellers) -> None:
    resellers.world.insert(
        Plan,
        [
            {"id": 20, "external_id": "1-month-gbp", "name": "Hyphens", "currency_id": "GBP", "price": 1, "days": 30},
            {"id": 21, "external_id": "5", "name": "Rial", "currency_id": "IRT", "price": 1, "days": 30},
        ],
    )
    answer = resellers.post("admin", "assign_plans", "json", reseller_id="2", plans=["1-month-gbp-GBP", "1-GBP"])
    assert answer["plans"] == "1-month-gbp-GBP,1-GBP"
    form = {"reseller_id": 2, "plans[0]": "9-*", "plans[1]": "1-GBP"}
    assert resellers.client("readmin").post("/assign_plans.php", form).json()["plans"] == "9-*,1-GBP"
    resellers.world.execute(sa.update(User).where(User.id == 5).values(currency_id="IRR"))
    # shown as IRR, stored in the spelling that a PHP panel compares
    assert resellers.post("admin", "assign_plans", reseller_id=5, plans="5-IRR")["plans"] == "5-IRR"
    assert resellers.world.user("limited")["plans"] == "5-IRT"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_golden_42_44_45_what_is_refused(resellers: Resellers, encoding: str) -> None:
    text = "A reseller with currency GBP cannot have these plans: "
    cases: list[tuple[str, dict[str, Any], int, str | None]] = [
        ("admin", {"plans": "3-USD,1-GBP"}, 6, f"{text}1 Year (USD)"),
        ("admin", {"plans": "nonsense"}, 6, None),
        ("admin", {"plans": "1-month-gbp-USD"}, 6, f"{text}Plan 1-month-gbp (USD)"),
        ("admin", {"plans": "1-"}, 6, None),
        ("admin", {"plans": "<b>-GBP"}, 6, None),
        ("admin", {}, 6, None),
        ("admin", {"plans": "1-GBP", "reseller_id": ""}, 6, None),
        ("admin", {"plans": "1-GBP", "reseller_id": "99"}, 4, None),
        ("admin", {"plans": "1-GBP", "reseller_id": "1"}, 4, None),
        ("watcher", {"plans": "1-GBP"}, 3, None),
        ("reseller1", {"plans": "1-GBP"}, 3, None),
    ]
    for who, fields, code, wanted in cases:
        refused(resellers.post(who, "assign_plans", encoding, **{"reseller_id": "2", **fields}), code, wanted)
    refused(resellers.post("admin", "assign_plans", "json", reseller_id=2, plans={"a": {"b": 1}}), 6)
    assert resellers.world.user("reseller1")["plans"] == "1-GBP,2-GBP"
