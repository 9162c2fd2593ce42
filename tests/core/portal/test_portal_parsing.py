"""What the portal client reads, writes and refuses, without network: addresses, identifiers, records, error texts."""

import time
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import certifi
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from core import config
from core.portal import NewPortalAccount, Outcome, PortalError, PortalInvalidAnswer, PortalInvalidInput, normal_mac
from core.portal.accounts import account_of, accounts_of, changed_fields
from core.portal.addresses import api_address, default_api_address, server_address
from core.portal.errors import clean_text, refusal
from core.portal.settings import primary_settings, secondary_settings
from core.portal.tariffs import Tariff, tariffs_of
from core.portal.wire.answers import results_of
from core.portal.wire.identifiers import required_login, segment
from core.portal.wire.transport import Answer

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
KEYS = ("login", "stb_mac", "full_name", "phone", "email", "status", "end_date", "tariff_plan", "reseller")


@pytest.mark.parametrize(
    "text",
    [
        "00:1A:79:00:00:01",
        "00:1a:79:00:00:01",
        "00-1A-79-00-00-01",
        " 001a79000001 ",
        "001A79000001",
        "٠٠:1A:79:00:00:01",
    ],
)
def test_a_mac_has_one_spelling(text: str) -> None:
    assert normal_mac(text) == "00:1A:79:00:00:01"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "00:1A:79:00:00",
        "00:1A-79:00:00:01",
        "00:1A:79:00:00:0G",
        "00:1A:79:00:00:01,00:1A:79:00:00:02",
        "../accounts/",
        "00:1A:79:00:00:01/x",
        "00:1А:79:00:00:01",
        None,
        1,
    ],
)
def test_everything_else_is_no_mac(text: Any) -> None:
    assert normal_mac(text) is None


@pytest.mark.parametrize("login", ["user001", "a", "A.b_c@d-e", "x" * 100, "a:b", "00", ":" + "a" * 20])
def test_logins_that_can_be_addressed(login: str) -> None:
    assert required_login(login) == login


@pytest.mark.parametrize(
    "login",
    [
        "",
        "0",
        ".",
        "..",
        "a b",
        "a,b",
        "a/b",
        "../accounts/",
        "a?b",
        "a#b",
        "a%b",
        "a&b",
        "a+b",
        "é",
        "a\n",
        None,
        "00:1A:79:00:00:01",
        "long:enough:x",
    ],
)
def test_logins_that_cannot(login: Any) -> None:
    with pytest.raises(PortalInvalidInput):
        required_login(login)


def test_a_segment_keeps_its_colons() -> None:
    assert segment("00:1A:79:00:00:01") == "00:1A:79:00:00:01"
    assert segment("me@home") == "me%40home"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://Portal.example.com/stalker_portal/api", "http://portal.example.com/stalker_portal/api/"),
        ("HTTP://portal.example.com:80//stalker_portal//api//", "http://portal.example.com/stalker_portal/api/"),
        ("https://portal.example.com:443", "https://portal.example.com/"),
        ("https://portal.example.com:8443/api/", "https://portal.example.com:8443/api/"),
        ("http://[2001:DB8::1]:8080/api", "http://[2001:db8::1]:8080/api/"),
        # M14: a resource that was pasted with it
        ("http://portal.example.com/stalker_portal/api/accounts/", "http://portal.example.com/stalker_portal/api/"),
        ("http://portal.example.com/stalker_portal/api/Users", "http://portal.example.com/stalker_portal/api/"),
        ("http://portal.example.com/api/v1/accounts/00:1A:79:00:00:01", "http://portal.example.com/api/v1/"),
        ("http://portal.example.com/users/api/", "http://portal.example.com/users/api/"),
    ],
)
def test_addresses_have_one_spelling(address: str, expected: str) -> None:
    assert api_address(address) == expected
    assert api_address(expected) == expected


@pytest.mark.parametrize(
    "address",
    [
        "",
        "portal.example.com",
        "javascript:alert(1)",
        "ftp://portal.example.com/",
        "http://",
        "http:///api/",
        "http://user:secret@portal.example.com/",
        "http://portal.example.com/?a=1",
        "http://portal.example.com/#a",
        "http://portal.example.com/a/../b/",
        "http://portal.example.com:x/",
        "http://portal.example.com:0/",
        "http://portal.example.com:99999/",
        "http://portal.example.com/\n",
        "http://portal example.com/",
        "http://[::1/",
    ],
)
def test_malformed_addresses_are_refused(address: str) -> None:
    with pytest.raises(PortalInvalidInput) as caught:
        api_address(address)
    assert "secret" not in caught.value.text


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://portal.example.com", "http://portal.example.com/stalker_portal/api/"),
        ("http://portal.example.com/tv/", "http://portal.example.com/tv/stalker_portal/api/"),
        # M14: what is pasted from a browser
        ("http://portal.example.com/stalker_portal/c/", "http://portal.example.com/stalker_portal/api/"),
        (
            "http://portal.example.com/tv/stalker_portal/api/accounts/",
            "http://portal.example.com/tv/stalker_portal/api/",
        ),
        ("http://stalker_portal/", "http://stalker_portal/stalker_portal/api/"),
    ],
)
def test_the_api_lies_below_the_servers_address(address: str, expected: str) -> None:
    assert default_api_address(address) == expected


def test_the_theme_script_lies_at_the_servers_root() -> None:
    assert server_address("http://portal.example.com:88/stalker_portal/api/") == "http://portal.example.com:88/"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"end_date": "0000-00-00 00:00:00"}, (None, True)),
        ({}, (None, False)),
        ({"end_date": None}, (None, True)),
        ({"end_date": ""}, (None, True)),
        ({"end_date": "2026-01-31 00:00:00"}, (date(2026, 1, 31), True)),
        ({"end_date": "2026-01-31"}, (date(2026, 1, 31), True)),
        ({"end_date": "2026/01/31"}, (date(2026, 1, 31), True)),
        ({"end_date": "2026-01-31T10:00:00Z"}, (date(2026, 1, 31), True)),
        ({"end_date": "2026-02-30"}, (None, False)),
        ({"end_date": "soon"}, (None, False)),
        ({"end_date": "2026-W05-6"}, (None, False)),
        ({"end_date": 20260131}, (None, False)),
        ({"end_date": "1799107200"}, (date(2027, 1, 5), True)),
        ({"end_date": 1799107200}, (date(2027, 1, 5), True)),
        ({"end_date": "۲۰۲۷-۰۱-۰۵"}, (date(2027, 1, 5), True)),
        ({"end_date": "179910720"}, (None, False)),
        ({"end_date": "2027-05-00"}, (None, False)),
        ({"end_date": "2027-00-00 00:00:00"}, (None, False)),
        ({"end_date": "1405-10-15"}, (None, False)),
        ({"end_date": "2100-01-01"}, (None, False)),
        ({"end_date": "1969-12-31"}, (None, False)),
        ({"end_date": "never"}, (None, False)),
        ({"end_date": True}, (None, False)),
    ],
)
def test_c10_end_dates(told: dict[str, Any], expected: tuple[date | None, bool]) -> None:
    account = account_of({"login": "user001", "stb_mac": "00:1A:79:00:00:01"} | told)
    assert account is not None
    assert (account.end_date, account.has_end_date) == expected
    assert account.unreadable_date == (not expected[1] and "end_date" in told)


def test_unix_seconds_are_days_of_the_panels_zone() -> None:
    half_past_eight_in_the_evening = {"login": "u", "stb_mac": "00:1A:79:00:00:01", "end_date": "1799094600"}
    for zone, day in (("Asia/Tehran", 5), ("UTC", 4)):
        account = account_of(half_past_eight_in_the_evening, ZoneInfo(zone))
        assert account is not None
        assert account.end_date == date(2027, 1, day)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, True),
        ({"status": 1}, True),
        ({"status": "1"}, True),
        ({"status": None}, True),
        ({"status": 0}, False),
        ({"status": "0"}, False),
        ({"status": ""}, False),
        ({"status": False}, False),
        ({"status": "off"}, True),
    ],
)
def test_a_status_is_taken_as_php_takes_it(status: dict[str, Any], expected: bool) -> None:
    account = account_of({"login": "user001"} | status)
    assert account is not None
    assert account.status is expected


@pytest.mark.parametrize(
    ("reseller", "expected"),
    [
        ("5", 5),
        (5, 5),
        (" 5 ", 5),
        ("0", None),
        (0, None),
        (-5, None),
        ("", None),
        (None, None),
        ("5x", None),
        ("²", None),
        (True, None),
        (2**40, None),
        ("1" * 500, None),
        ([5], None),
    ],
)
def test_a_reseller_is_a_number_above_zero(reseller: Any, expected: int | None) -> None:
    account = account_of({"login": "user001", "reseller": reseller, "reseller_id": "9"})
    assert account is not None
    assert account.reseller == expected


def test_an_account_of_a_stock_portal() -> None:
    record = {
        "login": "user001",
        "full_name": "Ann \u0627",
        "phone": 989121234567,
        "account_number": "10000001",
        "tariff_plan": None,
        "stb_mac": "00:1a:79:00:00:01",
        "status": 0,
        "end_date": "2026-01-31 00:00:00",
        "subscribed": [],
    }
    account = account_of(record)
    assert account is not None
    assert (account.login, account.mac, account.full_name) == ("user001", "00:1A:79:00:00:01", "Ann \u0627")
    assert (account.phone, account.has_phone, account.email, account.has_email) == ("989121234567", True, "", False)
    assert (account.tariff_plan, account.status, account.reseller) == ("", False, None)
    assert account.account_number == "10000001"


def test_old_names_of_two_keys_are_read_as_well() -> None:
    account = account_of({"login": "user001", "name": "Ann", "tariff": "12M Full"})
    assert account is not None
    assert (account.full_name, account.tariff_plan) == ("Ann", "12M Full")


def test_a_list_skips_and_counts_what_is_no_account() -> None:
    records: list[Any] = [
        {"login": "user001", "stb_mac": "00:1A:79:00:00:01"},
        {"login": "user001", "stb_mac": "00:1A:79:00:00:01"},
        {"login": "", "stb_mac": "00:1A:79:00:00:02"},
        {"login": "user003", "stb_mac": ""},
        {"login": "user004", "stb_mac": "not a mac"},
        "nonsense",
        None,
    ]
    found = accounts_of(records)
    assert [account.mac for account in found.accounts] == ["00:1A:79:00:00:01", "00:1A:79:00:00:01", "NOT A MAC"]
    assert found.skipped == 4


def test_unreadable_dates_are_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    accounts_of([{"login": str(i), "stb_mac": "00:1A:79:00:00:01", "end_date": "soon"} for i in range(1, 4)])
    assert [record.getMessage() for record in caplog.records] == ["portal: the end dates of 3 accounts cannot be read"]


@pytest.mark.parametrize(
    "results",
    [
        *(None, True, "", 5, "text"),
        *({}, {"error": "busy"}, {"1": {"login": "user001", "stb_mac": "00:1A:79:00:00:01"}}),
        *(["user001"], [None, 5], [{"id": 1}], [["user001", "00:1A:79:00:00:01"]]),
    ],
)
def test_a_list_of_accounts_must_be_one(results: Any) -> None:
    with pytest.raises(PortalInvalidAnswer):
        accounts_of(results)


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), JSON) | JSON, max_size=5) | st.dictionaries(st.text(), JSON))
def test_no_list_of_accounts_breaks_the_reader(results: Any) -> None:
    try:
        found = accounts_of(results)
    except PortalInvalidAnswer:
        return
    assert len(found.accounts) + found.skipped == (len(results) if isinstance(results, list) else 1)
    for account in found.accounts:
        assert account.login
        assert account.mac
        assert account.reseller is None or 0 < account.reseller < 2**31
        assert account.end_date is None or account.has_end_date


@given(st.binary() | JSON.map(orjson.dumps), st.integers(200, 599), st.booleans())
def test_no_answer_breaks_the_client(body: bytes, status: int, writing: bool) -> None:
    try:
        results_of(Answer(status, body), writing)
        failure = None
    except PortalError as error:
        failure = error
    if failure is None:
        assert status == 200
        return
    assert failure.code in (4, 5, 6, 8)
    assert clean_text(failure.device_text) == failure.device_text
    assert writing or failure.outcome is Outcome.NOT_DONE


@given(st.text())
def test_a_login_that_passes_stays_one_segment(text: str) -> None:
    try:
        login = required_login(text)
    except PortalInvalidInput:
        return
    assert not set(segment(login)) & set("/?#,&+ \\")
    assert login not in ("", "0", ".", "..")


def test_c12_one_tariff_reads_as_a_list() -> None:
    record = {"id": "7", "external_id": "78", "name": "1 Month", "days_to_expires": "30"}
    expected = [Tariff("7", "78", "1 Month", 30)]
    assert tariffs_of(record) == tariffs_of([record]) == expected
    assert tariffs_of(None) == []
    assert tariffs_of([{"id": 7, "external_id": None, "days_to_expires": None}]) == [Tariff("7", "", "", None)]


def test_fifty_thousand_accounts_are_read_quickly() -> None:
    record = {
        "login": "user001",
        "full_name": "Ann",
        "phone": "+989121234567",
        "account_number": "10000001",
        "tariff_plan": "12M Full",
        "stb_mac": "00:1A:79:00:00:01",
        "status": 1,
        "end_date": "2026-01-31 00:00:00",
    }
    body = orjson.dumps({"status": "OK", "results": [record] * 50_000})
    start = time.process_time()
    assert len(accounts_of(results_of(Answer(200, body), False)).accounts) == 50_000
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "text",
    [
        "Account not found",
        "Login already in use",
        'Resource "tariffs" does not support action "create"',
        "401 Unauthorized request",
        "Empty stb list",
        "Resource denied by admin",
        "کاربر پیدا نشد",
    ],
)
def test_clean_texts_pass(text: str) -> None:
    assert clean_text(f"  {text}\n") == text


@pytest.mark.parametrize(
    "text",
    [
        "Error: mysqli_query Unknown column 'x'; query :UPDATE users SET a=1",
        "x" * 201,
        "",
        None,
        5,
        ["a"],
        "<b>Notice</b>: Undefined index",
        "&lt;script&gt;",
        "see http://portal.example.com/",
        "a\x00b",
        "a\u202eb",
        "failed in /var/www/stalker_portal/server/lib.php",
        "C:\\www\\portal",
        "cannot reach db.internal.example",
        "no route to 10.0.0.1",
        "Access denied for user 'root'@'localhost'",
        "delete from users where id=1",
        "Duplicate entry '5' for key",
        "SQLSTATE[42000]: something",
        "Incorrect string value for column 'comment'",
    ],
)
def test_texts_from_inside_the_portal_do_not(text: Any) -> None:
    assert clean_text(text) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Account not found", 4),
        ("STB not found", 4),
        ("Empty stb list", 4),
        ("Login already in use", 5),
        ("MAC address already in use", 5),
        ("Not valid mac address", 6),
        ("Login required", 6),
        ("Insert data is empty", 6),
        ("Empty msg", 6),
        ("Only one identifier allowed", 6),
        ("One or more identifiers are incorrect", 6),
        ("Resource denied by admin", 8),
        ("Error: mysqli_query; query :SELECT 1", 8),
        (None, 8),
    ],
)
def test_known_refusals_have_their_codes(text: str | None, code: int) -> None:
    error = refusal(text, True)
    assert error.code == code
    assert error.device_text == error.text
    assert "mysqli" not in error.text


def test_an_sql_failure_may_have_done_half_of_it() -> None:
    assert refusal("Error: mysqli_query x; query :INSERT INTO users", True).outcome is Outcome.UNKNOWN
    assert refusal("Error: mysqli_query x; query :SELECT 1", False).outcome is Outcome.NOT_DONE
    assert refusal("Login required", True).outcome is Outcome.NOT_DONE


def test_a_new_account_is_a_form_in_the_panels_order() -> None:
    account = NewPortalAccount(
        login="user003",
        mac="00-1a-79-00-00-03",
        password="s3cret",
        account_number="10000003",
        tariff_plan="78",
        full_name="Ann",
        end_date=date(2026, 1, 31),
        reseller=5,
        phone="+989121234567",
    )
    assert list(account.fields().items()) == [
        ("login", "user003"),
        ("password", "s3cret"),
        ("full_name", "Ann"),
        ("account_number", "10000003"),
        ("tariff_plan", "78"),
        ("status", "1"),
        ("stb_mac", "00:1A:79:00:00:03"),
        ("end_date", "2026/01/31"),
        ("comment", ""),
        ("reseller", "5"),
        ("phone", "+989121234567"),
    ]
    assert "s3cret" not in repr(account)


def test_m5_an_unlimited_account_has_no_end_date_in_its_form() -> None:
    fields = NewPortalAccount("user003", "001A79000003", "x", "1", "78", status=False).fields()
    assert ("end_date" in fields, fields["status"]) == (False, "0")
    assert not {"reseller", "phone"} & set(fields)


@pytest.mark.parametrize("login", ["", "0", "a b", "x" * 65])
def test_a_new_login_must_be_one_that_the_portal_can_hold(login: str) -> None:
    with pytest.raises(PortalInvalidInput):
        NewPortalAccount(login, "001A79000003", "x", "1", "78").fields()


def test_changes_are_sent_as_given_and_no_more() -> None:
    assert changed_fields({"phone": None}) == {"phone": ""}
    assert changed_fields({"status": False}) == {"status": "0"}
    assert changed_fields({"end_date": datetime(2026, 1, 31, 10, 0)}) == {"end_date": "2026/01/31"}  # noqa: DTZ001
    assert list(changed_fields({"comment": "c", "stb_mac": "001a79000001", "login": "a"}).items()) == [
        ("login", "a"),
        ("stb_mac", "00:1A:79:00:00:01"),
        ("comment", "c"),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"theme": "x"},
        {"tariff_plan": ""},
        {"tariff_plan": "0"},
        {"tariff_plan": None},
        {"tariff_plan": 0},
        {"login": ""},
        {"password": ""},
        {"stb_mac": ""},
        {"stb_mac": "zz"},
        {"status": ""},
        {"status": 2},
        {"login": "a b"},
        {"reseller": None},
        {"full_name": "Ann", "tariff_plan": ""},
    ],
)
def test_changes_that_would_harm_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(PortalInvalidInput):
        changed_fields(changes)


def _configured(**values: Any) -> config.Portal:
    return config.Portal(**values)


def _both(**values: Any) -> config.Portal:
    one, two = "http://portal1.example.com/stalker_portal/api/", "http://portal2.example.com/stalker_portal/api/"
    return _configured(primary_api_url=one, secondary_api_url=two, dual_server=True, **values)


def test_dual_mode_needs_the_flag_and_two_addresses() -> None:
    both = _both()
    assert secondary_settings(both) is not None
    assert secondary_settings(both.model_copy(update={"dual_server": False})) is None
    same = both.model_copy(update={"secondary_api_url": "HTTP://PORTAL1.example.com:80/stalker_portal/api"})
    assert secondary_settings(same) is None
    assert secondary_settings(both.model_copy(update={"secondary_api_url": ""})) is None


def test_settings_come_from_the_configuration() -> None:
    portal = _configured(
        primary_address="http://portal1.example.com/", username="apiuser", password="s3cret", verify_tls=False
    )
    settings = primary_settings(portal)
    assert settings is not None
    assert settings.api_url == "http://portal1.example.com/stalker_portal/api/"
    assert (settings.username, settings.password, settings.verify) == ("apiuser", SecretStr("s3cret"), False)
    assert "s3cret" not in repr(settings)
    assert primary_settings(_configured()) is None


def test_timeouts_certificates_and_full_updates_are_settings() -> None:
    portal = _both(
        connect_seconds=1.5,
        call_seconds=2.5,
        recheck_seconds=0.5,
        list_seconds=9.0,
        primary_pause_seconds=3.0,
        secondary_pause_seconds=7.0,
        ca_file=certifi.where(),
        secondary_full_updates=True,
    )
    first, second = primary_settings(portal), secondary_settings(portal)
    assert first is not None
    assert second is not None
    for settings in (first, second):
        assert (settings.connect_seconds, settings.call_seconds, settings.settle_seconds) == (1.5, 2.5, 0.5)
        assert (settings.list_seconds, settings.verify) == (9.0, certifi.where())
    assert (first.skip_seconds, second.skip_seconds) == (3.0, 7.0)
    assert (first.skip_only_timeouts, second.skip_only_timeouts) == (True, False)
    assert (first.full_updates, second.full_updates) == (False, True)
    unverified = primary_settings(portal.model_copy(update={"verify_tls": False}))
    assert unverified is not None
    assert unverified.verify is False
