"""Tolerant reading of single values in the portal's answers: numbers as texts, zero dates, one object for a list.

Source: contract chapter 90 §4, §10.8, §10.10 and contract README ("unknown end dates", "dates that enter").
"""

from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from typing import Any

from core.portal.errors import PortalInvalidAnswer

_MAX_NUMBER = 2**31 - 1
_DATE_LENGTH = len("2026-01-31")
_FIRST_END, _LAST_END = date(1970, 1, 1), date(2099, 12, 31)
# Unix seconds from 2001 to 2099
_SECONDS_DIGITS = 10


def record_list(results: object) -> list[Any]:
    """``results`` as a list; a single object is a list of one. Raises PortalInvalidAnswer for anything else."""
    if isinstance(results, list):
        return results
    if isinstance(results, dict):
        return [results]
    raise PortalInvalidAnswer


def records_with(results: object, *keys: str) -> list[Any]:
    """As :func:`record_list`, of records that have one of ``keys`` at least: a list of a shape that we do not know is
    no empty list. Raises PortalInvalidAnswer where there are records, and none of them is such a one."""
    records = record_list(results)
    if records and not any(isinstance(record, dict) and not record.keys().isdisjoint(keys) for record in records):
        raise PortalInvalidAnswer
    return records


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


def end_date(value: object, zone: tzinfo = UTC) -> date | None:
    """The date of a date or date-time text, or of ten digits of Unix seconds in ``zone``; None for null, an empty text
    and the zero date.

    Raises ValueError for everything else: what cannot be read is not "no end". That holds for days before 1970 and
    after 2099 as well, and so for Shamsi years.
    """
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError("not a date")
    return _end_date(value, zone)


# thousands of accounts end on a few hundred days
@lru_cache(maxsize=4096)
def _end_date(text: str, zone: tzinfo) -> date | None:
    text = _ascii_digits(text.strip())
    if not text or text.startswith("0000-00-00"):
        return None
    if len(text) == _SECONDS_DIGITS and text.isdecimal():
        found = datetime.fromtimestamp(int(text), zone).date()
    else:
        day, rest = text[:_DATE_LENGTH].replace("/", "-"), text[_DATE_LENGTH:]
        if len(day) != _DATE_LENGTH or day[4] != "-" or day[7] != "-" or rest[:1] not in ("", " ", "T"):
            raise ValueError("not a date")
        found = date.fromisoformat(day)
    if not _FIRST_END <= found <= _LAST_END:
        raise ValueError("no day on which an account ends")
    return found


def _ascii_digits(text: str) -> str:
    if text.isascii():
        return text
    return "".join(str(int(character)) if character.isdecimal() else character for character in text)
