"""Outcomes that differ from what was asked for are said in words (issue 11, lines 7, 18, 20 and 21)."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from core.storage.tables import Plan, StbActionLog
from core.values import sinks
from simulators.faults import Answer
from simulators.wire import Response
from tests.conftest import MakeWorld
from tests.worlds.accounts import MAC, WELCOME, Accounts, accounts_world, new_account
from tests.worlds.waiting import until


@pytest.fixture
def accounts(make_world: MakeWorld) -> Iterator[Accounts]:
    with accounts_world(make_world, "sqlite") as accounts:
        yield accounts


@pytest.mark.parametrize(
    ("endpoint", "fields"),
    [
        ("adjust_credit", {"reseller_id": 2, "action": "deduct"}),
        ("adjust_credit", {"reseller_id": 2, "type": "debit"}),
        ("new_transaction", {"user_id": 2, "type": "debit"}),
    ],
)
def test_a_floored_debit_says_what_was_taken(accounts: Accounts, endpoint: str, fields: dict[str, object]) -> None:
    answer = accounts.post("admin", endpoint, "json", amount=150.5, **fields)
    assert (answer["error"], answer["warning"], answer["taken"], answer["new_balance"]) == (0, 1, 100, 0)
    assert answer["warning_text"] == "The balance was smaller than that: only 100.00 was taken"
    assert answer["warning_text"] in answer["message"]
    accounts.post("admin", "adjust_credit", reseller_id=2, action="set", amount=10)
    whole = accounts.post("admin", endpoint, "json", amount=10, **fields)
    assert (whole["new_balance"], "warning" in whole, "taken" in whole) == (0, False, False)


def test_removed_markup_is_told_by_the_name_of_the_field(accounts: Accounts) -> None:
    told = "{} was stored without markup and control characters".format
    added = accounts.post("admin", "add_account", **new_account(name="<b>Ann</b>"))
    assert (added["error"], added["warning"]) == (0, 1)
    assert told("name") in added["warning_text"]
    plan = {"tariff_id": "50", "currency": "GBP", "price": 5, "days": 30, "name": "<i>Best</i>"}
    made = accounts.post("admin", "add_plan", **plan)
    assert (made["error"], made["warning_text"]) == (0, told("name"))
    row = accounts.post("admin", "new_transaction", user_id=2, type="credit", amount=5, description="a <b> c")
    assert row["warning_text"] == told("description")
    # a quotation mark becomes another one, and nothing is lost
    quiet = accounts.post("admin", "add_account", **new_account(0x11, name='O\'Brien "Bob" & Co'))
    assert "warning" not in quiet


def test_a_theme_that_failed_is_told(accounts: Accounts) -> None:
    failure = Answer(
        Response(b'{"status":"ERROR","results":"","error":"Out of order"}', content_type="application/json")
    )
    accounts.portal.fail("update_account.php", failure)
    added = accounts.post("reseller1", "add_account", **new_account(plan="78-GBP"))
    assert (added["error"], added["warning"]) == (0, 1)
    assert added["warning_text"].startswith("The portal did not take the theme: ")


def test_a_welcome_that_failed_stands_in_the_log_of_devices(accounts: Accounts) -> None:
    accounts.portal.fail("POST stb_msg", Answer(Response(b"", 500)))
    # of this box alone: the welcome of an earlier test's account may come late
    log = sa.select(*StbActionLog.__table__.c).where(StbActionLog.mac_address == MAC("55"))
    assert accounts.post("admin", "add_account", **new_account(0x55))["error"] == 0
    [row] = until(lambda: accounts.world.rows(log), "the welcome is logged")
    assert (row["status"], row["mac_address"], row["user_id"]) == ("failed", MAC("55"), 1)
    assert (row["action_detail"], row["full_message"]) == (WELCOME, WELCOME)
    assert row["error_message"]


def test_an_unknown_tariff_is_told_at_creation_and_at_a_change(accounts: Accounts) -> None:
    added = accounts.post("admin", "add_account", **new_account(tariff_plan="No such"))
    changed = accounts.post("admin", "update_account", username="user001", tariff_plan="No such")
    for answer in (added, changed):
        assert (answer["error"], answer["warning"]) == (0, 1)
        assert "tariff" in answer["warning_text"]


# rounding of prices by a page that shows no decimals (contract 05 §10.4)


def _saved(accounts: Accounts, stored: str, sent: object, **more: object) -> dict[str, object]:
    accounts.world.execute(sa.update(Plan).where(Plan.id == 2).values(price=stored))
    fields = {"plan_id": 2, "name": "Renamed", "price": sent, "days": 90, **more}
    answer: dict[str, object] = accounts.client("admin").get("/edit_plan.php", params=fields).json()
    [row] = accounts.world.rows(sa.select(Plan.price, Plan.name).where(Plan.id == 2))
    assert (answer["error"], row["name"]) == (0, "Renamed")
    return {**answer, "price": f"{row['price']:.2f}"}


@pytest.mark.parametrize(
    ("stored", "sent"), [("12.75", "13"), ("10.50", "11"), ("1234.49", "1234"), ("12.75", "۱۳"), ("0.40", "0")]
)
def test_a_price_that_only_lost_its_decimals_is_kept_and_the_answer_says_so(
    accounts: Accounts, stored: str, sent: str
) -> None:
    saved = _saved(accounts, stored, sent)
    assert (saved["price"], saved["warning"]) == (stored, 1)
    assert f"The price stays {float(stored):,.2f}" in str(saved["warning_text"])
    assert str(saved["warning_text"]) in str(saved["message"])


@pytest.mark.parametrize(
    ("stored", "sent", "price"),
    [("12.75", "13.00", "13.00"), ("12.75", "12", "12.00"), ("12.75", "14", "14.00"), ("12.00", "12", "12.00")],
)
def test_a_price_that_is_meant_is_stored(accounts: Accounts, stored: str, sent: str, price: str) -> None:
    saved = _saved(accounts, stored, sent)
    assert (saved["price"], "warning" in saved) == (price, False)


def test_a_plan_that_becomes_unlimited_costs_nothing_whatever_its_price_was(accounts: Accounts) -> None:
    accounts.world.execute(sa.update(Plan).where(Plan.id == 3).values(external_id="98"))
    assert _saved(accounts, "12.75", "13", days=0)["price"] == "0.00"


@pytest.mark.parametrize(
    ("endpoint", "fields"),
    [
        ("adjust_credit", {"reseller_id": 2, "action": "add", "amount": "1.005"}),
        ("new_transaction", {"user_id": 2, "type": "credit", "amount": 1.005}),
        ("add_plan", {"plan_id": "50", "currency": "GBP", "price": "10.005", "days": 30}),
        ("add_reseller", {"username": "r9", "password": "pw", "name": "R", "currency": "GBP", "balance": "12.345"}),
        ("edit_transaction", {"transaction_id": 1, "correction_amount": "0.001", "correction_note": "x"}),
        (
            "add_reseller_payment",
            {"reseller_id": 2, "amount": "0.015", "payment_date": "2026-11-01", "bank_name": "Cash"},
        ),
    ],
)
def test_more_than_two_decimals_are_refused_everywhere(
    accounts: Accounts, endpoint: str, fields: dict[str, object]
) -> None:
    answer = accounts.post("admin", endpoint, "json", **fields)
    assert (answer["error"], answer["code"]) == (1, 6)
    assert "at most two decimals" in answer["err_msg"]


# what a page escapes itself comes unescaped (contract 05 §6)


def test_texts_of_payments_reach_the_page_once_escaped(accounts: Accounts) -> None:
    fields = {"reseller_id": 2, "amount": "5", "payment_date": "2026-11-01", "bank_name": "Cash"}
    paid = accounts.post("admin", "add_reseller_payment", description='Rent & "fees"', **fields)
    accounts.post("admin", "cancel_reseller_payment", payment_id=paid["payment_id"], reason='A & B "twice"')
    [listed] = accounts.client("admin").get("/get_reseller_payments.php", params={"status": "all"}).json()["payments"]
    assert (listed["description"], listed["cancellation_reason"]) == ("Rent & ”fees”", "A & B ”twice”")


# addresses of files


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_receipt_without_a_login_is_401_and_never_kept_by_a_worker(accounts: Accounts, method: str) -> None:
    for path in ("/uploads/receipts/receipt_x.png", "/uploads/receipts/x.pdf"):
        response = accounts.world.client().request(method, path)
        assert response.status_code == 401
        assert "WWW-Authenticate" not in response.headers
    assert accounts.client("reseller1").get("/uploads/receipts/receipt_x.png").status_code == 404


# refusals name who may


def test_refusals_name_who_may(accounts: Accounts) -> None:
    for endpoint, fields in (
        ("new_transaction", {"user_id": 2, "type": "credit", "amount": 5}),
        ("plan_update", {"id": "12", "price": 5}),
        ("add_currency", {"name": "AED"}),
        ("sync_plans_web", {}),
        ("update_admin_resellers", {}),
        ("update_account", {"username": "user001", "end_date": "2027-01-01"}),
    ):
        answer = accounts.post("reseller1", endpoint, **fields)
        assert (answer["error"], answer["code"]) == (1, 3)
        assert "nly " in answer["err_msg"], answer
        assert "admin" in answer["err_msg"], answer


def test_texts_of_reminders_reach_the_page_without_entities() -> None:
    row = {"username": "<b>", "message": 'Dear "Ann" & <b>Bob</b>,\nplease renew'}
    told = sinks.shown("reminder", row)
    assert told == {"username": "&lt;b&gt;", "message": "Dear ”Ann” & ‹b›Bob‹/b›,\nplease renew"}
