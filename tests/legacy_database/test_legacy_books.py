"""A live panel's books behind this server: balances and invoices equal what plain SQL makes of the same rows."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.worlds.databases import DUMPS, create_database, load_dump, require
from tests.worlds.harness import Client, World
from tests.worlds.strangers import mysql_connection

SETTINGS = {"SHOWBOX_SESSION_STORE": "sql", "SHOWBOX_PANEL_TIMEZONE": "Asia/Tehran"}
RESELLERS = (2, 3, 5)
# the dumps hold new accounts of two days only: spread over two years, and one in each few made something else
VARIETY = (
    "UPDATE _transactions SET timestamp = timestamp + (id MOD 700) * 86400 + (id MOD 24) * 3600",
    "UPDATE _transactions SET type = 1, "
    "details = REPLACE(details, 'Plan \"1 Month\" assigned for ', 'Account renewal: ') WHERE id MOD 3 = 0",
    "UPDATE _transactions SET details = CONCAT(details, ' - Plan: 3-Months'), amount = -25.35 WHERE id MOD 3 = 0",
    "UPDATE _transactions SET amount = -amount WHERE id MOD 7 = 0",
    "UPDATE _transactions SET details = 'Credit adjustment by admin: add 100 (Previous: 0, New: 100)', amount = 100 "
    "WHERE id MOD 11 = 0",
    "UPDATE _transactions SET details = 'Cash, by hand' WHERE id MOD 13 = 0",
)
CORRECTIONS = (
    "UPDATE _transactions SET status = 'voided' WHERE id MOD 17 = 0",
    "UPDATE _transactions SET status = 'corrected', correction_amount = 3.15 WHERE id MOD 19 = 0",
    "INSERT INTO _reseller_payments (reseller_id, amount, currency, payment_date, bank_name, recorded_by, "
    "recorded_by_username, status) SELECT for_user, 12.34, 'GBP', DATE(FROM_UNIXTIME(timestamp)), 'x', 1, 'admin', "
    "IF(id MOD 2, 'active', 'cancelled') FROM _transactions WHERE id MOD 23 = 0",
)
IS_SALE = (
    "(details LIKE 'Account renewal:%' OR (details LIKE 'Plan %' AND details LIKE '% assigned for %')) "
    "AND details NOT LIKE '%Credit adjustment%'"
)


class Live:
    """The served panel, and a connection of its own to the same database whose days are the panel's."""

    def __init__(self, version: str) -> None:
        url = create_database("mariadb", f"books{version.replace('.', '_')}")
        load_dump(url, DUMPS[version], whole=True)
        self.has_corrections = version == "1.18.2"
        self._connection = mysql_connection(url)
        self.rows("SET time_zone = '+03:30'")
        for statement in (*VARIETY, *(CORRECTIONS if self.has_corrections else ())):
            self.rows(statement)
        self._connection.commit()
        self.world = World(url, SETTINGS)
        self.client: Client = self.world.client("admin", "admin123")

    def rows(self, statement: str) -> tuple[tuple[Any, ...], ...]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return tuple(cursor.fetchall())

    def sold(self, where: str) -> tuple[int, Decimal]:
        """Sales that were not voided, and what they are worth."""
        correction, voided = (
            ("COALESCE(correction_amount, 0)", "status = 'voided'") if self.has_corrections else ("0", "0")
        )
        [(number, worth)] = self.rows(
            f"SELECT COUNT(*), COALESCE(SUM(IF(amount < 0, -1, 1) * (amount + {correction})), 0) FROM _transactions "
            f"WHERE {IS_SALE} AND NOT {voided} AND {where}"
        )
        return number, worth

    def paid(self, where: str) -> tuple[int, Decimal]:
        if not self.has_corrections:
            return 0, Decimal(0)
        [found] = self.rows(
            f"SELECT COUNT(*), COALESCE(SUM(amount), 0) FROM _reseller_payments WHERE status = 'active' AND {where}"
        )
        return found[0], found[1]

    def get(self, endpoint: str, **query: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.get(f"/{endpoint}.php", params=query).json()
        assert answer["error"] == 0, answer
        return answer

    def close(self) -> None:
        self.world.close()
        self._connection.close()


@pytest.fixture(scope="module", params=DUMPS)
def live(request: pytest.FixtureRequest) -> Iterator[Live]:
    require("mariadb")
    live = Live(request.param)
    yield live
    live.close()


def exact(number: float) -> Decimal:
    return Decimal(str(number)).quantize(Decimal("0.01"))


SOLD_ON, PAID_ON = "DATE(FROM_UNIXTIME(timestamp))", "payment_date"


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        ({}, "1000-01-01", "9999-12-31"),
        ({"year": 2025}, "2025-01-01", "2025-12-31"),
        ({"year": 2026}, "2026-01-01", "2026-12-31"),
        ({"year": 2025, "month": 2}, "2025-02-01", "2025-02-28"),
        ({"year": 2025, "month": 12}, "2025-12-01", "2025-12-31"),
        ({"year": 2027, "month": 1}, "2027-01-01", "2027-01-31"),
    ],
)
def test_balances(live: Live, query: dict[str, int], first: str, last: str) -> None:
    answer = live.get("get_reseller_balance", **query)
    assert {item["reseller_id"] for item in answer["balances"]} == set(RESELLERS)
    total = Decimal(0)
    for item in answer["balances"]:
        owner = item["reseller_id"]
        sale_count, sold = live.sold(f"for_user = {owner} AND {SOLD_ON} BETWEEN '{first}' AND '{last}'")
        payment_count, paid = live.paid(f"reseller_id = {owner} AND {PAID_ON} BETWEEN '{first}' AND '{last}'")
        _, sold_before = live.sold(f"for_user = {owner} AND {SOLD_ON} < '{first}'")
        _, paid_before = live.paid(f"reseller_id = {owner} AND {PAID_ON} < '{first}'")
        assert (item["transaction_count"], item["payment_count"]) == (sale_count, payment_count)
        assert (exact(item["total_sales"]), exact(item["total_payments"])) == (sold, paid)
        assert exact(item["opening_balance"]) == sold_before - paid_before
        assert exact(item["closing_balance"]) == sold_before - paid_before + sold - paid
        total += sold_before - paid_before + sold - paid
    assert exact(answer["grand_totals"]["balance"]) == total
    if live.has_corrections and not query:
        assert total != 0


# the ends of the Shamsi months, from an almanac
MONTHS = [
    *(("gregorian", 2025, month, f"2025-{month:02}-01", f"2025-{month:02}-31") for month in (1, 3, 12)),
    ("gregorian", 2026, 2, "2026-02-01", "2026-02-28"),
    ("shamsi", 1403, 12, "2025-02-19", "2025-03-20"),
    ("shamsi", 1404, 1, "2025-03-21", "2025-04-20"),
    ("shamsi", 1404, 7, "2025-09-23", "2025-10-22"),
    ("shamsi", 1404, 12, "2026-02-20", "2026-03-20"),
]


@pytest.mark.parametrize(("calendar", "year", "month", "first", "last"), MONTHS)
def test_invoices(live: Live, calendar: str, year: int, month: int, first: str, last: str) -> None:
    for owner in RESELLERS:
        asked = {"reseller_id": owner, "calendar": calendar, "year": year, "month": month}
        bill = live.get("get_monthly_invoice", **asked)["invoice"]
        within = f"for_user = {owner} AND {SOLD_ON} BETWEEN '{first}' AND '{last}'"
        _, worth = live.sold(within)
        rows = live.rows(
            f"SELECT id, DATE_FORMAT(FROM_UNIXTIME(timestamp), '%Y-%m-%d %H:%i'), details LIKE 'Account renewal:%' "
            f"FROM _transactions WHERE {IS_SALE} AND {within} ORDER BY timestamp, id"
        )
        assert exact(bill["summary"]["total_sales"]) == worth
        assert exact(sum(exact(row["net_amount"]) for row in bill["transactions"])) == worth  # type: ignore[arg-type]
        assert [
            (
                row["id"],
                f"{row['date_gregorian']} {row['time']}",
                row["description"].startswith("Account renewal, Plan: 3-M"),
            )
            for row in bill["transactions"]
        ] == [(id_, moment, bool(is_renewal)) for id_, moment, is_renewal in rows]
        assert bill["summary"]["renewals"] == sum(is_renewal for *_, is_renewal in rows)
        assert bool(rows) == (owner != 3)


def test_devices_of_the_invoice(live: Live) -> None:
    asked = {"reseller_id": 2, "calendar": "gregorian", "year": 2025, "month": 3}
    bill = live.get("get_monthly_invoice", **asked)["invoice"]
    sold = dict(live.rows("SELECT id, SUBSTRING(details, LOCATE('user', details), 9) FROM _transactions"))
    macs = dict(live.rows("SELECT username, UPPER(mac) FROM _accounts"))
    assert {row["id"]: row["mac_address"] for row in bill["transactions"]} == {
        row["id"]: macs[sold[row["id"]]] for row in bill["transactions"]
    }


def test_payments(live: Live) -> None:
    answer = live.get("get_reseller_payments", status="all", limit=500)
    if not live.has_corrections:
        assert answer["payments"] == []
        return
    stored = live.rows("SELECT id FROM _reseller_payments ORDER BY payment_date DESC, id DESC")
    assert [row["id"] for row in answer["payments"]] == [id_ for (id_,) in stored]
    sums = live.rows("SELECT status, COUNT(*), SUM(amount) FROM _reseller_payments GROUP BY status")
    for status, number, amount in sums:
        assert answer["summary"][f"count_{status}"] == number
        assert exact(answer["summary"][f"total_{status}"]) == amount
