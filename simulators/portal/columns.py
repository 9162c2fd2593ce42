"""What the portal's database makes of the texts it is given: character set, lengths and dates."""

import re
from datetime import datetime

from simulators.portal.errors import SqlFailure
from simulators.portal.settings import PortalSettings

ZERO_DATE = "0000-00-00 00:00:00"
LENGTHS = {"login": 64, "account_number": 64, "account_balance": 16, "theme": 128}

_DATE = re.compile(r"\s*(\d{4})\D(\d{1,2})\D(\d{1,2})(?:[ T]+(\d{1,2})\D(\d{1,2})(?:\D(\d{1,2}))?)?")
_DIGITS = re.compile(r"\s*(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d))?")


def text_column(settings: PortalSettings, name: str, value: str) -> str:
    """``value`` as the column keeps it. Raises :class:`SqlFailure` for characters the database cannot store,
    and, on strict SQL modes, for texts that are too long."""
    if any(not _storable(character, settings.utf8_bytes) for character in value):
        raise SqlFailure(f"Incorrect string value for column '{name}' at row 1", _statement(name, value))
    length = LENGTHS.get(name)
    if length is not None and len(value) > length and settings.sql_strict:
        raise SqlFailure(f"Data too long for column '{name}' at row 1", _statement(name, value))
    return value[:length]


def _storable(character: str, utf8_bytes: int) -> bool:
    is_surrogate = "\ud800" <= character <= "\udfff"
    return not is_surrogate and (character <= "\uffff" or utf8_bytes == 4)


def date_column(settings: PortalSettings, name: str, value: str) -> str:
    """A date-time column; what is no date becomes the zero date, or an error on strict SQL modes."""
    match = _DATE.match(value) or _DIGITS.match(value)
    if match:
        parts = [int(part or 0) for part in match.groups()]
        text = "{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format(*parts)
        if _is_date_time(text):
            return text
    if settings.sql_strict:
        raise SqlFailure(f"Incorrect datetime value: '{value}' for column '{name}' at row 1", _statement(name, value))
    return ZERO_DATE


def _is_date_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _statement(name: str, value: str) -> str:
    text = f"UPDATE `users` SET `{name}`='{value}'"  # noqa: S608 - shown, never executed
    return text.encode("utf-8", "replace").decode()
