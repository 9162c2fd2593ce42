"""The golden cases 1-36 of contract chapter 90, over real HTTP, in every dialect where they hold."""

import pytest

from simulators.stalker import StalkerPortal
from tests.simulators.client import M1, M2, M9, Answer, call
from tests.simulators.conftest import MakePortal

DIALECTS = ("stock51", "ministra56", "panel")
MULTIPART = "multipart/form-data; boundary=b"
MULTIPART_BODY = '--b\r\nContent-Disposition: form-data; name="msg"\r\n\r\nHi\r\n--b--\r\n'
PLAN = {"id": "1", "external_id": "78", "name": "1 Month", "user_default": "0"}
PACKAGE = {
    "id": "1",
    "external_id": "p1",
    "name": "Base",
    "description": "",
    "type": "tv",
    "all_services": "1",
    "service_type": "periodic",
    "rent_duration": "0",
    "price": "0.00",
    "optional": "0",
}
OK_TRUE, OK_FALSE, OK_NULL = (b'{"status":"OK","results":%s}' % value for value in (b"true", b"false", b"null"))


# case, method, path, body, exact answer: the same in every dialect
EXACT: list[tuple[str, str, str, str | None, bytes]] = [
    ("2", "GET", "", None, b'{"status":"ERROR","results":null,"error":"Empty resource"}'),
    (
        "3",
        "GET",
        "nope/1",
        None,
        b'{"status":"ERROR","results":null,"error":"Class file for \\"RESTCommandNope\\" not found"}',
    ),
    (
        "4",
        "POST",
        "tariffs/",
        "a=1",
        b'{"status":"ERROR","results":null,"error":"Resource \\"tariffs\\" does not support action \\"create\\""}',
    ),
    ("5", "PATCH", "tariffs", None, b'{"status":"ERROR","results":null,"error":"Not supported method"}'),
    ("6", "GET", "tariffs/999", None, OK_NULL),
    ("11", "POST", "stb_msg/001a79000001", "msg=Hi", OK_TRUE),
    ("14", "POST", "stb_msg/0", "msg=all", OK_TRUE),
    ("14b", "POST", "stb_msg", "msg=all", OK_TRUE),
    ("15", "POST", f"stb_msg/{M1},{M9}", "msg=Hi&ttl=86400", OK_TRUE),
    ("17", "POST", f"send_event/{M1}", "event=play_channel&channel=123", OK_TRUE),
    ("19", "POST", f"send_event/{M1}", "", OK_FALSE),
    ("24", "POST", "accounts/", "login=u3&stb_mac=00:1a:79:00:00:03&reseller=5&email=a%40example.com", OK_TRUE),
    ("26", "PUT", f"accounts/{M1}", "status=0", OK_TRUE),
    ("31", "DELETE", f"accounts/{M1}", None, OK_TRUE),
]
# case, method, path, body, error text
REFUSED = [
    ("8", "GET", "accounts/user001", None, "Account not found"),
    ("10", "GET", "accounts/001A79000001", None, "Account not found"),
    ("12", "POST", f"stb_msg/{M9}", "msg=Hi", "Empty stb list"),
    ("13a", "POST", f"stb_msg/{M1}", "x=1", "Empty msg"),
    ("13b", "POST", f"stb_msg/{M1}", "msg=0", "Empty msg"),
    ("13d", "POST", f"stb_msg/{M1}", '{"msg":"Hi"}', "Empty msg"),
    ("18", "POST", f"send_event/{M9}", "event=reboot", "STB not found"),
    ("20", "POST", "accounts/", "login=user001", "Login already in use"),
    ("21", "POST", "accounts/", "login=u3&stb_mac=00:1a:79:00:00:01", "MAC address already in use"),
    ("22", "POST", "accounts/", "login=u3&stb_mac=zz", "Not valid mac address"),
    ("23a", "POST", "accounts/", "", "HTTP POST data is empty"),
    ("23c", "POST", "accounts/", "stb_mac=00:1A:79:00:00:03", "Login required"),
    ("28", "PUT", "accounts/", "status=0", "Identifier required"),
    ("29", "PUT", f"accounts/{M9}", "status=0", "Account not found"),
    ("30", "DELETE", f"accounts/{M1},{M2}", None, "Only one identifier allowed"),
    ("32", "GET", f"accounts/{M1},{M9}", None, "One or more identifiers are incorrect"),
]


@pytest.fixture(params=DIALECTS)
def portal(request: pytest.FixtureRequest, make_portal: MakePortal) -> StalkerPortal:
    return make_portal(dialect=request.param)


def send(portal: StalkerPortal, method: str, path: str, body: str | None = None) -> Answer:
    return call(portal.server_address, method, path, body)


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"), [case[1:] for case in EXACT], ids=[c[0] for c in EXACT]
)
def test_exact(portal: StalkerPortal, method: str, path: str, body: str | None, expected: bytes) -> None:
    answer = send(portal, method, path, body)
    assert answer.body == expected
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "body", "text"), [case[1:] for case in REFUSED], ids=[c[0] for c in REFUSED]
)
def test_refused_without_effect(portal: StalkerPortal, method: str, path: str, body: str | None, text: str) -> None:
    before = portal.snapshot()
    assert send(portal, method, path, body).error == text
    assert portal.snapshot() == before


@pytest.mark.parametrize("credentials", [None, "apiuser:wrong", "other:apipass", "apiuser"])
def test_1_credentials(portal: StalkerPortal, credentials: str | None) -> None:
    answer = call(portal.server_address, "GET", f"accounts/{M1}", credentials=credentials)
    assert answer.status == 401
    assert answer.body == b'{"status":"ERROR","results":"","error":"401 Unauthorized request"}'
    name = "Ministra" if portal.settings.dialect == "ministra56" else "Stalker"
    assert answer.headers["www-authenticate"] == f'Basic realm="{name} API"'


def test_7_one_account_is_a_list(stock: StalkerPortal) -> None:
    assert send(stock, "GET", f"accounts/{M1}").body == (
        b'{"status":"OK","results":[{"login":"user001","full_name":"Jos\\u00e9 \\/ \\u674e","phone":"",'
        b'"account_number":"10000001","tariff_plan":null,"stb_sn":"","stb_mac":"00:1A:79:00:00:01","stb_type":"",'
        b'"status":1,"online":"0","ip":"","version":"","comment":null,"end_date":"0000-00-00 00:00:00",'
        b'"account_balance":"","last_active":"0000-00-00 00:00:00","subscribed":[],"subscribed_id":[]}]}'
    )


def test_7_keys_of_the_other_dialects(panel: StalkerPortal, ministra: StalkerPortal) -> None:
    [account] = send(panel, "GET", f"accounts/{M1}").results
    assert list(account)[-5:] == ["account_balance", "last_active", "reseller", "subscribed", "subscribed_id"]
    assert "tariff_expired_date" not in account
    [account] = send(ministra, "GET", f"accounts/{M1}").results
    assert list(account)[4:8] == ["tariff_plan", "tariff_expired_date", "tariff_instead_expired", "stb_sn"]
    assert list(account)[-5:-2] == ["last_active", "reseller_id", "reseller_name"]


def test_9_one_user_is_an_object(portal: StalkerPortal) -> None:
    assert send(portal, "GET", "users/user001").results["stb_mac"] == M1
    assert send(portal, "GET", f"users/{M1}").results["login"] == "user001"


def test_11_message_is_queued(portal: StalkerPortal) -> None:
    send(portal, "POST", "stb_msg/001a79000001", "msg=Hi")
    [event] = portal.events
    assert (event.uid, event.event, event.msg, event.ttl, event.need_confirm) == (1, "send_msg", "Hi", 604800, 1)


def test_13_multipart_and_json_are_no_fields(portal: StalkerPortal) -> None:
    answer = call(portal.server_address, "POST", f"stb_msg/{M1}", MULTIPART_BODY, content_type=MULTIPART)
    assert answer.error == "Empty msg"
    answer = call(portal.server_address, "POST", f"stb_msg/{M1}", '{"msg":"Hi"}', content_type="application/json")
    assert answer.error == "Empty msg"
    # the raw body counts, whatever type is claimed for it
    assert call(portal.server_address, "POST", f"stb_msg/{M1}", "msg=Hi", content_type="application/json").results


@pytest.mark.parametrize("path", ["stb_msg/0", "stb_msg", "stb_msg/", "v1/stb_msg/"])
def test_14_no_identifier_is_a_broadcast(portal: StalkerPortal, path: str) -> None:
    send(portal, "POST", path, "msg=all")
    assert [event.uid for event in portal.events] == [1, 2]


def test_15_unknown_boxes_are_skipped(portal: StalkerPortal) -> None:
    send(portal, "POST", f"stb_msg/{M1},{M9}", "msg=Hi&ttl=86400")
    assert [(event.uid, event.ttl) for event in portal.events] == [(1, 86400)]


@pytest.mark.parametrize("event", ["play_channel", "play_radio_channel"])
def test_16_documented_channel_form(portal: StalkerPortal, event: str) -> None:
    answer = send(portal, "POST", f"send_event/{M1}", f"event={event}$channel_number=123")
    understood = portal.settings.dialect == "panel"
    assert answer.body == (OK_TRUE if understood else OK_FALSE)
    assert [(queued.event, queued.msg) for queued in portal.events] == ([(event, "123")] if understood else [])


def test_17_stock_channel_form(portal: StalkerPortal) -> None:
    send(portal, "POST", f"send_event/{M1}", "event=play_channel&channel=123")
    assert [(event.event, event.msg, event.ttl) for event in portal.events] == [("play_channel", "123", 240)]


def test_23_only_an_extension_field(stock: StalkerPortal, panel: StalkerPortal) -> None:
    assert send(stock, "POST", "accounts/", "reseller=5").error == "Insert data is empty"
    assert send(panel, "POST", "accounts/", "reseller=5").error == "Login required"


def test_24_created_user(portal: StalkerPortal) -> None:
    send(portal, "POST", "accounts/", "login=u3&stb_mac=00:1a:79:00:00:03&reseller=5&email=a%40example.com")
    user = portal.user("u3")
    assert user is not None
    assert (user.stb_mac, user.status) == ("00:1A:79:00:00:03", 1)
    assert user.reseller == (5 if portal.settings.dialect == "panel" else None)
    [account] = send(portal, "GET", "accounts/00:1A:79:00:00:03").results
    assert "email" not in account
    assert account.get("reseller") == ("5" if portal.settings.dialect == "panel" else None)


def test_25_put_of_the_reseller_alone(portal: StalkerPortal) -> None:
    answer = send(portal, "PUT", f"accounts/{M1}", "reseller=5")
    if portal.settings.dialect == "panel":
        assert answer.body == OK_TRUE
        assert portal.users[0].reseller == 5
    else:
        assert answer.error == "Insert data is empty"


def test_26_status_events(portal: StalkerPortal) -> None:
    for _ in range(2):
        assert send(portal, "PUT", f"accounts/{M1}", "status=0").body == OK_TRUE
    assert b'"status":0,' in send(portal, "GET", f"accounts/{M1}").body
    assert [event.event for event in portal.events] == ["cut_off"]
    send(portal, "PUT", f"accounts/{M1}", "status=1")
    assert [event.event for event in portal.events] == ["cut_off", "cut_on"]


@pytest.mark.parametrize("value", ["", "0"])
def test_27_put_of_an_empty_plan(portal: StalkerPortal, value: str) -> None:
    before = portal.users
    text = send(portal, "PUT", f"accounts/{M1}", f"full_name=x&tariff_plan={value}").error
    assert text.startswith("Query failed by reason : Unknown column")
    assert "; query :UPDATE" in text
    assert portal.users == before


def test_31_second_delete(portal: StalkerPortal) -> None:
    send(portal, "DELETE", f"accounts/{M1}")
    assert send(portal, "DELETE", f"accounts/{M1}").error == "Account not found"
    assert [user.login for user in portal.users] == ["user002"]


def test_33_all_accounts(portal: StalkerPortal) -> None:
    for path in ("accounts/", "accounts", "accounts/0", "/stalker_portal/api/v1/accounts"):
        accounts = send(portal, "GET", path).results
        assert [account["login"] for account in accounts] == ["user001", "user002"]
    for account in accounts:
        assert "email" not in account
        assert account.pop("status") == 1
        assert (account.pop("subscribed"), account.pop("subscribed_id")) == ([], [])
        assert all(value is None or isinstance(value, str) for value in account.values())


def test_34_users_without_identifier(portal: StalkerPortal) -> None:
    assert send(portal, "GET", "users/").results["login"] == "user001"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "accounts/"), ("GET", ""), ("PATCH", "nope"), ("POST", "stb_msg")]
)
def test_35_api_off(portal: StalkerPortal, method: str, path: str) -> None:
    portal.settings.api_enabled = False
    answer = call(portal.server_address, method, path, credentials=None)
    assert (answer.status, answer.body, answer.headers["content-type"]) == (404, b"API not enabled", "text/html")


def test_36_theme_script(portal: StalkerPortal) -> None:
    def apply(key: str, login: str = "user001") -> Answer:
        body = f"key={key}&login={login}&theme=ocean_blue"
        return call(portal.server_address, "POST", "/stalker_portal/update_account.php", body, credentials=None)

    if portal.settings.dialect != "panel":
        assert apply("theme-secret").status == 404
        return
    assert apply("wrong").body not in (b"OK", b"")
    assert apply("theme-secret", "nobody").body != b"OK"
    assert portal.users[0].theme == ""
    assert apply("theme-secret").body == b"OK"
    assert [user.theme for user in portal.users] == ["ocean_blue", ""]


def test_plans(stock: StalkerPortal, ministra: StalkerPortal) -> None:
    assert send(stock, "GET", "tariffs/").results == [PLAN | {"packages": [PACKAGE]}]
    assert send(stock, "GET", "tariffs/1").results == PLAN | {"packages": [PACKAGE]}
    assert send(stock, "GET", "tariffs/abc").results == [PLAN | {"packages": [PACKAGE]}]
    [plan] = send(ministra, "GET", "tariffs/").results
    assert list(plan) == ["id", "external_id", "name", "user_default", "days_to_expires", "packages"]
    assert plan["days_to_expires"] == "30"
