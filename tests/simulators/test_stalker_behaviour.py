"""The portal's habits beyond the golden cases: identifiers, fields, events, switches, dialects."""

from urllib.parse import quote

import pytest

from simulators.stalker import StalkerPortal
from tests.simulators.client import M1, M2, Answer, call
from tests.simulators.conftest import MakePortal


def send(portal: StalkerPortal, method: str, path: str, body: str | None = None) -> Answer:
    return call(portal.server_address, method, path, body)


class TestPaths:
    @pytest.mark.parametrize(
        ("path", "login"),
        [
            (f"accounts/{M1}/ignored/further", "user001"),
            (f"accounts/{M1}/", "user001"),
            (f"Accounts/{M1}", "user001"),
            ("accounts/00%3A1a%3A79%3a00:00:01", "user001"),
            (f"ACCOUNTS/{M1}", "user001"),
            ("accounts/00:1%D0%90:79:00:00:01", "user001"),
            ("accounts/10000002", "user002"),
            (f"stb_msg/../accounts/{M2}", "user002"),
            (f"stb_msg/%2e%2e/accounts/{M2}", "user002"),
            (f"accounts/{M1}?q=accounts/{M2}", "user001"),
            (f"accounts/{M1}%26x", "user001"),
            (f"accounts/{M1}%23x", "user001"),
            ("accounts/100%25300002", "user002"),
        ],
    )
    def test_reach(self, stock: StalkerPortal, path: str, login: str) -> None:
        assert [account["login"] for account in send(stock, "GET", path).results] == [login]

    def test_plus_becomes_a_space(self, stock: StalkerPortal) -> None:
        stock.add_user("a b")
        assert send(stock, "GET", "users/a+b").results["login"] == "a b"

    @pytest.mark.parametrize("path", ["accounts/a%2Fb", "accounts/a%2fb", "/", "/stalker_portal/", "/api/accounts/"])
    def test_not_found(self, stock: StalkerPortal, path: str) -> None:
        answer = send(stock, "GET", path)
        assert (answer.status, answer.headers["content-type"]) == (404, "text/html")

    def test_empty_identifier_is_not_a_missing_one(self, stock: StalkerPortal) -> None:
        assert send(stock, "POST", "stb_msg//x", "msg=Hi").error == "Empty stb list"
        assert send(stock, "DELETE", "accounts//x").error == "Account not found"
        assert stock.events == []

    def test_parsing_comes_before_credentials(self, stock: StalkerPortal) -> None:
        assert call(stock.server_address, "GET", "", credentials=None).error == "Empty resource"
        assert call(stock.server_address, "PATCH", "accounts", credentials=None).error == "Not supported method"
        assert call(stock.server_address, "GET", "nope", credentials=None).status == 401

    def test_names_in_errors(self, stock: StalkerPortal) -> None:
        for path, name in (("services_plan/", "ServicesPlan"), ("reseller/", "Reseller")):
            assert send(stock, "GET", path).error == f'Class file for "RESTCommand{name}" not found'
        for method, action in (("GET", "get"), ("PUT", "update"), ("DELETE", "delete")):
            text = f'Resource "stb_msg" does not support action "{action}"'
            assert send(stock, method, f"stb_msg/{M1}", "a=1").error == text

    def test_invalid_utf8_gives_an_empty_body(self, stock: StalkerPortal) -> None:
        answer = send(stock, "GET", "caf%E9")
        assert (answer.status, answer.body) == (200, b"")

    def test_other_resources_say_that_they_are_not_simulated(self, stock: StalkerPortal) -> None:
        assert send(stock, "PUT", "stb_modules/", "disabled[]=x").status == 501

    def test_no_credentials_configured(self, make_portal: MakePortal) -> None:
        portal = make_portal(user=None)
        assert call(portal.server_address, "GET", "accounts/", credentials=None).status == 200


class TestIdentifiers:
    def test_first_one_decides_the_kind(self, stock: StalkerPortal) -> None:
        assert send(stock, "GET", f"accounts/10000001,{M2}").error == "One or more identifiers are incorrect"
        assert len(send(stock, "GET", "accounts/10000001,10000002").results) == 2
        assert send(stock, "POST", f"stb_msg/{M1},10000002", "msg=Hi").results is True
        assert [event.uid for event in stock.events] == [1]

    def test_long_account_numbers_are_taken_for_macs_by_box_resources(self, stock: StalkerPortal) -> None:
        stock.add_user("u3", account_number="100000000003")
        assert send(stock, "GET", "accounts/100000000003").results[0]["login"] == "u3"
        assert send(stock, "POST", "stb_msg/100000000003", "msg=Hi").error == "Empty stb list"

    def test_box_resources_know_no_logins(self, stock: StalkerPortal) -> None:
        assert send(stock, "POST", "send_event/user001", "event=reboot").error == "STB not found"
        assert send(stock, "POST", "send_event/10000001", "event=reboot").results is True

    def test_duplicates_in_the_list(self, stock: StalkerPortal) -> None:
        assert send(stock, "GET", f"accounts/{M1},{M1}").error == "One or more identifiers are incorrect"

    def test_one_mac_of_two_users(self, stock: StalkerPortal) -> None:
        stock.add_user("twin", M1)
        assert [a["login"] for a in send(stock, "GET", f"accounts/{M1}").results] == ["user001", "twin"]
        assert send(stock, "GET", f"users/{M1}").results["login"] == "user001"
        assert send(stock, "PUT", f"accounts/{M1}", "comment=both").results is True
        assert [user.comment for user in stock.users] == ["both", None, "both"]
        assert send(stock, "DELETE", f"accounts/{M1}").results is True
        assert [user.login for user in stock.users] == ["user002"]

    def test_empty_base(self) -> None:
        with StalkerPortal() as portal:
            assert send(portal, "GET", "accounts/").results == []
            assert send(portal, "GET", "users/").results is None
            assert send(portal, "GET", "tariffs/").results == []


class TestFields:
    def test_everything_that_the_panel_sends(self, panel: StalkerPortal) -> None:
        body = (
            "login=u3&password=s%26cret&full_name=Ann+%26+B%2BC&account_number=10000003&tariff_plan=78&status=1"
            "&stb_mac=001a79000003&end_date=2030/01/31&comment=%D8%B3%D9%84%D8%A7%D9%85%0A%25&reseller=7&phone=%2B98"
        )
        assert send(panel, "POST", "accounts/anything", body).results is True
        user = panel.user("u3")
        assert user is not None
        assert user.has_password("s&cret")
        assert (user.full_name, user.phone, user.comment) == ("Ann & B+C", "+98", "سلام\n%")
        assert (user.account_number, user.stb_mac, user.reseller) == ("10000003", "00:1A:79:00:00:03", 7)
        assert user.end_date == "2030-01-31 00:00:00"
        assert send(panel, "GET", "users/u3").results["tariff_plan"] == "78"

    def test_default_plan_shows_for_users_without_one(self, stock: StalkerPortal) -> None:
        stock.add_plan("99", "Default", user_default=True)
        assert send(stock, "GET", "users/user001").results["tariff_plan"] == "99"
        send(stock, "PUT", f"accounts/{M1}", "tariff_plan=78")
        assert send(stock, "GET", "users/user001").results["tariff_plan"] == "78"
        assert send(stock, "PUT", f"accounts/{M1}", "tariff_plan=unknown").results is True
        assert send(stock, "GET", "users/user001").results["tariff_plan"] == "99"

    @pytest.mark.parametrize(("value", "status"), [("0", 0), ("", 0), ("1", 1), ("off", 1), ("false", 1)])
    def test_status_is_phps_truth(self, stock: StalkerPortal, value: str, status: int) -> None:
        send(stock, "PUT", f"accounts/{M1}", f"status={value}")
        assert stock.users[0].status == status

    def test_empty_fields_blank_but_the_password(self, stock: StalkerPortal) -> None:
        assert send(stock, "PUT", f"accounts/{M1}", "password=&full_name=&login=").results is True
        user = stock.users[0]
        assert (user.login, user.full_name) == ("", "")
        assert user.has_password("pw1")
        assert stock.user("user001") is None
        send(stock, "PUT", f"accounts/{M1}", "password=new")
        assert stock.users[0].has_password("new")

    def test_mac_in_put_is_taken_as_it_is_and_unbinds_the_device(self, stock: StalkerPortal) -> None:
        bound = {"access_token": "token", "device_id": "device"}
        stock.change_user("user001", **bound)
        send(stock, "PUT", f"accounts/{M1}", "full_name=x")
        assert stock.users[0].device_id == "device"
        send(stock, "PUT", f"accounts/{M1}", f"stb_mac={M1}")
        assert (stock.users[0].access_token, stock.users[0].device_id) == ("", "")
        send(stock, "PUT", "users/user001", f"stb_mac={M2.lower()}")
        assert stock.users[0].stb_mac == M2.lower()
        assert len(send(stock, "GET", f"accounts/{M2}").results) == 2

    def test_login_in_put(self, stock: StalkerPortal) -> None:
        assert send(stock, "PUT", f"accounts/{M1}", "login=user002").error == "Login already in use"
        assert send(stock, "PUT", f"accounts/{M1}", "login=user001").results is True
        assert send(stock, "PUT", f"accounts/{M1}", "login=renamed").results is True
        assert send(stock, "GET", "users/user001").error == "Account not found"
        assert send(stock, "GET", "users/renamed").results["stb_mac"] == M1

    def test_order_of_refusals_in_put(self, stock: StalkerPortal) -> None:
        assert send(stock, "PUT", "accounts/", "").error == "HTTP POST data is empty"
        assert send(stock, "PUT", "accounts/", "email=a").error == "Insert data is empty"
        assert send(stock, "PUT", f"accounts/{M1},{M2}", "status=0").error == "Only one identifier allowed"
        assert send(stock, "DELETE", "accounts/").error == "Identifier required"

    @pytest.mark.parametrize(
        ("text", "stored"),
        [
            ("2030/01/31", "2030-01-31 00:00:00"),
            ("2030-01-31 12:30:05", "2030-01-31 12:30:05"),
            ("20300131", "2030-01-31 00:00:00"),
            ("2030/02/31", "0000-00-00 00:00:00"),
            ("", "0000-00-00 00:00:00"),
        ],
    )
    def test_end_date(self, stock: StalkerPortal, text: str, stored: str) -> None:
        assert send(stock, "PUT", f"accounts/{M1}", f"end_date={text}".replace(" ", "+")).results is True
        assert send(stock, "GET", "users/user001").results["end_date"] == stored

    def test_lists_where_a_text_belongs(self, stock: StalkerPortal) -> None:
        send(stock, "PUT", f"accounts/{M1}", "comment[]=x")
        assert stock.users[0].comment == "Array"


class TestEvents:
    @pytest.mark.parametrize(
        "event", ["reboot", "reload_portal", "update_channels", "update_image", "cut_off", "show_menu"]
    )
    def test_plain(self, stock: StalkerPortal, event: str) -> None:
        assert send(stock, "POST", f"send_event/{M1}", f"event={event}&ttl=9").results is True
        name = "update_subscription" if event == "update_channels" else event
        assert [(queued.uid, queued.event, queued.ttl) for queued in stock.events_for("user001")] == [(1, name, 9)]
        assert stock.users[0].status == 1

    def test_messages(self, stock: StalkerPortal) -> None:
        send(stock, "POST", f"send_event/{M1}", "event=send_msg&msg=Hi&need_reboot=1&auto_hide_timeout=5")
        send(stock, "POST", f"send_event/{M1}", "event=send_msg_with_video&msg=Hi&video=http://v.example/1")
        first, second = stock.events
        assert (first.msg, first.need_reboot, first.auto_hide_timeout, first.ttl) == ("Hi", 1, 0, 604800)
        assert (second.event, second.video) == ("send_msg_with_video", "http://v.example/1")

    def test_broadcast(self, stock: StalkerPortal) -> None:
        assert send(stock, "POST", "send_event/0", "event=cut_off").results is True
        assert [event.uid for event in stock.events] == [1, 2]

    @pytest.mark.parametrize("body", ["event=format", "event=REBOOT", "event=play_channel%24channel_number=1"])
    def test_unknown(self, stock: StalkerPortal, body: str) -> None:
        assert send(stock, "POST", f"send_event/{M1}", body).results is False
        assert stock.events == []

    def test_message_text_and_times(self, stock: StalkerPortal) -> None:
        text = 'a & b + c % d\r\nسلام <b>"x"</b>'
        send(stock, "POST", f"stb_msg/{M1}", f"msg={quote(text)}&auto_hide_timeout=20&ttl=-1")
        [event] = stock.events
        assert (event.msg, event.auto_hide_timeout, event.ttl) == (text, 20, -1)


class TestSwitches:
    def test_internal_billing(self, stock: StalkerPortal) -> None:
        stock.settings.internal_billing = False
        assert "end_date" not in send(stock, "GET", "users/user001").results

    @pytest.mark.parametrize("body", ["end_date=", "end_date=soon", f"login={'x' * 65}"])
    def test_strict_sql(self, stock: StalkerPortal, body: str) -> None:
        assert send(stock, "PUT", f"accounts/{M1}", body).results is True
        stock.settings.sql_strict = True
        assert "Query failed by reason" in send(stock, "PUT", f"accounts/{M2}", body.replace("x" * 65, "y" * 65)).error

    def test_three_byte_utf8(self, make_portal: MakePortal) -> None:
        wide, narrow = make_portal(), make_portal(utf8_bytes=3)
        for path, body in ((f"stb_msg/{M1}", "msg=%F0%9F%98%80"), ("accounts/", "login=u3&comment=%F0%9F%98%80")):
            assert send(wide, "POST", path, body).results is True
            narrow.settings.sql_strict = True
            error = send(narrow, "POST", path, body).error
            assert error.startswith("Query failed by reason : Incorrect string value")
            narrow.settings.sql_strict = False
        assert (narrow.events, len(narrow.users)) == ([], 2)
        assert b"\\ud83d\\ude00" in send(wide, "GET", "users/u3").body
        assert send(narrow, "POST", "accounts/", "login=u3&full_name=%F0%9F%98%80x").results is True
        assert send(narrow, "GET", "users/u3").results["full_name"] == "????x"

    def test_noise(self, stock: StalkerPortal) -> None:
        stock.settings.noise = True
        assert list(send(stock, "GET", "accounts/").json) == ["status", "results", "output"]
        assert list(send(stock, "GET", "accounts/99").json) == ["status", "results", "error", "output"]
        assert "<b>Warning</b>" in send(stock, "GET", "accounts/").json["output"]

    def test_slow_lists(self, stock: StalkerPortal) -> None:
        stock.settings.list_delay_per_account = 30
        with pytest.raises(TimeoutError):
            call(stock.server_address, "GET", "accounts/", timeout=0.05)
        assert len(send(stock, "GET", "accounts/").results) == 2

    def test_wrong_values(self) -> None:
        with pytest.raises(ValueError, match="nope"):
            StalkerPortal(dialect="nope")
        with pytest.raises(ValueError, match="utf8_bytes"):
            StalkerPortal(utf8_bytes=2)


class TestMinistra:
    def test_reseller_of_an_account(self, ministra: StalkerPortal) -> None:
        ministra.add_reseller("Shop")
        assert send(ministra, "POST", "accounts/", "login=u3&reseller_id=9").error == "Reseller does not exist"
        assert send(ministra, "POST", "accounts/", "login=u3&reseller_id=1").results is True
        account = send(ministra, "GET", "users/u3").results
        assert (account["reseller_id"], account["reseller_name"]) == ("1", "Shop")
        assert send(ministra, "DELETE", "reseller/1").error == "Reseller has users"

    def test_reseller_resource(self, ministra: StalkerPortal) -> None:
        assert send(ministra, "POST", "reseller/", "name=Shop&max_users=5").results is False
        assert send(ministra, "POST", "reseller/", "name=Shop").error == "Reseller with this name already exists"
        assert send(ministra, "POST", "reseller/", "max_users=1").error == "Reseller name required"
        assert send(ministra, "POST", "reseller/", "").error == "Data is empty"
        assert send(ministra, "PUT", "reseller/1", "max_users=6").results is True
        [row] = send(ministra, "GET", "reseller/").results
        assert (row["id"], row["name"], row["max_users"]) == ("1", "Shop", "6")
        assert send(ministra, "GET", "reseller/1").results == [row]
        assert send(ministra, "GET", "reseller/2").error == "Account not found"
        assert send(ministra, "GET", "reseller/1,2").error == "One or more identifiers are incorrect"
        assert send(ministra, "DELETE", "reseller/Shop").error.startswith("Identifier is wrong")
        assert send(ministra, "DELETE", "reseller/1").results is True
        ministra.settings.reseller_info = False
        assert send(ministra, "GET", "reseller/").error == "Resource denied by admin"

    def test_expiry_of_the_plan(self, ministra: StalkerPortal) -> None:
        send(ministra, "PUT", f"accounts/{M1}", "tariff_expired_date=2030-01-31&tariff_instead_expired=78")
        account = send(ministra, "GET", "users/user001").results
        assert (account["tariff_expired_date"], account["tariff_instead_expired"]) == ("2030-01-31 00:00:00", "78")


def test_subscriptions(stock: StalkerPortal) -> None:
    extra = stock.add_package("sport", "Sport", optional=1)
    stock.change_user("user001", subscribed=(extra.id,))
    account = send(stock, "GET", "users/user001").results
    assert (account["subscribed"], account["subscribed_id"]) == (["sport"], ["2"])


def test_theme_script_reads_forms_only(panel: StalkerPortal) -> None:
    path, body = "/stalker_portal/update_account.php", "key=theme-secret&login=user001&theme=dark+blue"
    assert call(panel.server_address, "GET", f"{path}?{body}").body != b"OK"
    assert call(panel.server_address, "POST", path, body, content_type="text/plain").body != b"OK"
    assert call(panel.server_address, "POST", path, body).body == b"OK"
    assert panel.users[0].theme == "dark blue"


def test_portals_compare_by_what_they_hold(make_portal: MakePortal) -> None:
    one, two = make_portal(), make_portal()
    two.add_user("gone")
    send(two, "DELETE", "users/gone")
    for portal in (one, two):
        send(portal, "POST", "accounts/", "login=u3&password=x&tariff_plan=78")
        send(portal, "POST", "stb_msg/", "msg=Hi")
    assert one.users != two.users
    assert one.snapshot() == two.snapshot()
    send(two, "PUT", "users/u3", "phone=1")
    assert one.snapshot() != two.snapshot()
