"""The world of payments, balances and invoices: the fixture of contract chapter 30 F."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from core.storage.tables import Account, LedgerNote, Plan, ResellerPayment, Transaction, User
from tests.worlds.harness import Client, World, user_row
from tests.worlds.logged_in import logged_in

ZONE = ZoneInfo("Asia/Tehran")
MAC = "00:1A:79:00:00:{:02X}".format
OWNERS = {1: 3, 2: 2, 3: 5, 4: 3, 5: 2, 6: 2}


class Books:
    """One served panel and a client for each of its users."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._clients: dict[str, Client] = {}

    def client(self, username: str) -> Client:
        if username not in self._clients:
            self._clients[username] = logged_in(self.world, username)
        return self._clients[username]

    def get(self, who: str, endpoint: str, /, **query: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.client(who).get(f"/api/{endpoint}.php", params=query).json()
        return answer

    def post(self, who: str, endpoint: str, encoding: str = "form", /, **fields: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.client(who).post(f"/{endpoint}.php", fields, encoding).json()
        return answer

    def pay(self, who: str = "admin", encoding: str = "multipart", /, **changed: Any) -> dict[str, Any]:
        fields = {"reseller_id": 2, "amount": "100.5", "payment_date": "2026-11-01", "bank_name": "Cash", **changed}
        fields = {name: value for name, value in fields.items() if value is not None}
        return self.post(who, "add_reseller_payment", encoding, **fields)

    @property
    def payments(self) -> list[dict[str, Any]]:
        return self.world.rows(sa.select(*ResellerPayment.__table__.c).order_by(ResellerPayment.id))

    def sell(self, details: str, amount: str, at: str, /, note: Mapping[str, Any] | None = None, **row: Any) -> None:
        """A ledger row of user 2; ``at`` in the panel's zone."""
        stamp = int(datetime.fromisoformat(at).replace(tzinfo=ZONE).timestamp())
        values = {"creator": "system", "for_user": 2, "amount": amount, "currency": "GBP", "type": 0, **row}
        self.world.insert(Transaction, [{**values, "details": details, "timestamp": stamp}])
        if note is not None:
            [newest] = self.world.rows(sa.select(sa.func.max(Transaction.id).label("id")))
            self.world.insert(LedgerNote, [{"transaction_id": newest["id"], **note}])


def fill_chapter_30(world: World) -> Books:
    world.insert(
        User,
        [
            user_row(1, "admin", name="Administrator", super_user=1, permissions="1|1|1|1|1|1|1"),
            user_row(
                2,
                "reseller1",
                name="Reseller One",
                email="r1@example.com",
                balance="500.00",
                permissions="1|1|0|1|1|1|1",
                plans="1-GBP,2-GBP",
            ),
            user_row(3, "readmin", permissions="1|1|1|1|1|1|1"),
            user_row(4, "watcher", is_observer=1),
            user_row(5, "limited"),
        ],
    )
    world.insert(Plan, [{"id": 1, "external_id": "1", "name": "1 Month", "currency_id": "GBP", "price": "10.00"}])
    world.insert(
        Account,
        [
            {
                "id": number,
                "username": f"user{number:05}",
                "mac": MAC(number),
                "full_name": f"Customer {number:05}",
                "reseller": owner,
            }
            for number, owner in OWNERS.items()
        ],
    )
    return Books(world)


def fill_ledger(books: Books) -> None:
    """The ledger of user 2 that the cases 71 to 77 begin with."""
    books.sell(f'Plan "1 Month" assigned for user00002 ,Customer Two , {MAC(2)}', "-10", "2026-11-05 10:30")
    books.sell(
        "Account renewal: user00005 - Plan: 3 Months",
        "-25",
        "2026-11-06 09:00",
        creator="reseller1",
        type=1,
        currency=None,
        correction_amount=5,
        correction_note="too much",
        corrected_by=1,
        corrected_by_username="admin",
        corrected_at=datetime.fromisoformat("2026-11-06 12:00:00"),
        status="corrected",
    )
    books.sell("Account renewal: user00006 - Plan: 3 Months", "-25", "2026-11-07 09:00", type=1, status="voided")
    books.sell(
        "Credit adjustment by admin: add 100 (Previous: 400, New: 500)",
        "100",
        "2026-11-08 09:00",
        creator="admin",
        type=1,
    )
    books.sell('Plan "1 Month" assigned for user00006 ,00:1A:79:00:00:06', "10", "2026-11-09 09:00")
    books.world.insert(
        ResellerPayment,
        [
            {
                "reseller_id": 2,
                "amount": "100.50",
                "currency": "GBP",
                "payment_date": date(2026, 11, 1),
                "bank_name": "Cash",
                "recorded_by": 1,
                "recorded_by_username": "admin",
            }
        ],
    )
