"""A portal carries out status, password and the rest of an edit one after the other: nothing of it, or all.

Source: contract chapter 90 §13 M8.
"""

from collections.abc import Iterator

import pytest

from simulators.faults import Fault, HangUp
from simulators.portal import faults
from simulators.recording import RecordedRequest
from tests.conftest import MakeWorld
from tests.worlds.accounts import Accounts, accounts_world

EDIT = {"username": "user001", "status": 0, "full_name": "Anna", "password": "other-secret"}


@pytest.fixture(params=[False, True], ids=["one server", "two servers"])
def accounts(make_world: MakeWorld, request: pytest.FixtureRequest) -> Iterator[Accounts]:
    with accounts_world(make_world, "sqlite", dual=request.param) as accounts:
        for portal in accounts.portals:
            portal.change_user("user001", password_hash="as before")
        yield accounts


def _puts(accounts: Accounts) -> list[list[str]]:
    return [list(request.fields) for request in accounts.portal.requests if request.method == "PUT"]


def _at_portal(accounts: Accounts) -> tuple[str, int, str]:
    user = accounts.portal.user("user001")
    assert user is not None
    return user.full_name, user.status, user.password_hash


def _is_password(request: RecordedRequest) -> bool:
    return "password" in request.fields


def test_a_password_goes_alone_and_last(accounts: Accounts) -> None:
    assert accounts.post("admin", "update_account", "json", **EDIT)["error"] == 0
    assert _puts(accounts) == [["full_name", "status"], ["password"]]
    for portal in accounts.portals:
        user = portal.user("user001")
        assert user is not None
        assert (user.full_name, user.status, user.has_password("other-secret")) == ("Anna", 0, True)


def test_what_is_refused_leaves_status_and_password_as_they_were(accounts: Accounts) -> None:
    """The name is too long for a portal in strict mode, which has switched the account off by then."""
    accounts.portal.settings.sql_strict = True
    before = accounts.row("user001")
    answer = accounts.post("admin", "update_account", "json", **{**EDIT, "full_name": "x" * 70})
    assert answer["error"] == 1
    assert _at_portal(accounts) == ("John Doe", 1, "as before")
    assert (accounts.row("user001"), accounts.open_operations()) == (before, [])


def test_a_status_that_cannot_be_set_back_is_set_back_later(accounts: Accounts) -> None:
    accounts.portal.settings.sql_strict = True
    accounts.portal.fail(lambda request: request.fields == {"status": "1"}, faults.server_error())
    assert accounts.post("admin", "update_account", "json", **{**EDIT, "full_name": "x" * 70})["error"] == 1
    accounts.finish_operations()
    assert _at_portal(accounts) == ("John Doe", 1, "as before")


@pytest.mark.parametrize("fault", [faults.error("Out of order"), faults.server_error()], ids=["refused", "broken"])
def test_a_password_that_is_not_taken_takes_the_rest_back(accounts: Accounts, fault: Fault) -> None:
    accounts.portal.fail(_is_password, fault)
    before = accounts.row("user001")
    assert accounts.post("admin", "update_account", "json", **EDIT)["error"] == 1
    assert _at_portal(accounts) == ("John Doe", 1, "as before")
    assert (accounts.row("user001"), accounts.open_operations()) == (before, [])


def test_a_renewal_whose_password_is_not_taken_costs_nothing(accounts: Accounts) -> None:
    accounts.portal.fail(_is_password, faults.error("Out of order"))
    answer = accounts.post("reseller1", "edit_account", original_username="user001", plan="2", password="other-secret")
    assert (answer["error"], accounts.balance("reseller1"), accounts.transactions) == (1, 100, [])
    user = accounts.portal.user("user001")
    assert user is not None
    assert user.end_date[:10] == "2025-02-15"
    assert accounts.portal.state.plans[user.tariff_plan_id].external_id == "78"


def test_a_password_without_an_answer_is_said_to_be_unknown(accounts: Accounts) -> None:
    accounts.portal.fail(_is_password, HangUp(effect=True))
    answer = accounts.post("admin", "update_account", "json", **EDIT)
    assert answer["error"] == 1
    assert "whether the password was changed is not known" in answer["err_msg"]
    accounts.finish_operations()
    assert _at_portal(accounts)[:2] == ("John Doe", 1)


def test_a_password_that_server_2_does_not_have_is_told(accounts: Accounts) -> None:
    if len(accounts.portals) == 1:
        return
    accounts.portals[1].fail(_is_password, faults.error("Out of order"))
    answer = accounts.post("admin", "update_account", "json", **EDIT)
    assert (answer["error"], answer["warning"]) == (0, 1)
    assert "please set it again" in answer["warning_text"]
