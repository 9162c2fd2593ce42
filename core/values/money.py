"""Amounts of money as people write them: exact decimals with two places. Source: contract chapter 30 B.3."""

import re
from decimal import ROUND_HALF_UP, Decimal

from core.errors import InvalidInput

CENT = Decimal("0.01")
# what a column decimal(15,2) holds
LARGEST = Decimal("9999999999999.99")
_WITHOUT_DECIMALS = ("IRR", "IRT")

_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?")


def rounded(amount: Decimal) -> Decimal:
    """Half-up to two places."""
    return amount.quantize(CENT, ROUND_HALF_UP)


def stored(value: object) -> Decimal:
    """What a column of money holds, whatever the driver makes of it; NULL is zero."""
    return rounded(Decimal(str(value or 0)))


def read_amount(text: str, name: str, *, least: Decimal | None = None) -> Decimal:
    """``text`` rounded half-up to two places. Raises InvalidInput, naming the field, for anything that is no number,
    too large for the database, or smaller than ``least``."""
    if not _NUMBER.fullmatch(text):
        raise InvalidInput(f"Invalid value for {name}: expected an amount")
    exact = Decimal(text)
    # before rounding: rounding a number with too many digits fails by itself
    if exact.copy_abs() > LARGEST:
        raise InvalidInput(f"Invalid value for {name}: the amount is too large")
    amount = rounded(exact)
    if least is not None and amount < least:
        raise InvalidInput(f"Invalid value for {name}: the amount must be at least {least}")
    return amount + 0  # no negative zero


def shortest(amount: Decimal) -> str:
    """``100`` and ``600.1``: without zeros at the end."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def shown(amount: Decimal, currency: str) -> str:
    """``1,234.50`` and, in rials, ``1,234``."""
    return f"{amount:,.{0 if currency in _WITHOUT_DECIMALS else 2}f}"
