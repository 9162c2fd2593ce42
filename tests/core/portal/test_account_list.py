"""The list of all accounts for little of the portal's time: boxes first, details where something is new (90 §13 M3)."""

import time
from collections.abc import Iterator

import orjson
import pytest

from core.portal import PortalAccount, PortalInvalidAnswer, PortalServer
from core.portal.account_list import BATCH, FEW
from simulators.faults import Answer
from simulators.portal import faults
from simulators.stalker import StalkerPortal
from simulators.wire import Response
from tests.worlds.portals import connected

MANY = FEW + 2 * BATCH


@pytest.fixture
def portal() -> Iterator[StalkerPortal]:
    with StalkerPortal(dialect="panel") as portal:
        portal.add_examples(MANY)
        yield portal


def _kinds(portal: StalkerPortal) -> list[str]:
    return [call.partition("/")[0] + ("/" if call.endswith("/") else "/…") for call in portal.calls]


def _named(accounts: list[PortalAccount], login: str) -> PortalAccount:
    return next(account for account in accounts if account.login == login)


def test_a_first_list_asks_in_batches(portal: StalkerPortal, server: PortalServer) -> None:
    listed = server.accounts()
    assert (len(listed.accounts), listed.skipped, listed.is_whole) == (MANY, 0, True)
    assert _kinds(portal) == ["GET stb/", *["GET accounts/…"] * (MANY // BATCH)]
    assert all(account.is_fresh for account in listed.accounts)
    assert _named(listed.accounts, "user00007").full_name == "Customer 7"


def test_what_has_not_changed_is_not_asked_for_again(portal: StalkerPortal, server: PortalServer) -> None:
    portal.settings.list_delay_per_account = 10
    known = server.accounts().accounts
    portal.forget_requests()
    portal.change_user("user00003", status=1 - portal.users[2].status, full_name="Changed")
    portal.change_user("user00004", end_date="2031-05-05 00:00:00")
    portal.change_user("user00005", full_name="Not seen before the next whole list")
    portal.add_user("new1", "00:1A:79:FF:00:01", full_name="New")
    portal.state.delete_user(portal.users[7])
    began = time.monotonic()
    listed = server.accounts(known)
    # a whole list would take longer
    assert time.monotonic() - began < MANY * 0.01
    assert _kinds(portal) == ["GET stb/", "GET accounts/…"]
    assert (len(listed.accounts), listed.is_whole) == (MANY, False)
    fresh = {account.login for account in listed.accounts if account.is_fresh}
    assert fresh == {"user00003", "user00004", "new1"}
    assert _named(listed.accounts, "user00003").full_name == "Changed"
    assert "user00008" not in {account.login for account in listed.accounts}


def test_without_boxes_the_whole_list_is_asked_for(portal: StalkerPortal, server: PortalServer) -> None:
    portal.settings.has_stb = False
    assert len(server.accounts().accounts) == MANY
    assert _kinds(portal) == ["GET stb/", "GET accounts/"]


def test_boxes_without_an_address_are_no_list(portal: StalkerPortal, server: PortalServer) -> None:
    """With none of them usable it would be an empty success."""
    boxes = [{"login": user.login, "status": 1} for user in portal.users]
    portal.fail("GET stb", Answer(Response(orjson.dumps({"status": "OK", "results": boxes}))), times=None)
    listed = server.accounts()
    assert (len(listed.accounts), listed.skipped, listed.is_whole) == (MANY, 0, True)
    assert _kinds(portal) == ["GET stb/", "GET accounts/"]


@pytest.mark.parametrize("number", [3, MANY])
def test_a_broken_row_is_named_and_the_others_are_listed(number: int) -> None:
    """An unpaired surrogate, with which the portal's whole list is empty for good (M10)."""
    with StalkerPortal(dialect="panel") as portal:
        portal.add_examples(number)
        portal.change_user("user00002", full_name="\udced\udca0\udc80")
        with connected(portal.base_url) as server:
            listed = server.accounts()
    assert (len(listed.accounts), listed.broken) == (number, ("user00002",))
    assert not _named(listed.accounts, "user00002").is_fresh
    assert _named(listed.accounts, "user00001").full_name == "Customer 1"


def test_where_everything_is_broken_the_list_is(portal: StalkerPortal, server: PortalServer) -> None:
    portal.fail("GET accounts", faults.empty_body(), times=None)
    with pytest.raises(PortalInvalidAnswer):
        server.accounts()
    assert len(portal.calls) < 60


def test_boxes_with_one_mac_and_with_dashes_are_all_told(portal: StalkerPortal, server: PortalServer) -> None:
    """M1 and M11."""
    portal.add_user("twin", "00:1A:79:00:00:01", full_name="Twin")
    portal.add_user("dashed", "00-1A-79-FF-00-02", full_name="Dashed")
    portal.add_user("", "00:1A:79:FF:00:03")
    listed = server.accounts()
    assert (len(listed.accounts), listed.skipped) == (MANY + 2, 1)
    assert _named(listed.accounts, "twin").full_name == "Twin"
    dashed = _named(listed.accounts, "dashed")
    assert (dashed.full_name, dashed.mac) == ("Dashed", "00:1A:79:FF:00:02")
