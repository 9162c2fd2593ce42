"""Amounts of money as people write them: exact decimals with two places. Source: contract chapter 30 B.3."""

import re
from decimal import ROUND_HALF_UP, Decimal

from core.errors import InvalidInput
from core.values.numerals import folded

CENT = Decimal("0.01")
# what a column decimal(15,2) holds
LARGEST = Decimal("9999999999999.99")
_WITHOUT_DECIMALS = ("IRR", "IRT")

_PLACES = 2
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?")


def rounded(amount: Decimal) -> Decimal:
    """Half-up to two places."""
    return amount.quantize(CENT, ROUND_HALF_UP)


def stored(value: object) -> Decimal:
    """What a column of money holds, whatever the driver makes of it; NULL is zero."""
    return rounded(Decimal(str(value or 0)))


def read_amount(text: str, field: str, *, least: Decimal | None = None, grouped: bool = False) -> Decimal:
    """The exact amount of at most two places. ``grouped``: commas may part its thousands.

    Raises InvalidInput, naming ``field``, for anything that is no number, that would have to be rounded, that is too
    large for the database, or smaller than ``least``.
    """
    text = folded(text)
    if grouped and _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    if not _NUMBER.fullmatch(text):
        raise InvalidInput.of(field, "expected an amount such as 12.50")
    exact = Decimal(text)
    if exact.copy_abs() > LARGEST:
        raise InvalidInput.of(field, "the amount is too large")
    # by its places and not by its value: to some, 1.500 is fifteen hundred
    if exact.as_tuple().exponent < -_PLACES:  # type: ignore[operator]
        raise InvalidInput.of(field, "expected an amount with at most two decimals")
    if least is not None and exact < least:
        raise InvalidInput.of(field, f"the amount must be at least {least}")
    return exact.quantize(CENT) + 0  # no negative zero


def shortest(amount: Decimal) -> str:
    """``100`` and ``600.1``: without zeros at the end."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def shown(amount: Decimal, currency: str) -> str:
    """``1,234.50`` and, in rials, ``1,234``."""
    return f"{amount:,.{0 if currency in _WITHOUT_DECIMALS else 2}f}"
