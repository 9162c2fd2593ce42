"""The golden cases 71 to 77 of contract chapter 30 F: what resellers owe and are billed, and what counts as a sale."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from core.storage.tables import Account, ResellerPayment, Transaction, User
from tests.conftest import MakeWorld
from tests.worlds.books import MAC, Books, fill_chapter_30, fill_ledger
from tests.worlds.harness import NOT_LOGGED_IN, PREFIXES


@pytest.fixture
def empty(make_world: MakeWorld, kind: str) -> Books:
    """Without sales and payments."""
    return fill_chapter_30(make_world(kind))


@pytest.fixture
def books(empty: Books) -> Books:
    fill_ledger(empty)
    return empty


def balance(books: Books, who: str = "admin", **query: Any) -> dict[str, Any]:
    answer = books.get(who, "get_reseller_balance", **query)
    [single] = answer["balances"]
    return dict(single)


def invoice(books: Books, who: str = "admin", **query: Any) -> dict[str, Any]:
    asked = {"reseller_id": 2, "calendar": "gregorian", "year": 2026, "month": 11, **query}
    answer = books.get(
        who, "get_monthly_invoice", **{name: value for name, value in asked.items() if value is not None}
    )
    assert answer["error"] == 0, answer
    return dict(answer["invoice"])


def assert_refused(answer: dict[str, Any], code: int) -> None:
    assert (answer["error"], answer["code"]) == (1, code), answer
    assert answer["message"] == answer["err_msg"] != ""


def test_71_all_time(books: Books) -> None:
    answer = books.get("admin", "get_reseller_balance", reseller_id=2)
    assert answer == {
        "error": 0,
        "message": "",
        "balances": [
            {
                "reseller_id": 2,
                "reseller_name": "Reseller One",
                "reseller_username": "reseller1",
                "currency": "GBP",
                "opening_balance": 0,
                "total_sales": 40,
                "total_payments": 100.5,
                "balance": -60.5,
                "closing_balance": -60.5,
                "transaction_count": 3,
                "payment_count": 1,
                "status": "creditor",
            }
        ],
        "grand_totals": {"total_sales": 40, "total_payments": 100.5, "balance": -60.5},
        "period": {"year": None, "month": None, "type": "all_time"},
    }


@pytest.mark.every_kind
def test_72_a_month_and_a_year(books: Books) -> None:
    december = balance(books, reseller_id=2, year=2026, month=12)
    assert (december["opening_balance"], december["total_sales"], december["closing_balance"]) == (-60.5, 0, -60.5)
    answer = books.get("admin", "get_reseller_balance", reseller_id=2, year=2026, month=12)
    assert answer["period"] == {"year": 2026, "month": 12, "type": "monthly"}
    november = balance(books, reseller_id=2, year=2026, month=11)
    assert (november["opening_balance"], november["total_sales"], november["transaction_count"]) == (0, 40, 3)
    assert books.get("admin", "get_reseller_balance", year=2026)["period"]["type"] == "yearly"
    assert balance(books, reseller_id=2, year=2027)["opening_balance"] == -60.5
    assert balance(books, reseller_id=2, year=2025)["status"] == "settled"
    assert balance(books, reseller_id=2, year=2100, month=12)["opening_balance"] == -60.5


@pytest.mark.every_kind
def test_73_a_reseller_reads_the_own_figures(books: Books) -> None:
    assert balance(books, "reseller1", reseller_id=3)["reseller_id"] == 2
    assert balance(books, "limited", reseller_id=2)["balance"] == 0
    assert invoice(books, "reseller1", reseller_id=3)["reseller"]["id"] == 2
    assert invoice(books, "reseller1", reseller_id=None)["reseller"]["id"] == 2
    for who in ("admin", "readmin", "watcher"):
        everybody = books.get(who, "get_reseller_balance")["balances"]
        # by name, without the observer
        assert [item["reseller_id"] for item in everybody] == [5, 3, 2]
        assert balance(books, who, reseller_id=2)["balance"] == -60.5


def test_refusals_of_the_balance(books: Books) -> None:
    for query, code in (
        ({"reseller_id": 999}, 4),
        ({"reseller_id": 99_999_999_999}, 4),
        ({"reseller_id": 1}, 4),
        ({"reseller_id": "x"}, 6),
        ({"year": 2026, "month": 13}, 6),
        ({"year": 2026, "month": 0}, 6),
        ({"month": 5}, 6),
        ({"year": 1403}, 6),
        ({"year": "x"}, 6),
    ):
        assert_refused(books.get("admin", "get_reseller_balance", **query), code)
    for endpoint in ("get_reseller_balance", "get_monthly_invoice", "get_reseller_payments"):
        for prefix in PREFIXES:
            assert books.world.client().get(f"{prefix}{endpoint}.php").json() == NOT_LOGGED_IN


def test_74_the_invoice_of_november(books: Books) -> None:
    bill = invoice(books)
    assert bill["period"] == {
        "calendar": "gregorian",
        "year": 2026,
        "month": 11,
        "display": "November 2026",
        "display_en": "November 2026",
        "start_date": "2026-11-01",
        "end_date": "2026-11-30",
    }
    assert bill["reseller"] == {
        "id": 2,
        "name": "Reseller One",
        "username": "reseller1",
        "email": "r1@example.com",
        "currency": "GBP",
        "currency_symbol": "£",
        "current_balance": 500,
    }
    assert bill["summary"] == {
        "new_accounts": 2,
        "renewals": 2,
        "total_transactions": 4,
        "total_sales": 40,
        "total_sales_formatted": "40.00",
        "amount_owed": 40,
        "amount_owed_formatted": "40.00",
    }
    new, corrected, voided, old_style = bill["transactions"]
    assert new.pop("id") < corrected.pop("id")
    assert new == {
        "date_gregorian": "2026-11-05",
        "date_shamsi": "1405/08/14",
        "time": "10:30",
        "mac_address": MAC(2),
        "original_amount": 10,
        "correction_amount": None,
        "net_amount": 10,
        "amount": 10,
        "currency": "GBP",
        "description": "New account, Plan: 1 Month, Customer 00002",
        "status": "active",
        "has_correction": False,
        "correction_note": None,
        "corrected_by": None,
        "corrected_at": None,
    }
    assert corrected == {
        "date_gregorian": "2026-11-06",
        "date_shamsi": "1405/08/15",
        "time": "09:00",
        "mac_address": MAC(5),
        "original_amount": 25,
        "correction_amount": -5,
        "net_amount": 20,
        "amount": 20,
        "currency": "GBP",
        "description": "Account renewal, Plan: 3 Months, Customer 00005",
        "status": "corrected",
        "has_correction": True,
        "correction_note": "too much",
        "corrected_by": "admin",
        "corrected_at": "2026-11-06 12:00:00",
    }
    assert (voided["net_amount"], voided["original_amount"], voided["has_correction"]) == (0, 25, True)
    assert (old_style["net_amount"], old_style["original_amount"]) == (10, 10)


def test_75_shamsi_months(books: Books) -> None:
    for year, month, first, last in (
        (1404, 12, "2026-02-20", "2026-03-20"),
        (1403, 12, "2025-02-19", "2025-03-20"),
        (1405, 1, "2026-03-21", "2026-04-20"),
        (1405, 8, "2026-10-23", "2026-11-21"),
    ):
        period = invoice(books, calendar="shamsi", year=year, month=month)["period"]
        assert (period["start_date"], period["end_date"]) == (first, last)
    assert period["calendar"] == "shamsi"
    assert (period["display"], period["display_en"]) == ("آبان 1405", "آبان 1405 (Shamsi)")
    assert invoice(books, calendar="shamsi", year=1405, month=8)["summary"]["total_transactions"] == 4
    assert invoice(books, calendar="other")["period"]["calendar"] == "gregorian"


@pytest.mark.every_kind
def test_75_every_day_of_two_years_is_billed_once(empty: Books) -> None:
    """The panel billed 1 Farvardin twice."""
    days = ["2025-03-20", "2025-03-21", "2026-03-20", "2026-03-21", "2026-04-20", "2026-04-21"]
    for day in days:
        for time in ("00:00:00", "23:59:59"):
            empty.sell("Account renewal: u - Plan: p", "-1", f"{day} {time}")
    for calendar, years in (("shamsi", (1403, 1404, 1405)), ("gregorian", (2025, 2026))):
        months = [invoice(empty, calendar=calendar, year=year, month=month) for year in years for month in range(1, 13)]
        billed = [row["date_gregorian"] for month in months for row in month["transactions"]]
        assert billed == [day for day in days for _ in range(2)]


def test_76_refusals_of_the_invoice(books: Books) -> None:
    for changed, code in (
        ({"month": 13}, 6),
        ({"month": 0}, 6),
        ({"month": ""}, 6),
        ({"year": ""}, 6),
        ({"year": 1969}, 6),
        ({"year": 2101}, 6),
        ({"calendar": "shamsi"}, 6),
        ({"calendar": "shamsi", "year": 1501}, 6),
        ({"reseller_id": ""}, 6),
        ({"reseller_id": 0}, 6),
        ({"reseller_id": 999}, 4),
        ({"reseller_id": 1}, 4),
        ({"reseller_id": 99_999_999_999}, 4),
    ):
        asked = {"reseller_id": 2, "calendar": "gregorian", "year": 2026, "month": 11, **changed}
        assert_refused(books.get("admin", "get_monthly_invoice", **asked), code)


DESCRIPTIONS = {
    "Account renewal: user_1 - Plan: 3-Months": ("Account renewal, Plan: 3-Months", ""),
    "Account renewal: a-b.c@d - Plan: 1 - Plan: 2 (Discount: 3)": (
        "Account renewal, Plan: 1 - Plan: 2 (Discount: 3)",
        "",
    ),
    "Account renewal: USER00002 - Plan: X": ("Account renewal, Plan: X, Customer 00002", MAC(2)),
    'Plan "1 Month" assigned for gone ,Ann , Lee , 00:1a:79:aa:bb:cc': (
        "New account, Plan: 1 Month, Ann , Lee",
        "00:1A:79:AA:BB:CC",
    ),
    'Plan "1 Month" assigned to user00006': ("New account, Plan: 1 Month, Customer 00006", MAC(6)),
    "Plan 1 Month assigned for gone ,00:1A:79:AA:BB:CD": ("New account, Plan: 1 Month", "00:1A:79:AA:BB:CD"),
    'Plan "<b>" assigned for x': ("New account, Plan: b", ""),
    "Account renewal: something else <i>": ("Account renewal: something else i", ""),
}


@pytest.mark.every_kind
def test_77_descriptions(empty: Books) -> None:
    for minute, details in enumerate(DESCRIPTIONS):
        empty.sell(details, "-1", f"2026-11-05 10:{minute:02}")
    rows = invoice(empty)["transactions"]
    assert [(row["description"], row["mac_address"]) for row in rows] == list(DESCRIPTIONS.values())


SALES = {
    "account renewal: u - plan: p": True,
    "ACCOUNT RENEWAL: u - Plan: p": True,
    'Plan "p" assigned for u': True,
    "Plan p assigned to u": True,
    "Account renewal: u - Plan: Credit adjustment": False,
    'Plan "Credit Adjustment" assigned for u': False,
    "refund of Account renewal: u": False,
    "Plan for the year": False,
    " Plan p assigned for u": False,
    "Plan p assigned": False,
    "Planassigned for u": False,
    "": False,
}


def test_what_a_sale_is_by_its_text(empty: Books) -> None:
    """The text rule holds for rows of panels, in any case of letters, on every database."""
    for minute, details in enumerate(SALES):
        empty.sell(details, "-1", f"2026-11-05 10:{minute:02}")
    empty.world.insert(Transaction, [{"for_user": 2, "amount": 5, "details": None, "timestamp": None}])
    wanted = sum(SALES.values())
    assert invoice(empty)["summary"]["total_transactions"] == wanted
    assert balance(empty, reseller_id=2)["total_sales"] == wanted
    assert balance(empty, reseller_id=2)["transaction_count"] == wanted


@pytest.mark.every_kind
def test_our_note_is_stronger_than_the_text(empty: Books) -> None:
    at = "2026-11-05 10:00"
    empty.sell("Account renewal: refunded - Plan: x", "-7", at, note={"kind": "manual"})
    empty.sell('Plan "p" assigned for u', "7", at, note={"kind": "adjustment"})
    note = {"username": "user00005", "plan_name": "Gold", "full_name": "As it was", "mac": MAC(9)}
    empty.sell("free text", "-10", at, note={"kind": "renewal", **note})
    empty.sell("free text", "-20", at, note={"kind": "sale", **note, "username": "gone"})
    bill = invoice(empty)
    assert bill["summary"]["new_accounts"] == bill["summary"]["renewals"] == 1
    assert bill["summary"]["total_sales"] == balance(empty, reseller_id=2)["total_sales"] == 30
    assert [row["mac_address"] for row in bill["transactions"]] == [MAC(5), MAC(9)]


def test_ledger_of_before_corrections(make_world: MakeWorld) -> None:
    """A database of before panel 1.16 has no columns for them, of before 1.17 no payments."""
    books = fill_chapter_30(make_world("sqlite", SHOWBOX_SERVER_THREADS="3"))
    world = books.world
    fill_ledger(books)
    layout = world.panel.layout
    missing = {"correction_amount", "correction_note", "corrected_by_username", "corrected_at", "status"}
    columns = {**layout.columns, "_transactions": layout.columns["_transactions"] - missing}
    del columns["_reseller_payments"]
    del columns["_iranian_banks"]
    world.panel._layout = type(layout)(columns, layout.origin)
    try:
        assert balance(books, reseller_id=2)["total_sales"] == 70
        bill = invoice(books)
        assert {row["status"] for row in bill["transactions"]} == {"active"}
        assert {row["has_correction"] for row in bill["transactions"]} == {False}
        assert books.get("admin", "get_reseller_payments")["payments"] == []
        assert books.get("admin", "get_iranian_banks")["source"] == "default"
        for answer in (books.pay(), books.post("admin", "cancel_reseller_payment", payment_id=1, reason="x")):
            assert_refused(answer, 7)
            assert "upgrade" in answer["message"]
        assert books.client("admin").get("/uploads/receipts/receipt_1.png").status_code == 404
    finally:
        world.panel._layout = layout


def test_rials_add_up_exactly(empty: Books) -> None:
    """Ten of the largest amounts, and cents that binary numbers do not hold."""
    empty.world.execute(sa.update(User).where(User.id == 2).values(currency_id="IRT", balance="9999999999.99"))
    for minute in range(10):
        empty.sell("Account renewal: u - Plan: p", "-999999999999.99", f"2026-11-05 10:{minute:02}", currency="IRT")
        empty.sell("Account renewal: u - Plan: p", "-0.1", f"2026-11-05 11:{minute:02}", currency=None)
    paid = [
        {"amount": amount, "status": status, "payment_date": date(2026, 11, 1)}
        for amount, status in (("9999999999999.99", "active"), ("0.01", "active"), ("5", "cancelled"))
    ]
    rest = {"reseller_id": 2, "currency": "IRR", "bank_name": "b", "recorded_by": 1, "recorded_by_username": "admin"}
    empty.world.insert(ResellerPayment, [{**row, **rest} for row in paid])
    figures = balance(empty, reseller_id=2)
    assert (figures["currency"], figures["total_sales"]) == ("IRR", 10_000_000_000_000.9)
    assert (figures["total_payments"], figures["balance"]) == (10_000_000_000_000, 0.9)
    assert (figures["status"], figures["payment_count"]) == ("debtor", 2)
    bill = invoice(empty)
    assert (bill["reseller"]["currency"], bill["reseller"]["currency_symbol"]) == ("IRR", "IRR ")
    assert bill["summary"]["total_sales_formatted"] == "10,000,000,000,001"
    assert {row["currency"] for row in bill["transactions"]} == {"IRR"}
    assert Decimal(str(bill["summary"]["total_sales"])) == Decimal("10000000000000.9")


def test_a_month_costs_few_statements_however_many_rows(make_world: MakeWorld) -> None:
    books = fill_chapter_30(make_world("sqlite"))
    books.world.insert(User, [{"id": n, "username": f"r{n}", "password": "", "name": f"R{n}"} for n in range(100, 130)])
    statements: list[str] = []
    engine = books.world.panel.database.engine

    def count(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    counts = []
    books.get("admin", "get_reseller_balance")
    for sold in (1, 30):
        for minute in range(sold):
            books.sell(f"Account renewal: user{minute:05} - Plan: p", "-1", f"2026-11-05 10:{minute:02}")
        sa.event.listen(engine, "before_cursor_execute", count)
        invoice(books)
        assert len(books.get("admin", "get_reseller_balance")["balances"]) == 33
        sa.event.remove(engine, "before_cursor_execute", count)
        counts.append(len(statements))
        statements.clear()
    assert counts[0] == counts[1] <= 8


def test_names_of_the_page_s_markup(make_world: MakeWorld) -> None:
    books = fill_chapter_30(make_world("sqlite"))
    evil = "<img src=x>"
    books.world.execute(sa.update(User).where(User.id == 2).values(name=evil, email=evil, currency_id="<b>"))
    books.world.execute(sa.update(Account).where(Account.id == 2).values(full_name=evil, mac=evil))
    note = {"correction_note": evil, "currency": "<i>"}
    books.sell("Account renewal: user00002 - Plan: <p>", "-1", "2026-11-05 10:00", **note)
    for endpoint in ("get_monthly_invoice", "get_reseller_balance"):
        query = {"reseller_id": 2, "year": 2026, "month": 11}
        text = books.client("admin").get(f"/{endpoint}.php", params=query).text
        assert "<" not in text
        assert "img src=x" in text
