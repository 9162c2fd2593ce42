"""Which accounts end on a day, or have ended before it, as conditions of a select; and which ends are unknown.

Days, never moments: an account is valid through the whole of its last day, in the panel's zone. The column is a DATE
on most panels and a DATETIME on some; both compare with plain days. A date that was never set, and one
that cannot be read, match nothing. Source: contract chapter 60 S1, contract README ("unknown end dates").
"""

from datetime import date
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from core.values.clock import following

# what is before and after it (MySQL's 0000-00-00, an empty text, a Shamsi year) is no end of an account
_FIRST_DAY, _LAST_DAY = date(1970, 1, 1), date(2099, 12, 31)


def ends_on(column: Any, day: date) -> sa.ColumnElement[bool]:
    """Whether the last valid day is ``day``; a partial date (2027-05-00) is no day, wherever it is sorted."""
    return sa.and_(column >= day, column < following(day), stored_day(column) == day.isoformat())


def ended_before(column: Any, day: date) -> sa.ColumnElement[bool]:
    """Whether the last valid day is before ``day``: at any hour of ``day`` the account has expired.

    Not of a partial date. Days that no calendar has are for :func:`known_day` to find.
    """
    text = stored_day(column)
    is_whole = sa.and_(text.like("____-__-__"), text.not_like("%-00%"))
    return sa.and_(column >= _FIRST_DAY, column < day, is_whole)


@lru_cache(maxsize=4096)
def known_day(stored: date | str | None) -> date | None:
    """The last valid day that a column holds; None for none, and for what is no day between 1970 and 2099 (partial
    dates, texts, Shamsi years): such an end is unknown, never acted upon."""
    if stored is None:
        return None
    text = str(stored)[:10]
    try:
        # other spellings than YYYY-MM-DD are no dates of a database
        day = date.fromisoformat(text) if text[4:5] == text[7:8] == "-" else None
    except ValueError:
        return None
    if day is None:
        return None
    return day if _FIRST_DAY <= day <= _LAST_DAY else None


def stored_day(column: Any) -> sa.ColumnElement[str]:
    """``YYYY-MM-DD`` of a DATE or DATETIME column."""
    return sa.func.substr(sa.cast(column, sa.String(20)), 1, 10)
