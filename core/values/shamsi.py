"""The Shamsi (Solar Hijri) calendar, in which the panels show days and bill months. Source: contract chapter 30 D."""

from datetime import date, timedelta

from persiantools.jdatetime import JalaliDate

FIRST_YEAR, LAST_YEAR = 1300, 1500
MONTHS = (
    *("فروردین", "اردیبهشت", "خرداد", "تیر", "مرداد", "شهریور"),
    *("مهر", "آبان", "آذر", "دی", "بهمن", "اسفند"),
)
# within which the library counts
_FIRST_DAY, _LAST_DAY = date(622, 3, 22), date(9998, 12, 31)


def shown(day: object) -> str | None:
    """``1405/09/01``; None for what is no day, or beyond the calendar."""
    if not isinstance(day, date) or not _FIRST_DAY <= day <= _LAST_DAY:
        return None
    shamsi = JalaliDate.to_jalali(day.year, day.month, day.day)
    return f"{shamsi.year:04}/{shamsi.month:02}/{shamsi.day:02}"


def days_of_month(year: int, month: int) -> tuple[date, date]:
    """First and last day of a Shamsi month, for years from FIRST_YEAR to LAST_YEAR."""
    following = (year, month + 1) if month < 12 else (year + 1, 1)
    return JalaliDate(year, month, 1).to_gregorian(), JalaliDate(*following, 1).to_gregorian() - timedelta(days=1)
