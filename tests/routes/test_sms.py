"""Text messages over HTTP: golden cases 41 to 52 of contract chapter 60, and what can go wrong."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from core.jobs.claims import AUDITED
from core.storage.tables import Account, Claim, Job, SmsLog, SmsSettings, SmsTemplate
from simulators.faults import Answer, Cut, Delay, Hang, HangUp
from simulators.sms_provider import refusal
from simulators.wire import Response
from tests.conftest import MakeWorld
from tests.worlds.harness import ENCODINGS, PREFIXES
from tests.worlds.sms import SENDER, TOKEN, Sms, configured, sms_world

BULLETS = "\N{BULLET}" * 8


@pytest.fixture
def sms(make_world: MakeWorld, kind: str) -> Iterator[Sms]:
    with sms_world(make_world, kind) as made:
        yield made


@pytest.fixture
def sqlite_sms(make_world: MakeWorld) -> Iterator[Sms]:
    with sms_world(make_world, "sqlite") as made:
        yield made


@pytest.mark.every_kind
def test_41_the_token_is_masked_and_kept_when_it_comes_back(sms: Sms) -> None:
    sms.configure(1, expiry_template="Dear {name}", auto_send_enabled=0)
    sms.add_templates(1, "B", "A")
    client = sms.client("admin")
    text = client.get("/api/get_sms_settings.php").text
    assert "abcdefgh" not in text
    answer = client.get("/get_sms_settings.php").json()
    shown = answer["settings"]
    assert shown["api_token"] == f"{BULLETS}1234"
    assert (shown["configured"], shown["inherited"], shown["user_id"]) == (True, False, 1)
    assert [item["name"] for item in answer["templates"]] == ["A", "B"]
    assert all(isinstance(item["id"], int) and item["description"] is None for item in answer["templates"])
    assert answer["stats"] == {"total_sent": 0, "successful": 0, "failed": 0, "pending": 0}
    posted = {
        "api_token": shown["api_token"],
        "sender_number": shown["sender_number"],
        "base_url": shown["base_url"],
        "auto_send_enabled": "1",
        "enable_multistage_reminders": "1",
        "days_before_expiry": "7",
        "expiry_template": "",
    }
    assert sms.post("admin", "update_sms_settings", "multipart", **posted)["error"] == 0
    row = sms.settings[1]
    assert (row["api_token"], row["sender_number"], row["expiry_template"]) == (TOKEN, SENDER, "Dear {name}")
    assert row["auto_send_enabled"] == 1
    assert sms.post("admin", "update_sms_settings", "json", expiry_template=None)["error"] == 0
    assert sms.settings[1]["expiry_template"] is None
    assert TOKEN not in str(sms.audits("settings"))
    assert [row["action"] for row in sms.audits("settings")] == ["update", "update"]


@pytest.mark.every_kind
def test_42_a_reseller_admin_inherits_the_account_and_never_gets_its_token(sms: Sms) -> None:
    sms.configure(1)
    sms.add_templates(1, "A")
    answer = sms.get("radm", "get_sms_settings.php")
    shown = answer["settings"]
    assert (shown["inherited"], shown["api_token"], shown["auto_send_enabled"]) == (True, f"{BULLETS}1234", 0)
    assert "id" not in shown
    assert [item["name"] for item in answer["templates"]] == ["A"]
    fields = {name: shown[name] for name in ("api_token", "sender_number", "base_url")}
    assert sms.post("radm", "update_sms_settings", "multipart", **fields, auto_send_enabled="1")["error"] == 0
    row = sms.settings[3]
    assert (row["api_token"], row["sender_number"], row["auto_send_enabled"]) == (None, None, 1)
    assert sms.get("radm", "get_sms_settings.php")["settings"]["inherited"] is True
    assert sms.post("radm", "send_sms", recipient_number="+440000000009", message="hi")["error"] == 0
    assert [(item.token, item.sender) for item in sms.provider.sent] == [(TOKEN, SENDER)]
    assert sms.logs[0]["sent_by"] == 3
    # with a token of one's own nothing is inherited any more
    own = {"api_token": "own-token-5678", "sender_number": "+449999", "base_url": shown["base_url"]}
    assert sms.post("radm", "update_sms_settings", **own)["error"] == 0
    assert sms.get("radm", "get_sms_settings.php")["settings"]["api_token"] == f"{BULLETS}5678"
    # nobody else inherits
    assert sms.get("stbres", "get_sms_settings.php")["settings"]["configured"] is False
    assert sms.post("stbres", "send_sms", recipient_number="+440000000009", message="hi")["code"] == 6


@pytest.mark.every_kind
def test_43_44_bad_settings_are_refused_and_nothing_is_stored(sms: Sms) -> None:
    sms.configure(1)
    mask = f"{BULLETS}1234"
    for who, fields in {
        "foreign address": {"api_token": mask, "base_url": "https://evil.example.com"},
        "foreign address without token": {"base_url": "https://evil.example.com"},
        "other sender": {"api_token": mask, "sender_number": "+449"},
        "foreign address with token": {"api_token": "own-token-5678", "base_url": "https://evil.example.com"},
        "no TLS": {"api_token": "own-token-5678", "base_url": "ftp://edge.ippanel.com/v1"},
        "user info": {"api_token": "own-token-5678", "base_url": "https://a@edge.ippanel.com/v1"},
        "query": {"api_token": "own-token-5678", "base_url": f"{sms.provider.base_url}?x=1"},
        "port": {"api_token": "own-token-5678", "base_url": "http://127.0.0.1:1/v1"},
        "part of a mask": {"api_token": "\N{BULLET}1234"},
        "not ASCII": {"api_token": "tökén-of-mine"},
        "too long": {"api_token": "x" * 501},
        "sender": {"api_token": "own-token-5678", "sender_number": "12ab"},
        "long sender": {"api_token": "own-token-5678", "sender_number": "1" * 21},
        "days": {"days_before_expiry": "31"},
        "no days": {"days_before_expiry": "0"},
        "odd days": {"days_before_expiry": "7.5"},
        "flag": {"auto_send_enabled": "2"},
        "template": {"expiry_template": "x" * 4001},
    }.items():
        answer = sms.post("radm", "update_sms_settings", **fields)
        assert (answer["error"], answer["code"]) == (1, 6), who
    assert list(sms.settings) == [1]
    # one's own token is not sent to another address either
    other = "http://127.0.0.1:9/v1"
    with configured(sms.world, sms.provider, provider_hosts=(sms.provider.address, "127.0.0.1:9")):
        assert sms.post("admin", "update_sms_settings", base_url=other, api_token=mask)["code"] == 6
        assert sms.post("admin", "update_sms_settings", base_url=other, api_token="a-new-token-99")["error"] == 0
    assert sms.settings[1]["base_url"] == other
    assert sms.provider.requests == []


def test_a_change_of_one_field_keeps_the_others(sqlite_sms: Sms) -> None:
    sms = sqlite_sms
    assert sms.post("admin", "update_sms_settings", "json", days_before_expiry=3)["error"] == 0
    assert sms.post("admin", "update_sms_settings", "json", enable_multistage_reminders=False)["error"] == 0
    assert sms.post("admin", "update_sms_settings", "json", expiry_template="x", auto_send_enabled=True)["error"] == 0
    shown = sms.get("admin", "get_sms_settings.php")["settings"]
    assert [shown[name] for name in ("days_before_expiry", "enable_multistage_reminders", "auto_send_enabled")] == [
        3,
        0,
        1,
    ]
    assert (shown["expiry_template"], shown["api_token"], shown["configured"]) == ("x", "", False)
    assert shown["base_url"] == "https://edge.ippanel.com/v1"


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_45_a_typed_text_goes_out_as_it_is(sqlite_sms: Sms, prefix: str, encoding: str) -> None:
    sqlite_sms.configure(1)
    fields = {"send_type": "manual", "recipient_number": "+440000000009", "message": "hi {name}"}
    answer = sqlite_sms.client("admin").post(f"{prefix}send_sms.php", fields, encoding).json()
    assert (answer["error"], answer["sent_count"], answer["failed_count"], answer["skipped_count"]) == (0, 1, 0, 0)
    assert sqlite_sms.provider.texts == [("+440000000009", "hi {name}")]


def test_45_what_is_sent_is_logged(sms: Sms) -> None:
    sms.configure(1)
    answer = sms.post("admin", "send_sms", recipient_number="0000 (0)00-000.0009", message=" 0 ")
    assert answer["code"] == 6
    answer = sms.post("admin", "send_sms", recipient_number="0044 (20) 00-00.09", message=" 0 ")
    assert answer["error"] == 0
    assert answer["bulk_id"] == "1123544244"
    assert answer["api_response"]["meta"]["message_code"] == "200-1"
    [call] = sms.provider.requests
    assert call.headers["authorization"] == TOKEN
    assert sms.provider.bodies == [
        {
            "sending_type": "webservice",
            "from_number": SENDER,
            "message": "0",
            "params": {"recipients": ["+4420000009"]},
        }
    ]
    [row] = sms.logs
    assert {name: row[name] for name in ("account_id", "mac", "recipient_name", "message_type", "status")} == {
        "account_id": None,
        "mac": None,
        "recipient_name": None,
        "message_type": "manual",
        "status": "sent",
    }
    assert (row["recipient_number"], row["message"], row["bulk_id"]) == ("+4420000009", "0", "1123544244")
    assert str(row["sent_at"]).startswith("2025-11-22 09:0")
    assert [row["new_value"] for row in sms.audits("sms")] == ['{"sent":1,"failed":0,"skipped":0}']


@pytest.mark.parametrize(
    "ids",
    [
        {"account_ids": '["11","12","999"]'},
        {"account_ids": "11,12 , 12"},
        {"account_ids[0]": "11", "account_ids[1]": "12"},
    ],
    ids=["json text", "commas", "repeated"],
)
def test_46_accounts_get_their_own_texts(sms: Sms, ids: dict[str, str]) -> None:
    sms.configure(1)
    answer = sms.post("admin", "send_sms", send_type="accounts", message="hi {name} {expiry_date}", **ids)
    assert (answer["error"], answer["sent_count"], answer["skipped_count"]) == (0, 2, 0)
    assert sms.provider.texts == [
        ("+440000000001", "hi Ann Example 2025-11-29"),
        ("+440000000002", "hi Bob Example 2025-11-29"),
    ]
    assert [(row["account_id"], row["recipient_name"], row["status"]) for row in sms.logs] == [
        (11, "Ann Example", "sent"),
        (12, "Bob Example", "sent"),
    ]


@pytest.mark.every_kind
def test_47_a_reseller_reaches_own_accounts_only(sms: Sms) -> None:
    sms.configure(4)
    fields: dict[str, Any] = {"send_type": "accounts", "message": "hi {username} {days}", "account_ids": [11, 12, 17]}
    assert sms.post("stbres", "send_sms", "json", **fields)["sent_count"] == 1
    assert sms.provider.texts == [("+440000000001", "hi u7a 7")]


@pytest.mark.every_kind
def test_48_49_who_and_what_is_refused(sms: Sms) -> None:
    base = {"send_type": "accounts", "message": "hi"}
    # in the order in which it is checked
    assert sms.post("admin", "send_sms")["message"].startswith("Please configure SMS first")
    sms.configure(1)
    sms.configure(2)
    sms.configure(5)
    assert sms.post("res1", "send_sms", recipient_number="+440000000009", message="hi")["code"] == 3
    assert sms.post("obs", "send_sms", recipient_number="+440000000009", message="hi")["code"] == 3
    for fields, code in [
        ({**base, "message": "", "account_ids": "[]"}, 6),
        ({**base, "message": "x" * 1001, "account_ids": "[11]"}, 6),
        ({**base, "account_ids": "[]"}, 6),
        (base, 6),
        ({**base, "account_ids": '{"a":{}}'}, 6),
        ({**base, "account_ids": "a,b"}, 6),
        ({**base, "account_ids": "[0,-1]"}, 6),
        ({**base, "account_ids": str(list(range(1, 1002)))}, 6),
        ({**base, "account_ids": '["999"]'}, 4),
        ({**base, "account_ids": '["17"]'}, 4),
        ({"send_type": "x", "message": "hi", "recipient_number": "+440000000009"}, 6),
        ({"message": "hi"}, 6),
        ({"message": "hi", "recipient_number": "12"}, 6),
    ]:
        answer = sms.post("admin", "send_sms", **fields)
        assert (answer["error"], answer["code"]) == (1, code), fields
        assert answer["message"] == answer["err_msg"] != ""
    assert sms.provider.requests == []
    assert sms.logs == []
    assert sms.post("admin", "send_sms", **base, account_ids="11")["sent_count"] == 1
    assert sms.world.client().post("/send_sms.php").json()["code"] == 2
    assert sms.client("admin").get("/api/send_sms.php").status_code == 405


def test_50_a_refusal_of_the_provider_is_told(sms: Sms) -> None:
    sms.configure(1)
    sms.provider.accept_tokens("another")
    response = sms.client("admin").post("/api/send_sms.php", {"recipient_number": "+440000000009", "message": "hi"})
    answer = response.json()
    assert response.status_code == 200
    assert (answer["error"], answer["code"], answer["sent_count"], answer["failed_count"]) == (1, 8, 0, 1)
    assert "the token is not valid" in answer["message"]
    assert (answer["bulk_id"], answer["api_response"]["data"]) == (None, None)
    assert [(row["status"], row["error_message"]) for row in sms.logs] == [("failed", "the token is not valid")]


@pytest.mark.every_kind
def test_some_failed_is_a_warning_with_both_counts(sms: Sms) -> None:
    sms.configure(1)
    sms.provider.fail(Answer(refusal(422, "400-2", "bad number")), after=1)
    answer = sms.post("admin", "send_sms", send_type="accounts", message="{name}", account_ids="11,12,17")
    assert (answer["error"], answer["warning"]) == (0, 1)
    assert (answer["sent_count"], answer["failed_count"], answer["skipped_count"]) == (1, 1, 1)
    assert [row["status"] for row in sms.logs] == ["sent", "failed"]


PERHAPS = "may have been delivered"


@pytest.mark.parametrize(
    ("fault", "text", "perhaps"),
    [
        (Answer(refusal(422, "400-2", "", {"params": ["no credit"]})), "no credit", False),
        (Answer(Response(b'{"data":null,"message":"old style"}', 200, "application/json")), "old style", False),
        (Answer(Response(b'{"data":{},"meta":{"status":false}}', 200, "application/json")), "HTTP 200", False),
        (Answer(Response(b"<html>busy</html>", 503)), "HTTP 503", False),
        (Answer(Response(b"", 302, headers={"Location": "http://127.0.0.1:1/"})), "HTTP 302", False),
        (Answer(Response(b"<html>bad gateway</html>", 502)), "cannot be read (HTTP 502)", True),
        (Answer(Response(b"<html>fine</html>")), "cannot be read (HTTP 200)", True),
        (Answer(Response(b"x" * 70_000)), "cannot be read", True),
        (Answer(Response(b"[" * 2000)), "cannot be read", True),
        (Cut(), "connection", True),
        (HangUp(effect=True), "connection", True),
        (HangUp(reset=True), "connection", True),
    ],
    ids=lambda value: getattr(value, "__class__", type(value)).__name__,
)
def test_faults_of_the_provider_leave_a_true_log(sqlite_sms: Sms, fault: Any, text: str, perhaps: bool) -> None:
    sms = sqlite_sms
    sms.configure(1)
    sms.provider.fail(fault)
    answer = sms.post("admin", "send_sms", recipient_number="+440000000009", message="hi")
    assert (answer["error"], answer["code"]) == (1, 8)
    assert text in answer["message"]
    assert (PERHAPS in answer["message"]) == perhaps
    assert TOKEN not in str(answer)
    [row] = sms.logs
    assert row["status"] == "failed"
    assert text in row["error_message"]


def test_a_provider_that_is_down_or_slow(sqlite_sms: Sms, monkeypatch: pytest.MonkeyPatch) -> None:
    sms = sqlite_sms
    sms.configure(1)
    sms.provider.stop_listening()
    answer = sms.post("admin", "send_sms", recipient_number="+440000000009", message="hi")
    assert answer["message"] == "Failed to send: The SMS provider cannot be reached"
    sms.provider.forget()
    monkeypatch.setattr("core.messages.sms.send._CALL_SECONDS", 0.3)
    sms.provider.fail(Hang(effect=True))
    answer = sms.post("admin", "send_sms", recipient_number="+440000000009", message="hi again")
    assert "did not answer in time; the message may have been delivered" in answer["message"]
    assert "127.0.0.1" not in str(answer)


def test_a_provider_that_is_down_is_not_asked_for_each_of_many(sqlite_sms: Sms) -> None:
    sms = sqlite_sms
    sms.configure(1)
    sms.world.execute(sa.update(Account).values(phone_number="+440000000001"))
    sms.provider.fail(Answer(Response(b"down", 503)), times=None)
    answer = sms.post(
        "admin", "send_sms", send_type="accounts", message="{username}", account_ids="11,12,13,14,15,16,17"
    )
    assert answer["failed_count"] == 7
    assert len(sms.provider.requests) == 3
    assert [row["error_message"] for row in sms.logs] == ["HTTP 503"] * 3 + ["Not tried: HTTP 503"] * 4


def test_the_token_is_not_repeated_to_anybody(sqlite_sms: Sms) -> None:
    sms = sqlite_sms
    sms.configure(1, api_token="secret/token-1")
    echo = Response(b'{"data":null,"meta":{"status":false,"message":"bad secret\\/token-1"}}', 401, "application/json")
    sms.provider.fail(Answer(echo))
    answer = sms.post("admin", "send_sms", recipient_number="+440000000009", message="hi")
    assert "bad ********" in answer["message"]
    assert "token-1" not in f"{answer}{sms.logs}{sms.world.rows(sa.select(*Job.__table__.c))}"


def test_a_stored_address_that_is_not_allowed_is_never_called(sqlite_sms: Sms) -> None:
    sms = sqlite_sms
    sms.configure(1)
    with configured(sms.world, sms.provider, provider_hosts=("edge.ippanel.com",)):
        answer = sms.post("admin", "send_sms", recipient_number="+440000000009", message="hi")
    assert "not one of those" in answer["message"]
    assert sms.provider.requests == []


@pytest.mark.every_kind
def test_equal_texts_go_out_in_one_call(sms: Sms) -> None:
    sms.configure(1)
    fields = {"send_type": "accounts", "message": "closed today", "account_ids": "11,12,13,14,15"}
    with configured(sms.world, sms.provider, recipients_per_call=3):
        assert sms.post("admin", "send_sms", **fields)["sent_count"] == 5
    assert [len(body["params"]["recipients"]) for body in sms.provider.bodies] == [3, 2]
    assert sms.logs[3]["bulk_id"] == "1123544247"
    sms.provider.forget()
    with configured(sms.world, sms.provider, sending_type="peer_to_peer"):
        assert sms.post("admin", "send_sms", **{**fields, "message": "hi {name}"})["sent_count"] == 5
    assert len(sms.provider.requests) == 1
    assert sms.provider.texts[1] == ("+440000000002", "hi Bob Example")


def test_calls_keep_their_distance(sqlite_sms: Sms) -> None:
    sms = sqlite_sms
    sms.configure(1)
    with configured(sms.world, sms.provider, calls_per_second=10):
        began = time.monotonic()
        sms.post("admin", "send_sms", send_type="accounts", message="{name}", account_ids="11,12,13")
    # a busy machine lets calls arrive late, so that two may be close; none is early
    assert [request.at - began >= 0.1 * number for number, request in enumerate(sms.provider.requests)] == [True] * 3


def test_a_double_click_sends_once(sqlite_sms: Sms) -> None:
    sms = sqlite_sms
    sms.configure(1)
    client = sms.client("admin").in_a_browser()
    answers: list[dict[str, Any]] = []
    fields = {"recipient_number": "+440000000009", "message": "hi"}
    sms.provider.fail(Delay(0.2))
    threads = [
        threading.Thread(target=lambda: answers.append(client.post("/send_sms.php", fields).json())) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer["sent_count"] for answer in answers] == [1, 1]
    assert len(sms.provider.sent) == 1


def test_what_takes_long_goes_on_in_the_background(sqlite_sms: Sms) -> None:
    sms = sqlite_sms
    sms.configure(1)
    jobs = sms.panel.config.jobs.model_copy(update={"wait_seconds": 0})
    sms.provider.fail(Delay(0.3))
    sms.panel.config = sms.panel.config.model_copy(update={"jobs": jobs})
    answer = sms.post("admin", "send_sms", recipient_number="+440000000009", message="hi")
    assert (answer["error"], answer["warning"], answer["sent_count"]) == (0, 1, 0)
    status: dict[str, Any] = {}
    while status.get("state") != "done":
        status = sms.get("admin", f"get_job_status.php?id={answer['job_id']}")["job"]
        assert status["state"] != "failed"
    assert status["result"]["sent"] == 1


def _log(sms: Sms, **values: Any) -> None:
    row = {"recipient_number": "+44", "message": "m", "sent_by": 1, "sent_at": sms.panel.clock.now(), "status": "sent"}
    sms.world.insert(SmsLog, [row | values])


@pytest.mark.every_kind
def test_51_the_log_is_paged_filtered_and_safe(sms: Sms) -> None:
    _log(sms, message='a"><b> & c', recipient_name="<i>", api_response='{"data":1}', message_type="renewal")
    _log(sms, sent_by=4, status="failed", message_type="new_account")
    for _ in range(3):
        _log(sms, sent_by=2, sent_at=sms.panel.clock.now().replace(day=20))
    answer = sms.get("admin", "get_sms_logs.php?page=1&limit=25&date=2025-11-22")
    assert answer["pagination"] == {"page": 1, "limit": 25, "total": 2, "pages": 1}
    second, first = answer["logs"]
    assert list(first)[:4] == ["id", "account_id", "mac", "recipient_name"]
    assert first["message"] == "a&quot;&gt;&lt;b&gt; & c"
    assert first["recipient_name"] == "&lt;i&gt;"
    assert (first["sent_by_username"], first["sent_by_name"]) == ("admin", "Admin")
    assert first["api_response"] == '{"data":1}'
    assert first["sent_at"].startswith("2025-11-22 09:")
    assert second["sent_by_username"] == "stbres"

    def total(query: str, who: str = "admin") -> int:
        answer = sms.get(who, f"get_sms_logs.php?{query}")
        assert answer["error"] == 0
        count = answer["pagination"]["total"]
        assert isinstance(count, int)
        return count

    assert total("") == total("status=bogus&type=bogus&date=2025-13-01&limit=0&page=0") == total("page=-5") == 5
    assert total("status=failed") == total("type=welcome") == total("type=new_account") == 1
    assert total("type=manual&status=sent") == 3
    assert total("", "radm") == 5
    assert total("", "stbres") == 1
    assert total("", "obs") == 0
    assert sms.get("radm", "get_sms_logs.php")["logs"][1]["api_response"] is None
    page = sms.get("admin", "get_sms_logs.php?page=3&limit=2")
    assert (len(page["logs"]), page["pagination"]) == (1, {"page": 3, "limit": 2, "total": 5, "pages": 3})
    assert sms.get("admin", "get_sms_logs.php?page=999999999999999999")["logs"] == []
    assert sms.get("admin", "get_sms_logs.php?limit=x")["code"] == 6
    assert sms.get("admin", "get_sms_settings.php")["stats"] == {
        "total_sent": 5,
        "successful": 4,
        "failed": 1,
        "pending": 0,
    }


@pytest.mark.every_kind
def test_52_templates_are_ones_own(sms: Sms) -> None:
    fields = {"name": " Offer ", "template": "Hi {name}\r\nbye", "description": "x"}
    created = sms.post("stbres", "save_sms_template", "multipart", **fields)
    template_id = created["template_id"]
    assert isinstance(template_id, int)
    assert created["message"] == "Template created successfully"
    answer = sms.post("stbres", "save_sms_template", template_id=str(template_id), **fields)
    assert (answer["error"], answer["template_id"]) == (0, template_id)
    assert sms.get("stbres", "get_sms_settings.php")["templates"] == [
        {"id": template_id, "name": "Offer", "template": "Hi {name}\nbye", "description": "x"}
    ]
    for bad, code in [
        ({"name": "", "template": "x"}, 6),
        ({"name": "x", "template": " "}, 6),
        ({"name": "x" * 201, "template": "x"}, 6),
        ({"name": "x", "template": "x" * 4001}, 6),
        ({"name": "x", "template": "x", "description": "x" * 501}, 6),
        ({"name": "OFFER", "template": "x"}, 5),
        ({"name": "x", "template": "x", "template_id": "99999"}, 4),
        ({"name": "x", "template": "x", "template_id": "0"}, 4),
    ]:
        assert sms.post("stbres", "save_sms_template", **bad)["code"] == code, bad
    assert sms.post("radm", "save_sms_template", template_id=template_id, **fields)["code"] == 4
    assert sms.post("radm", "delete_sms_template", template_id=template_id)["code"] == 4
    assert sms.post("res1", "delete_sms_template", template_id=template_id)["code"] == 3
    assert sms.post("stbres", "delete_sms_template", template_id="x")["code"] == 6
    assert sms.post("stbres", "delete_sms_template", template_id=template_id)["error"] == 0
    assert sms.post("stbres", "delete_sms_template", "json", template_id=template_id)["code"] == 4
    assert [row["action"] for row in sms.audits("sms_template")] == ["create", "update", "delete"]


def test_a_template_cannot_become_script(sqlite_sms: Sms) -> None:
    sms = sqlite_sms
    sms.post("admin", "save_sms_template", name="<b>n</b>", template="<img onerror=x>", description="&lt;i&gt;")
    sms.world.insert(SmsTemplate, [{"user_id": 1, "name": "<old>", "template": "&lt;script>"}])
    assert "<" not in sms.client("admin").get("/api/get_sms_settings.php").text


@pytest.mark.every_kind
def test_two_requests_at_once_make_one_template_of_a_name(sms: Sms) -> None:
    clients = [sms.world.client("admin") for _ in range(4)]
    codes: list[int] = []

    def save(number: int) -> None:
        fields = {"name": "Twice", "template": f"text {number}"}
        codes.append(clients[number].post("/save_sms_template.php", fields).json().get("code", 0))

    threads = [threading.Thread(target=save, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [0, 5, 5, 5]


def test_a_panel_without_sms_tables_is_told_so(make_world: MakeWorld) -> None:
    with sms_world(make_world, "sqlite") as sms:
        layout = sms.panel.layout
        columns = {name: found for name, found in layout.columns.items() if not name.startswith("_sms_")}
        sms.panel._layout = type(layout)(columns, layout.origin)
        try:
            answer = sms.get("admin", "get_sms_settings.php")
            assert (answer["error"], answer["templates"]) == (0, [])
            assert sms.get("admin", "get_sms_logs.php")["logs"] == []
            for endpoint in ("update_sms_settings", "send_sms", "save_sms_template"):
                fields = {"name": "x", "template": "x", "message": "x", "auto_send_enabled": 1}
                answer = sms.post("admin", endpoint, **fields)
                assert (answer["error"], answer["code"]) == (1, 7), endpoint
            assert sms.job("sms-stages")[0] == 0
        finally:
            sms.panel._layout = layout


def test_claims_of_what_was_refused_are_given_back(sqlite_sms: Sms) -> None:
    sms = sqlite_sms
    sms.configure(1)
    sms.provider.fail(Answer(refusal(422, "400-2", "no")))
    sms.post("admin", "send_sms", recipient_number="+440000000009", message="hi")
    assert sms.world.rows(sa.select(Claim.name).where(Claim.channel != AUDITED)) == []
    assert sms.world.rows(sa.select(SmsSettings.user_id)) == [{"user_id": 1}]
