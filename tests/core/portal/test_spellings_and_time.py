"""Which account of a portal is meant, and for how long it is waited for (contract chapter 90 §13 M1, M11, M13)."""

import time

import pytest

from core.portal import Outcome, PortalAccountNotFound, PortalError, PortalServer, PortalTimeout, PortalUnreachable
from core.portal.errors import PortalOtherAccount
from core.portal.wire.deadline import one_deadline, within_deadline
from simulators.faults import Hang
from simulators.stalker import StalkerPortal
from tests.worlds.portals import HASTY_SECONDS, MAC1, MAC2, MAC9, Connect

DASHED = MAC1.replace(":", "-")


@pytest.fixture
def dashed(portal: StalkerPortal) -> StalkerPortal:
    """``user001`` has its MAC with dashes."""
    portal.change_user("user001", stb_mac=DASHED)
    return portal


def test_m11_a_mac_with_dashes_is_changed_and_switched(dashed: StalkerPortal, server: PortalServer) -> None:
    server.update_account(MAC1, {"full_name": "Bob"}, login="user001")
    server.set_status(MAC1, False, login="user001")
    found = server.account_by_mac(MAC1, login="user001")
    assert found is not None
    assert (found.full_name, found.status, found.mac) == ("Bob", False, MAC1)
    user = dashed.user("user001")
    assert user is not None
    assert (user.full_name, user.status, user.stb_mac) == ("Bob", 0, DASHED)


def test_m11_a_mac_with_dashes_is_deleted(dashed: StalkerPortal, server: PortalServer) -> None:
    assert server.delete_account(MAC1, login="user001") is True
    assert [user.login for user in dashed.users] == ["user002"]


def test_m11_messages_and_events_reach_a_mac_with_dashes(dashed: StalkerPortal, server: PortalServer) -> None:
    server.send_message(MAC1, "Hi")
    server.send_event(MAC1, "reboot")
    server.send_event(MAC1, "play_channel", 7)
    assert [event.event for event in dashed.events_for("user001")] == ["send_msg", "reboot", "play_channel"]
    assert dashed.events_for("user002") == []
    dashed.forget_requests()
    with pytest.raises(PortalAccountNotFound):
        server.send_message(MAC9, "Hi")
    assert dashed.calls == [f"POST stb_msg/{MAC9}", f"GET stb/{MAC9.replace(':', '-')}"]


def test_m11_of_two_spellings_the_one_with_the_login_is_meant(dashed: StalkerPortal, server: PortalServer) -> None:
    dashed.add_user("bob", MAC1, full_name="Bob")
    server.update_account(MAC1, {"full_name": "Anna"}, login="user001")
    assert server.delete_account(MAC1, login="user001") is True
    assert [(user.login, user.full_name) for user in dashed.users] == [("user002", ""), ("bob", "Bob")]


def test_m1_a_box_that_is_somebody_elses_now_is_left_alone(portal: StalkerPortal, server: PortalServer) -> None:
    """Of the same kind: nobody has the login any more, and another account has the box."""
    portal.change_user("user001", login="bob")
    for act in (
        lambda: server.delete_account(MAC1, login="user001"),
        lambda: server.set_status(MAC1, False, login="user001"),
        lambda: server.update_account(MAC1, {"full_name": "Anna"}, login="user001"),
    ):
        with pytest.raises(PortalOtherAccount, match="for the account bob now") as caught:
            act()
        assert (caught.value.outcome, caught.value.server) == (Outcome.NOT_DONE, "server 1")
    bob = portal.user("bob")
    assert bob is not None
    assert (bob.full_name, bob.status) == ("Ann", 1)
    # what tells the login as well, brings it in line
    server.update_account(MAC1, {"login": "user001"}, login="user001")
    assert portal.user("user001") is not None


def test_m1_an_account_with_another_box_is_found_by_its_login(portal: StalkerPortal, server: PortalServer) -> None:
    portal.change_user("user001", stb_mac=MAC9)
    portal.change_user("user002", stb_mac=MAC1)
    assert server.delete_account(MAC1, login="user001") is True
    assert [user.login for user in portal.users] == ["user002"]
    assert server.delete_account(MAC2, login="user003") is False


def test_m13_the_calls_of_one_operation_share_their_time(portal: StalkerPortal, connect: Connect) -> None:
    server = connect(portal, call_seconds=30.0)
    portal.fail("*", Hang(), times=None)
    begun = time.monotonic()
    with one_deadline(0.5):
        for _ in range(5):
            with pytest.raises(PortalTimeout) as caught:
                server.set_status(MAC1, False)
    # far less than one whole call, however busy the machine is
    assert time.monotonic() - begun < 15
    assert caught.value.outcome is Outcome.NOT_DONE
    assert len(portal.requests) <= 1


def test_m13_an_inner_time_does_not_prolong_an_outer_one() -> None:
    assert within_deadline(7.0) == 7.0
    with one_deadline(5.0):
        with one_deadline(60.0):
            assert within_deadline(7.0) <= 5.0
        assert within_deadline(0.001) == 0.001
    assert within_deadline(7.0) == 7.0


def test_m13_a_server_that_does_not_answer_is_left_alone_for_a_while(portal: StalkerPortal, connect: Connect) -> None:
    server = connect(portal, call_seconds=HASTY_SECONDS, skip_seconds=120.0, skip_only_timeouts=True)
    portal.fail("*", Hang(), times=None)
    for _ in range(2):
        with pytest.raises(PortalTimeout):
            server.set_status(MAC1, False)
    portal.clear_faults()
    asked = len(portal.requests)
    with pytest.raises(PortalTimeout) as caught:
        server.set_status(MAC1, False)
    assert (caught.value.outcome, len(portal.requests)) == (Outcome.NOT_DONE, asked)


def test_m13_refused_connections_and_short_times_are_not_remembered(portal: StalkerPortal, connect: Connect) -> None:
    server = connect(portal, skip_seconds=120.0, skip_only_timeouts=True)
    portal.stop_listening()
    for _ in range(3):
        with pytest.raises(PortalUnreachable):
            server.set_status(MAC1, False)
    portal.listen()
    portal.fail("*", Hang(), times=2)
    for _ in range(2):
        with one_deadline(0.1), pytest.raises(PortalError):
            server.set_status(MAC1, False)
    portal.clear_faults()
    server.set_status(MAC1, False)
    user = portal.user("user001")
    assert user is not None
    assert user.status == 0
