"""What happens to money, as :mod:`core.jobs.events` announces it. Source: contract chapters 30 D and 70."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Self

from core.jobs.events import Event


@dataclass(frozen=True, slots=True)
class PaymentRecorded(Event):
    """A reseller's payment is in the books; ``day``: the one that it bears."""

    actor_id: int
    payment_id: int
    reseller_id: int
    amount: Decimal
    currency: str
    day: date

    def stored(self) -> dict[str, Any]:
        return {
            "actor_id": self.actor_id,
            "payment_id": self.payment_id,
            "reseller_id": self.reseller_id,
            "amount": str(self.amount),
            "currency": self.currency,
            "date": self.day.isoformat(),
        }

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        # older versions did not store who recorded it, and the amount as it is shown
        amount, _, currency = stored["amount"].replace(",", "").partition(" ")
        return cls(
            actor_id=stored.get("actor_id", 0),
            payment_id=stored["payment_id"],
            reseller_id=stored["reseller_id"],
            amount=Decimal(amount),
            currency=stored.get("currency", currency),
            day=date.fromisoformat(stored["date"]),
        )
