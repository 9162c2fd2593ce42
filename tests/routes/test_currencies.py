"""The currencies (golden cases Y of contract chapter 40) and the leftover getcont (Z)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from core.storage.tables import Currency, Transaction, User
from tests.worlds.harness import PREFIXES
from tests.worlds.plans import Plans

BASE = {"GBP", "USD", "EUR", "IRR"}


@pytest.fixture
def currencies(plans: Plans) -> Iterator[Plans]:
    yield plans
    plans.world.execute(sa.delete(Currency).where(Currency.id.not_in(BASE)))


def _stored(plans: Plans) -> dict[str, str]:
    return {row["id"]: row["name"] for row in plans.world.rows(sa.select(Currency.id, Currency.name))}


def test_y1_adding(currencies: Plans) -> None:
    answer = currencies.get("admin", "add_currency.php?name=aed")
    assert answer == {"error": 0, "err_msg": "", "message": "Currency AED added successfully", "id": "AED"}
    assert _stored(currencies)["AED"] == "AED"
    assert currencies.get("admin", "add_currency.php?name=aed")["code"] == 5
    assert currencies.post("admin", "add_currency", {"currency": " Aed "})["code"] == 5
    assert currencies.post("admin", "add_currency", {"code": "try"})["id"] == "TRY"
    for bad in ("", "ab", "abcdefghijk", "A1B", "*", "IRT", "irt", "a'b", "%3Cb%3E", "\u0130RR"):
        assert currencies.get("admin", f"add_currency.php?name={bad}")["code"] == 6, bad
    assert currencies.get("admin", "add_currency.php?name=gbp")["code"] == 5
    for who in ("radmin", "res", "obs"):
        assert currencies.get(who, "add_currency.php?name=sek")["code"] == 3
        assert currencies.get(who, "remove_currency.php?id=AED")["code"] == 3
    assert currencies.get(None, "add_currency.php?name=sek")["code"] == 2
    assert set(_stored(currencies)) == BASE | {"AED", "TRY"}
    assert [(row["action"], row["target_id"]) for row in currencies.audit] == [("create", "AED"), ("create", "TRY")]


@pytest.mark.every_kind
def test_y2_removing(currencies: Plans) -> None:
    for code in (*BASE, "IRT", "gbp"):
        assert currencies.get("admin", f"remove_currency.php?id={code}")["code"] == 1, code
    for code, expected in (("", 6), ("XXX", 4), ("%27%20OR%201", 4)):
        assert currencies.get("admin", f"remove_currency.php?id={code}")["code"] == expected, code
    currencies.world.insert(Currency, [{"id": code, "name": code} for code in ("AED", "TRY", "SEK", "sar")])
    currencies.world.execute(sa.update(User).where(User.id == 3).values(currency_id="aed"))
    currencies.add(20, "20", "Lira", "TRY", "5.00", 30, None)
    currencies.world.insert(Transaction, [{"for_user": 3, "amount": 1, "currency": "SEK", "type": 0}])
    for code in ("AED", "TRY", "SEK"):
        assert currencies.get("admin", f"remove_currency.php?id={code}")["code"] == 1, code
    assert currencies.get("admin", "remove_currency.php?id=SAR")["error"] == 0
    currencies.world.execute("DELETE FROM _transactions")
    answer = currencies.get("admin", "remove_currency.php?id=SEK")
    assert answer == {"error": 0, "err_msg": "", "message": "Currency removed successfully"}
    assert set(_stored(currencies)) == BASE | {"AED", "TRY"}


@pytest.mark.every_kind
def test_a_currency_added_twice_at_once_is_there_once(currencies: Plans) -> None:
    client = currencies.client("admin")
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(client.get, ["/add_currency.php?name=AED"] * 4)
    assert sorted(answer.json().get("code", 0) for answer in answers) == [0, 5, 5, 5]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_z1_the_leftover(plans: Plans, prefix: str) -> None:
    for who, body in ((None, "0"), ("res", ""), ("admin", "")):
        for kind in ("plns", "rsls", "../../etc/passwd", ""):
            response = plans.client(who).get(f"{prefix}getcont.php?type={kind}")
            assert (response.status_code, response.text) == (200, body)
            assert response.headers["Content-Type"] == "text/html; charset=UTF-8"
