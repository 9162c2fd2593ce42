"""What the portal's database makes of the texts it is given: character set, lengths, dates, and words that it executes.

Measured on the stock portal 5.1.1 (contract chapter 90 §13 M4, M5, M9, M10, M12).
"""

import re
import time
from datetime import datetime

from simulators.portal.errors import SqlFailure
from simulators.portal.settings import PortalSettings

ZERO_DATE = "0000-00-00 00:00:00"
# a field of the API and the column that it stands for, where they differ
COLUMNS = {"full_name": "fname", "account_number": "ls", "stb_mac": "mac"}
LENGTHS = {"login": 64, "full_name": 64, "phone": 64, "account_number": 64, "account_balance": 16, "theme": 128}

_DATE = re.compile(r"\s*(\d{4})\D(\d{1,2})\D(\d{1,2})(?:[ T]+(\d{1,2})\D(\d{1,2})(?:\D(\d{1,2}))?)?")
_DIGITS = re.compile(r"\s*(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d))?")
# a TIMESTAMP ends there
_FIRST, _LAST = "1970-01-01 00:00:01", "2038-01-19 03:14:07"
_FUNCTIONS = {"NOW()": "%Y-%m-%d %H:%M:%S", "CURDATE()": "%Y-%m-%d", "CURTIME()": "%H:%M:%S"}


def text_column(settings: PortalSettings, name: str, value: str) -> str:
    """``value`` as the column keeps it. Raises :class:`SqlFailure`, on strict SQL modes only, for characters that the
    database cannot store and for texts that are too long."""
    function = _FUNCTIONS.get(value.strip().upper())
    if function is not None:
        return time.strftime(function)
    column = COLUMNS.get(name, name)
    if settings.utf8_bytes == 3 and any(character > "\uffff" for character in value):
        if settings.sql_strict:
            raise SqlFailure(f"Incorrect string value for column '{column}' at row 1", _statement(column, value))
        value = "".join("????" if character > "\uffff" else character for character in value)
    length = LENGTHS.get(name)
    if length is not None and len(value) > length and settings.sql_strict:
        raise SqlFailure(f"Data too long for column '{column}' at row 1", _statement(column, value))
    return value[:length]


def date_column(settings: PortalSettings, name: str, value: str) -> str:
    """A TIMESTAMP; what is no date, or none of its time, becomes the zero date, or an error on strict SQL modes."""
    function = _FUNCTIONS.get(value.strip().upper())
    if function is not None:
        return date_column(settings, name, time.strftime(function))
    match = _DATE.match(value) or _DIGITS.match(value)
    if match:
        parts = [int(part or 0) for part in match.groups()]
        text = "{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format(*parts)
        if text == ZERO_DATE or (_is_date_time(text) and _FIRST <= text <= _LAST):
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
