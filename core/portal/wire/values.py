"""Tolerant reading of single values in the portal's answers: numbers as texts, zero dates, one object for a list.

Source: contract chapter 90 §4, §10.8, §10.10.
"""

from datetime import date
from functools import lru_cache
from typing import Any

from core.portal.errors import PortalInvalidAnswer

_MAX_NUMBER = 2**31 - 1
_DATE_LENGTH = len("2026-01-31")


def record_list(results: object) -> list[Any]:
    """``results`` as a list; a single object is a list of one. Raises PortalInvalidAnswer for anything else."""
    if isinstance(results, list):
        return results
    if isinstance(results, dict):
        return [results]
    raise PortalInvalidAnswer


def text_of(value: object) -> str:
    """A text, trimmed; numbers in their usual spelling; empty for everything else."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return ""


def whole_number(value: object) -> int | None:
    """A number above 0 that fits 31 bits, given as number or text; None for everything else."""
    if value is None:
        return None
    text = text_of(value)
    if not (text.isascii() and text.isdecimal()) or len(text) > 10:
        return None
    number = int(text)
    return number if 0 < number <= _MAX_NUMBER else None


def is_on(value: object) -> bool:
    """A status: absent (None) is on, otherwise as the portal's PHP takes it."""
    if isinstance(value, str):
        return value.strip() not in ("", "0")
    return True if value is None else bool(value)


def end_date(value: object) -> date | None:
    """The date of a date or date-time text; None for null, an empty text and the zero date.

    Raises ValueError for everything else.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("not a date")
    return _end_date(value)


# thousands of accounts end on a few hundred days
@lru_cache(maxsize=4096)
def _end_date(text: str) -> date | None:
    text = text.strip()
    if not text or text.startswith("0000-00-00"):
        return None
    day, rest = text[:_DATE_LENGTH].replace("/", "-"), text[_DATE_LENGTH:]
    if len(day) != _DATE_LENGTH or day[4] != "-" or day[7] != "-" or rest[:1] not in ("", " ", "T"):
        raise ValueError("not a date")
    return date.fromisoformat(day)
