"""What the nightly jobs of one channel tell the others: which days they have just looked at.

The channels do not know each other. Source: contract README, "Telegram on jobs J1/J2".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Self

from core.jobs.events import Event


@dataclass(frozen=True, slots=True)
class EndsAheadSwept(Event):
    """J1 has reminded of accounts that end ``days`` days after ``today``."""

    actor_id: int
    today: date
    days: int

    def stored(self) -> dict[str, Any]:
        return {"actor_id": self.actor_id, "today": self.today.isoformat(), "days": self.days}

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        return cls(stored["actor_id"], date.fromisoformat(stored["today"]), stored["days"])


@dataclass(frozen=True, slots=True)
class ExpiredSwept(Event):
    """J2 has told of accounts whose last valid day was one of ``days``."""

    actor_id: int
    days: tuple[date, ...]

    def stored(self) -> dict[str, Any]:
        return {"actor_id": self.actor_id, "days": [day.isoformat() for day in self.days]}

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        return cls(stored["actor_id"], tuple(date.fromisoformat(day) for day in stored["days"]))
