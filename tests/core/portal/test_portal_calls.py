"""The portal client against a simulated portal: every call, its traps, and the client cases of contract chapter 90."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest
from pydantic import SecretStr

from core import config
from core.portal import (
    EVENTS,
    NewPortalAccount,
    Outcome,
    PortalAccountNotFound,
    PortalAuthentication,
    PortalError,
    PortalHttpStatus,
    PortalInvalidAnswer,
    PortalInvalidInput,
    PortalLoginTaken,
    PortalMacTaken,
    PortalNotConfigured,
    PortalRefused,
    Portals,
    PortalServer,
    PortalSwitchedOff,
    PortalThemeFailed,
    PortalThemeUnsupported,
    PortalTimeout,
    PortalUnreachable,
)
from simulators.faults import Delay, Exchange, Fault, Hang, HangUp, Match, Refuse, Reset, Respond
from simulators.portal import faults
from simulators.stalker import StalkerPortal
from tests.worlds.portals import HASTY_SECONDS, MAC1, MAC3, MAC9, Connect, example_portal
from tests.worlds.waiting import PATIENCE_SECONDS

SECONDS = HASTY_SECONDS


@pytest.fixture(params=["stock51", "ministra56", "panel"])
def any_portal(request: pytest.FixtureRequest) -> Iterator[StalkerPortal]:
    with example_portal(request.param) as portal:
        yield portal


def _new(**changes: Any) -> NewPortalAccount:
    values = {"login": "user003", "mac": MAC3, "password": "s3cret", "account_number": "10000003", "tariff_plan": "78"}
    return NewPortalAccount(**(values | changes))


def test_every_call_on_every_dialect(any_portal: StalkerPortal, connect: Connect) -> None:
    server = connect(any_portal)
    server.check()
    listed = server.accounts()
    assert [account.login for account in listed.accounts] == ["user001", "user002"]
    assert listed.skipped == 0
    server.create_account(_new(full_name="Ann & Bob", end_date=date(2026, 1, 31), reseller=5, phone="+441"))
    account = server.account_by_mac("001a79000003")
    assert account is not None
    assert (account.login, account.mac, account.full_name) == ("user003", MAC3, "Ann & Bob")
    assert (account.phone, account.end_date, account.tariff_plan) == ("+441", date(2026, 1, 31), "78")
    assert account.reseller == (5 if any_portal.settings.is_panel else None)
    server.set_status(MAC3, False)
    server.update_account(MAC3, {"full_name": "Ann", "end_date": None, "phone": "", "comment": "c"})
    account = server.account_by_login("user003")
    assert account is not None
    assert (account.full_name, account.end_date, account.phone, account.status) == ("Ann", None, "", False)
    assert [tariff.external_id for tariff in server.tariffs()] == ["78"]
    assert server.delete_account(MAC3) is True
    assert server.delete_account(MAC3) is False
    assert server.account_by_mac(MAC3) is None
    assert server.account_by_login("user003") is None


def test_what_a_request_looks_like(portal: StalkerPortal, server: PortalServer) -> None:
    server.create_account(_new(full_name="Ann", end_date=date(2026, 1, 31), reseller=5, phone="+441"))
    server.account_by_mac(MAC1)
    post, get = portal.requests
    assert post.body == (
        b"login=user003&password=s3cret&full_name=Ann&account_number=10000003&tariff_plan=78&status=1"
        b"&stb_mac=00%3A1A%3A79%3A00%3A00%3A03&end_date=2026%2F01%2F31&comment=&reseller=5&phone=%2B441"
    )
    assert post.headers["content-type"] == "application/x-www-form-urlencoded"
    assert post.headers["accept"] == get.headers["accept"] == "application/json"
    assert post.headers["user-agent"].startswith("showbox-server")
    assert (post.user, get.user) == ("apiuser", "apiuser")
    assert (get.path, get.body) == (f"/stalker_portal/api/accounts/{MAC1}", b"")
    assert "content-type" not in get.headers


def test_a_put_holds_only_what_changes(portal: StalkerPortal, server: PortalServer) -> None:
    portal.change_user("user001", access_token="token", device_id="box")
    server.update_account(MAC1, {"full_name": "Bob"})
    assert portal.requests[0].fields == {"full_name": "Bob"}
    user = portal.user("user001")
    assert user is not None
    assert (user.full_name, user.access_token, user.device_id) == ("Bob", "token", "box")
    with pytest.raises(PortalInvalidInput):
        server.update_account(MAC1, {})
    with pytest.raises(PortalInvalidInput):
        server.update_account(MAC1, {"tariff_plan": ""})
    assert len(portal.requests) == 1


@pytest.mark.parametrize("login", ["A.b_c@d-e", "a:b", "..a", "x" * 64])
def test_logins_of_all_safe_characters_are_found(portal: StalkerPortal, server: PortalServer, login: str) -> None:
    portal.add_user(login, MAC3)
    found = server.account_by_login(login)
    assert found is not None
    assert found.login == login


def test_unknown_accounts_have_a_named_error(server: PortalServer) -> None:
    with pytest.raises(PortalAccountNotFound) as caught:
        server.set_status(MAC9, True)
    assert (caught.value.code, caught.value.outcome) == (4, Outcome.NOT_DONE)
    assert caught.value.server == "server 1"
    with pytest.raises(PortalAccountNotFound, match="Empty stb list"):
        server.send_message(MAC9, "Hi")
    with pytest.raises(PortalAccountNotFound, match="STB not found"):
        server.send_event(MAC9, "reboot")


def test_taken_names_have_named_errors(portal: StalkerPortal, server: PortalServer) -> None:
    with pytest.raises(PortalLoginTaken) as login:
        server.create_account(_new(login="user001"))
    with pytest.raises(PortalMacTaken) as mac:
        server.create_account(_new(mac=MAC1))
    assert (login.value.code, mac.value.code) == (5, 5)
    assert mac.value.text == "MAC address already in use at the portal by user001"
    assert portal.calls == ["POST accounts/", "POST accounts/", f"GET accounts/{MAC1}"]


@pytest.mark.parametrize("identifier", ["", "0", "../accounts/", "a b", None, "00:1A:79:00:00:01,00:1A:79:00:00:02"])
def test_c1_no_request_without_an_identifier(portal: StalkerPortal, server: PortalServer, identifier: Any) -> None:
    for call in (
        lambda: server.account_by_mac(identifier),
        lambda: server.account_by_login(identifier),
        lambda: server.create_account(_new(mac=identifier)),
        lambda: server.create_account(_new(login=identifier)),
        lambda: server.update_account(identifier, {"full_name": "x"}),
        lambda: server.set_status(identifier, False),
        lambda: server.delete_account(identifier),
        lambda: server.send_message(identifier, "Hi"),
        lambda: server.send_event(identifier, "cut_off"),
    ):
        with pytest.raises(PortalInvalidInput) as caught:
            call()
        assert (caught.value.code, caught.value.outcome) == (6, Outcome.NOT_DONE)
    assert portal.requests == []


def test_c2_notices_do_not_disturb(portal: StalkerPortal, server: PortalServer) -> None:
    portal.settings.noise = True
    server.set_status(MAC1, False)
    assert len(server.accounts().accounts) == 2


@pytest.mark.parametrize("answer", [faults.empty_body(), faults.not_json(), faults.not_json("[]")])
def test_c3_an_answer_must_be_a_json_object(portal: StalkerPortal, server: PortalServer, answer: Fault) -> None:
    portal.fail("*", answer, times=2)
    with pytest.raises(PortalInvalidAnswer) as write:
        server.set_status(MAC1, False)
    with pytest.raises(PortalInvalidAnswer) as read:
        server.tariffs()
    assert (write.value.outcome, read.value.outcome) == (Outcome.UNKNOWN, Outcome.NOT_DONE)
    assert (write.value.code, write.value.device_text) == (8, "Unknown error")


def test_c4_redirects_are_not_followed(portal: StalkerPortal, server: PortalServer) -> None:
    with StalkerPortal() as other:
        portal.fail("*", faults.redirect(other.base_url), times=3)
        for call in (server.tariffs, lambda: server.delete_account(MAC1), lambda: server.set_status(MAC1, True)):
            with pytest.raises(PortalHttpStatus) as caught:
                call()
            assert caught.value.http_status == 302
        assert other.requests == []


def test_a_broken_redirect_is_no_different(portal: StalkerPortal, server: PortalServer) -> None:
    portal.fail("*", faults.redirect("http://[::1/"))
    with pytest.raises(PortalHttpStatus):
        server.tariffs()


def test_c5_ok_without_results_is_a_success_but_no_list(portal: StalkerPortal, server: PortalServer) -> None:
    portal.fail("*", faults.without_results(), times=3)
    server.set_status(MAC1, False)
    with pytest.raises(PortalInvalidAnswer):
        server.accounts()


def test_c6_sql_stays_in_the_portal(portal: StalkerPortal, server: PortalServer) -> None:
    portal.fail("*", faults.error("Error: mysqli_query Unknown column 'x'; query :UPDATE users SET x=1"))
    with pytest.raises(PortalRefused) as caught:
        server.update_account(MAC1, {"full_name": "Bob"})
    assert (caught.value.code, caught.value.text) == (8, "Unknown error")


def test_c7_a_slow_list_of_five_thousand(portal: StalkerPortal, hasty: PortalServer) -> None:
    portal.add_examples(4_998)
    portal.settings.list_delay_per_account = 0.2  # a second in all, more than a single call may take
    assert len(hasty.accounts().accounts) == 5_000


def test_c8_a_hanging_portal_ends_in_time(portal: StalkerPortal, hasty: PortalServer) -> None:
    portal.fail("*", Hang())
    start = time.monotonic()
    with pytest.raises(PortalTimeout) as caught:
        hasty.set_status(MAC1, False)
    assert SECONDS <= time.monotonic() - start < 30
    assert (caught.value.text, caught.value.device_text) == ("Connection timed out", "Connection timed out")
    assert caught.value.outcome is Outcome.UNKNOWN
    assert portal.calls == [f"PUT accounts/{MAC1}"]


@pytest.mark.parametrize(
    "fault",
    [
        Hang(effect=True),
        HangUp(effect=True),
        Reset(effect=True),
        faults.empty_body(effect=True),
        faults.server_error(effect=True),
        faults.error("Error: mysqli_query x; query :INSERT INTO moderators", effect=True),
    ],
)
def test_c9_an_account_that_was_created_unseen(portal: StalkerPortal, hasty: PortalServer, fault: Fault) -> None:
    portal.fail("POST accounts", fault, times=None)
    hasty.create_account(_new())
    assert portal.calls == ["POST accounts/", f"GET accounts/{MAC3}"]
    assert portal.user("user003") is not None


def test_an_account_that_comes_late(portal: StalkerPortal, connect: Connect) -> None:
    server = connect(portal, call_seconds=SECONDS, settle_seconds=1.0)
    portal.fail("POST accounts", Delay(SECONDS + 0.3, late_effect=True))
    server.create_account(_new())
    assert portal.calls.count("POST accounts/") == 1


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Hang(), Outcome.NOT_SEEN),
        (HangUp(), Outcome.NOT_SEEN),
        (faults.empty_body(), Outcome.NOT_DONE),
        (faults.server_error(), Outcome.NOT_DONE),
        (faults.unauthorized(), Outcome.NOT_DONE),
        (faults.nothing_done(), Outcome.NOT_DONE),
    ],
)
def test_an_account_that_was_not_created(
    portal: StalkerPortal, hasty: PortalServer, fault: Fault, outcome: Outcome
) -> None:
    portal.fail("POST accounts", fault)
    with pytest.raises(PortalError) as caught:
        hasty.create_account(_new())
    assert caught.value.outcome is outcome
    assert portal.calls.count("POST accounts/") == 1
    assert portal.user("user003") is None


def test_a_creation_that_cannot_be_looked_up_stays_unknown(portal: StalkerPortal, server: PortalServer) -> None:
    portal.fail("POST accounts", Refuse(effect=True))
    with pytest.raises(PortalUnreachable) as caught:
        server.create_account(_new())
    assert caught.value.outcome is Outcome.UNKNOWN
    assert caught.value.server == "server 1"


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"mac": MAC1}, PortalMacTaken),
        ({"login": "user001"}, PortalLoginTaken),
        # same login and MAC, but of another creation
        ({"mac": MAC1, "login": "user001"}, PortalMacTaken),
    ],
)
def test_an_older_account_is_not_taken_for_the_new_one(
    portal: StalkerPortal, hasty: PortalServer, changes: dict[str, str], kind: type[PortalMacTaken]
) -> None:
    portal.fail("POST accounts", Hang())
    with pytest.raises(kind) as caught:
        hasty.create_account(_new(**changes))
    assert (caught.value.outcome, caught.value.server) == (Outcome.NOT_DONE, "server 1")


@dataclass(frozen=True)
class _BetweenLooks(Fault):
    """A creation without an answer, which takes place when the portal is asked for the login, and before it answers."""

    is_looked_for: threading.Event = field(default_factory=threading.Event)
    is_done: threading.Event = field(default_factory=threading.Event)

    def act(self, exchange: Exchange, respond: Respond) -> None:
        self.is_looked_for.wait(PATIENCE_SECONDS)
        respond()
        self.is_done.set()
        exchange.wait(None)


@dataclass(frozen=True)
class _Look(Fault):
    creation: _BetweenLooks

    def act(self, exchange: Exchange, respond: Respond) -> None:
        self.creation.is_looked_for.set()
        self.creation.is_done.wait(PATIENCE_SECONDS)
        exchange.send(respond())


def test_an_account_that_comes_between_two_looks_is_the_created_one(portal: StalkerPortal, hasty: PortalServer) -> None:
    creation = _BetweenLooks()
    portal.fail("POST accounts", creation)
    portal.fail("GET users", _Look(creation))
    hasty.create_account(_new())
    assert portal.calls == ["POST accounts/", f"GET accounts/{MAC3}", "GET users/user003"]
    assert portal.user("user003") is not None


@pytest.mark.parametrize("text", ["a&b=c&ttl=1", "a+b", "50% off %41", "one\r\ntwo\n", "سلام دنیا", "x" * 4000, "<b>"])
def test_c11_messages_arrive_as_written(portal: StalkerPortal, server: PortalServer, text: str) -> None:
    server.send_message(MAC1, text)
    assert [event.msg for event in portal.events_for("user001")] == [text]
    assert portal.events_for("user002") == []


def test_messages_and_their_lifetime(portal: StalkerPortal, server: PortalServer) -> None:
    server.send_message("001a79000001", "50% off & more + é")
    server.send_message(MAC1, "Hi", ttl=86400)
    first, second = portal.requests
    assert (first.call, first.body) == (f"POST stb_msg/{MAC1}", b"msg=50%25+off+%26+more+%2B+%C3%A9")
    assert second.body == b"msg=Hi&ttl=86400"
    for arguments in (("", None), ("Hi", 0), ("Hi", -1), ("\ud800", None)):
        with pytest.raises(PortalInvalidInput):
            server.send_message(MAC1, *arguments)
    assert len(portal.requests) == 2


def test_emoji_on_an_old_portal_is_a_refusal_without_sql(portal: StalkerPortal, server: PortalServer) -> None:
    portal.settings.utf8_bytes = 3
    portal.settings.sql_strict = True
    with pytest.raises(PortalInvalidInput) as caught:
        server.send_message(MAC1, "Hi 😀")
    assert caught.value.device_text == "The portal cannot store this message"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"full_name": "Ann 😀"}, "name"),
        ({"full_name": "x" * 65}, "name"),
        ({"phone": "1" * 65}, "phone number"),
        ({"comment": "😀"}, "comment"),
    ],
)
def test_what_a_strict_portal_cannot_store_is_named(
    portal: StalkerPortal, server: PortalServer, changes: dict[str, str], said: str
) -> None:
    portal.settings.utf8_bytes = 3
    portal.settings.sql_strict = True
    for act in (lambda: server.update_account(MAC1, changes), lambda: server.create_account(_new(**changes))):
        with pytest.raises(PortalInvalidInput, match=f"The portal cannot store this {said}") as caught:
            act()
        assert (caught.value.outcome, caught.value.code) == (Outcome.NOT_DONE, 6)


def test_plain_events(portal: StalkerPortal, server: PortalServer) -> None:
    for event in [event for event in EVENTS if not event.startswith("play")]:
        portal.forget_requests()
        server.send_event(MAC1, event, channel="5")
        assert [request.body for request in portal.requests] == [f"event={event}".encode()]
    assert portal.events_for("user002") == []


def test_channel_events_in_the_documented_form(portal: StalkerPortal, server: PortalServer) -> None:
    server.send_event(MAC1, "play_channel", 123)
    assert [request.body for request in portal.requests] == [b"event=play_channel$channel_number=123"]
    assert [(event.event, event.msg) for event in portal.events] == [("play_channel", "123")]


def test_channel_events_in_the_stock_form(connect: Connect) -> None:
    with example_portal("stock51") as portal:
        server = connect(portal)
        server.send_event(MAC1, "play_radio_channel", " 7 ")
        assert [request.body for request in portal.requests] == [
            b"event=play_radio_channel$channel_number=7",
            b"event=play_radio_channel&channel=7",
        ]
        assert [(event.event, event.msg) for event in portal.events] == [("play_radio_channel", "7")]


def test_an_event_that_no_form_gets_through(portal: StalkerPortal, server: PortalServer) -> None:
    portal.fail("POST send_event", faults.nothing_done(), times=2)
    with pytest.raises(PortalRefused) as caught:
        server.send_event(MAC1, "play_channel", "123")
    assert (caught.value.device_text, caught.value.outcome) == ("Unknown error", Outcome.NOT_DONE)
    assert len(portal.requests) == 2


@pytest.mark.parametrize("fault", [faults.error("STB not found"), faults.empty_body(), faults.unauthorized()])
def test_only_a_false_answer_leads_to_the_stock_form(portal: StalkerPortal, server: PortalServer, fault: Fault) -> None:
    portal.fail("POST send_event", fault)
    with pytest.raises((PortalAccountNotFound, PortalInvalidAnswer, PortalAuthentication)):
        server.send_event(MAC1, "play_channel", "123")
    assert len([call for call in portal.calls if call.startswith("POST")]) == 1


@pytest.mark.parametrize(
    ("event", "channel"),
    [
        ("format_disk", None),
        ("", None),
        ("play_channel", None),
        ("play_channel", ""),
        ("play_channel", "0"),
        ("play_channel", "1&event=cut_off"),
        ("play_channel", "1234567"),
        ("play_channel", "٣"),
        ("Reboot", None),
    ],
)
def test_bad_events_are_not_sent(portal: StalkerPortal, server: PortalServer, event: str, channel: Any) -> None:
    with pytest.raises(PortalInvalidInput):
        server.send_event(MAC1, event, channel)
    assert portal.requests == []


def test_a_theme_is_set_beside_the_api(portal: StalkerPortal, server: PortalServer) -> None:
    server.set_theme("user001", "HenSoft-TV Realistic & more")
    request = portal.requests[0]
    assert request.path == "/stalker_portal/update_account.php"
    assert request.body == b"key=theme-secret&login=user001&theme=HenSoft-TV+Realistic+%26+more"
    assert "authorization" not in request.headers
    user = portal.user("user001")
    assert user is not None
    assert user.theme == "HenSoft-TV Realistic & more"


def test_theme_failures_are_named_and_keep_the_key(portal: StalkerPortal, connect: Connect) -> None:
    wrong = connect(portal, theme_key=SecretStr("not-the-key"))
    none = connect(portal, theme_key=SecretStr(""))
    for server in (wrong, none):
        with pytest.raises(PortalThemeFailed) as caught:
            server.set_theme("user001", "x")
        assert "not-the-key" not in caught.value.text
    for login, theme in (("", "x"), ("user001", "")):
        with pytest.raises(PortalInvalidInput):
            wrong.set_theme(login, theme)
    assert len(portal.requests) == 1


def test_a_portal_without_theme_script_says_so_once(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    with example_portal("stock51") as portal:
        server = connect(portal)
        for _ in range(2):
            with pytest.raises(PortalThemeUnsupported):
                server.set_theme("user001", "x")
    assert sum("no theme script" in record.getMessage() for record in caplog.records) == 1


def test_wrong_credentials(portal: StalkerPortal, connect: Connect) -> None:
    server = connect(portal, password=SecretStr("wrong"))
    for call in (server.check, server.accounts, lambda: server.set_status(MAC1, False)):
        with pytest.raises(PortalAuthentication) as caught:
            call()
        assert caught.value.outcome is Outcome.NOT_DONE
        assert caught.value.device_text == "401 Unauthorized request"


def test_a_password_of_any_characters(portal: StalkerPortal, connect: Connect) -> None:
    portal.settings.password = password = "a\\\"b$c{d}':é پ"
    server = connect(portal, password=SecretStr(password))
    server.check()


def test_a_portal_without_credentials(connect: Connect) -> None:
    with StalkerPortal() as portal:
        server = connect(portal, username="", password=SecretStr(""))
        server.check()
        assert "authorization" not in portal.requests[0].headers


def test_an_api_that_is_switched_off(portal: StalkerPortal, server: PortalServer) -> None:
    portal.settings.api_enabled = False
    with pytest.raises(PortalSwitchedOff):
        server.check()


def test_another_404_is_a_transport_error(portal: StalkerPortal, connect: Connect) -> None:
    server = connect(portal, api_url=portal.server_address + "/elsewhere/")
    with pytest.raises(PortalHttpStatus) as caught:
        server.check()
    assert caught.value.http_status == 404
    assert caught.value.text == "The portal answered with HTTP status 404"


@pytest.mark.parametrize(
    "answer",
    [
        faults.error("Resource denied by admin"),
        faults.not_json('{"hello":"world"}'),
        faults.not_json('{"status":"OK","results":{"id":"1","external_id":"78"}}'),
        faults.not_json('{"status":"OK","results":[{"login":"user001","stb_mac":"00:1A:79:00:00:01"}]}'),
        faults.without_results(),
    ],
)
def test_m14_the_check_demands_a_list_of_tariffs(portal: StalkerPortal, server: PortalServer, answer: Fault) -> None:
    portal.fail("GET tariffs", answer)
    with pytest.raises((PortalInvalidAnswer, PortalRefused)):
        server.check()
    server.check()
    portal.fail("GET tariffs", faults.not_json('{"status":"OK","results":[]}'))
    server.check()
    assert portal.calls == ["GET tariffs/"] * 3


def test_internal_billing_off_tells_no_dates(portal: StalkerPortal, server: PortalServer) -> None:
    portal.settings.internal_billing = False
    assert [account.has_end_date for account in server.accounts().accounts] == [False, False]


@pytest.mark.parametrize(
    ("match", "fault", "calls"),
    [
        ("GET accounts", Reset(), 2),
        ("GET accounts", faults.server_error(), 1),
        ("PUT accounts", Reset(), 2),
        ("PUT accounts", Hang(), 1),
        ("DELETE accounts", HangUp(), 2),
        ("POST stb_msg", Reset(), 1),
        ("POST send_event", Reset(), 1),
    ],
)
def test_only_what_may_be_repeated_is(
    portal: StalkerPortal, hasty: PortalServer, match: Match, fault: Fault, calls: int
) -> None:
    portal.fail(match, fault)
    actions: dict[str, Callable[[], object]] = {
        "GET accounts": lambda: hasty.account_by_mac(MAC1),
        "PUT accounts": lambda: hasty.set_status(MAC1, False),
        "DELETE accounts": lambda: hasty.delete_account(MAC1),
        "POST stb_msg": lambda: hasty.send_message(MAC1, "Hi"),
        "POST send_event": lambda: hasty.send_event(MAC1, "reboot"),
    }
    if calls == 2:
        actions[str(match)]()
    else:
        with pytest.raises((PortalUnreachable, PortalTimeout, PortalHttpStatus)):
            actions[str(match)]()
    assert len(portal.requests) == calls


def test_other_changes_are_not_repeated(portal: StalkerPortal, server: PortalServer) -> None:
    portal.fail("PUT accounts", Reset(effect=True))
    with pytest.raises(PortalUnreachable) as caught:
        server.update_account(MAC1, {"full_name": "Bob"})
    assert caught.value.outcome is Outcome.UNKNOWN
    assert len(portal.requests) == 1


def test_a_deletion_whose_answer_was_lost_counts(portal: StalkerPortal, server: PortalServer) -> None:
    portal.fail("DELETE accounts", Reset(effect=True))
    assert server.delete_account(MAC1) is True
    assert portal.user("user001") is None


def test_a_lost_first_try_keeps_the_outcome_unknown(portal: StalkerPortal, server: PortalServer) -> None:
    portal.fail("PUT accounts", Refuse(effect=True))
    with pytest.raises(PortalUnreachable) as caught:
        server.set_status(MAC1, False)
    assert caught.value.outcome is Outcome.UNKNOWN


def test_a_refused_connection(portal: StalkerPortal, server: PortalServer) -> None:
    portal.stop_listening()
    for call in (server.tariffs, lambda: server.set_status(MAC1, False), lambda: server.create_account(_new())):
        with pytest.raises(PortalUnreachable) as caught:
            call()
        assert (caught.value.text, caught.value.outcome) == ("Connection refused", Outcome.NOT_DONE)


def _configuration(one: StalkerPortal, two: StalkerPortal, **changes: Any) -> config.Portal:
    values: dict[str, Any] = {
        "primary_api_url": one.base_url,
        "secondary_api_url": two.base_url,
        "username": "apiuser",
        "password": "apipass",
        "dual_server": True,
    }
    return config.Portal(**(values | changes))


def test_two_servers_have_the_same_credentials() -> None:
    with example_portal() as one, example_portal() as two:
        portals = Portals(_configuration(one, two))
        assert portals.secondary is not None
        portals.primary.set_status(MAC1, False)
        portals.secondary.set_status(MAC1, False)
        assert one.calls == two.calls == [f"PUT accounts/{MAC1}"]
        assert (portals.primary.name, portals.secondary.name) == ("server 1", "server 2")
        portals.close()


def test_without_dual_mode_there_is_no_second_server() -> None:
    with example_portal() as one, example_portal() as two:
        assert Portals(_configuration(one, two, dual_server=False)).secondary is None
        assert Portals(_configuration(one, two, secondary_api_url=one.base_url.rstrip("/"))).secondary is None


def test_without_configuration_every_call_says_so() -> None:
    portals = Portals(config.Portal())
    assert portals.secondary is None
    with pytest.raises(PortalNotConfigured):
        portals.primary.accounts()


def test_a_dead_server_is_skipped_for_a_while(portal: StalkerPortal, connect: Connect) -> None:
    server = connect(portal, skip_seconds=0.5)
    portal.stop_listening()
    for _ in range(2):
        with pytest.raises(PortalUnreachable):
            server.set_status(MAC1, False)
    portal.listen()
    with pytest.raises(PortalUnreachable) as caught:
        server.set_status(MAC1, False)
    assert (caught.value.outcome, caught.value.server) == (Outcome.NOT_DONE, "server 1")
    assert portal.requests == []
    time.sleep(0.5)
    server.set_status(MAC1, False)
    server.set_status(MAC1, True)
    assert len(portal.requests) == 2


def test_server_one_is_never_skipped(portal: StalkerPortal, server: PortalServer) -> None:
    portal.stop_listening()
    for _ in range(3):
        with pytest.raises(PortalUnreachable):
            server.set_status(MAC1, False)
    portal.listen()
    server.set_status(MAC1, False)
