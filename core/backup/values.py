"""Single values between a column of ours and the text of a dump, in both directions.

Texts of TIMESTAMP columns are moments: our dumps write them in UTC, others say in which zone; stored they are local
times of the panel's zone, as everywhere. Source: contract chapter 70, import steps 3 and 4, and "Settled after a
review" 1.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy import Column

from core.backup.tokens import Value
from core.storage.tables.base import Choice

Read = Callable[[Value], Any]
Written = Callable[[Any], str]

# where a date is required but the file holds MySQL's 0000-00-00
_NO_MOMENT = datetime(1970, 1, 1)  # noqa: DTZ001 - stored times have no zone
_DAY = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?")
_DIGITS = 40
_OFFSET = re.compile(r"([+-])(\d{1,2}):(\d{2})")
_ESCAPES = str.maketrans({"\0": "\\0", "\n": "\\n", "\r": "\\r", "\\": "\\\\", "'": "\\'", "\x1a": "\\Z"})


class BadValue(Exception):
    """The column cannot hold this; ``what`` says why."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(what)


def zone_named(name: str) -> tzinfo | None:
    """The zone of ``SET TIME_ZONE``; None for one that is not known here."""
    offset = _OFFSET.fullmatch(name)
    if offset:
        minutes = int(offset[2]) * 60 + int(offset[3])
        return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


# from a dump


def reader(column: Column[Any], dialect: str, *, from_zone: tzinfo | None, to_zone: tzinfo) -> Read:
    """What makes a value of ``column`` of a literal; raises BadValue. ``from_zone``: of a moment, None: as it is."""
    read = _typed_reader(column, dialect, from_zone, to_zone)
    nullable = bool(column.nullable)

    def checked(value: Value) -> Any:
        found = None if value is None else read(value)
        if found is None and not nullable:
            raise BadValue("must not be empty")
        return found

    return checked


def _typed_reader(
    column: Column[Any], dialect: str, from_zone: tzinfo | None, to_zone: tzinfo
) -> Callable[[str | bytes], Any]:
    kind = column.type
    if isinstance(kind, sa.BigInteger):
        return _integers(2**63)
    if isinstance(kind, sa.SmallInteger):
        return _integers(2**7)
    if isinstance(kind, sa.Integer):
        return _integers(2**31)
    if isinstance(kind, sa.Numeric):
        return _decimals(10 ** ((kind.precision or 15) - (kind.scale or 0)), kind.scale or 0)
    if isinstance(kind, sa.DateTime):
        return _moments(bool(column.nullable), from_zone, to_zone)
    if isinstance(kind, sa.Date):
        moments = _moments(bool(column.nullable), None, to_zone)
        return lambda value: (found := moments(value)) and found.date()
    return _texts(kind, bool(column.nullable), dialect)


def _text(value: str | bytes) -> str:
    if isinstance(value, str):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise BadValue("is no text") from None


def _integers(bound: int) -> Callable[[str | bytes], int]:
    def read(value: str | bytes) -> int:
        if isinstance(value, bytes):
            number = int.from_bytes(value[:_DIGITS], "big")
        else:
            try:
                number = int(value) if len(value) <= _DIGITS else bound
            except ValueError:
                number = _whole(value)
        if not -bound <= number < bound:
            raise BadValue("is too large a number")
        return number

    return read


def _whole(text: str) -> int:
    """``5.0`` and ``1e3`` are whole numbers too."""
    number = _decimal(text)
    if abs(number) >= 2**63 or number != int(number):
        raise BadValue("is no whole number")
    return int(number)


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text if len(text) <= _DIGITS else "NaN")
    except InvalidOperation:
        raise BadValue("is no number") from None
    if not number.is_finite() or number.adjusted() > _DIGITS:
        raise BadValue("is no number")
    return number


def _decimals(bound: int, scale: int) -> Callable[[str | bytes], Decimal]:
    step = Decimal(1).scaleb(-scale)

    def read(value: str | bytes) -> Decimal:
        number = _decimal(_text(value))
        if abs(number) >= bound:
            raise BadValue("is too large a number")
        # as MySQL does
        return number.quantize(step, rounding="ROUND_HALF_UP")

    return read


def _moments(nullable: bool, from_zone: tzinfo | None, to_zone: tzinfo) -> Callable[[str | bytes], datetime | None]:
    absent = None if nullable else _NO_MOMENT

    def read(value: str | bytes) -> datetime | None:
        text = _text(value)
        found = _DAY.fullmatch(text)
        if found is None:
            if text.strip():
                raise BadValue("is no date")
            return absent
        year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
        try:
            moment = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - its zone is another question
            if from_zone is not None:
                moment = moment.replace(tzinfo=from_zone).astimezone(to_zone).replace(tzinfo=None)
        except (ValueError, OverflowError):
            # MySQL's 0000-00-00, or no day of the calendar, which nobody can read
            return absent
        return moment

    return read


def _texts(kind: Any, nullable: bool, dialect: str) -> Callable[[str | bytes], str | None]:
    length = getattr(kind, "length", None)
    is_choice, no_nul = isinstance(kind, Choice), dialect == "postgresql"

    def read(value: str | bytes) -> str | None:
        text = _text(value)
        if length is not None and len(text) > length:
            raise BadValue(f"is longer than {length} characters")
        if no_nul and "\0" in text:
            text = text.replace("\0", "")
        # MySQL's mark for a word that was refused
        return None if is_choice and not text and nullable else text

    return read


def default_of(column: Column[Any], now: datetime) -> Value:
    """The literal that a row gets where the file lacks the column. Raises BadValue where there is none."""
    default = column.server_default
    if default is None:
        if not column.nullable:
            raise BadValue("is missing")
        return None
    argument: Any = default.arg  # type: ignore[attr-defined]
    if isinstance(argument, str):
        return argument
    text = str(getattr(argument, "first", None) or argument.text)
    if text == "CURRENT_TIMESTAMP":
        return now.isoformat(sep=" ")
    return None if text == "NULL" else text.strip("'")


# into a dump


def writer(column: Column[Any], zone: tzinfo) -> Written:
    """What makes a literal of MySQL of what a driver gives for ``column``; ``zone``: of its stored times."""
    kind = column.type
    if isinstance(kind, sa.TIMESTAMP):
        return lambda value: _moment(value, zone)
    if isinstance(kind, sa.Integer | sa.Numeric):
        return _number
    return quoted


def _number(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, Decimal):
        return format(value, "f")
    # SQLite keeps decimals as floating numbers, whose shortest text is the decimal that was stored
    return format(Decimal(str(value)), "f") if isinstance(value, float) else quoted(value)


def _moment(value: Any, zone: tzinfo) -> str:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return quoted(value)
    if not isinstance(value, datetime):
        return quoted(value)
    try:
        moment = value.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        return "NULL"
    return quoted(moment)


def quoted(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, date):
        value = value.isoformat(sep=" ", timespec="seconds") if isinstance(value, datetime) else value.isoformat()
    return f"'{str(value).translate(_ESCAPES)}'"
