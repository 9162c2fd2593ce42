"""A value enters once: digits, phones, dates, flags and bodies over HTTP (issue 11, lines 5 to 7; field-cases.md)."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from core.storage.tables import Account, Plan
from tests.conftest import MakeWorld
from tests.worlds.accounts import MAC, Accounts, accounts_world, new_account
from tests.worlds.harness import PREFIXES

ENCODINGS = ("json", "form", "multipart")


@pytest.fixture
def accounts(make_world: MakeWorld) -> Iterator[Accounts]:
    with accounts_world(make_world, "sqlite") as accounts:
        yield accounts


def _update(accounts: Accounts, encoding: str = "json", /, **fields: Any) -> dict[str, Any]:
    return accounts.post("admin", "update_account", encoding, username="user001", **fields)


def _refused(answer: dict[str, Any], *words: str) -> bool:
    assert (answer["error"], answer["code"]) == (1, 6), answer
    assert all(word in answer["err_msg"] for word in words), answer
    return True


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_phone_of_persian_digits_is_read_and_not_cleared(accounts: Accounts, encoding: str) -> None:
    assert _update(accounts, encoding, phone="۰۹۱۲۱۲۳۴۵۶۷")["error"] == 0
    row = accounts.row("user001")
    assert row is not None
    assert row["phone_number"] == "09121234567"
    assert accounts.portal.user("user001").phone == "09121234567"


def test_a_national_number_gets_the_configured_country_code(make_world: MakeWorld) -> None:
    with accounts_world(make_world, "sqlite") as accounts:
        panel = accounts.panel
        section = panel.config.panel.model_copy(update={"country_code": "98"})
        panel.config = panel.config.model_copy(update={"panel": section})
        assert _update(accounts, phone="0912 123 4567")["error"] == 0
        for spelled in ("09121234567", "+98 (0)912 123 4567", "9121234567", "00989121234567"):
            assert _update(accounts, phone=spelled)["error"] == 0
            row = accounts.row("user001")
            assert row is not None
            assert row["phone_number"] == "+989121234567"


@pytest.mark.parametrize("field", ["phone", "phone_number"])
@pytest.mark.parametrize("phone", ["call me", "-", "09121234567/09127654321", "123", True, ["+441234567"]])
def test_a_phone_that_is_none_is_refused_by_its_name_and_nothing_is_cleared(
    accounts: Accounts, field: str, phone: object
) -> None:
    accounts.world.execute(sa.update(Account).where(Account.id == 10).values(phone_number="+441234567890"))
    assert _refused(_update(accounts, **{field: phone}), f"Invalid value for {field}: ")
    row = accounts.row("user001")
    assert row is not None
    assert (row["phone_number"], accounts.calls("PUT")) == ("+441234567890", [])
    assert _refused(accounts.post("admin", "add_account", "json", **new_account(**{field: phone})), field)


def test_dates_in_persian_digits_are_read_and_shamsi_years_refused(accounts: Accounts) -> None:
    assert _update(accounts, end_date="۲۰۲۶/۰۵/۰۱")["new_end_date"] == "2026-05-01"
    for shamsi in ("1405/10/15", "۱۴۰۵/۱۰/۱۵", "1399-01-01"):
        assert _refused(_update(accounts, expire_billing_date=shamsi), "expire_billing_date", "Gregorian")
        assert _refused(accounts.post("admin", "add_account", "json", **new_account(end_date=shamsi)), "Gregorian")
    for far in ("1969-12-31", "2100-01-01", "9999-12-31"):
        assert _refused(_update(accounts, end_date=far), "1970-01-01 to 2099-12-31")
    row = accounts.row("user001")
    assert row is not None
    assert str(row["end_date"]) == "2026-05-01"


@pytest.mark.parametrize(
    ("endpoint", "fields", "named"),
    [
        ("adjust_credit", {"reseller_id": 2, "action": "add", "amount": True}, "amount"),
        ("adjust_credit", {"reseller_id": True, "action": "add", "amount": 5}, "reseller_id"),
        ("new_transaction", {"user_id": 2, "type": True, "amount": 5}, "type"),
        ("remove_plan", {"plan_id": True}, "plan_id"),
        ("send_event", {"mac": MAC("01"), "event": True}, "event"),
        ("send_stb_event", {"mac": MAC("01"), "event": True}, "event"),
        ("update_account", {"username": True, "email": "a@example.com"}, "username"),
        ("update_account", {"username": "user001", "full_name": False}, "full_name"),
        ("update_account", {"username": "user001", "plan": True}, "plan"),
        ("change_status", {"username": "user001", "status": True}, "status"),
        ("remove_account", {"username": True}, "username"),
        ("add_plan", {"plan_id": "50", "currency": "GBP", "price": True, "days": 30}, "price"),
        ("assign_plans", {"reseller_id": 2, "plans": [True]}, "plans"),
        ("edit_transaction", {"transaction_id": True, "correction_note": "x"}, "transaction_id"),
        ("bulk_assign_reseller", {"usernames": ["user001"], "reseller_id": True}, "reseller_id"),
    ],
)
def test_json_booleans_are_no_numbers_ids_names_or_events(
    accounts: Accounts, endpoint: str, fields: dict[str, Any], named: str
) -> None:
    assert _refused(accounts.post("admin", endpoint, "json", **fields), f"Invalid value for {named}: ")
    assert (accounts.transactions, accounts.balance("reseller1"), accounts.calls("PUT", "DELETE")) == ([], 100, [])
    assert accounts.world.rows(sa.select(sa.func.count()).select_from(Plan))[0]["count_1"] == 5


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_amounts_counts_ids_and_macs_in_persian_digits(accounts: Accounts, encoding: str) -> None:
    def post(endpoint: str, **fields: Any) -> dict[str, Any]:
        answer = accounts.post("admin", endpoint, encoding, **fields)
        assert answer["error"] == 0, answer
        return answer

    assert post("adjust_credit", reseller_id="۲", action="add", amount="۱۲٫۵۰")["new_balance"] == 112.5
    plan = post("add_plan", plan_id="50", currency="GBP", price="٩٫٩٩", days="۳۰", name="P")
    [stored] = accounts.world.rows(sa.select(Plan.price, Plan.days).where(Plan.id == plan["id"]))
    assert (str(stored["price"]), stored["days"]) == ("9.99", 30)
    added = post("add_account", **new_account(mac="۰۰:۱A:۷۹:۰۰:۰۰:۱۰", plan="۲", discount="۵"))
    row = accounts.row("new10")
    assert row is not None
    assert (row["id"], row["mac"], row["plan"]) == (added["account_id"], MAC("10"), 2)
    assert post("change_status", mac="\u200e00-1a-79-00-00-۱۰", status="۰")["error"] == 0


@pytest.mark.parametrize(
    ("endpoint", "fields", "meant"),
    [
        ("update_account", {"username": "user001", "end_dat": "2027-01-01"}, "end_date"),
        ("update_account", {"username": "user001", "phonenumber": "+441234567"}, "phone_number"),
        ("edit_account", {"original_username": "user001", "emial": "a@example.com"}, "email"),
        ("update_reseller", {"id": 2, "max_user": 5}, "max_users"),
        ("update_reminder_settings", {"days_before": 5}, "days_before_expiry"),
        ("update_sms_settings", {"token": "x"}, "api_token"),
        ("update_mail_settings", {"smtp_hots": "mail.example.com"}, "smtp_host"),
        ("telegram/update_notification_settings", {"notify_logn": 1}, "notify_login"),
    ],
)
def test_a_misspelt_field_that_leaves_nothing_to_change_says_so(
    accounts: Accounts, endpoint: str, fields: dict[str, Any], meant: str
) -> None:
    misspelt = list(fields)[-1]
    for prefix in PREFIXES:
        answer = accounts.client("admin").post(f"{prefix}{endpoint}.php", fields, "json").json()
        assert _refused(answer, "Nothing was changed", misspelt)
        assert meant in answer["err_msg"]


def test_what_is_known_is_done_whatever_else_is_sent(accounts: Accounts) -> None:
    assert _update(accounts, email="new@example.com", nonsense=1)["error"] == 0
    row = accounts.row("user001")
    assert row is not None
    assert row["email"] == "new@example.com"
    # nothing is asked for, and nothing was misspelt
    assert _update(accounts, email=None)["error"] == 0


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<account><username>user001</username></account>", "application/xml"),
        (b"<account><username>user001</username></account>", "application/x-www-form-urlencoded"),
        (b"username=user001&email=a@example.com", "text/plain"),
        (b'{"username":"user001",', "application/json"),
        (b'{"username":"user001",', "application/x-www-form-urlencoded"),
        (b"['user001']", "application/json"),
        (b"nothing of the kind", "multipart/form-data; boundary=x"),
    ],
)
@pytest.mark.parametrize("endpoint", ["update_account", "login", "auto_logout_settings", "update_password"])
def test_a_body_that_cannot_be_read_is_refused_as_such(
    accounts: Accounts, endpoint: str, body: bytes, kind: str
) -> None:
    headers = {"Content-Type": kind}
    answer = accounts.client("admin").request("POST", f"/{endpoint}.php", data=body, headers=headers).json()
    assert _refused(answer, "The request body cannot be read")


def test_multipart_without_its_last_boundary_is_saved(accounts: Accounts) -> None:
    part = '--x\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    body = part.format("days_before_expiry", "9") + "--x\r\n\r\nno field\r\n" + part.format("auto_send_enabled", "1")
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    client = accounts.client("admin")
    answer = client.request("POST", "/update_reminder_settings.php", data=body.encode(), headers=headers).json()
    assert answer["error"] == 0
    settings = client.get("/get_reminder_settings.php").json()["settings"]
    assert (settings["days_before_expiry"], settings["auto_send_enabled"]) == (9, 1)


# NULL is not 0


@pytest.mark.parametrize("lacking", ["price", "days"])
def test_a_plan_without_price_or_days_is_not_sold_to_those_who_pay(accounts: Accounts, lacking: str) -> None:
    accounts.world.execute(sa.update(Plan).where(Plan.id == 2).values({lacking: None}))
    for endpoint, fields in (
        ("add_account", new_account(plan="12-GBP")),
        ("edit_account", {"original_username": "user001", "plan": 2}),
        ("update_account", {"username": "user001", "plan": "12-GBP"}),
    ):
        answer = accounts.post("reseller1", endpoint, **fields)
        assert (answer["error"], answer["code"]) == (1, 1)
        assert answer["err_msg"].startswith('The plan "Quarter" has no ')
    # nor for a reseller by somebody else
    assert accounts.post("admin", "add_account", **new_account(plan="12-GBP", reseller=2))["error"] == 1
    assert (accounts.balance("reseller1"), accounts.transactions) == (100, [])
    assert (accounts.calls("POST", "PUT"), accounts.open_operations()) == ([], [])
    listed = accounts.client("admin").get("/get_plans.php").json()["plans"]
    assert next(plan for plan in listed if plan["id"] == 2)[lacking] is None


def test_a_plan_without_price_is_given_by_those_who_do_not_pay_and_saved_once_it_has_one(accounts: Accounts) -> None:
    accounts.world.execute(sa.update(Plan).where(Plan.id == 2).values(price=None))
    assert accounts.post("admin", "edit_account", original_username="user001", plan=2)["error"] == 0
    fields = {"plan_id": 2, "name": "Quarter", "days": 90}
    assert accounts.post("admin", "edit_plan", price="0", **fields)["message"].endswith("changed from none to 0.00")
    assert accounts.post("reseller1", "add_account", **new_account(plan="12-GBP"))["error"] == 0
    assert accounts.balance("reseller1") == 100


def test_who_must_name_a_plan_is_told_so(accounts: Accounts) -> None:
    assert _refused(accounts.post("reseller1", "add_account", **new_account()), "Missing field: plan")
    # and not that the one that was sent is none
    assert accounts.post("reseller1", "add_account", **new_account(plan="nope"))["code"] == 4
