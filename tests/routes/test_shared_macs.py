"""Several accounts with one MAC at the portal: each change reaches the one that is meant, or none.

Source: contract chapter 90 §13 M1.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from core.accounts.recovery import open_operations
from tests.conftest import MakeWorld
from tests.worlds.accounts import Accounts, accounts_world


@pytest.fixture(params=["one server", "two servers"])
def accounts(make_world: MakeWorld, request: pytest.FixtureRequest) -> Iterator[Accounts]:
    """``bob`` has the box of ``user001``, and comes first."""
    with accounts_world(make_world, "sqlite", dual=request.param == "two servers") as accounts:
        for portal in accounts.portals:
            anna = portal.user("user001")
            assert anna is not None
            portal.state.delete_user(anna)
            portal.add_user("bob", anna.stb_mac, full_name="Bob", status=1)
            portal.add_user("user001", anna.stb_mac, full_name="John Doe", status=1)
        yield accounts


def _bobs(accounts: Accounts) -> list[Any]:
    return [(user.full_name, user.status) for portal in accounts.portals if (user := portal.user("bob")) is not None]


def _untouched(accounts: Accounts) -> bool:
    return _bobs(accounts) == [("Bob", 1)] * len(accounts.portals)


def test_removing_one_leaves_the_other(accounts: Accounts) -> None:
    assert accounts.post("admin", "remove_account", username="user001")["error"] == 0
    assert [portal.user("user001") for portal in accounts.portals] == [None] * len(accounts.portals)
    assert _untouched(accounts)


def test_changing_and_switching_one_leaves_the_other(accounts: Accounts) -> None:
    assert accounts.post("admin", "edit_account", username="user001", name="Anna")["error"] == 0
    assert accounts.post("admin", "change_status", username="user001", status=0)["error"] == 0
    for portal in accounts.portals:
        changed = portal.user("user001")
        assert changed is not None
        assert (changed.full_name, changed.status) == ("Anna", 0)
    assert _untouched(accounts)


@pytest.mark.parametrize("endpoint", ["remove_account", "edit_account", "change_status"])
def test_where_the_name_is_none_of_theirs_nothing_is_done(accounts: Accounts, endpoint: str) -> None:
    for portal in accounts.portals:
        user = portal.user("user001")
        assert user is not None
        portal.state.change_user(user, login="carla")
    before = accounts.row("user001")
    answer = accounts.post("admin", endpoint, username="user001", name="Anna", status=0)
    assert answer["error"] == 1
    assert "several accounts with this MAC address" in answer["err_msg"]
    assert accounts.row("user001") == before
    assert _untouched(accounts)
    assert open_operations(accounts.panel) == []


def test_a_sync_tells_by_name_what_falls_together(accounts: Accounts) -> None:
    answer = accounts.post("admin", "sync_accounts")
    assert answer["error"] == 0
    assert answer["doubles"] == ["user001"]
