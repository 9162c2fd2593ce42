"""Telegram over HTTP: golden cases of contract chapter 80, and what can go wrong."""

import datetime
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from core.storage.tables import (
    Claim,
    TelegramLog,
    TelegramNotificationSettings,
    TelegramSettings,
    TelegramTemplate,
    User,
)
from core.storage.tables.secret_columns import BOT
from simulators.faults import Answer, Delay
from simulators.telegram import TOKEN, BotApi, refusal
from simulators.wire import Response
from tests.conftest import MakeWorld
from tests.worlds.channels import ADMIN, BOB, CHATS, RITA, SAM, Channels, channels_world
from tests.worlds.harness import ENCODINGS, NOT_LOGGED_IN, PREFIXES
from tests.worlds.mail_server import MailServer
from tests.worlds.waiting import until

BULLETS = "\N{BULLET}" * 8
MASK = f"1234567890:{BULLETS}"
SECRET = TOKEN.partition(":")[2]
DEFAULTS = {
    "notify_new_account": 1,
    "notify_renewal": 1,
    "notify_expiry": 1,
    "notify_expired": 1,
    "notify_low_balance": 1,
    "notify_new_payment": 1,
    "notify_login": 0,
    "notify_daily_report": 0,
}


@pytest.fixture(scope="module")
def _outside() -> Iterator[tuple[BotApi, MailServer]]:
    with BotApi() as api, MailServer() as mail:
        yield api, mail


@pytest.fixture
def panel(make_world: MakeWorld, kind: str, _outside: tuple[BotApi, MailServer]) -> Iterator[Channels]:
    _outside[0].forget()
    with channels_world(make_world, kind, *_outside) as channels:
        yield channels


@pytest.fixture
def sqlite_panel(make_world: MakeWorld, _outside: tuple[BotApi, MailServer]) -> Iterator[Channels]:
    _outside[0].forget()
    with channels_world(make_world, "sqlite", *_outside) as channels:
        yield channels


def switches(panel: Channels, user_id: int) -> list[int]:
    [row] = [row for row in panel.rows(TelegramNotificationSettings) if row["user_id"] == user_id]
    return [row[name] for name in DEFAULTS]


# who may call what: error code of super admin, reseller admin, reseller, observer, nobody
MATRIX = {
    ("GET", "telegram/get_settings"): (0, 0, 0, 0, 2),
    ("POST", "telegram/update_settings"): (6, 3, 3, 3, 2),
    ("POST", "telegram/save_bot_settings"): (6, 3, 3, 3, 2),
    ("POST", "telegram/verify_bot"): (6, 3, 3, 3, 2),
    ("POST", "telegram/link_telegram"): (1, 1, 1, 1, 2),
    ("POST", "telegram/update_notification_settings"): (0, 0, 0, 0, 2),
    ("GET", "telegram/get_logs"): (0, 0, 3, 3, 2),
}


@pytest.mark.parametrize(("call", "codes"), MATRIX.items(), ids=[name for _, name in MATRIX])
def test_who_may_call_what(sqlite_panel: Channels, call: tuple[str, str], codes: tuple[int, ...]) -> None:
    method, name = call
    for who, code in zip(("admin", "rita", "bob", "obs", None), codes, strict=True):
        answer = sqlite_panel.get(who, f"{name}.php") if method == "GET" else sqlite_panel.post(who, name)
        assert answer.get("code", 0) == code, who
        assert answer["error"] == int(code != 0)
    assert answer == NOT_LOGGED_IN


@pytest.mark.every_kind
def test_1_nothing_is_set_up(panel: Channels) -> None:
    answer = panel.get("bob", "telegram/get_settings.php")
    assert answer == {
        "error": 0,
        "bot_configured": False,
        "bot_username": None,
        "bot_token": None,
        "user": {
            "id": BOB,
            "username": "bob",
            "is_super_admin": False,
            "is_reseller_admin": False,
            "is_reseller": True,
            "can_send_messages": False,
            "telegram_linked": False,
            "telegram_linked_at": None,
        },
        "notification_settings": DEFAULTS,
        "templates": [],
        "stats": {"total_sent": 0, "sent_success": 0, "sent_failed": 0},
        "recipients": [],
    }


@pytest.mark.every_kind
def test_2_the_bot(panel: Channels, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answer = panel.post("admin", "telegram/verify_bot", bot_token=f" {TOKEN} ")
    assert answer["error"] == 0
    assert (answer["bot_id"], answer["bot_username"], answer["bot_name"]) == (1234567890, "ExampleBot", "Example Bot")
    assert panel.rows(TelegramSettings) == []

    answer = panel.post("admin", "telegram/update_settings", bot_token=TOKEN)
    assert (answer["error"], answer["bot_username"]) == (0, "ExampleBot")
    [stored] = panel.rows(TelegramSettings)
    assert panel.panel.sealer.unsealed(stored["bot_token"], BOT.place({})) == TOKEN
    assert SECRET not in stored["bot_token"]
    assert stored["bot_username"] == "ExampleBot"

    shown = panel.get("admin", "telegram/get_settings.php")
    assert (shown["bot_configured"], shown["bot_token"]) == (True, MASK)
    assert len(shown["templates"]) == len(panel.rows(TelegramTemplate)) == 11
    assert panel.get("rita", "telegram/get_settings.php")["bot_token"] is None
    for endpoint in ("update_settings", "save_bot_settings", "verify_bot"):
        assert panel.post("admin", f"telegram/{endpoint}", bot_token=MASK)["error"] == 0
        assert panel.post("rita", f"telegram/{endpoint}", bot_token=TOKEN)["code"] == 3
        assert panel.post("admin", f"telegram/{endpoint}")["code"] == 6
        assert panel.post("admin", f"telegram/{endpoint}", bot_token=f"9{MASK}")["code"] == 6
    [again] = panel.rows(TelegramSettings)
    assert panel.panel.sealer.unsealed(again["bot_token"], BOT.place({})) == TOKEN

    panel.api.fail(Answer(refusal(401, "Unauthorized")))
    refused = panel.post("admin", "telegram/update_settings", bot_token="1234567891:" + "x" * 35)
    assert refused["code"] == 8
    panel.api.stop_listening()
    down = panel.post("admin", "telegram/verify_bot", bot_token=TOKEN)
    assert (down["error"], down["code"], down["message"]) == (1, 8, "Telegram is unreachable")
    assert SECRET not in caplog.text + str(down) + str(panel.audits)
    assert {(row["action"], row["target_type"], row["target_name"]) for row in panel.audits} == {
        ("update", "settings", "telegram")
    }


def test_a_replaced_bot_is_told_in_the_audit(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    panel.set_bot()
    panel.api.add_bot("1234567891:" + "y" * 35, "OtherBot")
    assert panel.post("admin", "telegram/update_settings", bot_token="1234567891:" + "y" * 35)["error"] == 0
    assert "must start the new bot" in panel.audits[-1]["details"]
    assert len(panel.rows(TelegramSettings)) == 1


def test_a_token_sealed_with_another_key_counts_as_none(sqlite_panel: Channels) -> None:
    sqlite_panel.set_bot(bot_token="sbx1:gibberish")
    assert sqlite_panel.get("admin", "telegram/get_settings.php")["bot_configured"] is False
    assert sqlite_panel.post("admin", "telegram/verify_bot", bot_token=MASK)["code"] == 6


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_3_a_chat_is_linked(sqlite_panel: Channels, prefix: str, encoding: str) -> None:
    panel = sqlite_panel
    panel.set_bot()
    client = panel.world.php_login("bob")
    fields = {"action": "set_chat_id", "chat_id": "100200300"}
    answer = client.post(f"{prefix}telegram/link_telegram.php", fields, encoding).json()
    assert answer["error"] == 0
    assert panel.api.calls == ["POST sendMessage"]
    assert [message.chat_id for message in panel.api.messages] == [100200300]
    assert "bob" in panel.api.messages[0].text
    shown = panel.get("bob", "telegram/get_settings.php")
    assert shown["user"]["telegram_linked"] is True
    assert shown["user"]["telegram_linked_at"] == "2026-11-22 10:30:00"
    assert shown["notification_settings"].items() >= DEFAULTS.items()
    assert panel.chats[BOB] == 100200300
    answer = client.post(f"{prefix}telegram/link_telegram.php", {"action": "unlink"}, encoding).json()
    assert answer["error"] == 0
    assert panel.chats[BOB] is None
    assert panel.get("bob", "telegram/get_settings.php")["user"]["telegram_linked"] is False
    assert switches(panel, BOB) == list(DEFAULTS.values())


def test_3_a_chat_that_cannot_be_linked(panel: Channels) -> None:
    assert panel.post("bob", "telegram/link_telegram", action="set_chat_id", chat_id="1")["code"] == 1
    panel.set_bot()
    for chat_id in ("abc", "1e5", "1.5", "", "0", "-0", "12345678901234567", "--1"):
        assert panel.post("bob", "telegram/link_telegram", action="set_chat_id", chat_id=chat_id)["code"] == 6, chat_id
    assert panel.api.requests == []
    panel.api.block(5)
    answer = panel.post("bob", "telegram/link_telegram", action="set_chat_id", chat_id="5")
    assert (answer["error"], answer["code"]) == (1, 8)
    assert "press Start" in answer["message"]
    assert panel.chats[BOB] is None
    # digits of other scripts, invisible marks
    mixed = "\u200e\u06f1\u06f2\u0663"
    assert panel.post("bob", "telegram/link_telegram", action="set_chat_id", chat_id=mixed)["error"] == 0
    assert panel.chats[BOB] == 123


def test_the_bot_writes_to_few_chats_for_one_user(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    panel.set_bot()
    for chat_id in range(1, 6):
        assert panel.post("bob", "telegram/link_telegram", action="set_chat_id", chat_id=chat_id)["error"] == 0
    client = panel.world.php_login("bob")
    refused = client.post("/api/telegram/link_telegram.php", {"action": "set_chat_id", "chat_id": "6"})
    assert (refused.status_code, refused.json()["error"]) == (429, 1)
    assert int(refused.headers["Retry-After"]) > 0
    assert len(panel.api.messages) == 5
    assert panel.post("sam", "telegram/link_telegram", action="set_chat_id", chat_id=7)["error"] == 0


def test_a_chat_that_moves_is_linked_by_its_new_id(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    panel.set_bot()
    panel.api.move(-5, -1005)
    assert panel.post("bob", "telegram/link_telegram", action="set_chat_id", chat_id="-5")["error"] == 0
    assert panel.chats[BOB] == -1005


@pytest.mark.every_kind
def test_4_switches(panel: Channels) -> None:
    post = "telegram/update_notification_settings"
    assert panel.post("bob", post, notify_renewal="1")["error"] == 0
    assert switches(panel, BOB) == [0, 1, 0, 0, 0, 0, 0, 0]
    assert panel.post("bob", post, "form", notify_new_account="on", notify_login="0", notify_expiry="no")["error"] == 0
    assert switches(panel, BOB) == [1, 0, 0, 0, 0, 0, 0, 0]
    assert panel.post("bob", post, "json", notify_login=True, notify_expiry="yes", notify_expired=[1])["error"] == 0
    assert switches(panel, BOB) == [0, 0, 1, 0, 0, 0, 1, 0]
    client = panel.world.php_login("bob")
    boundary = "----WebKitFormBoundaryabc"
    empty = client.request(
        "POST",
        f"/api/{post}.php",
        data=f"--{boundary}--\r\n",
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    assert (empty.status_code, empty.json()["error"]) == (200, 0)
    assert switches(panel, BOB) == [0] * 8


# the webhook


def update(panel: Channels, body: Any, secret: str | None = None, path: str = "/api/telegram/webhook.php") -> int:
    headers = {} if secret is None else {"X-Telegram-Bot-Api-Secret-Token": secret}
    options = {"json": body} if isinstance(body, dict | list) else {"data": body}
    response = panel.world.client().request("POST", path, headers=headers, **options)
    if response.status_code == 200:
        assert response.content == b""
    assert "Set-Cookie" not in response.headers
    return response.status_code


def message(text: str, chat_id: Any = 100200300, name: str = "A_B") -> dict[str, Any]:
    return {"message": {"chat": {"id": chat_id}, "text": text, "from": {"first_name": name}}}


@pytest.mark.every_kind
def test_7_start_without_a_secret(panel: Channels, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "core")
    panel.set_bot()
    assert update(panel, message("/start")) == 200
    until(lambda: panel.api.messages, "the reply")
    [reply] = panel.api.messages
    assert reply.chat_id == 100200300
    assert "100200300" in reply.text
    assert "A_B" in reply.text
    assert reply.parse_mode == "Markdown"
    assert panel.telegram_logs == []
    assert "A_B" not in caplog.text


def test_7_who_proves_nothing_has_the_bot_write_no_address_or_number(sqlite_panel: Channels) -> None:
    """Issue "no way in": anybody may call the webhook that has no secret, in the name of any chat."""
    sqlite_panel.set_bot()
    said = message("/start", name="Log in at https://evil.example/x or @evil, call 0912\u06f1\u06f2")
    assert update(sqlite_panel, said) == 200
    until(lambda: sqlite_panel.api.messages, "the reply")
    [reply] = sqlite_panel.api.messages
    assert "Log in at httpsevilexamplex or evil call \n" in reply.text


def test_7_rubbish_is_taken_without_a_word(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    panel.set_bot(webhook_secret="s3cret-of-the-webhook")
    secret = "s3cret-of-the-webhook"
    rubbish: list[Any] = [
        {},
        [],
        "not json",
        "",
        b"\xff\xfe",
        message("hello"),
        {"message": []},
        {"message": {"chat": 5}},
    ]
    rubbish += [message("/start", chat_id=None), message("/start", chat_id=2**70), message("/start", True)]
    rubbish += [{"edited_message": message("/start")["message"]}, message("/start" + " " * 70_000)]
    for body in rubbish:
        assert update(panel, body, secret) == 200, body
    assert update(panel, message("/start")) == 403
    assert update(panel, message("/start"), "wrong") == 403
    assert update(panel, message("/help@ExampleBot", 8), secret, "/telegram/webhook.php") == 200
    until(lambda: panel.api.messages, "the reply")
    assert [(item.chat_id, item.raw.count("/start")) for item in panel.api.messages] == [(8, 2)]
    for method in ("GET", "PUT", "DELETE"):
        response = panel.world.client().request(method, "/api/telegram/webhook.php")
        assert (response.status_code, response.headers["Allow"]) == (405, "POST")


def test_7_a_body_that_is_too_large(sqlite_panel: Channels) -> None:
    sqlite_panel.set_bot()
    assert update(sqlite_panel, b"x" * (9 * 2**20)) == 200


@pytest.mark.every_kind
def test_7_a_one_time_link(panel: Channels) -> None:
    panel.set_bot(webhook_secret="s" * 20)
    answer = panel.post("bob", "telegram/link_telegram")
    assert answer["bot_username"] == "ExampleBot"
    start = answer["deep_link"].removeprefix("https://t.me/ExampleBot?start=")
    assert start.startswith("link_7_")
    assert len(start) == len("link_7_") + 32
    # another user's id, another token: a plain reply
    for wrong in (start.replace("link_7_", "link_8_"), f"{start[:-1]}{'0' if start[-1] != '0' else '1'}"):
        assert update(panel, message(f"/start {wrong}", 70), "s" * 20) == 200
    until(lambda: len(panel.api.messages) == 2, "two plain replies")
    assert panel.chats[BOB] is None
    assert update(panel, message(f"/start {start}", 71), "s" * 20) == 200
    until(lambda: panel.chats[BOB] == 71, "the link")
    until(lambda: len(panel.api.messages) == 3, "the confirmation")
    assert "bob" in panel.api.messages[2].text
    assert update(panel, message(f"/start {start}", 72), "s" * 20) == 200
    until(lambda: len(panel.api.messages) == 4, "a plain reply")
    assert panel.chats[BOB] == 71
    assert "72" in panel.api.messages[3].text


def test_7_a_link_is_valid_for_a_quarter_of_an_hour(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    panel.set_bot(webhook_secret="s" * 20)
    start = panel.post("bob", "telegram/link_telegram")["deep_link"].partition("start=")[2]
    panel.moment += 15 * 60
    assert update(panel, message(f"/start {start}", 71), "s" * 20) == 200
    until(lambda: panel.api.messages, "a plain reply")
    assert panel.chats[BOB] is None


def test_7_who_proves_nothing_gets_few_replies(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    panel.set_bot()
    for _ in range(3):
        assert update(panel, message("/start", 5)) == 200
    assert update(panel, message("/start", 6)) == 200
    until(lambda: len(panel.api.messages) == 2, "two replies")
    for chat_id in range(100, 170):
        assert update(panel, message("/help", chat_id)) == 200
    until(lambda: len(panel.api.messages) >= 60, "replies")
    assert len(panel.api.messages) <= 60


# the log


def add_logs(panel: Channels, *rows: dict[str, Any]) -> None:
    base = {"user_id": BOB, "chat_id": CHATS[BOB], "message": "m", "sent_at": "2026-11-22 10:00:00", "status": "sent"}
    made = [base | row for row in rows]
    for row in made:
        row["sent_at"] = datetime.datetime.fromisoformat(str(row["sent_at"]))
        panel.world.insert(TelegramLog, [row])


@pytest.mark.every_kind
def test_8_the_log(panel: Channels) -> None:
    empty = panel.get("admin", "telegram/get_logs.php?date=2026-11-22&status=&message_type=&page=1&per_page=5")
    assert empty == {
        "error": 0,
        "logs": [],
        "pagination": {"current_page": 1, "per_page": 10, "total_items": 0, "total_pages": 0},
        "stats": {"total": 0, "sent": 0, "failed": 0},
        "available_dates": [],
    }
    add_logs(
        panel,
        {"message": 'say "hi" <b>', "message_type": "new_account", "related_account_mac": "00:1A:79:00:00:01"},
        {"status": "failed", "error_message": "chat not found", "sent_at": "2026-11-22 11:00:00"},
        {"user_id": ADMIN, "message_type": "manual", "message": "private"},
        {"user_id": ADMIN, "message_type": "renewal", "sent_at": "2026-11-21 23:59:59"},
    )
    answer = panel.get("admin", "telegram/get_logs.php?date=")
    assert answer["stats"] == {"total": 3, "sent": 2, "failed": 1}
    assert answer["available_dates"] == ["2026-11-22", "2026-11-21"]
    assert [row["message"] for row in answer["logs"]] == ["m", "private", "say \u201dhi\u201d <b>"]
    assert answer["logs"][0]["recipient_username"] == answer["logs"][0]["username"] == "bob"
    assert answer["logs"][0]["sent_at"] == "2026-11-22 11:00:00"
    rita = panel.get("rita", "telegram/get_logs.php?date=2026-11-22")
    assert (len(rita["logs"]), rita["stats"]["total"]) == (2, 2)
    assert panel.get("bob", "telegram/get_logs.php")["code"] == 3
    assert panel.get("admin", "telegram/get_logs.php?date=22-11-2026")["code"] == 6
    for query, count in {
        "status=failed": 1,
        "status=zzz": 3,
        "message_type=new_account": 1,
        "search=79:00:00:01": 1,
        "search=BOB": 2,
        "search=%25": 0,
        "page=99": 3,
        "page=-1": 3,
        "page=abc": 3,
    }.items():
        found = panel.get("admin", f"telegram/get_logs.php?date=2026-11-22&{query}")
        assert len(found["logs"]) == count, query
        assert found["stats"]["total"] == 3
        assert found["pagination"]["current_page"] == 1


def test_what_is_on_its_way_is_in_the_log_when_its_outcome_is_known(panel: Channels) -> None:
    add_logs(panel, {"status": "pending"}, {"status": "pending", "message": "of the PHP panel"})
    first = min(row["id"] for row in panel.rows(TelegramLog))
    claim = {"channel": "telegram", "name": "n", "row_id": first, "lease_until": 2**31 - 1, "claimed_at": 1}
    panel.world.insert(Claim, [{**claim, "owner": "far:1:1:x"}])
    for is_known in (False, True):
        if is_known:
            panel.world.execute(sa.update(Claim).values(owner=None, lease_until=0))
        answer = panel.get("admin", "telegram/get_logs.php?date=2026-11-22")
        assert (len(answer["logs"]), answer["stats"]["total"]) == (1 + is_known, 1 + is_known)
        assert panel.get("admin", "telegram/get_settings.php")["stats"]["total_sent"] == 1 + is_known


def test_markup_of_names_does_not_reach_the_page(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    panel.world.execute(sa.update(User).where(User.id == BOB).values(username="<b>"))
    add_logs(panel, {})
    assert panel.get("admin", "telegram/get_logs.php")["logs"][0]["username"] == "&lt;b&gt;"
    recipients = panel.get("admin", "telegram/get_settings.php")["recipients"]
    assert "&lt;b&gt;" in [item["username"] for item in recipients]


def test_whom_one_may_write_to(sqlite_panel: Channels) -> None:
    sqlite_panel.link(BOB, ADMIN)
    shown = sqlite_panel.get("admin", "telegram/get_settings.php")["recipients"]
    assert [(item["id"], item["user_type"], item["telegram_linked"]) for item in shown] == [
        (ADMIN, "Admin", 1),
        (BOB, "Reseller", 1),
        (RITA, "Reseller Admin", 0),
        (SAM, "Reseller", 0),
    ]
    assert "permissions" not in shown[0]
    shown = sqlite_panel.get("rita", "telegram/get_settings.php")["recipients"]
    assert [item["id"] for item in shown] == [BOB, RITA, SAM]
    sqlite_panel.world.execute(sa.update(User).where(User.id == ADMIN).values(is_observer=1))
    sqlite_panel.set_bot()
    answer = sqlite_panel.get("admin", "telegram/get_settings.php")
    assert (answer["bot_token"], answer["user"]["can_send_messages"], answer["recipients"]) == (MASK, False, [])
    assert sqlite_panel.post("admin", "telegram/update_settings", bot_token=TOKEN)["code"] == 3


def test_a_bot_with_markup_for_a_name(sqlite_panel: Channels) -> None:
    body = b'{"ok":true,"result":{"id":1,"username":"<b>","first_name":"x"}}'
    sqlite_panel.api.fail(Answer(Response(body, 200, "application/json")))
    assert sqlite_panel.post("admin", "telegram/verify_bot", bot_token=TOKEN)["code"] == 8


# sending


@pytest.mark.parametrize("ids", ['["7","5"]', "[7,5]", "7,5", "7, x, 5, 7"])
def test_5_a_message_to_users(sqlite_panel: Channels, ids: str) -> None:
    _sends(sqlite_panel, ids)


def test_5_a_message_to_users_in_each_database(panel: Channels) -> None:
    _sends(panel, "7,5")


def _sends(panel: Channels, ids: str) -> None:
    panel.set_bot()
    panel.link(BOB, RITA)
    answer = panel.post("admin", "telegram/send_message", message="Hello", recipient_ids=ids)
    assert answer == {
        "error": 0,
        "err_msg": "",
        "message": "Message sent to 2 of 2",
        "results": {"total": 2, "sent": 2, "failed": 0, "errors": []},
    }
    assert panel.api.counts == {CHATS[BOB]: 1, CHATS[RITA]: 1}
    logs = panel.telegram_logs
    assert [(row["status"], row["message_type"], row["message"]) for row in logs] == [("sent", "manual", "Hello")] * 2
    assert {row["user_id"] for row in logs} == {BOB, RITA}
    assert all(row["telegram_message_id"] for row in logs)
    [audit] = panel.audits
    assert (audit["action"], audit["target_type"]) == ("send", "telegram")
    assert "sent: 2" in audit["details"]


def test_5_lists_in_json_and_forms(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    panel.set_bot()
    panel.link(BOB, RITA)
    for ids in ([7, 5], ["7", "5", None, True]):
        answer = panel.post("admin", "telegram/send_message", "json", message=f"Hello {ids}", recipient_ids=ids)
        assert answer["results"]["sent"] == 2
    client = panel.world.php_login("admin")
    data = [("message", "Form"), ("recipient_ids[]", "7"), ("recipient_ids[]", "5")]
    answer = client.request("POST", "/telegram/send_message.php", data=data).json()
    assert answer["results"]["sent"] == 2


def test_5_who_may_send_to_whom(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    send = "telegram/send_message"
    assert panel.post("admin", send, message="x", recipient_ids="7")["code"] == 1
    panel.set_bot()
    panel.link(ADMIN, BOB)
    assert panel.post("rita", send, message="x", recipient_ids="[1]")["code"] == 4
    assert panel.post("rita", send, message="x", recipient_ids="[7,1]")["results"]["total"] == 1
    for who in ("bob", "obs"):
        assert panel.post(who, send, message="x", recipient_ids="7")["code"] == 3
    assert panel.post("admin", send, message="x", recipient_ids="8")["code"] == 4
    for fields in ({"message": " "}, {"message": "x"}, {"message": "x", "recipient_ids": "x,y"}):
        assert panel.post("admin", send, **{"recipient_ids": "", **fields})["code"] == 6, fields
    for text in ("x" * 4097, "\N{GRINNING FACE}" * 2049):
        assert panel.post("admin", send, message=text, recipient_ids="7")["code"] == 6
    assert panel.post("admin", send, message=f" {'x' * 4096} ", recipient_ids="7")["error"] == 0
    assert panel.api.counts == {CHATS[BOB]: 2}


def test_5_a_lone_mark_goes_out_as_plain_text(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    panel.set_bot()
    panel.link(BOB)
    assert panel.post("admin", "telegram/send_message", message="a_b", recipient_ids="7")["error"] == 0
    assert [(item.text, item.parse_mode) for item in panel.api.messages] == [("a_b", None)]
    assert panel.telegram_logs[0]["status"] == "sent"


def test_5_failures_are_told_by_name(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    panel.set_bot()
    panel.link(BOB, RITA)
    panel.api.block(CHATS[BOB])
    answer = panel.post("admin", "telegram/send_message", message="x", recipient_ids="7,5")
    assert answer["results"] == {
        "total": 2,
        "sent": 1,
        "failed": 1,
        "errors": [{"user": "bob", "error": "bot was blocked by the user"}],
    }
    assert [row["status"] for row in panel.telegram_logs] == ["failed", "sent"]
    panel.api.stop_listening()
    answer = panel.post("admin", "telegram/send_message", message="y", recipient_ids="7,5")
    assert (answer["error"], answer["code"], answer["results"]["failed"]) == (1, 8, 2)
    assert SECRET not in str(answer) + str(panel.telegram_logs)


@pytest.mark.every_kind
def test_a_chat_that_moves_is_followed_for_all_who_share_it(panel: Channels) -> None:
    panel.set_bot()
    panel.link(BOB)
    panel.world.execute(sa.update(User).where(User.id.in_((BOB, SAM))).values(telegram_chat_id=-5))
    panel.api.move(-5, -1005)
    assert panel.post("admin", "telegram/send_message", message="x", recipient_ids="7")["error"] == 0
    assert (panel.chats[BOB], panel.chats[SAM]) == (-1005, -1005)
    assert [row["chat_id"] for row in panel.telegram_logs] == [-1005]


def test_what_takes_long_goes_on_in_the_background(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    panel.set_bot()
    panel.link(BOB, RITA)
    jobs = panel.panel.config.jobs.model_copy(update={"wait_seconds": 0})
    panel.panel.config = panel.panel.config.model_copy(update={"jobs": jobs})
    panel.api.fail(Delay(0.5), "POST sendMessage")
    answer = panel.post("admin", "telegram/send_message", message="x", recipient_ids="7,5")
    assert (answer["error"], answer["results"]["pending"]) == (0, 2)
    assert answer["job_id"]
    until(lambda: len(panel.telegram_logs) == 2, "the messages")
    until(lambda: panel.audits, "the job's end")
