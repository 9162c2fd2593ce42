"""Telephone numbers: their one stored form, wherever they come from. Source: contract README, "phone numbers"."""

import re

from core.errors import InvalidInput
from core.values.numerals import folded

LEAST_DIGITS, MOST_DIGITS = 5, 15
# of a national number without its leading 0
_MOST_NATIONAL_DIGITS = 10
_MOST_CODE_DIGITS = 4
# no line break: what stands on two lines is two numbers
_DROPPED = re.compile(r"[^\S\r\n]|[().\[\]-]|[\N{HYPHEN}-\N{HORIZONTAL BAR}]")
_DIGITS = re.compile(r"\+?[0-9]+")
EXPECTED = f"expected one telephone number of {LEAST_DIGITS} to {MOST_DIGITS} digits, e.g. +989121234567 or 09121234567"


def normal_phone(text: str, country_code: str = "", *, field: str = "phone") -> str | None:
    """``+`` and digits; ``0…`` for a national number where no ``country_code`` is configured; None for an empty text.

    Raises InvalidInput, naming ``field``, for what is no number: it is never taken for an empty one.
    """
    if not text.strip():
        return None
    compact = _compact(text)
    if not _DIGITS.fullmatch(compact):
        raise InvalidInput.of(field, EXPECTED)
    number = _with_prefix(compact, country_code.removeprefix("+"))
    if not LEAST_DIGITS <= len(number.lstrip("+")) <= MOST_DIGITS:
        raise InvalidInput.of(field, EXPECTED)
    return number


def same_phone(posted: str, stored: str | None, country_code: str = "") -> bool:
    """Whether ``posted`` means the ``stored`` number: in another spelling, or as its national part alone, which is
    what edit dialogs send of a country code that they do not know. Raises InvalidInput as :func:`normal_phone`."""
    number = normal_phone(posted, country_code)
    if number is None or not stored:
        return False
    if number == _normal_or_none(stored, country_code):
        return True
    national, digits = _compact(posted).removeprefix("0"), _compact(stored).lstrip("+")
    is_tail = national.isdecimal() and digits.endswith(national)
    return is_tail and len(digits) - len(national) <= _MOST_CODE_DIGITS


def _compact(text: str) -> str:
    return _DROPPED.sub("", folded(text))


def _with_prefix(compact: str, code: str) -> str:
    digits = compact.lstrip("+")
    is_international = compact.startswith("+")
    while digits.startswith("00"):
        digits, is_international = digits[2:], True
    if digits.startswith("0"):
        # also behind a +, where nobody's number begins with 0
        return f"+{code}{digits[1:]}" if code else digits
    if not is_international and len(digits) <= _MOST_NATIONAL_DIGITS:
        return digits
    has_trunk_zero = code and digits.startswith(f"{code}0")
    return f"+{code}{digits[len(code) + 1 :]}" if has_trunk_zero else f"+{digits}"


def _normal_or_none(stored: str, country_code: str) -> str | None:
    try:
        return normal_phone(stored, country_code)
    except InvalidInput:
        return None
