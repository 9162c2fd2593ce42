"""What was measured on the running stock portal 5.1.1 (contract chapter 90 §13), one test for each of its rows."""

import pytest

from simulators.stalker import StalkerPortal
from tests.simulators.client import M1, M2, Answer, call


def send(portal: StalkerPortal, method: str, path: str, body: str | None = None) -> Answer:
    return call(portal.server_address, method, path, body)


def test_m2_a_box_that_was_plugged_in_first_keeps_its_mac_from_others(stock: StalkerPortal) -> None:
    stock.add_user("", "00:1A:79:00:00:03")
    answer = send(stock, "POST", "accounts/", "login=u3&stb_mac=00:1A:79:00:00:03")
    assert answer.error == "MAC address already in use"
    assert send(stock, "PUT", "accounts/00:1A:79:00:00:03", "login=u3&password=x").results is True
    assert send(stock, "GET", "users/u3").results["stb_mac"] == "00:1A:79:00:00:03"


def test_m3_the_list_of_boxes(stock: StalkerPortal) -> None:
    first, second = send(stock, "GET", "stb/").results
    assert (first["mac"], second["mac"]) == (M1, M2)
    assert list(first) == [
        *("mac", "ls", "login", "status", "online", "additional_services_on", "ip", "version"),
        *("account_balance", "last_active", "end_date"),
    ]
    assert (first["login"], first["status"], first["online"]) == ("user001", 1, "0")
    assert send(stock, "GET", f"stb/{M1},00:1A:79:00:00:99").results == [first]
    assert send(stock, "GET", "stb/00:1A:79:00:00:99").results == []
    many = ",".join([M1] * 400)
    assert send(stock, "GET", f"accounts/{many}").status == 403


def test_m3_each_list_has_its_own_cost(stock: StalkerPortal) -> None:
    stock.settings.list_delay_per_account = 500
    assert len(send(stock, "GET", "stb/").results) == 2
    with pytest.raises(TimeoutError):
        call(stock.server_address, "GET", "accounts/", timeout=0.2)
    stock.settings.stb_delay_per_account = 500
    with pytest.raises(TimeoutError):
        call(stock.server_address, "GET", "stb/", timeout=0.2)


@pytest.mark.parametrize("field", ["login", "full_name", "phone", "account_number"])
def test_m4_texts_are_cut_or_refused(stock: StalkerPortal, field: str) -> None:
    assert send(stock, "PUT", f"accounts/{M1}", f"{field}={'x' * 70}").results is True
    assert send(stock, "GET", f"accounts/{M1}").results[0][field] == "x" * 64
    stock.settings.sql_strict = True
    assert "Data too long for column" in send(stock, "PUT", f"accounts/{M2}", f"{field}={'y' * 70}").error


def test_m4_emoji_are_four_question_marks_or_refused(stock: StalkerPortal) -> None:
    stock.settings.utf8_bytes = 3
    send(stock, "PUT", f"accounts/{M1}", "full_name=Ann+%F0%9F%98%80")
    assert stock.users[0].full_name == "Ann ????"
    stock.settings.sql_strict = True
    refused = send(stock, "PUT", f"accounts/{M2}", "full_name=%F0%9F%98%80")
    assert "Incorrect string value for column 'fname'" in refused.error


@pytest.mark.parametrize("day", ["1969/12/31", "2038/01/20", "2099/12/31"])
def test_m5_an_end_outside_of_a_timestamp_is_none(stock: StalkerPortal, day: str) -> None:
    send(stock, "PUT", f"accounts/{M1}", "end_date=2038/01/18")
    assert send(stock, "GET", f"accounts/{M1}").results[0]["end_date"] == "2038-01-18 00:00:00"
    assert send(stock, "PUT", f"accounts/{M1}", f"end_date={day}").results is True
    assert send(stock, "GET", f"accounts/{M1}").results[0]["end_date"] == "0000-00-00 00:00:00"
    stock.settings.sql_strict = True
    assert "Incorrect datetime" in send(stock, "PUT", f"accounts/{M1}", f"end_date={day}").error
    assert send(stock, "PUT", f"accounts/{M1}", "end_date=0000-00-00+00:00:00").results is True


def test_m7_of_two_tariffs_with_one_external_id_the_first_is_given(stock: StalkerPortal) -> None:
    first = stock.add_plan("shared", "First")
    stock.add_plan("shared", "Second")
    stock.add_plan("", "None")
    assert [plan["external_id"] for plan in send(stock, "GET", "tariffs/").results[-3:]] == ["shared", "shared", ""]
    send(stock, "PUT", f"accounts/{M1}", "tariff_plan=shared")
    assert stock.users[0].tariff_plan_id == first.id


def test_m8_an_error_leaves_status_and_password_changed(stock: StalkerPortal) -> None:
    stock.settings.sql_strict = True
    assert send(stock, "PUT", f"accounts/{M1}", f"full_name={'x' * 70}&status=0&password=new").error
    user = stock.users[0]
    assert (user.status, user.has_password("new"), user.full_name) == (0, True, "Jos\u00e9 / \u674e")
    assert [event.event for event in stock.events] == ["cut_off"]


@pytest.mark.parametrize("word", ["NOW()", " curdate() ", "CurTime()"])
def test_m9_some_words_are_executed(stock: StalkerPortal, word: str) -> None:
    send(stock, "PUT", f"accounts/{M1}", f"full_name={word.replace(' ', '+')}")
    assert stock.users[0].full_name[:2] != word[:2]
    send(stock, "POST", f"stb_msg/{M1}", f"msg={word.replace(' ', '+')}")
    assert stock.events[0].msg[0].isdigit()


def test_m10_an_unpaired_surrogate_empties_the_list_for_good(stock: StalkerPortal) -> None:
    assert send(stock, "PUT", f"accounts/{M1}", "full_name=%ED%A0%80").results is True
    assert send(stock, "GET", "accounts/").body == b""
    assert send(stock, "GET", f"accounts/{M1}").body == b""
    assert len(send(stock, "GET", "stb/").results) == 2
    assert send(stock, "GET", f"accounts/{M2}").results[0]["login"] == "user002"


def test_m11_a_mac_with_dashes_is_found_by_that_spelling_only(stock: StalkerPortal) -> None:
    send(stock, "PUT", "users/user001", "stb_mac=00-1A-79-00-00-01")
    assert send(stock, "GET", f"accounts/{M1}").error == "Account not found"
    assert send(stock, "POST", f"stb_msg/{M1}", "msg=Hi").error == "Empty stb list"
    assert send(stock, "POST", "stb_msg/00-1A-79-00-00-01", "msg=Hi").results is True
    assert send(stock, "GET", "users/user001").results["stb_mac"] == "00-1A-79-00-00-01"


def test_m12_the_edges_of_routing(stock: StalkerPortal) -> None:
    assert send(stock, "GET", "nope/1").error == 'Class file for "RESTCommandNope" not found'
    assert send(stock, "GET", f"aCCounts/{M1}").results[0]["login"] == "user001"
    assert send(stock, "GET", "tariffs/1.9").results["id"] == "1"
    assert send(stock, "GET", "tariffs/78x").results is None
    assert call(stock.server_address, "GET", "/stalker_portal/api").status == 301
    assert send(stock, "GET", f"accounts/%20{M1}").status == 403
