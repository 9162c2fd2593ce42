"""Single values between columns and the text of a dump, as tables."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from sqlalchemy import Column

from core.backup.tokens import Value
from core.backup.values import BadValue, default_of, quoted, reader, writer, zone_named
from core.storage.tables import Account, AuditEntry, SmsLog, StalkerSetting, Transaction, User

TEHRAN = ZoneInfo("Asia/Tehran")
ID, DAYS, STATUS = (Account.__table__.c[name] for name in ("id", "plan", "status"))
AMOUNT, END, NAME = Transaction.__table__.c.amount, Account.__table__.c.end_date, Account.__table__.c.full_name
SENT, KIND, LONG_ID = SmsLog.__table__.c.sent_at, SmsLog.__table__.c.message_type, AuditEntry.__table__.c.id
UPDATED, CREATED = StalkerSetting.__table__.c.updated_at, SmsLog.__table__.c.created_at


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


READ: dict[str, tuple[Column[Any], Value, Any]] = {
    "a number": (ID, "5", 5),
    "a quoted number with blanks": (ID, " 5 ", 5),
    "a whole number with a point": (ID, "5.0", 5),
    "a number in bits": (STATUS, b"\x01", 1),
    "a small negative one": (STATUS, "-1", -1),
    "a long id": (LONG_ID, str(2**62), 2**62),
    "nothing": (DAYS, None, None),
    "an amount": (AMOUNT, "-12.5", Decimal("-12.50")),
    "an amount to be rounded": (AMOUNT, "0.005", Decimal("0.01")),
    "a large amount": (AMOUNT, "9999999999999.99", Decimal("9999999999999.99")),
    "a day": (END, "2026-11-22", date(2026, 11, 22)),
    "a day with a time": (END, "2026-11-22 10:30:00", date(2026, 11, 22)),
    "a zero day": (END, "0000-00-00", None),
    "a day in part": (END, "2026-00-00", None),
    "no day of the calendar": (END, "2027-02-30", None),
    "an empty day": (END, "", None),
    "a moment": (SENT, "2026-11-22 10:30:00", _moment("2026-11-22 10:30:00")),
    "a moment with fractions": (SENT, "2026-11-22 10:30:00.123456", _moment("2026-11-22 10:30:00")),
    "a zero moment that is required": (SENT, "0000-00-00 00:00:00", _moment("1970-01-01 00:00:00")),
    "a text": (NAME, "علی", "علی"),
    "a text in bytes": (NAME, "علی".encode(), "علی"),
    "a number as text": (NAME, "007", "007"),
    "an unknown word": (KIND, "word_of_1_19", "word_of_1_19"),
    "MySQL's mark for a refused word": (KIND, "", None),
}


@pytest.mark.parametrize("name", READ)
def test_reading(name: str) -> None:
    column, literal, value = READ[name]
    assert reader(column, "sqlite", from_zone=None, to_zone=TEHRAN)(literal) == value


REFUSED: dict[str, tuple[Column[Any], Value]] = {
    "no number": (ID, "many"),
    "an empty number": (ID, ""),
    "half a number": (ID, "1.5"),
    "too large": (ID, "2147483648"),
    "too small": (STATUS, "-129"),
    "very long": (ID, "9" * 5000),
    "a long exponent": (ID, "1e999999999"),
    "not finite": (AMOUNT, "NaN"),
    "too large an amount": (AMOUNT, "10000000000000"),
    "an exponent": (AMOUNT, "1e99999"),
    "no date": (END, "tomorrow"),
    "too long a text": (NAME, "x" * 256),
    "bytes that are no text": (NAME, b"\xff"),
    "nothing where something is required": (ID, None),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusing(name: str) -> None:
    column, literal = REFUSED[name]
    with pytest.raises(BadValue):
        reader(column, "sqlite", from_zone=None, to_zone=TEHRAN)(literal)


@pytest.mark.parametrize(
    ("zone", "text", "local"),
    [
        ("+00:00", "2026-11-22 07:00:00", "2026-11-22 10:30:00"),
        ("+03:30", "2026-11-22 10:30:00", "2026-11-22 10:30:00"),
        ("-05:00", "2026-11-22 02:00:00", "2026-11-22 10:30:00"),
        ("Europe/London", "2026-07-01 08:00:00", "2026-07-01 10:30:00"),
        # before Iran gave up summer time
        ("+00:00", "2021-07-01 06:00:00", "2021-07-01 10:30:00"),
        ("+00:00", "0000-00-00 00:00:00", None),
        ("+00:00", "9999-12-31 23:00:00", None),
    ],
)
def test_moments_come_from_the_zone_of_the_file(zone: str, text: str, local: str | None) -> None:
    read = reader(UPDATED, "mysql", from_zone=zone_named(zone), to_zone=TEHRAN)
    assert read(text) == (local and _moment(local))


@pytest.mark.parametrize("name", ["", "Nowhere/Land", "../../etc/passwd", "+3"])
def test_an_unknown_zone(name: str) -> None:
    assert zone_named(name) is None


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        (ID, 5, "5"),
        (ID, None, "NULL"),
        (STATUS, True, "1"),
        (AMOUNT, Decimal("-12.50"), "-12.50"),
        (AMOUNT, 0.1, "0.1"),
        (AMOUNT, 1e15, "1000000000000000.0"),
        (END, date(2026, 11, 22), "'2026-11-22'"),
        (END, "0000-00-00", "'0000-00-00'"),
        (SENT, _moment("2026-11-22 10:30:00"), "'2026-11-22 10:30:00'"),
        (SENT, "2026-11-22 10:30:00", "'2026-11-22 10:30:00'"),
        (UPDATED, _moment("2026-11-22 10:30:00"), "'2026-11-22 07:00:00'"),
        (UPDATED, "2026-11-22 10:30:00", "'2026-11-22 07:00:00'"),
        (UPDATED, "0000-00-00 00:00:00", "'0000-00-00 00:00:00'"),
        (UPDATED, datetime.min, "NULL"),  # noqa: DTZ901 - as a database may hold it
        (NAME, "a'b\\c\nd\re\0f\x1ag%_\"", "'a\\'b\\\\c\\nd\\re\\0f\\Zg%_\"'"),
    ],
)
def test_writing(column: Column[Any], value: object, text: str) -> None:
    assert writer(column, TEHRAN)(value) == text


def test_what_is_quoted_has_one_line() -> None:
    assert "\n" not in quoted("a\nb\r\nc")


@pytest.mark.parametrize(
    ("column", "literal"),
    [
        (User.__table__.c.balance, "0.00"),
        (User.__table__.c.permissions, "1|1|1|1|1"),
        (User.__table__.c.email, None),
        (Account.__table__.c.full_name, ""),
        (Account.__table__.c.status, "1"),
        (CREATED, "2026-11-22 10:30:00"),
        (UPDATED, "2026-11-22 10:30:00"),
    ],
)
def test_defaults(column: Column[Any], literal: Value) -> None:
    assert default_of(column, _moment("2026-11-22 10:30:00")) == literal


def test_a_column_without_default_is_needed() -> None:
    with pytest.raises(BadValue):
        default_of(User.__table__.c.password, datetime.now(UTC))


@pytest.mark.parametrize("table", sa.inspect(User).mapper.registry.metadata.sorted_tables, ids=lambda table: table.name)
def test_every_default_can_be_read(table: sa.Table) -> None:
    now = _moment("2026-11-22 10:30:00")
    for column in table.columns:
        if column.server_default is not None or column.nullable:
            reader(column, "sqlite", from_zone=None, to_zone=TEHRAN)(default_of(column, now))
