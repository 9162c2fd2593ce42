"""Who pays for a plan gets its channels: the tariff that goes out with a renewal, and what is said where it cannot.

Source: contract chapter 90 §13 M7 and M15, contract README ("tariffs", "warnings").
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from simulators.portal import faults
from tests.conftest import MakeWorld
from tests.worlds.accounts import Accounts, accounts_world, new_account

RENEWALS: dict[str, dict[str, Any]] = {
    "edit_account": {"original_username": "user001", "plan": "2"},
    "update_account": {"username": "user001", "plan": "12-GBP"},
}


@pytest.fixture(params=[False, True], ids=["one server", "two servers"])
def accounts(make_world: MakeWorld, request: pytest.FixtureRequest) -> Iterator[Accounts]:
    with accounts_world(make_world, "sqlite", dual=request.param) as accounts:
        yield accounts


def _tariffs(accounts: Accounts, login: str = "user001") -> list[str | None]:
    """External ids, as each portal has them."""
    found = []
    for portal in accounts.portals:
        user = portal.user(login)
        assert user is not None
        plan = portal.state.plans.get(user.tariff_plan_id)
        found.append(plan and plan.external_id)
    return found


def _change_plans(accounts: Accounts, **external_ids: str) -> None:
    """Give the portals' tariffs ``t1``, ``t2`` … another external id."""
    for portal in accounts.portals:
        for name, external_id in external_ids.items():
            id = int(name.removeprefix("t"))
            portal.state.plans[id] = replace(portal.state.plans[id], external_id=external_id)


@pytest.mark.parametrize("endpoint", RENEWALS)
def test_a_renewal_with_another_plan_sends_its_tariff(accounts: Accounts, endpoint: str) -> None:
    answer = accounts.post("reseller1", endpoint, **RENEWALS[endpoint])
    assert (answer["error"], answer.get("warning")) == (0, None)
    assert _tariffs(accounts) == ["12"] * len(accounts.portals)
    row = accounts.row("user001")
    assert row is not None
    assert (row["plan"], row["tariff_plan"]) == (2, "12")


def test_a_renewal_with_the_same_plan_sends_none_and_asks_for_none(accounts: Accounts) -> None:
    assert accounts.post("reseller1", "edit_account", original_username="user001", plan="1")["error"] == 0
    assert all("tariff_plan" not in request.fields for request in accounts.portal.requests)
    assert "GET tariffs" not in " ".join(accounts.portal.calls)


def test_the_row_id_of_a_tariff_is_never_sent_in_place_of_its_external_id(accounts: Accounts) -> None:
    """The plan carries the portal's row id, as the running panels store it."""
    accounts.world.execute("UPDATE _plans SET external_id = '2' WHERE id = 2")
    assert accounts.post("admin", "edit_account", original_username="user001", plan="2")["error"] == 0
    assert _tariffs(accounts) == ["12"] * len(accounts.portals)
    _change_plans(accounts, t2="")
    answer = accounts.post("admin", "edit_account", original_username="user002", plan="2")
    assert (answer["error"], answer["warning"]) == (0, 1)
    assert "no external id" in answer["warning_text"]
    assert _tariffs(accounts, "user002") == ["78"] * len(accounts.portals)


def test_a_tariff_that_the_portal_does_not_have_is_not_sent_and_said(accounts: Accounts) -> None:
    accounts.world.execute("UPDATE _plans SET external_id = 'gone' WHERE id = 2")
    answer = accounts.post("admin", "edit_account", original_username="user001", plan="2")
    assert (answer["error"], answer["warning"]) == (0, 1)
    assert "no tariff gone" in answer["warning_text"]
    assert _tariffs(accounts) == ["78"] * len(accounts.portals)


def test_a_renewal_whose_tariff_cannot_be_known_takes_no_money(accounts: Accounts) -> None:
    accounts.portal.fail("GET tariffs", faults.server_error(), times=None)
    answer = accounts.post("reseller1", "edit_account", original_username="user001", plan="2")
    assert (answer["error"], accounts.balance("reseller1")) == (1, 100)
    assert accounts.calls("PUT") == []
    row = accounts.row("user001")
    assert row is not None
    assert (row["plan"], str(row["end_date"])) == (None, "2025-02-15")


def test_an_addition_never_sends_a_row_id_either(accounts: Accounts) -> None:
    accounts.world.execute("UPDATE _plans SET external_id = '2' WHERE id = 2")
    _change_plans(accounts, t2="")
    answer = accounts.post("admin", "add_account", **new_account(plan="2"))
    assert (answer["error"], answer["warning"]) == (0, 1)
    assert "no external id" in answer["warning_text"]
    [created, *_] = [request for request in accounts.portal.requests if request.call == "POST accounts/"]
    assert created.fields["tariff_plan"] == ""


def test_an_addition_with_an_unknown_tariff_says_so(accounts: Accounts) -> None:
    answer = accounts.post("admin", "add_account", "json", **new_account(tariff_plan="Premium Package"))
    assert (answer["error"], answer["warning"]) == (0, 1)
    assert answer["warning_text"] == "The portal has no tariff Premium Package"


def test_two_tariffs_with_one_external_id_are_told(accounts: Accounts) -> None:
    _change_plans(accounts, t2="78")
    accounts.world.execute("UPDATE _plans SET external_id = '2' WHERE id = 2")
    answer = accounts.post("admin", "add_account", **new_account(plan="2"))
    assert (answer["error"], answer["warning"]) == (0, 1)
    assert "the portal gives the first" in answer["warning_text"]
