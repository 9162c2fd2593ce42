"""Telephone numbers as the SMS provider takes them: pure functions. Source: contract chapter 60 S5, "numbers"."""

import re

_DROPPED = re.compile(r"[\s.()-]")
_INTERNATIONAL = re.compile(r"\+[1-9][0-9]{6,14}")
_NATIONAL = re.compile(r"0[1-9][0-9]{5,14}")


def provider_number(text: str | None, country_code: str) -> str | None:
    """``+`` and digits, or a national number as it is where no ``country_code`` is known; None: not usable."""
    number = _DROPPED.sub("", text or "")
    if number.startswith("00"):
        number = f"+{number[2:]}"
    elif number.isascii() and number.isdigit() and not number.startswith("0"):
        number = f"+{number}"
    elif _NATIONAL.fullmatch(number):
        if not country_code:
            return number
        number = f"+{country_code.removeprefix('+')}{number[1:]}"
    return number if _INTERNATIONAL.fullmatch(number) else None
