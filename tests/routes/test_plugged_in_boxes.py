"""Boxes that were plugged in before their account was sold: a stock portal has made users without login of them.

Source: contract chapter 90 §13 M2.
"""

from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from core.accounts import recovery
from simulators.faults import Hang, HangUp
from simulators.portal import faults
from simulators.stalker import StalkerPortal
from tests.conftest import MakeWorld
from tests.worlds.accounts import MAC, Accounts, accounts_world, configured, new_account

BOX = MAC("10")
# how long a call may take that is to be given up; all others have the patience of a busy machine
GIVEN_UP_SECONDS = 2.0


@pytest.fixture(params=[False, True], ids=["one server", "two servers"])
def accounts(make_world: MakeWorld, request: pytest.FixtureRequest) -> Iterator[Accounts]:
    with accounts_world(make_world, "sqlite", dual=request.param) as accounts:
        for portal in accounts.portals:
            portal.add_user("", BOX, ip="10.0.0.9")
        yield accounts


def _boxes(portal: StalkerPortal) -> list[tuple[str, str, str, int]]:
    users = [user for user in portal.users if user.stb_mac == BOX]
    return [(user.login, user.full_name, user.ip, user.status) for user in users]


def test_the_box_becomes_the_account(accounts: Accounts) -> None:
    answer = accounts.post("reseller1", "add_account", **new_account(plan="78-GBP", phone_number="+441234"))
    assert answer["error"] == 0
    for portal in accounts.portals:
        [user] = [user for user in portal.users if user.stb_mac == BOX]
        assert (user.login, user.full_name, user.phone, user.ip) == ("new10", "Ann", "+441234", "10.0.0.9")
        assert (user.account_number, user.end_date[:10]) == ("10000012", "2025-02-16")
        assert user.has_password("pw-secret")
        assert portal.state.plans[user.tariff_plan_id].external_id == "78"
    assert accounts.balance("reseller1") == 100 - 10 - 0.5
    row = accounts.row("new10")
    assert row is not None


def test_a_box_of_somebody_is_told_by_name(accounts: Accounts) -> None:
    accounts.portal.add_user("carla", MAC("11"))
    answer = accounts.post("reseller1", "add_account", **new_account(0x11, plan="78-GBP"))
    assert (answer["error"], answer["code"]) == (1, 5)
    assert answer["err_msg"] == "MAC address already in use at the portal by carla"
    assert accounts.balance("reseller1") == 100


def test_several_boxes_with_one_mac_are_left_alone(accounts: Accounts) -> None:
    accounts.portal.add_user("", BOX)
    answer = accounts.post("reseller1", "add_account", **new_account(plan="78-GBP"))
    assert (answer["error"], answer["code"]) == (1, 5)
    assert [box[0] for box in _boxes(accounts.portal)] == ["", ""]


def test_a_login_that_is_taken_stops_it(accounts: Accounts) -> None:
    accounts.portal.add_user("new10", MAC("55"))
    answer = accounts.post("reseller1", "add_account", **new_account(plan="78-GBP"))
    assert (answer["error"], answer["code"], accounts.balance("reseller1")) == (1, 5, 100)
    assert [box[0] for box in _boxes(accounts.portal)] == [""]


@pytest.mark.parametrize("fault", ["refused", "lost before", "lost after", "hangs, done", "ERROR"])
def test_an_adoption_that_fails_ends_in_a_box_or_an_account(accounts: Accounts, fault: str) -> None:
    faulty = {
        "refused": faults.error("Login already in use"),
        "lost before": HangUp(),
        "lost after": HangUp(effect=True),
        "hangs, done": Hang(effect=True),
        "ERROR": faults.error("Error: mysqli_query failed"),
    }
    last = accounts.portals[-1]
    last.fail(lambda request: "login" in request.fields and request.method == "PUT", faulty[fault])
    hurried = configured(accounts.world, accounts.portals, GIVEN_UP_SECONDS)
    with hurried if isinstance(faulty[fault], Hang) else nullcontext():
        answer = accounts.post("reseller1", "add_account", **new_account(plan="78-GBP"))
        accounts.finish_operations()
    sold = answer["error"] == 0
    assert accounts.balance("reseller1") == (89.5 if sold else 100)
    assert (accounts.row("new10") is not None) == sold
    for portal in accounts.portals:
        # never deleted: this creation has not made it
        assert _boxes(portal) == [("new10", "Ann", "10.0.0.9", 1) if sold else ("", "", "10.0.0.9", 1)]


def test_a_box_that_was_adopted_before_a_crash_becomes_a_box_again(accounts: Accounts) -> None:
    """The last PUT has its effect, and its answer and every look after it are lost."""
    accounts.portal.fail(lambda request: "login" in request.fields and request.method == "PUT", Hang(effect=True))
    accounts.portal.fail("GET accounts", faults.server_error(), times=None, after=1)
    with configured(accounts.world, accounts.portals, GIVEN_UP_SECONDS):
        assert accounts.post("reseller1", "add_account", **new_account(plan="78-GBP"))["error"] == 1
    assert _boxes(accounts.portal)[0][0] == "new10"
    accounts.portal.clear_faults()
    accounts.forward += 600
    recovery.finish_open_operations(accounts.panel)
    assert _boxes(accounts.portal) == [("", "", "10.0.0.9", 1)]
    assert (accounts.balance("reseller1"), accounts.row("new10")) == (100, None)


def test_what_was_switched_before_a_refusal_is_switched_back(accounts: Accounts) -> None:
    accounts.portal.fail(
        lambda request: "login" in request.fields and request.method == "PUT",
        faults.error("Login already in use"),
    )
    accounts.portal.change_user("", status=0)
    assert accounts.post("reseller1", "add_account", **new_account(plan="78-GBP"))["error"] == 1
    assert accounts.portal.requests[-1].fields == {"status": "0"}
