"""Reading the ledger beyond the golden cases: paging, both forms, what legacy rows hold, speed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from core.ledger.listing import list_transactions
from core.storage.tables import Account, LedgerNote, Transaction, User
from tests.conftest import MakeWorld
from tests.worlds.harness import ENCODINGS, Client, World
from tests.worlds.ledger import MAC, NOVEMBER_23, fill_chapter_40, ledger_row
from tests.worlds.rows import analyse

MANY, DOUBLINGS = 100_000, 4


@pytest.fixture
def world(make_world: MakeWorld, kind: str) -> World:
    return fill_chapter_40(make_world(kind))


@pytest.fixture
def sqlite_world(make_world: MakeWorld) -> World:
    return fill_chapter_40(make_world("sqlite"))


def _rows(client: Client, query: str = "") -> list[dict[str, Any]]:
    answer = client.get(f"/api/get_transactions.php{query}").json()
    assert answer["error"] == 0, answer
    rows: list[dict[str, Any]] = answer["transactions"]
    return rows


def _one(world: World, *values: Any) -> dict[str, Any]:
    """How a panel's row is shown that holds these details, amount, type, currency."""
    details, amount, type_, currency = (*values, *(None, "-1", 0, "GBP")[len(values) :])
    world.execute(sa.delete(Transaction).where(Transaction.id == 50))
    world.insert(Transaction, [ledger_row(50, 3, amount, currency, type_, details, NOVEMBER_23)])
    return _rows(world.php_login("admin"))[0]


@pytest.mark.every_kind
def test_pages(world: World) -> None:
    admin = world.php_login("admin")
    for query, ids in {
        "?limit=2": [5, 4],
        "?limit=2&offset=2": [3, 2],
        "?limit=1000&offset=4": [1],
        "?offset=5": [],
        "?limit=2&offset=9223372036854775807": [],
        "?limit=": [5, 4, 3, 2, 1],
    }.items():
        assert [row["id"] for row in _rows(admin, query)] == ids, query
    for encoding in ENCODINGS:
        answer = admin.post("/get_transactions.php", {"limit": 1, "offset": 1}, encoding).json()
        assert ([row["id"] for row in answer["transactions"]], answer["total"]) == ([4], 5)
    for query in ("limit=0", "limit=1001", "limit=-1", "offset=-1", "limit=x", "offset=1.5", "format=xml", "limit[]=1"):
        assert admin.get(f"/get_transactions.php?{query}").json()["code"] == 6, query


def test_both_forms(sqlite_world: World) -> None:
    def is_panel(path: str, **headers: str) -> bool:
        response = sqlite_world.php_login("res").get(path, headers={"User-Agent": "curl/8", **headers})
        kinds = {type(row["type"]) for row in response.json()["transactions"]}
        assert kinds in ({int}, {str})
        return kinds == {int}

    root = "/get_transactions.php"
    assert is_panel(f"/api{root}")
    assert is_panel(f"{root}?viewAllAccounts=")
    assert is_panel(root, **{"Sec-Fetch-Mode": "cors"})
    assert is_panel(root, **{"User-Agent": "Mozilla/5.0"})
    assert is_panel(root, Referer=f"{sqlite_world.url}/dashboard.html")
    assert not is_panel(root, Referer="http://elsewhere.example/dashboard.html")
    assert not is_panel(root, Referer="nonsense")
    assert not is_panel(root)
    assert is_panel(f"{root}?format=panel")
    assert not is_panel(f"/api{root}?format=doc&viewAllAccounts=true", **{"User-Agent": "Mozilla/5.0"})


@pytest.mark.every_kind
def test_what_the_texts_of_legacy_rows_mean(world: World) -> None:
    name = "Account renewal, Plan: P, John Doe"
    for details, mac, described, signed in (
        ("Account renewal: USER001 - Plan: P", MAC(1), name, -1),
        ("Account renewal: nobody - Plan: P", "", "Account renewal, Plan: P", -1),
        ("account renewal: user001 - plan: P (Discount: 3)", MAC(1), name, -1),
        (f"Plan Gold assigned to {MAC(1).lower()}", MAC(1), "New account, Plan: Gold, John Doe", -1),
        (f"Plan Gold assigned to {MAC(9)}", MAC(9), "New account, Plan: Gold", -1),
        (f'Plan "" assigned for x ,{MAC(7)}', MAC(7), f'Plan "" assigned for x ,{MAC(7)}', -1),
        # no sale by the one definition: the text must begin so
        ("refund of renewal", "", "refund of renewal", 1),
        ("Credit adjustment by admin: add 1", "", "Credit adjustment by admin: add 1", 1),
        ("", "", "", 1),
        (None, "", "", 1),
    ):
        row = _one(world, details, "-1", 0)
        shown = (row["mac_address"], row["formatted_description"], row["signed_amount"], row["details"])
        assert shown == (mac, described, signed, details or "")


def test_signs_and_types(sqlite_world: World) -> None:
    sold = 'Plan "P" assigned for x'
    for details, amount, type_, shown in (
        (sold, "30", 0, ("debit", -30, 0)),
        (sold, "-30", 1, ("debit", -30, 1)),
        ("x", "5", 1, ("credit", 5, 1)),
        ("x", "5", 0, ("debit", -5, 0)),
        ("x", "5", 2, ("debit", 0, 2)),
        ("x", "0", 1, ("credit", 0, 1)),
        ("x", "0", 0, ("debit", 0, 0)),
    ):
        row = _one(sqlite_world, details, amount, type_)
        assert (row["type_name"], row["signed_amount"], row["type"]) == shown


def test_holes_of_legacy_rows(world: World) -> None:
    holes = {"id": 60, "amount": None, "type": None, "details": None, "timestamp": None, "for_user": None}
    world.insert(Transaction, [{**holes, "currency": None, "creator": None, "status": None}])
    world.insert(Transaction, [ledger_row(61, 77, "-1", None, 0, "x", 0), ledger_row(62, 5, "-1", "irt", 0, "x", 1)])
    rial, gone, empty = _rows(world.php_login("obs"))[:3]
    assert rial["currency"] == "IRR"
    assert (gone["reseller_name"], gone["reseller_username"], gone["currency"]) == (None, None, "IRR")
    assert gone["date"] == "1970-01-01 03:30:00"
    assert (empty["amount"], empty["type"], empty["details"], empty["date"]) == (0, 0, "", None)
    assert (empty["status"], empty["net_amount"], empty["has_correction"]) == ("active", 0, False)


def test_stored_markup_cannot_become_script(sqlite_world: World) -> None:
    evil, harmless = "<img src=x onerror=alert(1)>&lt;b&gt;", "img src=x onerror=alert(1)b"
    sqlite_world.execute(sa.update(User).where(User.id == 3).values(name=evil))
    sqlite_world.execute(sa.update(Account).values(full_name=evil))
    sqlite_world.execute(
        sa.update(Transaction)
        .where(Transaction.id == 3)
        .values(currency="<b>", creator=evil, correction_note=evil, corrected_by_username=evil, corrected_by=1)
    )
    answer = sqlite_world.php_login("admin").get("/api/get_transactions.php").text
    assert not {"<", ">", "&lt;", "\\u003c"} & {text for text in ("<", ">", "&lt;", "\\u003c") if text in answer}
    row = next(row for row in _rows(sqlite_world.php_login("admin")) if row["id"] == 3)
    assert row["reseller_name"] == row["correction_note"] == row["creator"] == harmless
    assert row["formatted_description"].endswith(harmless)
    row = _one(sqlite_world, f'Plan "{evil}" assigned for x ,{evil} , {MAC(4)}')
    assert (row["mac_address"], "<" in row["details"]) == (MAC(4), False)


def test_rows_with_notes_need_no_text(sqlite_world: World) -> None:
    noted = {"username": "user001", "mac": MAC(8).lower(), "full_name": "Ann", "plan_name": "Gold"}
    sqlite_world.insert(LedgerNote, [{"transaction_id": 4, "kind": "renewal", **noted}])
    sqlite_world.insert(LedgerNote, [{"transaction_id": 2, "kind": "sale", **noted, "full_name": None}])
    sqlite_world.insert(LedgerNote, [{"transaction_id": 1, "kind": "adjustment"}])
    shown = {row["id"]: row for row in _rows(sqlite_world.php_login("admin"))}
    assert (shown[4]["mac_address"], shown[4]["formatted_description"], shown[4]["signed_amount"]) == (
        MAC(8),
        "Account renewal, Plan: Gold, Ann",
        -100,
    )
    assert shown[2]["formatted_description"] == "New account, Plan: Gold"
    assert (shown[1]["signed_amount"], shown[1]["formatted_description"]) == (-30, shown[1]["details"])


@contextmanager
def counted_statements(world: World) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            seen.append(statement)

    engine = world.panel.database.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


def fill_many(world: World) -> None:
    """Ledger rows as a panel of some years has them: renewals and sales of 500 boxes by three users."""
    boxes = [{"id": n, "username": f"box{n}", "mac": f"00:1A:79:00:{n >> 8:02X}:{n & 255:02X}"} for n in range(2, 502)]
    texts = (
        "Account renewal: box{} - Plan: One Year",
        'Plan "Six Months" assigned for box{} ,Jane Roe , 00:1A:79:00:00:77',
    )
    sales = [
        {
            "creator": "system",
            "for_user": (2, 3, 5)[n % 3],
            "amount": Decimal(-n % 97) - 1,
            "type": n % 2,
            "timestamp": NOVEMBER_23 - 3600 * n,
            "details": texts[n % 2].format(n % 500 + 2),
        }
        for n in range(MANY // 2**DOUBLINGS)
    ]
    columns = list(sales[0])
    doubled = sa.insert(Transaction).from_select(
        columns, sa.select(*(Transaction.__table__.c[name] for name in columns))
    )
    with world.panel.database.write() as connection:
        connection.execute(sa.insert(Account), boxes)
        connection.execute(sa.insert(Transaction), sales)
        for _ in range(DOUBLINGS):
            connection.execute(doubled)
    analyse(world.panel.database.engine, "_accounts", "_transactions")


def test_a_page_of_many_rows_takes_three_statements_and_little_time(world: World) -> None:
    fill_many(world)
    for scope in (None, 3):
        for offset in (0, 30_000):
            with counted_statements(world) as seen:
                page = list_transactions(world.panel, scope, limit=100, offset=offset)
            assert len(seen) <= 3
            assert (len(page.rows), page.total >= MANY // 3) == (100, True)
            assert page.rows[0].description != page.rows[0].details
            seconds = []
            for _ in range(5):
                began = time.perf_counter()
                list_transactions(world.panel, scope, limit=100, offset=offset)
                seconds.append(time.perf_counter() - began)
                # a tenth of a second on a machine of its own; here other tests run beside it
                if seconds[-1] < 2:
                    break
            assert min(seconds) < 2, (scope, offset, seconds)
