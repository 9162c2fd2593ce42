"""Digits as people type them: Persian and Arabic ones are read, and the marks that nobody sees are left out.

Source: contract README, "digits in other values".
"""

import unicodedata

# with what stands between and before the digits of those keyboards
_ASCII = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩٫٬−＋", "01234567890123456789.,-+")


def folded(text: str) -> str:
    """``text`` with ASCII digits, without marks and without blanks at its ends."""
    return in_ascii_digits(text).strip()


def in_ascii_digits(text: str) -> str:
    """``text`` with ASCII digits and without marks."""
    return text if text.isascii() else without_marks(text).translate(_ASCII)


def without_marks(text: str) -> str:
    """``text`` without format characters: marks of direction, joiners, a byte order mark."""
    return text if text.isascii() else "".join(sign for sign in text if unicodedata.category(sign) != "Cf")
