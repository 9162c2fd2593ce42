"""Days as they enter: dates of the Gregorian calendar, as people and programs write them.

Source: contract README, "dates that enter".
"""

import re
from datetime import date

from core.errors import InvalidInput
from core.values.numerals import folded, in_ascii_digits

FIRST_YEAR, LAST_YEAR = 1970, 2100
# of an account's end, beyond which it is unlimited for the portal as well
LAST_END = date(2099, 12, 31)
_LAST_DAY = date(LAST_YEAR, 12, 31)
_SHAMSI_YEARS = range(1300, 1500)
_DATE = re.compile(
    r"(?P<year>[0-9]{4})([-/])(?P<month>[0-9]{1,2})\2(?P<day>[0-9]{1,2})(?:(?: +|T)[0-9]{1,2}:[0-9]{2}\S*(?: .*)?)?"
)
_EXACT = re.compile(r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})")


def checked_date(text: str, field: str = "date", *, last: date = _LAST_DAY) -> date:
    """The day of ``YYYY-MM-DD`` or ``YYYY/MM/DD``, a time of day behind it ignored. Raises InvalidInput, naming
    ``field``, also for a year of the Shamsi calendar, and for a day before 1970 or after ``last``."""
    found = _day(_DATE.fullmatch(folded(text)), field)
    if found.year < FIRST_YEAR or found > last:
        raise InvalidInput.of(field, f"expected a date from {FIRST_YEAR}-01-01 to {last} (Gregorian calendar)")
    return found


def day_of_a_filter(text: str, field: str = "date") -> date:
    """The day of exactly ``YYYY-MM-DD``, of any Gregorian year: what is looked for is stored nowhere. Raises
    InvalidInput, naming ``field``."""
    return _day(_EXACT.fullmatch(in_ascii_digits(text)), field)


def _day(found: re.Match[str] | None, field: str) -> date:
    if found is None:
        raise InvalidInput.of(field, "the date is not valid; expected YYYY-MM-DD")
    year, month, day = (int(found[part]) for part in ("year", "month", "day"))
    if year in _SHAMSI_YEARS:
        raise InvalidInput.of(field, "expected a date of the Gregorian calendar, such as 2026-11-27, not a Shamsi one")
    try:
        return date(year, month, day)
    except ValueError:
        raise InvalidInput.of(field, "this day does not exist") from None
