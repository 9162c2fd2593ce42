"""Telephone numbers: one rule, wherever they come from (contract README, "phone numbers")."""

import pytest

from core.errors import InvalidInput
from core.values.phones import normal_phone, same_phone

IRAN = "98"


@pytest.mark.parametrize(
    ("text", "without_code", "with_code"),
    [
        ("", None, None),
        ("  ", None, None),
        ("09121234567", "09121234567", "+989121234567"),
        ("۰۹۱۲۱۲۳۴۵۶۷", "09121234567", "+989121234567"),
        ("٠٩١٢١٢٣٤٥٦٧", "09121234567", "+989121234567"),
        ("+98 (0)912 123 4567", "+9809121234567", "+989121234567"),
        ("00989121234567", "+989121234567", "+989121234567"),
        ("0098 0912 123 4567", "+9809121234567", "+989121234567"),
        ("+0912-123-4567", "09121234567", "+989121234567"),
        ("+0098 912 123 4567", "+989121234567", "+989121234567"),
        ("989121234567", "+989121234567", "+989121234567"),
        ("9809121234567", "+9809121234567", "+989121234567"),
        ("9121234567", "9121234567", "9121234567"),
        ("\u200e+44 20.7946\u20110000\u200f", "+442079460000", "+442079460000"),
        ("\u202a+44\u00a02079460000\u202c", "+442079460000", "+442079460000"),
        ("[+44] 2079460000", "+442079460000", "+442079460000"),
        ("12345", "12345", "12345"),
        ("+" + "1" * 15, "+" + "1" * 15, "+" + "1" * 15),
    ],
)
def test_one_form_of_each_number(text: str, without_code: str | None, with_code: str | None) -> None:
    assert normal_phone(text) == without_code
    assert normal_phone(text, IRAN) == normal_phone(text, "+98") == with_code


@pytest.mark.parametrize(
    "text",
    [
        *("none", "call me", "0912 abc", "ext 5", "tel:+44123456", "09121234567x"),
        *("1234", "+0044", "0", "000", "-", "()", "\u200e", "+", "++44123456", "44+123456"),
        *("1" * 16, "+" + "1" * 16, "09121234567 09127654321"),
        *("09121234567/09127654321", "09121234567,09127654321", "09121234567\n09127654321", "0912123\n0912124"),
    ],
)
def test_what_is_no_number_is_refused_and_never_cleared_or_merged(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"Invalid value for phone_number: .*5 to 15 digits"):
        normal_phone(text, IRAN, field="phone_number")


@pytest.mark.parametrize(
    ("posted", "stored", "is_same"),
    [
        ("09121234567", "+989121234567", True),
        ("9121234567", "+989121234567", True),
        ("+98 912 123 4567", "09121234567", True),
        ("۹۱۲۱۲۳۴۵۶۷", "+989121234567", True),
        ("500000000", "+971500000000", True),
        ("+500000000", "+971500000000", False),
        ("9121234568", "+989121234567", False),
        # the end of a number is not the number
        ("34567", "+989121234567", False),
        ("", "+989121234567", False),
        ("09121234567", None, False),
    ],
)
def test_a_posted_value_that_means_the_stored_number(posted: str, stored: str | None, is_same: bool) -> None:
    assert same_phone(posted, stored, IRAN) is is_same
