"""Mail settings, templates and the log over HTTP: golden cases of contract chapter 80."""

import logging
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.messages.mail import settings_edit, smtp
from core.security.quota import Quota
from core.storage.tables import MailLog, MailSettings, MailTemplate, User
from core.storage.tables.secret_columns import MAIL
from simulators.telegram import BotApi
from tests.conftest import MakeWorld
from tests.worlds.certificates import make_certificate
from tests.worlds.channels import ADMIN, BOB, RITA, Channels, channels_world
from tests.worlds.harness import ENCODINGS, NOT_LOGGED_IN, PREFIXES
from tests.worlds.mail_server import PASSWORD, USER, MailServer

SECOND_ADMIN = 20
at = datetime.fromisoformat


@pytest.fixture(scope="module")
def _outside() -> Iterator[tuple[BotApi, MailServer]]:
    with BotApi() as api, MailServer() as mail:
        yield api, mail


@pytest.fixture
def panel(make_world: MakeWorld, kind: str, _outside: tuple[BotApi, MailServer]) -> Iterator[Channels]:
    _outside[1].forget()
    with channels_world(make_world, kind, *_outside) as channels:
        yield channels


@pytest.fixture
def sqlite_panel(make_world: MakeWorld, _outside: tuple[BotApi, MailServer]) -> Iterator[Channels]:
    _outside[1].forget()
    with channels_world(make_world, "sqlite", *_outside) as channels:
        yield channels


# who may call what: error code of super admin, reseller admin, reseller, observer, super admin who observes, nobody
MATRIX = {
    ("GET", "get_mail_settings"): (0, 3, 3, 3, 0, 2),
    ("POST", "update_mail_settings"): (0, 3, 3, 3, 3, 2),
    ("POST", "test_mail_connection"): (6, 3, 3, 3, 3, 2),
    ("GET", "get_mail_logs"): (0, 3, 3, 3, 0, 2),
    ("GET", "get_mail_template"): (6, 3, 3, 3, 6, 2),
    ("POST", "save_mail_template"): (6, 3, 3, 3, 3, 2),
    ("POST", "delete_mail_template"): (6, 3, 3, 3, 3, 2),
}


@pytest.mark.parametrize(("call", "codes"), MATRIX.items(), ids=[name for _, name in MATRIX])
def test_1_who_may_call_what(sqlite_panel: Channels, call: tuple[str, str], codes: tuple[int, ...]) -> None:
    panel, (method, name) = sqlite_panel, call
    for who, code in zip(("admin", "rita", "bob", "obs", "admin", None), codes, strict=True):
        client = panel.world.client() if who is None else panel.world.php_login(who)
        response = client.request(method, f"/api/{name}.php")
        answer = response.json()
        assert (response.status_code, answer["error"], answer.get("code", 0)) == (200, int(code != 0), code), who
        if who == "obs":
            panel.world.execute(sa.update(User).where(User.id == ADMIN).values(is_observer=1))
    assert answer == NOT_LOGGED_IN
    wrong = panel.world.client().request("PUT", f"/api/{name}.php")
    assert (wrong.status_code, wrong.json()["error"]) == (405, 1)


def test_2_without_a_row(panel: Channels) -> None:
    assert panel.get("admin", "get_mail_settings.php") == {
        "error": 0,
        "settings": {
            "id": None,
            "user_id": ADMIN,
            "smtp_host": "localhost",
            "smtp_port": 587,
            "smtp_secure": "tls",
            "smtp_username": "",
            "smtp_password": "",
            "smtp_password_set": False,
            "from_email": "",
            "from_name": "ShowBox Billing",
            "auto_send_new_account": 1,
            "auto_send_renewal": 1,
            "auto_send_expiry": 1,
            "notify_admin": 1,
            "notify_reseller": 1,
            "days_before_expiry": 7,
            "enable_multistage_reminders": 1,
            "created_at": None,
            "updated_at": None,
            "using_admin_templates": False,
        },
        "templates": [],
        "stats": {"total": 0, "sent": 0, "failed": 0, "pending": 0},
    }


FIRST = {
    "smtp_host": "mail.example.com",
    "smtp_port": "465",
    "smtp_secure": "ssl",
    "smtp_username": "info@example.com",
    "smtp_password": "s3cret-of-mail",
    "from_email": "",
    "from_name": "ShowBox",
    "auto_send_new_account": 1,
    "auto_send_renewal": 0,
    "auto_send_expiry": 1,
    "notify_admin": 1,
    "notify_reseller": 0,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_3_4_settings_are_stored(sqlite_panel: Channels, prefix: str, encoding: str) -> None:
    _stores_settings(sqlite_panel, prefix, encoding)


@pytest.mark.every_kind
def test_3_4_settings_are_stored_in_each_database(panel: Channels) -> None:
    _stores_settings(panel, "/api/", "json")


def _stores_settings(panel: Channels, prefix: str, encoding: str) -> None:
    client = panel.world.php_login("admin")
    post = f"{prefix}update_mail_settings.php"
    answer = client.post(post, FIRST, encoding)
    assert answer.json()["error"] == 0
    assert "s3cret" not in answer.text
    shown = client.get(f"{prefix}get_mail_settings.php")
    settings = shown.json()["settings"]
    assert "s3cret" not in shown.text
    assert (settings["smtp_port"], settings["smtp_password_set"], settings["auto_send_renewal"]) == (465, True, 0)
    assert (settings["smtp_secure"], settings["notify_reseller"], settings["from_email"]) == ("ssl", 0, "")
    [row] = panel.rows(MailSettings)
    assert "s3cret" not in row["smtp_password"]
    assert panel.panel.sealer.unsealed(row["smtp_password"], MAIL.place(row)) == "s3cret-of-mail"
    assert len(shown.json()["templates"]) == 4

    panel.world.execute(sa.update(MailSettings).values(days_before_expiry=5, enable_multistage_reminders=0))
    assert client.post(post, {**FIRST, "smtp_password": ""}, encoding).json()["error"] == 0
    [again] = panel.rows(MailSettings)
    assert again["smtp_password"] == row["smtp_password"]
    assert (again["days_before_expiry"], again["enable_multistage_reminders"]) == (5, 0)
    assert "s3cret" not in str(panel.audits)
    assert row["smtp_password"] not in str(panel.audits)
    assert [item["details"] for item in panel.audits if item["target_name"] == "mail"] == [
        "Mail settings changed, with the password",
        "Mail settings changed",
    ]


# stored port and encryption, what is sent, what is stored then
PORTS: dict[str, tuple[tuple[int, str], dict[str, Any], tuple[int, str]]] = {
    "a port that is none": ((465, "ssl"), {"smtp_port": "99999", "smtp_secure": "tls"}, (465, "ssl")),
    "an empty port": ((25, "none"), {"smtp_port": "", "smtp_secure": "tls"}, (25, "none")),
    "text": ((465, "ssl"), {"smtp_port": "abc"}, (465, "ssl")),
    "an unknown word": ((465, "ssl"), {"smtp_port": "587", "smtp_secure": "foo"}, (587, "tls")),
    "25 keeps none": ((25, "none"), {"smtp_port": 25, "smtp_secure": "tls"}, (25, "none")),
    "25 of another port": ((587, "none"), {"smtp_port": 25, "smtp_secure": "tls"}, (25, "tls")),
    "nothing sent": ((2525, "none"), {}, (2525, "none")),
}


@pytest.mark.parametrize(("stored", "sent", "expected"), PORTS.values(), ids=PORTS)
def test_5_ports_and_encryption(
    sqlite_panel: Channels, stored: tuple[int, str], sent: dict[str, Any], expected: tuple[int, str]
) -> None:
    sqlite_panel.set_mail(smtp_port=stored[0], smtp_secure=stored[1])
    # another port is another server, which gets no password that was entered for this one
    fields = {**sent, "smtp_password": "another"}
    assert sqlite_panel.post("admin", "update_mail_settings", "json", **fields)["error"] == 0
    [row] = sqlite_panel.rows(MailSettings)
    assert (row["smtp_port"], row["smtp_secure"]) == expected
    assert row["smtp_host"] == "127.0.0.1"


BAD: dict[str, dict[str, Any]] = {
    "host with a blank": {"smtp_host": "mail example"},
    "host with a path": {"smtp_host": "mail.example.com/x"},
    "long host": {"smtp_host": "x" * 256},
    "from address": {"from_email": "foo"},
    "long from name": {"from_name": "x" * 256},
    "long password": {"smtp_password": "x" * 129},
    "long user name": {"smtp_username": "x" * 256},
}


@pytest.mark.parametrize("fields", BAD.values(), ids=BAD)
def test_settings_that_could_never_work(sqlite_panel: Channels, fields: dict[str, Any]) -> None:
    answer = sqlite_panel.post("admin", "update_mail_settings", "json", **fields)
    assert (answer["error"], answer["code"]) == (1, 6)
    assert next(iter(fields)) in answer["message"]
    assert sqlite_panel.rows(MailSettings) == []


def test_fields_that_are_cleared_and_kept(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    panel.set_mail(from_email="a@example.com", days_before_expiry=3)
    fields = {"from_email": "", "from_name": " ", "smtp_host": " ", "days_before_expiry": 99, "notify_admin": False}
    assert panel.post("admin", "update_mail_settings", "json", **fields)["error"] == 0
    [row] = panel.rows(MailSettings)
    assert (row["from_email"], row["from_name"], row["smtp_host"]) == ("", "ShowBox Billing", "127.0.0.1")
    assert (row["days_before_expiry"], row["notify_admin"], row["notify_reseller"]) == (7, 0, 1)
    idn = panel.post("admin", "update_mail_settings", "json", from_email="info@b\u00fccher.example")
    assert idn["error"] == 0
    assert panel.post("admin", "update_mail_settings", "json", from_email="b\u00fc@example.com")["code"] == 6


# trying a mail server


def server(panel: Channels, **changes: Any) -> dict[str, Any]:
    fields = {"smtp_host": "127.0.0.1", "smtp_port": str(panel.mail.port), "smtp_secure": "none"}
    return {**fields, "smtp_username": USER, "smtp_password": PASSWORD, **changes}


def test_6_trying_the_mail_server(panel: Channels, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    post = "test_mail_connection"
    assert panel.post("admin", post, "json", **server(panel))["error"] == 0
    assert panel.mail.logins == ["PLAIN"]
    assert panel.post("admin", post, "json", **server(panel, smtp_password=""))["code"] == 6
    panel.set_mail()
    assert panel.post("admin", post, "json", **server(panel, smtp_password=""))["error"] == 0
    sessions = panel.mail.sessions
    for other in ({"smtp_host": "localhost"}, {"smtp_username": "x@example.com"}, {"smtp_port": "1"}):
        answer = panel.post("admin", post, "json", **server(panel, smtp_password="", **other))
        assert (answer["error"], answer["code"]) == (1, 6), other
    assert panel.mail.sessions == sessions
    wrong = panel.post("admin", post, "json", **server(panel, smtp_password="wrong-password"))
    assert (wrong["error"], wrong["code"], wrong["message"]) == (1, 8, "The mail server refused the login")
    assert panel.post("admin", post, "json", **server(panel, smtp_username=" "))["code"] == 6
    assert panel.mail_logs == []
    for secret in ("wrong-password", PASSWORD):
        assert secret not in caplog.text
    assert panel.mail.received == []


def test_the_stored_password_never_goes_out_less_protected(sqlite_panel: Channels) -> None:
    sqlite_panel.set_mail(smtp_secure="tls")
    answer = sqlite_panel.post(
        "admin", "test_mail_connection", "json", **server(sqlite_panel, smtp_password="", smtp_secure="none")
    )
    assert (answer["code"], sqlite_panel.mail.sessions) == (6, 0)


def test_a_user_tries_mail_servers_ten_times_a_minute(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    with panel.panel.lend(settings_edit.make_tests, Quota("few", 2, 60, panel.panel.counters)):
        for _ in range(2):
            assert panel.post("admin", "test_mail_connection", "json", **server(panel))["error"] == 0
        client = panel.world.php_login("admin")
        refused = client.post("/api/test_mail_connection.php", server(panel), "json")
        assert (refused.status_code, refused.json()["error"]) == (429, 1)
    assert panel.mail.sessions == 2


def test_encryption_that_does_not_fit_is_told_in_plain_words(
    sqlite_panel: Channels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, certificate = sqlite_panel, make_certificate(tmp_path)
    monkeypatch.setattr(smtp, "CONNECT_SECONDS", 1.0)
    with (
        MailServer(certificate=certificate, implicit=True) as implicit,
        MailServer(certificate=certificate) as start_tls,
    ):
        for port, secure, words in (
            (implicit.port, "tls", "cannot be reached"),
            (start_tls.port, "ssl", "ssl usually belongs to port 465"),
            (start_tls.port, "none", "choose tls"),
            (start_tls.port, "tls", "certificate"),
            (implicit.port, "ssl", "certificate"),
            (panel.mail.port, "tls", "No encrypted connection"),
        ):
            fields = server(panel, smtp_port=str(port), smtp_secure=secure)
            answer = panel.post("admin", "test_mail_connection", "json", **fields)
            assert (answer["error"], answer["code"]) == (1, 8)
            assert words in answer["message"], (port, secure, answer["message"])
        assert start_tls.logins == implicit.logins == panel.mail.logins == []


# templates


def second_admin(panel: Channels) -> str:
    row = {"id": SECOND_ADMIN, "username": "second", "password": "x", "super_user": 1}
    panel.world.insert(User, [row])
    return "second"


@pytest.mark.every_kind
def test_templates_1_create_read_change(panel: Channels) -> None:
    fields = {"template_id": None, "name": "Promo", "subject": "S", "body_html": " <p>x</p>", "description": ""}
    made = panel.post("admin", "save_mail_template", "json", **fields, is_active=1)
    assert made["error"] == 0
    assert isinstance(made["template_id"], int)
    number = made["template_id"]
    assert panel.get("admin", f"get_mail_template.php?id={number}") == {
        "error": 0,
        "template": {
            "id": number,
            "user_id": ADMIN,
            "name": "Promo",
            "subject": "S",
            "body_html": " <p>x</p>",
            "body_plain": "",
            "description": "",
            "is_active": 1,
            "created_at": "2026-11-22 10:30:00",
            "updated_at": "2026-11-22 10:30:00",
        },
    }
    change = {**fields, "template_id": str(number), "body_plain": "plain"}
    assert panel.post("admin", "save_mail_template", "json", **change)["template_id"] == number
    again = panel.post(second_admin(panel), "save_mail_template", "json", **{**change, "subject": "T"})
    assert again["template_id"] == number
    [row] = panel.rows(MailTemplate)
    assert (row["subject"], row["body_plain"], row["user_id"]) == ("T", "plain", ADMIN)
    kept = panel.post("admin", "save_mail_template", "json", **fields | {"template_id": number})
    assert kept["error"] == 0
    assert panel.rows(MailTemplate)[0]["body_plain"] == "plain"


BAD_TEMPLATES: dict[str, dict[str, Any]] = {
    "no name": {"name": ""},
    "handler": {"name": "x');alert(1)//"},
    "markup": {"name": "<b>"},
    "backquote": {"name": "a`b"},
    "backslash": {"name": "a\\b"},
    "control": {"name": "a\x01b"},
    "long name": {"name": "x" * 101},
    "no subject": {"subject": " "},
    "two lines": {"subject": "a\nBcc: x@example.com"},
    "no body": {"body_html": " "},
    "long body": {"body_html": "\u0633" * 30_001},
    "long plain": {"body_plain": "x" * 60_001},
    "long description": {"description": "x" * 256},
    "id": {"template_id": "abc"},
}


@pytest.mark.parametrize("changes", BAD_TEMPLATES.values(), ids=BAD_TEMPLATES)
def test_templates_2_bad_ones(sqlite_panel: Channels, changes: dict[str, Any]) -> None:
    fields = {"name": "Promo", "subject": "S", "body_html": "x"} | changes
    answer = sqlite_panel.post("admin", "save_mail_template", "json", **fields)
    assert (answer["error"], answer["code"]) == (1, 6)
    assert sqlite_panel.rows(MailTemplate) == []


@pytest.mark.every_kind
def test_templates_2_deleting(panel: Channels) -> None:
    made = panel.post("admin", "save_mail_template", name="Promo", subject="Old subject", body_html="x")
    number = made["template_id"]
    assert panel.get("admin", "get_mail_template.php")["code"] == 6
    assert panel.get("admin", "get_mail_template.php?id=0")["code"] == 6
    assert panel.get("admin", "get_mail_template.php?id=999999")["code"] == 4
    assert (
        panel.post("admin", "save_mail_template", template_id=999999, name="a", subject="b", body_html="c")["code"] == 4
    )
    deleted = panel.post("admin", "delete_mail_template", template_id=number)
    assert (deleted["error"], "Promo" in deleted["message"]) == (0, True)
    assert panel.post("admin", "delete_mail_template", template_id=number)["code"] == 4
    assert panel.post("admin", "delete_mail_template")["code"] == 6
    [row] = [row for row in panel.audits if row["action"] == "delete"]
    assert "Old subject" in row["old_value"]


def test_an_automatic_template_that_is_renamed_or_switched_off(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    fields: dict[str, Any] = {"name": "Renewal Confirmation", "subject": "S", "body_html": "x"}
    made = panel.post("admin", "save_mail_template", **fields)
    assert "warning" not in made
    fields["template_id"] = made["template_id"]
    off = panel.post("admin", "save_mail_template", **fields, is_active=0)
    assert (off["error"], off["warning"]) == (0, 1)
    assert "Renewal Confirmation" in off["warning_text"]
    assert "warning" not in panel.post("admin", "save_mail_template", **fields, is_active=1)
    renamed = panel.post("admin", "save_mail_template", **{**fields, "name": "Renewal"})
    assert (renamed["warning"], "no longer" in renamed["message"]) == (1, True)


def test_names_of_old_templates_do_not_break_the_page(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    row = {"user_id": RITA, "name": "a", "subject": "s", "body_html": "x"}
    panel.world.insert(MailTemplate, [row | {"user_id": ADMIN, "name": "<b>\"x'\\\u2028y"}])
    shown = panel.get("admin", "get_mail_settings.php")
    assert [item["name"] for item in shown["templates"]] == ["\u2039b\u203a\u201dx\u2019/ y"]
    assert shown["settings"]["using_admin_templates"] is False
    other = panel.get(second_admin(panel), "get_mail_settings.php")
    assert (len(other["templates"]), other["settings"]["using_admin_templates"]) == (1, True)


def test_first_templates_come_once_and_never_again(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    assert panel.post("admin", "update_mail_settings", "json", **FIRST)["error"] == 0
    shown = panel.get("admin", "get_mail_settings.php")["templates"]
    assert [item["name"] for item in shown] == [
        "Account Expired",
        "Expiry Reminder",
        "New Account Welcome",
        "Renewal Confirmation",
    ]
    assert "{password}" not in str(panel.rows(MailTemplate))
    for item in shown:
        assert panel.post("admin", "delete_mail_template", template_id=item["id"])["error"] == 0
    assert panel.post("admin", "update_mail_settings", "json", **FIRST)["error"] == 0
    assert panel.rows(MailTemplate) == []


# the log


def add_logs(panel: Channels, *rows: dict[str, Any]) -> None:
    base = {
        "recipient_email": "c@example.com",
        "recipient_name": "Test Customer",
        "subject": "S",
        "body": "secret body",
        "message_type": "manual",
        "sent_by": BOB,
        "status": "sent",
        "cc_emails": '["admin@example.com"]',
        "created_at": at("2026-11-22T10:30"),
    }
    for row in rows:
        panel.world.insert(MailLog, [base | row])


@pytest.mark.every_kind
def test_logs_3(panel: Channels) -> None:
    empty = panel.get("admin", "get_mail_logs.php?date=2026-11-22&page=1&limit=5")
    assert empty == {
        "error": 0,
        "logs": [],
        "pagination": {"total": 0, "page": 1, "limit": 10, "pages": 0},
        "total": 0,
        "page": 1,
        "pages": 0,
    }
    add_logs(
        panel,
        {"subject": 'a"b<c', "error_message": 'x"', "status": "failed"},
        {"sent_by": 0, "recipient_name": "100% sure", "cc_emails": None},
        {"sent_by": 4711, "created_at": at("2026-11-22T11:05")},
        {"created_at": at("2026-11-21T23:59")},
    )
    answer = panel.get("admin", "get_mail_logs.php?date=2026-11-22&status=zzz&type=zzz")
    assert "secret body" not in str(answer)
    first, system, bob = answer["logs"]
    assert (first["time"], first["sent_by"]) == ("11:05", "Unknown")
    assert (system["sent_by"], system["cc_emails"]) == ("System", [])
    assert {name: bob[name] for name in bob if name != "id"} == {
        "recipient_email": "c@example.com",
        "recipient_name": "Test Customer",
        "cc_emails": ["admin@example.com"],
        "subject": "a\u201db<c",
        "message_type": "manual",
        "status": "failed",
        "error_message": "x\u201d",
        "created_at": "2026-11-22 10:30:00",
        "sent_by_username": "bob",
        "sent_by_name": "Bob",
        "time": "10:30",
        "sent_by": "Bob",
    }
    assert answer["pagination"]["total"] == answer["total"] == 3
    for query, count in {
        "status=failed": 1,
        "type=renewal": 0,
        "search=100%25": 1,
        "search=TEST": 2,
        "search=_": 0,
    }.items():
        found = panel.get("admin", f"get_mail_logs.php?date=2026-11-22&{query}")
        assert len(found["logs"]) == count, query
    assert panel.get("admin", "get_mail_logs.php?date=22-11-2026")["code"] == 6
    assert panel.get("admin", "get_mail_logs.php")["total"] == 3
    assert panel.get("admin", "get_mail_settings.php")["stats"] == {"total": 4, "sent": 3, "failed": 1, "pending": 0}


def test_a_page_beyond_the_last_is_the_last(sqlite_panel: Channels) -> None:
    add_logs(sqlite_panel, *({"subject": f"S{number}"} for number in range(1, 31)))
    answer = sqlite_panel.get("admin", "get_mail_logs.php?date=2026-11-22&limit=25&page=3")
    assert [row["subject"] for row in answer["logs"]] == ["S5", "S4", "S3", "S2", "S1"]
    assert (answer["page"], answer["pages"], answer["pagination"]["page"]) == (2, 2, 2)
