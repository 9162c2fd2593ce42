"""The Shamsi calendar: the contract's check values, leap years, and that months meet without gap or overlap."""

import itertools
from datetime import date, datetime, timedelta

import pytest

from core.values import shamsi

LEAP = {1395, 1399, 1403, 1408}


@pytest.mark.parametrize(
    ("day", "text"),
    [
        (date(2024, 11, 21), "1403/09/01"),
        (date(2024, 12, 20), "1403/09/30"),
        (date(2025, 11, 27), "1404/09/06"),
        (date(2026, 11, 22), "1405/09/01"),
        (date(2025, 3, 20), "1403/12/30"),
        (date(2026, 3, 20), "1404/12/29"),
        (date(622, 3, 22), "0001/01/01"),
        (date(622, 3, 21), None),
        (date(9999, 12, 31), None),
        ("0000-00-00", None),
        (None, None),
    ],
)
def test_a_day(day: object, text: str | None) -> None:
    assert shamsi.shown(day) == text


@pytest.mark.parametrize("year", range(1395, 1412))
def test_esfand_has_30_days_in_leap_years_only(year: int) -> None:
    first, last = shamsi.days_of_month(year, 12)
    assert (last - first).days + 1 == (30 if year in LEAP else 29)


def test_months_meet_from_the_first_year_to_the_last() -> None:
    months = [
        shamsi.days_of_month(year, month)
        for year in range(shamsi.FIRST_YEAR, shamsi.LAST_YEAR + 1)
        for month in range(1, 13)
    ]
    for (_, last), (first, _) in itertools.pairwise(months):
        assert last + timedelta(days=1) == first
    lengths = {(last - first).days + 1 for first, last in months}
    assert lengths == {29, 30, 31}
    assert len(shamsi.MONTHS) == 12


def test_the_day_of_a_moment() -> None:
    assert shamsi.shown(datetime.fromisoformat("2026-11-22 23:59:59").date()) == "1405/09/01"
