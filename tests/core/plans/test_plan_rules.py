"""What a plan may be, and how reseller's lists name it (contract chapter 40 §1.6, §1.8, §2.2, §2.3)."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from core.errors import InvalidInput
from core.plans.rules import (
    checked_category,
    checked_currency,
    checked_days,
    checked_external_id,
    checked_name,
    checked_price,
    whole_terms,
)
from core.plans.sold_plans import _replaced


@pytest.mark.parametrize("text", ["5", "1-month-gbp", "A.b_c-1", "x" * 100])
def test_external_ids(text: str) -> None:
    assert checked_external_id(text) == text


@pytest.mark.parametrize(
    ("text", "name"), [("Six", "Six"), (' "Six"\tMonths ', "'Six' Months"), ("<b>&lt;x", "bx"), ("x" * 255, "x" * 255)]
)
def test_names(text: str, name: str) -> None:
    assert checked_name(text) == name


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("0", "0"),
        ("10.05", "10.05"),
        ("۳", "3"),
        ("1e3", "1000"),
        (".5", "0.5"),
        ("9999999999999.99", "9999999999999.99"),
    ],
)
def test_prices(text: str, price: str) -> None:
    assert checked_price(text) == Decimal(price)


@pytest.mark.parametrize(
    ("check", "value"),
    [
        *((checked_external_id, value) for value in (None, "", "0", "a b", "a'b", "x" * 101, "é", "a\n", "٣")),
        *((checked_name, value) for value in ("", " ", "<>", "\x01", "x" * 256)),
        *(
            (checked_price, value)
            for value in (None, "", "-1", "1,000", "abc", "inf", "10000000000000", "1 0", "10.005")
        ),
        *((checked_days, value) for value in (None, -1, 1_000_001)),
        *((checked_currency, value) for value in (None, "", "IRT", "AED", "GBPP")),
        *((checked_category, value) for value in ("foo", "New_device", "null")),
    ],
)
def test_what_is_refused(check: Callable[[object], object], value: object) -> None:
    with pytest.raises(InvalidInput):
        check(value)


def test_what_is_unlimited_is_so_in_full() -> None:
    assert whole_terms("GBP", Decimal(10), 0) == whole_terms("*", Decimal(0), 0) == ("*", Decimal(0))
    assert whole_terms("GBP", Decimal(10), 30) == ("GBP", Decimal(10))
    with pytest.raises(InvalidInput):
        whole_terms("*", Decimal(0), 30)


@pytest.mark.parametrize(
    ("text", "new", "expected"),
    [
        ("7-GBP,5-GBP", None, "7-GBP"),
        ("5-GBP", None, ""),
        ("5-gbp, 5-GBP ,15-GBP,5-USD", None, "15-GBP,5-USD"),
        ("5-GBP,7-GBP", "5-*", "5-*,7-GBP"),
        ("5-*,5-GBP", "5-*", "5-*"),
        ("5,x-5-GBP", None, "5,x-5-GBP"),
    ],
)
def test_replacing_a_key(text: str, new: str | None, expected: str) -> None:
    assert _replaced(text, ("5", "GBP"), new) == expected


def test_the_legacy_rial_is_the_rial() -> None:
    assert _replaced("5-IRT,5-IRR,6-IRT", ("5", "IRR"), None) == "6-IRT"
