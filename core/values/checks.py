"""Texts, addresses, dates and phones as they enter: checked and in their stored form, or InvalidInput. No database."""

import re
from datetime import date

from core.errors import InvalidInput
from core.values.markup import plain, quotable

USERNAME_CHARACTERS = 100
TEXT_CHARACTERS = 255
PHONE_CHARACTERS = 50
_EMAIL = re.compile(r"[^@\s<>\"',;:()\[\]\\]+@[^@\s<>\"',;:()\[\]\\]+\.[^@\s<>\"',;:()\[\]\\.]+")
_DATE = re.compile(r"(\d{4})([-/])(\d{1,2})\2(\d{1,2})(?:(?: +|T)\d{1,2}:\d{2}\S*(?: .*)?)?")


def clean_text(text: str, name: str, limit: int = TEXT_CHARACTERS) -> str:
    """``text`` without markup and control characters. Raises InvalidInput when it is too long."""
    cleaned = plain(text).strip()
    if len(cleaned) > limit:
        raise InvalidInput(f"The {name} is too long (more than {limit} characters)")
    return cleaned


def clean_name(text: str, name: str, limit: int = TEXT_CHARACTERS) -> str:
    """``text`` in the form that pages may put into attributes and handlers.

    Raises InvalidInput when it is too long, or when nothing is left of it.
    """
    cleaned = quotable(text).strip()
    if len(cleaned) > limit:
        raise InvalidInput(f"The {name} is too long (more than {limit} characters)")
    if text.strip() and not cleaned:
        raise InvalidInput(f"Invalid value for {name}: it has no readable character")
    return cleaned


def checked_email(text: str) -> str | None:
    """The address, None for an empty one. Raises InvalidInput."""
    if not text:
        return None
    if len(text) > TEXT_CHARACTERS or not _EMAIL.fullmatch(text):
        raise InvalidInput("The e-mail address is not valid")
    return text


def normal_phone(text: str) -> str | None:
    """``+`` and digits; None without any digit. Raises InvalidInput when it is too long."""
    digits = re.sub(r"[^0-9]", "", text)
    if not digits:
        return None
    if not text.strip().startswith("+"):
        digits = digits.removeprefix("00")
    if len(digits) >= PHONE_CHARACTERS:
        raise InvalidInput("The phone number is too long")
    return f"+{digits}" if digits else None


def checked_date(text: str) -> date:
    """The day of ``YYYY-MM-DD`` or ``YYYY/MM/DD``, a time of day behind it ignored. Raises InvalidInput."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise InvalidInput("The date is not valid; expected YYYY-MM-DD")
    try:
        return date(int(match[1]), int(match[3]), int(match[4]))
    except ValueError:
        raise InvalidInput("The date does not exist") from None
