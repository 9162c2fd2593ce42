"""Whether the database's own clock runs in the panel's zone: where it does not, PHP's rows and ours fall on other days.

PHP let the database tell the day of many a row; here the configured zone alone tells it. Source: contract chapter 01.
"""

from datetime import timedelta

import sqlalchemy as sa

from core.panel import Panel

_OFFSET = sa.text("SELECT TIMESTAMPDIFF(MINUTE, UTC_TIMESTAMP(), NOW())")
_NEAREST = 15


def zone_warnings(panel: Panel) -> list[str]:
    """A sentence where the two differ now; of MySQL's kind alone, for no panel of PHP's runs on another."""
    if panel.database.dialect != "mysql" or panel.database.is_missing:
        return []
    with panel.database.read() as connection:
        theirs = int(connection.scalar(_OFFSET) or 0)
    now = panel.clock.now().replace(tzinfo=panel.clock.zone)
    ours = round((now.utcoffset() or timedelta()).total_seconds() / 60)
    if abs(ours - theirs) < _NEAREST:
        return []
    return [
        f"the database's clock runs at {_shown(theirs)}, the panel's zone {panel.clock.zone.key} at {_shown(ours)}: "
        "near midnight, rows of before move to another day of invoices, histories and reports "
        '(docs/moving-from-php.md, "The time zone")'
    ]


def _shown(minutes: int) -> str:
    return f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
