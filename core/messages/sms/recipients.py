"""Accounts as the recipients of text messages, and what their texts may say. Source: contract chapter 60 S3, S6."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Self

from core.messages.placeholders import account_values, days_left

# stands in for an empty name (S3)
CUSTOMER = "Customer"


@dataclass(frozen=True, slots=True)
class Recipient:
    """``end_date``: the last valid day, None for unlimited."""

    id: int
    username: str
    name: str
    mac: str
    phone: str
    end_date: date | None

    @classmethod
    def of(cls, row: Any) -> Self:
        """Of a row with id, username, full_name, mac, phone_number and ``day`` (text, as
        :mod:`core.accounts.end_dates` gives)."""
        return cls(row.id, row.username, row.full_name or "", row.mac, row.phone_number or "", _day(row.day))

    @property
    def device(self) -> str:
        """What reminders are kept under: ids change in a panel's sync, MACs do not."""
        return self.mac.strip().upper() or f"#{self.id}"


def recipient_values(account: Recipient, today: date, *, days: int | None = None) -> dict[str, str]:
    """The placeholders of a text to ``account``; ``days`` of a sweep, else what is left."""
    if days is None:
        days = days_left(account.end_date, today) if account.end_date else 0
    return account_values(
        name=account.name or CUSTOMER,
        username=account.username,
        mac=account.mac,
        end_date=account.end_date,
        days=days,
    )


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None
