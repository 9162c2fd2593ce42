"""Sending mail by hand over HTTP: golden cases "Sending" of contract chapter 80."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from core.messages.mail import send
from core.storage.tables import Account, Plan
from simulators.telegram import BotApi
from tests.conftest import MakeWorld
from tests.worlds import mail_server
from tests.worlds.channels import ADMIN, BOB, Channels, channels_world
from tests.worlds.harness import ENCODINGS, PREFIXES
from tests.worlds.mail_server import PASSWORD, MailServer
from tests.worlds.waiting import until

MANUAL = {"mode": "manual", "email": "c@example.com", "recipient_name": "", "subject": "Hi"}


@pytest.fixture(scope="module")
def _outside() -> Iterator[tuple[BotApi, MailServer]]:
    with BotApi() as api, MailServer() as mail:
        yield api, mail


@pytest.fixture
def panel(make_world: MakeWorld, kind: str, _outside: tuple[BotApi, MailServer]) -> Iterator[Channels]:
    _outside[1].forget()
    with channels_world(make_world, kind, *_outside) as channels:
        yield _prepared(channels)


@pytest.fixture
def sqlite_panel(make_world: MakeWorld, _outside: tuple[BotApi, MailServer]) -> Iterator[Channels]:
    _outside[1].forget()
    with channels_world(make_world, "sqlite", *_outside) as channels:
        yield _prepared(channels)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send, "_PAUSE_SECONDS", 0.0)


def _prepared(panel: Channels) -> Channels:
    row = {"reseller": BOB, "status": 1, "end_date": date(2026, 12, 1), "plan": 3}
    panel.world.insert(Plan, [{"id": 3, "external_id": "3", "name": "Year", "currency_id": "GBP", "price": 80}])
    panel.world.insert(
        Account,
        [
            row | {"id": number, "username": f"u{number}", "mac": f"M{number}", "email": email, "full_name": name}
            for number, email, name in (
                (501, "a@example.com", "Ann"),
                (502, " b@example.com", "<b>x"),
                (503, None, "No Mail"),
                (504, "not an address", "Bad Mail"),
            )
        ],
    )
    return panel


def statuses(panel: Channels) -> list[tuple[str, str, int | None]]:
    return [(row["status"], row["message_type"], row["account_id"]) for row in panel.mail_logs]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_1_one_mail(sqlite_panel: Channels, prefix: str, encoding: str) -> None:
    panel = sqlite_panel
    panel.set_mail()
    client = panel.world.php_login("admin")
    answer = client.post(f"{prefix}send_mail.php", {**MANUAL, "message": "line1\nline2 <3"}, encoding).json()
    assert answer["error"] == 0
    assert (answer["sent_count"], answer["failed_count"], "errors" in answer) == (1, 0, False)
    assert statuses(panel) == [("sent", "manual", None)]
    [received] = panel.mail.received
    assert received.html.strip().splitlines() == ["line1", "line2 <3"]
    answer = client.post(f"{prefix}send_mail.php", {**MANUAL, "message": "line1\nline2"}, encoding).json()
    assert answer["error"] == 0
    assert panel.mail.received[1].html.strip() == '<div dir="rtl">line1<br>line2</div>'
    assert panel.mail.received[1].plain.strip().splitlines() == ["line1", "line2"]
    assert panel.mail_logs[0]["sent_by"] == ADMIN
    assert [row["action"] for row in panel.audits] == ["send", "send"]


def test_1_one_mail_in_each_database(panel: Channels) -> None:
    panel.set_mail()
    assert (
        panel.post("admin", "send_mail", "json", **MANUAL, message="\u0633\u0644\u0627\u0645 \N{GRINNING FACE}")[
            "error"
        ]
        == 0
    )
    assert statuses(panel) == [("sent", "manual", None)]
    assert "\N{GRINNING FACE}" in panel.mail.received[0].html


def test_2_the_bundled_documents_form(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    panel.set_mail()
    fields = {"to": "c@example.com", "name": "C", "subject": "Hi", "body": "x", "type": "manual"}
    answer = panel.post("admin", "send_mail", "json", **fields)
    assert (answer["error"], answer["sent_count"]) == (0, 1)
    assert panel.mail.received[0].message["To"] == "C <c@example.com>"


def test_3_failures(panel: Channels) -> None:
    answer = panel.post("admin", "send_mail", "json", **MANUAL, message="x")
    assert (answer["error"], answer["code"], answer["sent_count"], answer["failed_count"]) == (1, 8, 0, 1)
    assert "not configured" in answer["message"]
    panel.set_mail()
    panel.mail.on_data = mail_server.refuse
    answer = panel.post("admin", "send_mail", "json", **MANUAL, message="y")
    assert (answer["error"], answer["failed_count"]) == (1, 1)
    assert answer["errors"] == ["c@example.com: The mail server refused the mail"]
    assert "secret-host" not in str(answer) + str(panel.mail_logs)
    assert [row["status"] for row in panel.mail_logs] == ["failed", "failed"]
    assert "not configured" in panel.mail_logs[0]["error_message"]


def test_a_row_without_password_counts_for_nothing(sqlite_panel: Channels) -> None:
    sqlite_panel.set_mail(smtp_password="")
    assert sqlite_panel.post("admin", "send_mail", "json", **MANUAL, message="x")["code"] == 8
    assert sqlite_panel.mail.sessions == 0


@pytest.mark.every_kind
def test_4_to_accounts(panel: Channels) -> None:
    panel.set_mail()
    fields: dict[str, Any] = {"mode": "accounts", "account_ids": ["501", "502", "503", "504", "501", "x"]}
    text = "{mac} until {expiry_date} {password}{plan_name} {unknown}"
    answer = panel.post("admin", "send_mail", "json", **fields, subject="For {name}", message=text)
    assert (answer["error"], answer["sent_count"], answer["failed_count"]) == (0, 2, 0)
    first, second = panel.mail.received
    assert (first.recipients, second.recipients) == (["a@example.com"], ["b@example.com"])
    assert first.html.strip() == '<div dir="rtl">M501 until 2026-12-01 Year {unknown}</div>'
    assert (first.message["Subject"], second.message["Subject"]) == ("For Ann", "For <b>x")
    assert second.message["Cc"] is None
    assert statuses(panel) == [("sent", "manual", 501), ("sent", "manual", 502)]
    assert panel.mail.sessions == 1
    # values are escaped where they stand in HTML, whatever the admin's text is
    answer = panel.post("admin", "send_mail", "json", **fields, subject="S", message="{name}")
    assert panel.mail.received[3].html.strip() == '<div dir="rtl">&lt;b&gt;x</div>'
    answer = panel.post("admin", "send_mail", "json", **fields, subject="S", message="<p>{name}</p>")
    assert panel.mail.received[5].html.strip() == "<p>&lt;b&gt;x</p>"


def test_4_failures_to_accounts_are_counted(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    panel.set_mail()
    panel.mail.refused.add("a@example.com")
    answer = panel.post("admin", "send_mail", "json", account_ids=[501, 502], subject="S", message="x")
    assert (answer["error"], answer["sent_count"], answer["failed_count"]) == (0, 1, 1)
    assert answer["errors"] == ["a@example.com: The mail server does not accept the recipient's address"]
    assert [row["status"] for row in panel.mail_logs] == ["failed", "sent"]


PERHAPS = "The mail server did not answer; the mail may have been delivered"
FAULTS = {
    "greylisted": (mail_server.greylist, "The mail server refused the mail"),
    "refused": (mail_server.refuse, "The mail server refused the mail"),
    "cut": (mail_server.lose_connection, PERHAPS),
    "hangs": (mail_server.hang, PERHAPS),
}


@pytest.mark.parametrize(("fault", "error"), FAULTS.values(), ids=FAULTS)
def test_faults_of_the_mail_server(
    sqlite_panel: Channels, monkeypatch: pytest.MonkeyPatch, fault: Any, error: str
) -> None:
    panel = sqlite_panel
    monkeypatch.setattr("core.messages.mail.smtp.TOTAL_SECONDS", 0.5)
    panel.set_mail()
    panel.mail.on_data = fault
    answer = panel.post("admin", "send_mail", "json", **MANUAL, message="x")
    assert (answer["error"], answer["code"], answer["errors"]) == (1, 8, [f"c@example.com: {error}"])
    assert [(row["status"], row["error_message"]) for row in panel.mail_logs] == [("failed", error)]
    assert len(panel.mail.received) == 1


def test_a_mail_server_that_is_down_is_given_up(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    panel.set_mail(smtp_port=9)
    panel.world.insert(
        Account,
        [{"id": n, "username": f"m{n}", "mac": f"X{n}", "email": f"m{n}@example.com", "status": 1} for n in (601, 602)],
    )
    answer = panel.post("admin", "send_mail", "json", account_ids=[501, 502, 601, 602], subject="S", message="x")
    assert (answer["error"], answer["failed_count"]) == (0, 4)
    assert answer["errors"][0] == "a@example.com: The mail server cannot be reached"
    assert answer["errors"][3] == "m602@example.com: Not tried: The mail server cannot be reached"


BAD: dict[str, tuple[dict[str, Any], int]] = {
    "no subject": ({**MANUAL, "subject": " ", "message": "x"}, 6),
    "no message": ({**MANUAL, "message": " \n"}, 6),
    "bad address": ({**MANUAL, "email": "foo", "message": "x"}, 6),
    "two addresses": ({**MANUAL, "email": "a@example.com, b@example.com", "message": "x"}, 6),
    "no accounts": ({"mode": "accounts", "account_ids": [], "subject": "s", "message": "x"}, 6),
    "accounts not sent": ({"mode": "accounts", "subject": "s", "message": "x"}, 6),
    "without addresses": ({"mode": "accounts", "account_ids": [503, 504, 999], "subject": "s", "message": "x"}, 4),
    "unknown mode": ({**MANUAL, "mode": "zzz", "message": "x"}, 6),
    "long subject": ({**MANUAL, "subject": "x" * 256, "message": "x"}, 6),
    "long message": ({**MANUAL, "message": "\u0633" * 30_001}, 6),
}


@pytest.mark.parametrize(("fields", "code"), BAD.values(), ids=BAD)
def test_5_bad_input(sqlite_panel: Channels, fields: dict[str, Any], code: int) -> None:
    sqlite_panel.set_mail()
    answer = sqlite_panel.post("admin", "send_mail", "json", **fields)
    assert (answer["error"], answer["code"]) == (1, code)
    assert (sqlite_panel.mail.received, sqlite_panel.mail_logs) == ([], [])


@pytest.mark.parametrize(("who", "code"), [("rita", 3), ("bob", 3), ("obs", 3), (None, 2)])
def test_5_who_may_send(sqlite_panel: Channels, who: str | None, code: int) -> None:
    assert sqlite_panel.post(who, "send_mail", "json", **MANUAL, message="x")["code"] == code


def test_6_a_subject_is_one_line(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    panel.set_mail()
    fields = {**MANUAL, "subject": "Hi\r\nBcc: x@example.com", "recipient_name": "C\r\nBcc: y@example.com"}
    assert panel.post("admin", "send_mail", "json", **fields, message="x")["error"] == 0
    [received] = panel.mail.received
    assert (received.recipients, received.message["Bcc"]) == (["c@example.com"], None)
    assert received.message["Subject"] == "Hi Bcc: x@example.com"


def test_a_long_persian_subject_is_encoded_whole(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    panel.set_mail()
    subject = "\u0633\u0644\u0627\u0645 \u062f\u0648\u0633\u062a " * 9
    assert panel.post("admin", "send_mail", "json", **{**MANUAL, "subject": subject}, message="x")["error"] == 0
    assert panel.mail.received[0].message["Subject"] == subject.strip()


def test_an_international_domain_becomes_punycode(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    panel.set_mail()
    assert (
        panel.post("admin", "send_mail", "json", **{**MANUAL, "email": "c@b\u00fccher.example"}, message="x")["error"]
        == 0
    )
    assert panel.mail.received[0].recipients == ["c@xn--bcher-kva.example"]
    assert (
        panel.post("admin", "send_mail", "json", **{**MANUAL, "email": "\u00fc@example.com"}, message="x")["code"] == 6
    )


def test_what_takes_long_goes_on_in_the_background(sqlite_panel: Channels) -> None:
    panel = sqlite_panel
    panel.set_mail()
    jobs = panel.panel.config.jobs.model_copy(update={"wait_seconds": 0})
    panel.panel.config = panel.panel.config.model_copy(update={"jobs": jobs})
    answer = panel.post("admin", "send_mail", "json", account_ids=[501, 502], subject="S", message="x")
    assert answer["error"] == 0
    assert answer["sent_count"] + answer["pending_count"] == 2
    assert answer["job_id"]
    assert len(panel.mail_logs) == 2
    until(lambda: len(panel.mail.received) == 2, "the mails")
    until(lambda: panel.audits, "the job's end")
    assert [row["status"] for row in panel.mail_logs] == ["sent", "sent"]
    assert PASSWORD not in str(panel.mail_logs)
