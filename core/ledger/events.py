"""What happens to money, as :mod:`core.jobs.events` announces it. Source: contract chapters 30 D and 70."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from core.jobs.events import Event


@dataclass(frozen=True, slots=True)
class PaymentRecorded(Event):
    """A reseller's payment is in the books. ``amount``: as it is shown, with its currency; ``day``: as YYYY-MM-DD."""

    actor_id: int
    payment_id: int
    reseller_id: int
    amount: str
    day: str

    def stored(self) -> dict[str, Any]:
        return {
            "actor_id": self.actor_id,
            "payment_id": self.payment_id,
            "reseller_id": self.reseller_id,
            "amount": self.amount,
            "date": self.day,
        }

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        # older versions did not store who recorded it
        actor_id = stored.get("actor_id", 0)
        return cls(actor_id, stored["payment_id"], stored["reseller_id"], stored["amount"], stored["date"])
