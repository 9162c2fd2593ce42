"""Digits as people type them: those of any script are read, and the marks that nobody sees are left out.

Source: contract README, "digits in other values".
"""

import unicodedata

# what stands between and before the digits of Persian and Arabic keyboards
_SIGNS = {
    "\N{ARABIC DECIMAL SEPARATOR}": ".",
    "\N{ARABIC THOUSANDS SEPARATOR}": ",",
    "\N{MINUS SIGN}": "-",
    "\N{FULLWIDTH PLUS SIGN}": "+",
}


def folded(text: str) -> str:
    """``text`` with ASCII digits, without marks and without blanks at its ends."""
    return in_ascii_digits(text).strip()


def in_ascii_digits(text: str) -> str:
    """``text`` with ASCII digits and without marks."""
    return text if text.isascii() else "".join(map(_folded, without_marks(text)))


def without_marks(text: str) -> str:
    """``text`` without format characters: marks of direction, joiners, a byte order mark."""
    return text if text.isascii() else "".join(sign for sign in text if unicodedata.category(sign) != "Cf")


def _folded(sign: str) -> str:
    digit = unicodedata.decimal(sign, None)
    return _SIGNS.get(sign, sign) if digit is None else str(digit)
