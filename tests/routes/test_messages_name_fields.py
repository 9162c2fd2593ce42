"""Messages name the field as it was sent, and say what it may hold (issue 15, line 8)."""

from collections.abc import Iterator
from typing import Any

import pytest

from compat.fields import BadField, RequestModel
from core.errors import InvalidInput
from core.portal import EVENTS
from legacy_routes.app import all_endpoints
from tests.conftest import MakeWorld
from tests.worlds.accounts import MAC, Accounts, accounts_world, new_account

MODELS = {endpoint.name: endpoint.model for endpoint in all_endpoints() if endpoint.model is not None}
SENT = [
    (name, model, field, alias)
    for name, model in MODELS.items()
    for field in model.model_fields
    for alias in model._names(field)
]
# those whose true and false mean something, and those that read whatever comes
FLAGS = {
    *("viewAllAccounts", "is_observer", "is_active", "auto_send_enabled", "enable_multistage_reminders"),
    *("auto_send_new_account", "auto_send_renewal", "auto_send_expiry", "notify_admin", "notify_reseller"),
    *("dual_server_mode_enabled", "test_connection", "needs_plan"),
    *(name for name in MODELS["telegram/update_notification_settings"].model_fields),
}
LENIENT = {
    *("page", "per_page", "limit", "account_ids", "recipient_ids", "timeout", "date", "date_from", "date_to"),
    # of a subscription: looked at by the business
    *("endpoint", "keys"),
}


@pytest.fixture
def accounts(make_world: MakeWorld) -> Iterator[Accounts]:
    with accounts_world(make_world, "sqlite") as accounts:
        yield accounts


def _refusal(model: type[RequestModel], alias: str, value: object) -> str | None:
    required = {name: 1 for name, info in model.model_fields.items() if info.is_required()}
    values = {**required, alias: value}
    try:
        model.read(values)
    except BadField as error:
        return error.text
    except InvalidInput as error:
        if error.field is not None:
            error.call_it(model.name_of(error.field, values))
        return error.text
    return None


def test_whatever_a_field_is_sent_its_refusal_names_it_as_it_was_sent() -> None:
    asked = 0
    for name, model, _field, alias in SENT:
        for value in ({"a": [1]}, [{"a": 1}], [[1]], "\u2603", "1e999", 1.5, -(2**70), True):
            text = _refusal(model, alias, value)
            if text is not None:
                asked += 1
                assert alias in text, (name, alias, value, text)
                assert "Value error" not in text, (name, alias, value, text)
                assert "Input should" not in text, (name, alias, value, text)
    assert asked > 500


def test_true_is_refused_wherever_no_flag_is_expected() -> None:
    taken = {
        (name, alias)
        for name, model, _field, alias in SENT
        if name != "api" and alias not in FLAGS | LENIENT and _refusal(model, alias, True) is None
    }
    assert taken == set()


def test_numbers_are_read_in_the_digits_of_any_keyboard() -> None:
    """A field that takes 7 takes the seven of a Persian and of an Arabic keyboard, and makes the same of it."""
    folded = 0
    for name, model, field, alias in SENT:
        required = {key: 1 for key, info in model.model_fields.items() if info.is_required()}
        try:
            plain = getattr(model.read({**required, alias: "7"}), field)
        except (BadField, InvalidInput):
            continue
        if isinstance(plain, int) and not isinstance(plain, bool):
            for seven in ("۷", "٧", "\u200e7\u200f"):
                assert getattr(model.read({**required, alias: seven}), field) == plain, (name, alias, seven)
            folded += 1
    assert folded > 30


NO_NAMES = "Missing field: usernames (a list of user names)"
BAD_EVENT = f"Invalid event type; event is one of {', '.join(EVENTS)}"
CREDIT = {"reseller_id": 2, "amount": 5}
PLAN = {"plan_id": "50", "currency": "GBP", "price": 5, "days": 30}


@pytest.mark.parametrize(
    ("endpoint", "fields", "text"),
    [
        ("add_plan", {**PLAN, "price": ""}, "Missing field: price (an amount, 0 or more)"),
        ("add_plan", {**PLAN, "days": None, "expiry_days": ""}, "Missing field: days (0 is unlimited)"),
        ("add_plan", {**PLAN, "plan_id": ""}, "Missing field: plan_id (the id of a tariff of the portal)"),
        ("add_plan", {**PLAN, "plan_id": "0"}, "Missing field: plan_id (the id of a tariff of the portal)"),
        ("add_plan", {**PLAN, "currency": "AED"}, "Invalid value for currency: expected one of GBP, USD, EUR, IRR"),
        ("edit_plan", {"name": "x", "price": 1, "days": 1}, "Missing field: plan_id"),
        ("remove_plan", {}, "Missing field: plan_id"),
        ("plan_update", {"id": "", "price": 1}, "Missing field: id"),
        ("adjust_credit", CREDIT, "Missing field: action (add, deduct or set), or type (credit or debit)"),
        ("adjust_credit", {**CREDIT, "type": "add"}, "Invalid value for type: expected credit or debit"),
        ("adjust_credit", {**CREDIT, "action": "x"}, "Invalid value for action: expected add, deduct or set"),
        ("adjust_credit", {"id": "x", "amount": 5}, "Invalid value for id: expected a whole number"),
        (
            "send_stb_event",
            {"mac": MAC("01"), "event": "x"},
            BAD_EVENT,
        ),
        ("send_event", {"mac": MAC("01"), "event": "x"}, BAD_EVENT),
        (
            "send_stb_event",
            {"mac": MAC("01"), "event": "play_channel", "channel": "x"},
            "Invalid value for channel: expected a number of 1 to 6 digits",
        ),
        ("update_account", {"username": ["user001"]}, "Invalid value for username: expected text, not a list"),
        ("remove_account", {"id": {"a": 1}}, "Invalid value for id: expected text, not an object"),
        ("remove_account", {"username": "علی"}, "Account not found"),
        (
            "add_account",
            {**new_account(), "mac": None, "stb_mac": "x"},
            "Invalid value for stb_mac: expected a MAC address such as 00:1A:79:00:00:01",
        ),
        ("add_account", {**new_account(), "status": 2}, "Invalid value for status: expected 1 (on) or 0 (off)"),
        ("change_status", {"username": "user001"}, "Missing field: status (1 or 0)"),
        ("auto_logout_settings", {"timeout": ""}, "Missing field: timeout (minutes, 0 to 60)"),
        (
            "bulk_assign_reseller",
            {"usernames": [], "reseller_id": 2},
            "Missing field: usernames (a list of user names)",
        ),
        ("cancel_reseller_payment", {"reason": "x"}, "Missing field: payment_id"),
    ],
)
def test_the_ten_worst_and_their_siblings(accounts: Accounts, endpoint: str, fields: dict[str, Any], text: str) -> None:
    answer = accounts.post("admin", endpoint, "json", **fields)
    assert (answer["error"], answer["err_msg"], answer["message"]) == (1, text, text)
    assert answer["code"] == (4 if "not found" in text else 6)


@pytest.mark.parametrize("encoding", ["json", "form", "multipart"])
@pytest.mark.parametrize("field", ["phone", "phone_number"])
def test_a_refusal_of_the_business_calls_the_field_as_the_request_did(
    accounts: Accounts, field: str, encoding: str
) -> None:
    for endpoint, fields in (("update_account", {"username": "user001"}), ("add_account", new_account())):
        answer = accounts.post("admin", endpoint, encoding, **fields, **{field: "abc"})
        assert answer["err_msg"].startswith(f"Invalid value for {field}: ")


def test_what_is_not_built_is_told_apart_from_a_typo(accounts: Accounts) -> None:
    for name in ("stats", "chart_stats"):
        response = accounts.client("admin").get("/api.php", params={"action": name})
        assert (response.status_code, response.json()["error"]) == (404, 1)
        assert "not available in this version" in response.json()["err_msg"]
    assert accounts.client("admin").get("/api.php?action=statz").json()["err_msg"] == "Unknown action"
