"""What happens to accounts, as :mod:`core.jobs.events` announces it. Source: contract chapter 20 §1.10."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Self

from core.jobs.events import Event


@dataclass(frozen=True, slots=True)
class AccountEvent(Event):
    """``owner_id`` the account's reseller, ``actor_id`` who did it; ``phone`` what the request gave, None for nothing.
    ``plan_name`` None: no plan, or one whose name is unknown."""

    account_id: int
    username: str
    mac: str
    full_name: str
    owner_id: int | None
    actor_id: int
    actor_name: str
    plan_name: str | None = None
    end_date: date | None = None
    phone: str | None = None

    def stored(self) -> dict[str, Any]:
        return {**asdict(self), "end_date": self.end_date and self.end_date.isoformat()}

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        end = stored["end_date"]
        # older versions stored beside them which event it was
        values = {name: value for name, value in stored.items() if name != "kind"}
        return cls(**{**values, "end_date": date.fromisoformat(end) if end else None})


@dataclass(frozen=True, slots=True)
class AccountCreated(AccountEvent):
    """On the portals and in the panel."""


@dataclass(frozen=True, slots=True)
class AccountRenewed(AccountEvent):
    """A plan was applied; ``end_date`` is the new one."""


@dataclass(frozen=True, slots=True)
class AccountRemoved(AccountEvent):
    """From the portals and the panel."""


@dataclass(frozen=True, slots=True)
class AccountStatusChanged(AccountEvent):
    """Switched on or off by somebody."""


def by_phone(event: AccountEvent) -> bool:
    """For listeners to whom an account without a phone number in the request means nothing."""
    return bool(event.phone)
