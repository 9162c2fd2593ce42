"""What a stock portal keeps otherwise than it was told, which spelling it has, and how long it is waited for.

Source: contract chapter 90 §13 M4, M5, M9, M11 and M13, lenient and strict.
"""

import datetime
import time
from collections.abc import Iterator
from typing import Any

import pytest

from simulators.faults import Hang, Reset
from simulators.stalker import StalkerPortal
from tests.conftest import MakeWorld
from tests.worlds.accounts import MAC, Accounts, accounts_world, new_account
from tests.worlds.waiting import until

LONG = "Ann of the long name " * 4
LAST = "2038-01-18 00:00:00"
DASHED = MAC("01").replace(":", "-")


@pytest.fixture(params=[False, True], ids=["one server", "two servers"])
def accounts(make_world: MakeWorld, request: pytest.FixtureRequest) -> Iterator[Accounts]:
    # no test here is about a portal that is slow for a busy machine
    with accounts_world(make_world, "sqlite", dual=request.param, seconds=30.0) as accounts:
        for portal in accounts.portals:
            portal.settings.utf8_bytes = 3
        yield accounts


@pytest.fixture(params=[False, True], ids=["lenient", "strict"])
def strictness(accounts: Accounts, request: pytest.FixtureRequest) -> bool:
    for portal in accounts.portals:
        portal.settings.sql_strict = request.param
    return bool(request.param)


def _theirs(accounts: Accounts, login: str, column: str) -> set[Any]:
    """What the portals have in it; one value where they agree."""
    users = [portal.user(login) for portal in accounts.portals]
    return {getattr(user, column) for user in users if user is not None}


def _ours(accounts: Accounts, username: str, column: str) -> Any:
    row = accounts.row(username)
    assert row is not None
    return row[column]


ENDS: dict[str, dict[str, Any]] = {
    "add_account": new_account(end_date="2050-01-01"),
    "update_account": {"username": "user001", "end_date": "2050-01-01"},
}


@pytest.mark.parametrize("endpoint", ENDS)
@pytest.mark.usefixtures("strictness")
def test_m5_a_later_end_is_kept_here_and_said(accounts: Accounts, endpoint: str) -> None:
    wish = ENDS[endpoint]
    answer = accounts.post("admin", endpoint, **wish)
    assert (answer["error"], answer["warning"]) == (0, 1)
    assert "no end after 2038-01-18" in answer["warning_text"]
    assert _theirs(accounts, wish["username"], "end_date") == {LAST}
    assert accounts.post("admin", "sync_accounts")["error"] == 0
    assert _ours(accounts, wish["username"], "end_date") == datetime.date(2050, 1, 1)
    # somebody's other day at the portal counts
    for portal in accounts.portals:
        portal.change_user(wish["username"], end_date="2031-01-01 00:00:00")

    def is_taken_over() -> bool:
        accounts.post("admin", "sync_accounts")
        return bool(_ours(accounts, wish["username"], "end_date") == datetime.date(2031, 1, 1))

    until(is_taken_over, "the portal's other day")


@pytest.mark.usefixtures("strictness")
def test_m5_a_renewal_without_length_is_the_same(accounts: Accounts) -> None:
    answer = accounts.post("admin", "edit_account", original_username="user001", plan="3")
    assert (answer["error"], answer["new_end_date"], answer["warning"]) == (0, "2099-12-31", 1)
    assert _theirs(accounts, "user001", "end_date") == {LAST}
    # once said is enough
    again = accounts.post("admin", "edit_account", original_username="user001", name="Jane")
    assert (again["error"], "warning" in again) == (0, False)
    accounts.post("admin", "sync_accounts")
    assert _ours(accounts, "user001", "end_date") == datetime.date(2099, 12, 31)


@pytest.mark.usefixtures("strictness")
def test_m5_an_account_without_end_is_none_at_the_portal_either(accounts: Accounts) -> None:
    answer = accounts.post("admin", "add_account", **new_account())
    assert (answer["error"], answer["end_date"], "warning" in answer) == (0, None, False)
    answer = accounts.post("admin", "update_account", username="user001", end_date="unlimited")
    assert (answer["error"], answer["new_end_date"], "warning" in answer) == (0, None, False)
    for login in ("new10", "user001"):
        assert _theirs(accounts, login, "end_date") == {"0000-00-00 00:00:00"}


NAMES = {"cut": (LONG, LONG[:64]), "emoji": ("علی 😀", "علی ????")}


@pytest.mark.parametrize("which", NAMES)
@pytest.mark.parametrize("endpoint", ["add_account", "edit_account"])
def test_m4_a_name_that_is_kept_in_part_is_said_and_stays_ours(accounts: Accounts, endpoint: str, which: str) -> None:
    name, kept = NAMES[which]
    wish = new_account(name=name) if endpoint == "add_account" else {"username": "user001", "name": name}
    answer = accounts.post("admin", endpoint, **wish)
    assert (answer["error"], answer["warning"]) == (0, 1)
    assert answer["warning_text"] == f"The portal keeps of the name not all: it has {kept.strip()}"
    assert _theirs(accounts, wish["username"], "full_name") == {kept}
    before = accounts.row(wish["username"])
    assert accounts.post("admin", "sync_accounts")["error"] == 0
    assert accounts.row(wish["username"]) == before
    assert before is not None
    assert before["full_name"] == name.strip()


@pytest.mark.parametrize("which", NAMES)
@pytest.mark.parametrize("endpoint", ["add_account", "edit_account"])
def test_m4_a_strict_portal_refuses_and_nothing_is_done(accounts: Accounts, endpoint: str, which: str) -> None:
    for portal in accounts.portals:
        portal.settings.sql_strict = True
    name, _ = NAMES[which]
    wish = new_account(name=name, plan="78-GBP") if endpoint == "add_account" else {"username": "user001", "name": name}
    before = accounts.row(wish["username"]), [portal.snapshot()["users"] for portal in accounts.portals]
    answer = accounts.post("reseller1", endpoint, **wish)
    assert (answer["error"], answer["code"]) == (1, 6)
    assert "The portal cannot store this name" in answer["err_msg"]
    assert (accounts.balance("reseller1"), accounts.transactions, accounts.open_operations()) == (100, [], [])
    assert before == (accounts.row(wish["username"]), [portal.snapshot()["users"] for portal in accounts.portals])


def test_m4_a_change_whose_answer_was_lost_is_recognised_in_what_was_kept(accounts: Accounts) -> None:
    accounts.portal.fail("PUT accounts", Reset(effect=True))
    answer = accounts.post("admin", "edit_account", username="user001", name=LONG)
    assert (answer["error"], _ours(accounts, "user001", "full_name")) == (0, LONG.strip())


def test_m9_a_name_that_the_portal_would_execute_stays_a_name(accounts: Accounts) -> None:
    assert accounts.post("admin", "add_account", **new_account(name="NOW()"))["error"] == 0
    assert accounts.post("admin", "edit_account", username="user001", name="curdate()")["error"] == 0
    for login, name in (("new10", "NOW()"), ("user001", "curdate()")):
        [theirs] = _theirs(accounts, login, "full_name")
        assert theirs.replace("\N{ZERO WIDTH SPACE}", "") == name
    accounts.post("admin", "sync_accounts")
    assert (_ours(accounts, "new10", "full_name"), _ours(accounts, "user001", "full_name")) == ("NOW()", "curdate()")


def test_m9_messages_are_not_executed(accounts: Accounts) -> None:
    assert accounts.post("admin", "send_stb_message", mac=MAC("01"), message="CURTIME()")["error"] == 0
    for portal in accounts.portals:
        [event] = portal.events_for("user001")
        assert event.msg.replace("\N{ZERO WIDTH SPACE}", "") == "CURTIME()"


@pytest.fixture
def dashed(accounts: Accounts) -> Accounts:
    for portal in accounts.portals:
        portal.change_user("user001", stb_mac=DASHED)
    return accounts


def test_m11_a_mac_with_dashes_is_changed_switched_and_removed(dashed: Accounts) -> None:
    assert dashed.post("admin", "edit_account", username="user001", name="Anna")["error"] == 0
    assert dashed.post("admin", "change_status", username="user001", status=0)["error"] == 0
    assert (_theirs(dashed, "user001", "full_name"), _theirs(dashed, "user001", "status")) == ({"Anna"}, {0})
    assert dashed.post("admin", "remove_account", username="user001")["error"] == 0
    assert [portal.user("user001") for portal in dashed.portals] == [None] * len(dashed.portals)


def test_m11_messages_and_events_reach_a_mac_with_dashes(dashed: Accounts) -> None:
    assert dashed.post("admin", "send_stb_message", mac=MAC("01"), message="Hi")["error"] == 0
    assert dashed.post("admin", "send_stb_event", mac=MAC("01"), event="reboot")["error"] == 0
    for portal in dashed.portals:
        assert [event.event for event in portal.events_for("user001")] == ["send_msg", "reboot"]


def test_m1_a_box_that_is_somebody_elses_now_is_left_alone(accounts: Accounts) -> None:
    for portal in accounts.portals:
        portal.change_user("user001", login="bob")
    before = accounts.row("user001")
    for endpoint in ("remove_account", "edit_account", "change_status"):
        answer = accounts.post("admin", endpoint, username="user001", name="Anna", status=0)
        assert (answer["error"], "for the account bob now" in answer["err_msg"]) == (1, True)
    assert (accounts.row("user001"), accounts.open_operations()) == (before, [])
    assert (_theirs(accounts, "bob", "full_name"), _theirs(accounts, "bob", "status")) == ({"John Doe"}, {1})


def _hung(portal: StalkerPortal) -> None:
    portal.fail("*", Hang(), times=None)


WRITES: dict[str, dict[str, Any]] = {
    "add_account": new_account(plan="78-GBP"),
    "edit_account": {"username": "user001", "plan": "2"},
    "change_status": {"username": "user001", "status": 0},
    "remove_account": {"username": "user001"},
    "send_stb_message": {"mac": MAC("01"), "message": "Hi"},
}


@pytest.mark.parametrize("endpoint", WRITES)
def test_m13_a_hung_portal_is_waited_for_once(make_world: MakeWorld, endpoint: str) -> None:
    portal_section = {"operation_seconds": 1.0}
    with accounts_world(make_world, "sqlite", seconds=30.0, portal_section=portal_section) as accounts:
        accounts.client("reseller1")
        _hung(accounts.portal)
        begun = time.monotonic()
        answer = accounts.post("reseller1", endpoint, **WRITES[endpoint])
        # one call of its own would take 30 s
        assert time.monotonic() - begun < 20
        assert answer["error"] == 1
        assert (accounts.balance("reseller1"), accounts.transactions) == (100, [])
        accounts.portal.clear_faults()
        accounts.finish_operations()
        assert [user.login for user in accounts.portal.users] == ["user001", "user002", "user003"]
        assert _ours(accounts, "user001", "status") == 1


def test_m13_a_creation_that_server_2_held_up_says_what_became_of_server_1(make_world: MakeWorld) -> None:
    # as long as server 1 may take on a busy machine; server 2 takes the rest of it
    section = {"operation_seconds": 8.0}
    with accounts_world(make_world, "sqlite", dual=True, seconds=30.0, portal_section=section) as accounts:
        accounts.client("reseller1")
        _hung(accounts.portals[1])
        answer = accounts.post("reseller1", "add_account", **WRITES["add_account"])
        assert answer["error"] == 1
        assert "removed from server 1 again in the background" in answer["err_msg"]
        assert (accounts.balance("reseller1"), accounts.transactions, accounts.row("new10")) == (100, [], None)
        accounts.portals[1].clear_faults()
        accounts.finish_operations()
        assert [portal.user("new10") for portal in accounts.portals] == [None, None]
