"""What a stock portal keeps of what it is told, lenient and strict (contract chapter 90 §13 M4, M5, M9)."""

from collections.abc import Callable
from datetime import date

import pytest

from core.portal import NewPortalAccount, PortalServer
from core.portal.reading_back import Kept, kept_otherwise
from core.portal.stored_form import is_same_end, is_same_text, unexecuted
from simulators.portal import faults
from simulators.portal.columns import ZERO_DATE
from simulators.stalker import StalkerPortal
from tests.worlds.portals import MAC1, MAC3

LONG = "Ann " * 20
CUT = LONG[:64].strip()
LATER = date(2050, 1, 1)


@pytest.mark.parametrize(
    ("told", "ours", "same"),
    [
        ("Ann", "Ann", True),
        ("", None, True),
        ("Ann", "Bob", False),
        (CUT, LONG, True),
        (CUT[:-1], LONG, False),
        ("Ann ????", "Ann 😀", True),
        ("Ann ????", "Ann ?", False),
        ("Ann ????????", "Ann 😀😀", True),
        ("Ann ????", "Ann \N{REPLACEMENT CHARACTER}", True),
        ("????" * 16, "😀" * 20, True),
        ("NOW\N{ZERO WIDTH SPACE}()", "NOW()", True),
        ("2026-01-31 10:00:00", "NOW()", False),
    ],
)
def test_m4_what_the_portal_would_make_of_our_text_is_our_text(told: str, ours: str | None, same: bool) -> None:
    assert is_same_text(told, ours) is same


def test_m5_the_last_day_of_the_portal_stands_for_every_later_one() -> None:
    assert is_same_end(date(2038, 1, 18), LATER)
    assert is_same_end(LATER, LATER)
    assert is_same_end(None, None)
    assert not is_same_end(None, LATER)
    assert not is_same_end(date(2038, 1, 18), None)
    assert not is_same_end(date(2038, 1, 17), LATER)


@pytest.mark.parametrize("text", ["NOW()", " curdate() ", "CurTime()\n"])
def test_m9_what_the_portal_would_execute_looks_the_same_and_is_another(text: str) -> None:
    changed = unexecuted(text)
    assert changed != text
    assert changed.replace("\N{ZERO WIDTH SPACE}", "") == text
    for harmless in ("NOW", "NOW() and then", "NOW(1)", "Know()"):
        assert unexecuted(harmless) == harmless


def _new(**changes: object) -> NewPortalAccount:
    values = {"login": "user003", "mac": MAC3, "password": "pw", "account_number": "10000003", "tariff_plan": "78"}
    return NewPortalAccount(**(values | changes))  # type: ignore[arg-type]


Create = Callable[[PortalServer, dict[str, object]], None]
WAYS: dict[str, tuple[str, Create]] = {
    "creation": ("user003", lambda server, values: server.create_account(_new(**values))),
    "edit": ("user001", lambda server, values: server.update_account(MAC1, values, login="user001")),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("end", "stored"),
    [
        (LATER, "2038-01-18 00:00:00"),
        (date(2038, 1, 19), "2038-01-18 00:00:00"),
        (date(2038, 1, 18), "2038-01-18 00:00:00"),
        (date(2026, 1, 31), "2026-01-31 00:00:00"),
        (None, ZERO_DATE),
    ],
)
def test_m5_every_end_is_one_that_the_portal_can_have(
    portal: StalkerPortal, server: PortalServer, strict: bool, way: str, end: date | None, stored: str
) -> None:
    portal.settings.sql_strict = strict
    portal.change_user("user001", end_date="2025-01-31 00:00:00")
    login, act = WAYS[way]
    act(server, {"end_date": end})
    user = portal.user(login)
    assert user is not None
    assert user.end_date == stored


def test_m5_a_box_that_is_adopted_gets_such_an_end_too(portal: StalkerPortal, server: PortalServer) -> None:
    portal.settings.sql_strict = True
    portal.add_user("", MAC3, end_date="2025-01-31 00:00:00")
    server.create_account(_new())
    adopted = portal.user("user003")
    assert adopted is not None
    assert adopted.end_date == ZERO_DATE


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("text", ["NOW()", "curdate()"])
def test_m9_names_and_comments_are_not_executed(
    portal: StalkerPortal, server: PortalServer, way: str, text: str
) -> None:
    login, act = WAYS[way]
    act(server, {"full_name": text, "comment": text})
    user = portal.user(login)
    assert user is not None
    assert [(value or "").replace("\N{ZERO WIDTH SPACE}", "") for value in (user.full_name, user.comment)] == [text] * 2


def test_m9_messages_and_themes_are_not_executed(portal: StalkerPortal, server: PortalServer) -> None:
    server.send_message(MAC1, "CURTIME()")
    assert portal.events[0].msg == "CURTIME\N{ZERO WIDTH SPACE}()"
    server.set_theme("user001", "now()")
    user = portal.user("user001")
    assert user is not None
    assert user.theme == "now\N{ZERO WIDTH SPACE}()"


def test_m4_only_what_may_be_lost_is_read_back(portal: StalkerPortal, server: PortalServer) -> None:
    portal.settings.utf8_bytes = 3
    server.update_account(MAC1, {"full_name": "Ann 😀", "comment": LONG}, login="user001")
    portal.forget_requests()
    assert kept_otherwise(server, "user001", {"full_name": "Ann", "comment": LONG}) == ()
    assert portal.calls == []
    sent = {"full_name": "Ann 😀", "comment": LONG}
    assert kept_otherwise(server, "user001", sent) == [Kept("full_name", "Ann ????")]
    portal.settings.utf8_bytes = 4
    server.update_account(MAC1, {"full_name": "Ann 😀"}, login="user001")
    assert kept_otherwise(server, "user001", sent) == []
    portal.fail("GET users", faults.server_error())
    assert kept_otherwise(server, "user001", sent) == [Kept("full_name", None)]
