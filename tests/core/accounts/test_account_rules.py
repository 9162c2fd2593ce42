"""The rules of accounts and plans as tables (contract chapter 20 §1.3 to §1.8)."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from core.access.actors import Actor
from core.accounts import rules
from core.errors import InvalidInput, NotFound
from core.plans.choice import (
    PlanRow,
    PlanWish,
    find_tariff,
    is_no_plan,
    net_price,
    plan_for_add,
    plan_for_edit,
    plan_for_tariff,
    require_usable,
)
from core.portal import Tariff

TODAY = date(2025, 1, 17)


def _actor(permissions: str | None = "0|0|0|0|0|0|0", **values: Any) -> Actor:
    actor = Actor(
        id=2,
        username="r",
        name=None,
        email=None,
        balance=Decimal(0),
        permissions=permissions,
        max_users=0,
        super_user=False,
        is_observer=False,
        currency_id="GBP",
        currency_name=None,
        theme=None,
        ip_ranges=None,
        plans="78-GBP,1-month-gbp-GBP,12-gbp,34-IRT",
        timestamp=None,
    )
    return replace(actor, **values)


@pytest.mark.parametrize(
    ("text", "mac"),
    [
        ("00:1a:79:00:00:01", "00:1A:79:00:00:01"),
        ("00-1A-79-00-00-01", "00:1A:79:00:00:01"),
        ("001a79000001", "00:1A:79:00:00:01"),
    ],
)
def test_spellings_of_a_mac(text: str, mac: str) -> None:
    assert rules.required_mac(text) == mac


@pytest.mark.parametrize("text", ["", "00:1A:79:00:00", "00:1A-79:00:00:01", "00:1A:79:00:00:0G", "0,1"])
def test_what_is_no_mac(text: str) -> None:
    with pytest.raises(InvalidInput):
        rules.required_mac(text)


@pytest.mark.parametrize("text", ["a", "A-Z_0.9@x", "x" * 100])
def test_names_for_new_accounts(text: str) -> None:
    assert rules.new_username(text) == text


@pytest.mark.parametrize("text", ["", "x" * 101, "a b", "a'b", "a/b", "a,b", "..", "ä", "a\n"])
def test_names_that_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        rules.new_username(text)


@pytest.mark.parametrize(
    ("posted", "stored", "phone"),
    [
        ("500000000", "+971500000000", "+971500000000"),
        ("+500000000", "+971500000000", "+500000000"),
        ("500000001", "+971500000000", "500000001"),
        ("0500000000", "+971500000000", "+971500000000"),
        ("", "+971500000000", None),
        ("50000", None, "50000"),
        # a number of old times, which nobody could enter any more
        ("none", "none", "none"),
    ],
)
def test_phone_numbers_after_an_edit(posted: str, stored: str | None, phone: str | None) -> None:
    assert rules.edited_phone(posted, stored, "") == phone


@pytest.mark.parametrize(
    ("current", "days", "end"),
    [
        (date(2025, 2, 15), 90, date(2025, 5, 16)),
        (date(2025, 1, 1), 30, date(2025, 2, 16)),
        (TODAY, 30, date(2025, 2, 16)),
        (None, 30, date(2025, 2, 16)),
        (date(2025, 2, 15), 0, date(2099, 12, 31)),
        # the last end that is no unlimited one for a portal
        (date(2099, 12, 31), 30, date(2099, 12, 31)),
        (date(2099, 12, 1), 30, date(2099, 12, 31)),
        (date(9999, 12, 31), 30, date(2099, 12, 31)),
    ],
)
def test_renewals(current: date | None, days: int, end: date) -> None:
    assert rules.renewed_end(TODAY, current, days) == end


def test_first_ends_and_lengths() -> None:
    assert rules.first_end(TODAY, 30) == date(2025, 2, 16)
    assert rules.first_end(TODAY, 0) is None
    assert rules.days_extended(date(2025, 2, 15), date(2025, 5, 15)) == 89
    assert rules.days_extended(None, TODAY) is None
    assert rules.days_extended(TODAY, None) is None


@pytest.mark.parametrize(
    ("permissions", "may"),
    [("1|1|0|1|1|1|0", True), ("1|1|0|1|1|1|0|0", False), ("1|1|0|1|1|1|0|1", True), ("0|0|1|0|0|0|0|0", True)],
)
def test_who_may_edit_names(permissions: str, may: bool) -> None:
    assert rules.may_edit_names(_actor(permissions)) is may


def _plan(id: int, external_id: str, currency: str, price: str = "10.50", days: int = 30, name: str = "") -> PlanRow:
    return PlanRow(id, external_id, name or f"Plan {id}", currency, Decimal(price), days)


PLANS = [
    _plan(1, "78", "GBP", name="Premium Monthly"),
    _plan(2, "12", "GBP"),
    _plan(3, "99", "*", "0.00", 0),
    _plan(4, "1-month-gbp", "GBP"),
    _plan(12, "34", "IRR"),
]


@pytest.mark.parametrize(
    ("wish", "for_add", "for_edit"),
    [
        ("78-GBP", 1, 1),
        ("78-gbp", 1, 1),
        ("34-IRT", 12, 12),
        ("1-month-gbp-GBP", 4, 4),
        ("1-month-gbp", 4, 4),
        ("99-*", 3, 3),
        ("99", 3, 3),
        ("12", 2, 12),
        (12, 12, 12),
        (78, 1, None),
        (1, 1, 1),
        ("78-USD", None, None),
        ("777", None, None),
    ],
)
def test_which_plan_is_meant(wish: PlanWish, for_add: int | None, for_edit: int | None) -> None:
    found = [choose(PLANS, wish, "GBP") for choose in (plan_for_add, plan_for_edit)]
    assert [plan and plan.id for plan in found] == [for_add, for_edit]


@pytest.mark.parametrize(("wish", "none"), [(None, True), ("", True), ("0", True), (0, True), ("1", False), (1, False)])
def test_no_plan(wish: PlanWish, none: bool) -> None:
    assert is_no_plan(wish) is none


@pytest.mark.parametrize(("id", "may"), [(1, True), (2, True), (3, True), (4, True), (12, False)])
def test_plans_of_a_reseller(id: int, may: bool) -> None:
    plan = next(plan for plan in PLANS if plan.id == id)
    if may:
        require_usable(plan, _actor())
        return
    with pytest.raises(NotFound):
        require_usable(plan, _actor())
    require_usable(plan, _actor(currency_id="IRT"))


def test_tariffs() -> None:
    tariffs = [Tariff("78", "12M Full", "Twelve months", 365), Tariff("5", "gold", "Gold", 30)]
    found = [
        plan_for_tariff(PLANS, name, "GBP", tariffs)
        for name in ("premium monthly", "12", "Twelve Months", "Gold", "Rial")
    ]
    assert [plan and plan.id for plan in found] == [1, 2, 1, None, None]
    gold = find_tariff(tariffs, "GOLD")
    assert gold is not None
    assert gold.external_id == "gold"


@pytest.mark.parametrize("discount", [-1, 11])
def test_discounts_that_are_refused(discount: int) -> None:
    with pytest.raises(InvalidInput):
        net_price(PLANS[0], discount)


def test_a_price_is_exact() -> None:
    assert net_price(PLANS[0], 10) == Decimal("0.50")
    assert PlanRow(7, "x", 'A "b"', "GBP", Decimal(1), 1).shown_name() == "A 'b'"
    assert PlanRow(7, "x", "", "GBP", Decimal(1), 1).shown_name() == "Plan #7"
