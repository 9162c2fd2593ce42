"""Which accounts end on a day, or have ended before it, as conditions of a select. Source: contract chapter 60 S1.

Days, never moments: an account is valid through the whole of its last day, in the panel's zone. The column is a DATE
on most panels and a DATETIME on some; both compare with plain days. A date that was never set matches nothing.
"""

from datetime import date
from typing import Any

import sqlalchemy as sa

from core.values.clock import following

# MySQL's 0000-00-00, and an empty text, are before it
_FIRST_DAY = date(1000, 1, 1)


def ends_on(column: Any, day: date) -> sa.ColumnElement[bool]:
    """Whether the last valid day is ``day``."""
    return sa.and_(column >= day, column < following(day))


def ended_before(column: Any, day: date) -> sa.ColumnElement[bool]:
    """Whether the last valid day is before ``day``: at any hour of ``day`` the account has expired."""
    return sa.and_(column >= _FIRST_DAY, column < day)


def stored_day(column: Any) -> sa.ColumnElement[str]:
    """``YYYY-MM-DD`` of a DATE or DATETIME column."""
    return sa.func.substr(sa.cast(column, sa.String(20)), 1, 10)
