"""The one clock: every "now" and "today" of the business, in the one configured zone.

Stored date-times are naive local times of that zone (contract README, "stored date-times");
Unix stamps are UTC seconds.
"""

import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo


class Clock:
    """Time in ``zone``; ``source`` yields Unix seconds and is replaced in tests only."""

    def __init__(self, zone: str = "Asia/Tehran", source: Callable[[], float] | None = None) -> None:
        self.zone = ZoneInfo(zone)
        # looked up at each call, so that a frozen time.time is seen
        self._source = source or (lambda: time.time())

    def seconds(self) -> float:
        """Unix seconds with fraction."""
        return self._source()

    def stamp(self) -> int:
        """Unix seconds, whole."""
        return int(self._source())

    def now(self) -> datetime:
        """Naive local time of the zone, whole seconds: what DATETIME columns hold."""
        return self.local(self.stamp())

    def today(self) -> date:
        return self.now().date()

    def first_stamp(self, day: date) -> int:
        """The Unix stamp with which ``day`` begins in the zone."""
        # a midnight that the zone skips is the moment of the skip, as the offset before it is taken
        return int(datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp())

    def local(self, stamp: int) -> datetime:
        """The naive local time of a Unix stamp."""
        return datetime.fromtimestamp(stamp, self.zone).replace(tzinfo=None)


def following(day: date) -> date:
    """The next day; the calendar's last one has none, and stays."""
    return day if day == date.max else day + timedelta(days=1)


def shown(moment: datetime | None) -> str | None:
    """``2026-11-22 10:30:00``, as panels answer; what a legacy database gives instead of a moment stays."""
    return moment.strftime("%Y-%m-%d %H:%M:%S") if isinstance(moment, datetime) else moment
