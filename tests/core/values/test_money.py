"""Amounts as people write them."""

from decimal import Decimal

import pytest

from core.errors import InvalidInput
from core.values.money import CENT, read_amount


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        *(("12", "12.00"), ("12.5", "12.50"), (" 0.01 ", "0.01"), ("1e2", "100.00"), ("-5", "-5.00"), (".5", "0.50")),
        *(("۱۲٫۵", "12.50"), ("١٢", "12.00"), ("\u200f۱۰۰\u200e", "100.00"), ("−5", "-5.00"), ("-0", "0.00")),
        ("9999999999999.99", "9999999999999.99"),
    ],
)
def test_amounts(text: str, amount: str) -> None:
    assert str(read_amount(text, "amount")) == amount


@pytest.mark.parametrize("text", ["1.005", "0.001", "1.500", "0.30000000000000004", "1e-3", "۱٫۵۰۰"])
def test_nothing_is_rounded(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"Invalid value for amount: .*at most two decimals"):
        read_amount(text, "amount")


@pytest.mark.parametrize("text", ["", "x", "1,000", "1 000", "nan", "inf", "1.2.3", "true", "½", "²", "0x10", "1_000"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(InvalidInput, match="Invalid value for price: expected an amount"):
        read_amount(text, "price")


def test_commas_part_thousands_and_nothing_else() -> None:
    assert read_amount("1,234,567.50", "amount", grouped=True) == Decimal("1234567.50")
    assert read_amount("۱٬۲۳۴", "amount", grouped=True) == 1234
    for text in ("1,5", "1,23,456", "12,3456", ",5", "1,000,"):
        with pytest.raises(InvalidInput):
            read_amount(text, "amount", grouped=True)


def test_bounds_are_told() -> None:
    for text, told in (("0", "at least 0.01"), ("-1", "at least 0.01"), ("1e13", "too large"), ("1e999", "too large")):
        with pytest.raises(InvalidInput, match=told):
            read_amount(text, "amount", least=CENT)
