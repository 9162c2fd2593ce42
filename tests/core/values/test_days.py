"""Days as they enter."""

from datetime import date

import pytest

from core.errors import InvalidInput
from core.values.days import LAST_END, checked_date


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2025-02-15", date(2025, 2, 15)),
        ("2025/2/5", date(2025, 2, 5)),
        ("2025-02-15 23:59:59", date(2025, 2, 15)),
        ("2025-02-15 23:59", date(2025, 2, 15)),
        ("2025-02-15T23:59:59.000Z", date(2025, 2, 15)),
    ],
)
def test_dates(text: str, day: date) -> None:
    assert checked_date(text) == day


@pytest.mark.parametrize(
    "text", ["2025-02-30", "15.02.2025", "2025-02", "2025-13-01", "soon", "2025-02/15", "0000-00-00"]
)
def test_what_is_no_date(text: str) -> None:
    with pytest.raises(InvalidInput):
        checked_date(text)


@pytest.mark.parametrize(
    "text", ["۲۰۲۶-۱۲-۰۵", "٢٠٢٦/١٢/٥", "\u200e2026-12-05\u200f", " 2026-12-05 "], ids=["fa", "ar", "marks", "blanks"]
)
def test_dates_in_the_digits_of_a_persian_or_arabic_keyboard(text: str) -> None:
    assert checked_date(text) == date(2026, 12, 5)


@pytest.mark.parametrize("text", ["1405/10/15", "1399-01-01", "1300-12-30", "1499-01-01", "۱۴۰۵/۱۰/۱۵", "1405-12-30"])
def test_a_shamsi_year_is_refused_with_a_text_that_says_gregorian(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"Invalid value for end_date: .*Gregorian"):
        checked_date(text, "end_date")


@pytest.mark.parametrize("text", ["1969-12-31", "2101-01-01", "0001-01-01", "9999-12-31", "1299-01-01", "1500-01-01"])
def test_years_outside_of_the_calendar_are_refused_and_the_text_says_what_is_possible(text: str) -> None:
    with pytest.raises(InvalidInput, match="1970-01-01 to 2100-12-31"):
        checked_date(text)


def test_the_first_and_the_last_day() -> None:
    assert [checked_date(text) for text in ("1970-01-01", "2100-12-31")] == [date(1970, 1, 1), date(2100, 12, 31)]
    assert checked_date("2099-12-31", last=LAST_END) == LAST_END
    with pytest.raises(InvalidInput, match="2099-12-31"):
        checked_date("2100-01-01", last=LAST_END)
