"""Job J6, mail before and after the end: golden case 4 of contract chapter 80's cron, S6 and J6 of chapter 60."""

import datetime
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.jobs.claims import INTERRUPTED
from core.messages.mail import smtp, sweep
from core.messages.mail.outbox import copies
from core.panel import APPLICATION_KEY_FILE as FILE
from core.storage.tables import Account, Claim, MailLog, MailReminderTracking, MailSettings, MailTemplate, User
from tests.conftest import MakeWorld
from tests.worlds import mail_server
from tests.worlds.certificates import make_certificate
from tests.worlds.mail_server import PASSWORD, MailServer
from tests.worlds.notices import Notices, notices_world
from tests.worlds.reminders import MAC

ADMIN, RES1, STBRES = 1, 2, 4
NINE = datetime.datetime.fromisoformat("2025-11-22 09:00:00")


@pytest.fixture(scope="module")
def _server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def server(_server: MailServer) -> MailServer:
    _server.forget()
    return _server


def _prepared(panel: Notices) -> Notices:
    panel.world.execute(sa.update(Account).values(email=Account.username + "@customers.example.com"))
    panel.mail_templates(ADMIN, reminder="<p>{name}: {days}, {expiry_date}</p>", expired="<p>{name} ended {date}</p>")
    return panel


@pytest.fixture
def panel(make_world: MakeWorld, kind: str) -> Iterator[Notices]:
    with notices_world(make_world, kind) as notices:
        yield _prepared(notices)


@pytest.fixture
def sqlite_panel(make_world: MakeWorld) -> Iterator[Notices]:
    with notices_world(make_world, "sqlite") as notices:
        yield _prepared(notices)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "PAUSE_SECONDS", 0.0)


def _users(server: MailServer) -> list[str]:
    """Who got something, in order."""
    return [mail.recipients[0].partition("@")[0] for mail in server.received]


def _counts(text: str) -> tuple[int, ...]:
    """Processed, sent, already sent, failed."""
    names = ("Processed", "Sent", "Already sent", "Failed")
    return tuple(int(text.partition(f"] {name}: ")[2].split()[0]) for name in names)


def test_80_4_stages(panel: Notices, server: MailServer) -> None:
    panel.mail_settings(ADMIN, server.port)
    panel.change(13, status=1, end_date=datetime.date(2025, 11, 25))
    panel.change(15, status=0)
    code, text = panel.job("mail-expiry")
    assert code == 0
    assert _counts(text) == (5, 5, 0, 0)
    assert _users(server) == ["u7a", "u7b", "u7off", "u1", "uyest"]
    assert [mail.message["Subject"] for mail in server.received] == [
        "Ann Example 7",
        "Bob Example 7",
        "Off Example 3",
        "Customer 1",
        "Yes Example 0",
    ]
    assert server.received[0].html.strip() == "<p>Ann Example: 7, 2025-11-29</p>"
    assert server.received[0].plain.strip() == "Ann Example: 7, 2025-11-29"
    assert server.received[4].html.strip() == "<p>Yes Example ended 2025-11-21</p>"
    assert server.sessions == 1
    assert panel.tracked == [
        (11, 1, "2025-11-29"),
        (12, 1, "2025-11-29"),
        (13, 2, "2025-11-25"),
        (15, 4, "2025-11-21"),
        (17, 3, "2025-11-23"),
    ]
    assert {(row["status"], row["error_message"], row["message_type"]) for row in panel.logs} == {
        ("sent", None, "expiry_reminder")
    }
    assert [row["sent_by"] for row in panel.logs] == [STBRES, RES1, RES1, RES1, RES1]
    assert panel.logs[0]["recipient_email"] == "u7a@customers.example.com"
    assert (panel.logs[0]["created_at"], panel.logs[0]["cc_emails"]) == (NINE, "[]")
    assert "@" not in text

    code, text = panel.job("mail-expiry")
    assert (code, _counts(text)) == (0, (5, 0, 5, 0))
    # as a sync of the PHP panel leaves it
    for account_id in (11, 12, 13, 15, 17):
        panel.change(account_id, id=account_id + 100)
    assert _counts(panel.job("mail-expiry")[1]) == (5, 0, 5, 0)
    assert len(server.received) == 5


def test_a_renewed_account_is_reminded_anew(panel: Notices, server: MailServer) -> None:
    panel.mail_settings(ADMIN, server.port)
    panel.job("mail-expiry")
    panel.change(11, end_date=datetime.date(2025, 12, 2))
    panel.at("2025-11-25T09:00:00")
    server.forget()
    assert panel.job("mail-expiry")[0] == 0
    assert _users(server) == ["u7a"]
    assert (11, 1, "2025-12-02") in panel.tracked
    assert _counts(panel.job("mail-expiry")[1]) == (1, 0, 1, 0)
    # what is old goes, and what is about an account that was renewed since; an end date that moved back is no renewal
    panel.at("2025-11-26T09:00:00")
    panel.change(17, end_date=datetime.date(2025, 11, 20))
    panel.change(12, end_date=datetime.date(2026, 11, 29))
    panel.job("mail-expiry")
    told = [account for account, *_ in panel.tracked]
    assert 12 not in told
    assert 17 in told
    panel.at("2025-12-27T09:00:00")
    panel.job("mail-expiry")
    assert panel.tracked == []


def test_whose_settings_and_templates(panel: Notices, server: MailServer) -> None:
    """The owner's own row with all its switches, else the first super admin's; the owner gets a copy, admins none."""
    panel.world.execute(sa.update(User).values(email=User.username + "@panel.example.com"))
    assert _counts(panel.job("mail-expiry")[1]) == (0, 0, 0, 0)
    # without a user name a row counts for nothing
    panel.mail_settings(RES1, 1, smtp_username=" ")
    panel.mail_settings(ADMIN, server.port, notify_reseller=1)
    panel.mail_templates(STBRES, reminder="<b>own</b> {name}")
    panel.world.execute(sa.update(MailTemplate).where(MailTemplate.name == "Account Expired").values(is_active=0))
    code, text = panel.job("mail-expiry")
    assert (code, _counts(text)) == (0, (4, 3, 0, 0))
    assert "SKIP: uyest - no template Account Expired" in text
    assert [mail.recipients for mail in server.received] == [
        ["u7a@customers.example.com", "stbres@panel.example.com"],
        ["u7b@customers.example.com", "res1@panel.example.com"],
        ["u1@customers.example.com", "res1@panel.example.com"],
    ]
    assert server.received[0].html.strip() == "<b>own</b> Ann Example"
    assert server.received[0].message["Cc"] == "stbres@panel.example.com"
    assert panel.logs[0]["cc_emails"] == '["stbres@panel.example.com"]'

    for table in (MailReminderTracking, MailSettings):
        panel.world.execute(sa.delete(table))
    server.forget()
    panel.mail_settings(ADMIN, server.port, notify_reseller=0)
    panel.mail_settings(RES1, server.port, auto_send_expiry=0)
    panel.configure(mail={"copy_mode": "bcc"})
    panel.mail_settings(
        STBRES, server.port, notify_reseller=1, from_email="own@example.com", from_name="Own\r\nBcc: x@y.z"
    )
    panel.job("mail-expiry")
    [mail] = server.received
    assert mail.recipients == ["u7a@customers.example.com", "stbres@panel.example.com"]
    assert (mail.sender, mail.message["Cc"], mail.message["Bcc"]) == ("own@example.com", None, None)
    assert mail.message["From"] == '"Own Bcc: x@y.z" <own@example.com>'


def test_one_stage_and_lookback(panel: Notices, server: MailServer) -> None:
    panel.mail_settings(ADMIN, server.port, enable_multistage_reminders=0, days_before_expiry=5)
    panel.change(12, end_date=datetime.date(2025, 11, 27))
    panel.job("mail-expiry")
    assert _users(server) == ["u7b", "uyest"]
    assert [(account, stage) for account, stage, _ in panel.tracked] == [(12, 1), (15, 4)]
    assert _counts(panel.job("mail-expiry")[1]) == (2, 0, 2, 0)
    panel.world.execute(sa.update(MailSettings).values(enable_multistage_reminders=1, auto_send_expiry=1))
    panel.world.execute(sa.update(Account).where(Account.id != 16).values(email=None))
    panel.change(16, end_date=datetime.date(2025, 11, 19))
    server.forget()
    panel.job("mail-expiry")
    assert server.received == []
    panel.configure(mail={"expired_days": 3})
    panel.job("mail-expiry")
    panel.job("mail-expiry")
    assert _users(server) == ["uold"]


def test_definite_failures_are_tried_again(panel: Notices, server: MailServer) -> None:
    panel.mail_settings(ADMIN, server.port)
    server.refused.add("u7a@customers.example.com")
    code, text = panel.job("mail-expiry", strict=True)
    assert (code, _counts(text)) == (2, (4, 3, 0, 1))
    assert "FAIL: u7a - The mail server does not accept the recipient's address" in text
    assert [(row["status"], row["error_message"]) for row in panel.logs if row["account_id"] == 11] == [
        ("failed", "The mail server does not accept the recipient's address")
    ]
    assert 11 not in [account for account, *_ in panel.tracked]
    server.refused.clear()
    server.on_data = mail_server.refuse
    assert _counts(panel.job("mail-expiry")[1]) == (4, 0, 3, 1)
    server.on_data = None
    assert _counts(panel.job("mail-expiry")[1]) == (4, 1, 3, 0)
    assert "secret-host" not in str(panel.logs)


def test_what_may_have_arrived_is_not_repeated(panel: Notices, server: MailServer) -> None:
    panel.mail_settings(ADMIN, server.port)
    panel.world.execute(sa.update(Account).where(Account.id != 11).values(email=""))
    server.on_data = mail_server.lose_connection
    code, text = panel.job("mail-expiry")
    assert (code, _counts(text)) == (0, (1, 0, 0, 1))
    assert "may have been delivered" in panel.logs[0]["error_message"]
    server.on_data = None
    assert _counts(panel.job("mail-expiry")[1]) == (1, 0, 1, 0)
    assert len(server.received) == 1


def test_a_row_left_by_a_killed_run(panel: Notices, server: MailServer) -> None:
    """Its claim stays, its log says so; other kinds of pending rows are somebody else's."""
    panel.mail_settings(ADMIN, server.port)
    row = {"recipient_email": "x@example.com", "subject": "", "body": "", "sent_by": 1, "status": "pending"}
    panel.world.insert(
        MailLog,
        [
            {**row, "id": n, "account_id": 11, "message_type": kind}
            for n, kind in ((1, "expiry_reminder"), (2, "manual"))
        ],
    )
    panel.world.insert(
        MailReminderTracking,
        [{"account_id": 11, "reminder_stage": 1, "mac": MAC(1), "end_date": datetime.date(2025, 11, 29)}],
    )
    claim = {"channel": "mail-expiry", "name": f"{MAC(1)}:1:2025-11-29", "row_id": 1, "owner": "gone:1:2:3"}
    panel.world.insert(Claim, [{**claim, "claimed_at": 0, "lease_until": 0}])
    assert _counts(panel.job("mail-expiry")[1]) == (4, 3, 1, 0)
    assert panel.world.rows(sa.select(Claim.name)) == []
    assert [(log["status"], log["error_message"]) for log in panel.logs[:2]] == [
        ("failed", INTERRUPTED),
        ("pending", None),
    ]


def test_a_dead_server_is_given_up(sqlite_panel: Notices, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    sqlite_panel.mail_settings(ADMIN, port)
    code, text = sqlite_panel.job("mail-expiry")
    assert (code, _counts(text)) == (0, (4, 0, 0, 4))
    assert text.count("The mail server cannot be reached") == 3
    assert text.count("not tried") == 1
    assert sqlite_panel.tracked == []
    assert PASSWORD not in caplog.text + text


@pytest.mark.parametrize("answer", [b"", b"220 hi\r\n", b"garbage\r\n", b"554 no\r\n", b"220 hi\r\n500 no\r\n" * 3])
def test_servers_that_talk_nonsense(sqlite_panel: Notices, answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(smtp, "TOTAL_SECONDS", 0.3)
    sqlite_panel.world.execute(sa.update(Account).where(Account.id != 11).values(email=""))
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(answer)
                connection.settimeout(2)
                while connection.recv(1000):
                    pass

        sqlite_panel.mail_settings(ADMIN, listener.getsockname()[1])
        served = pool.submit(serve)
        code, text = sqlite_panel.job("mail-expiry")
        served.result(60)
    assert (code, _counts(text)) == (0, (1, 0, 0, 1))
    assert sqlite_panel.tracked == []


def test_a_server_that_does_not_answer_the_mail(
    sqlite_panel: Notices, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "TOTAL_SECONDS", 0.3)
    sqlite_panel.world.execute(sa.update(Account).where(Account.id != 11).values(email=""))
    sqlite_panel.mail_settings(ADMIN, server.port)
    server.on_data = mail_server.hang
    assert _counts(sqlite_panel.job("mail-expiry")[1]) == (1, 0, 0, 1)
    assert sqlite_panel.tracked == [(11, 1, "2025-11-29")]


def test_a_wrong_password(sqlite_panel: Notices, server: MailServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "core")
    sqlite_panel.mail_settings(ADMIN, server.port, smtp_password="wrong-secret")
    _, text = sqlite_panel.job("mail-expiry")
    assert "The mail server refused the login" in text
    assert "wrong-secret" not in text + caplog.text + str(sqlite_panel.logs)


@pytest.mark.parametrize("secure", ["tls", "ssl"])
def test_encryption_is_verified(
    sqlite_panel: Notices, secure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path)
    sqlite_panel.world.execute(sa.update(Account).where(Account.id != 11).values(email=""))
    with MailServer(certificate=certificate, implicit=secure == "ssl") as server:
        sqlite_panel.mail_settings(ADMIN, server.port, smtp_secure=secure)
        assert "The certificate of the mail server is not valid" in sqlite_panel.job("mail-expiry")[1]
        assert (server.received, server.logins) == ([], [])
        sqlite_panel.configure(mail={"verify_tls": False})
        sqlite_panel.job("mail-expiry")
        assert len(server.received) == 1
        sqlite_panel.world.execute(sa.delete(MailReminderTracking))
        sqlite_panel.configure()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        sqlite_panel.job("mail-expiry")
        assert len(server.received) == 2


def test_no_password_goes_out_unencrypted(sqlite_panel: Notices, server: MailServer) -> None:
    """STARTTLS is wished, and the server has none."""
    sqlite_panel.mail_settings(ADMIN, server.port, smtp_secure="tls")
    assert "No encrypted connection" in sqlite_panel.job("mail-expiry")[1]
    assert (server.logins, server.received) == ([], [])


def test_passwords_are_stored_sealed(sqlite_panel: Notices, server: MailServer) -> None:
    """In a database of our own; one that PHP stored is read as it stands; one of another key is no crash."""
    sqlite_panel.mail_settings(ADMIN, server.port)
    [row] = sqlite_panel.rows(MailSettings)
    assert row["smtp_password"].startswith("sbx2:")
    assert PASSWORD not in row["smtp_password"]
    assert (sqlite_panel.panel.config.panel.data_directory / FILE).exists()
    sqlite_panel.world.execute(sa.update(MailSettings).values(smtp_password=PASSWORD))
    assert _counts(sqlite_panel.job("mail-expiry")[1])[1] == 4
    sqlite_panel.world.execute(sa.delete(MailReminderTracking))
    sqlite_panel.world.execute(sa.update(MailSettings).values(smtp_password=row["smtp_password"][:-5]))
    code, text = sqlite_panel.job("mail-expiry")
    assert (code, _counts(text)) == (0, (4, 0, 0, 4))
    assert "The stored password of the mail server cannot be read" in text


def test_hostile_names_and_addresses(sqlite_panel: Notices, server: MailServer) -> None:
    sqlite_panel.mail_settings(ADMIN, server.port)
    sqlite_panel.world.execute(sa.update(Account).where(Account.id != 11).values(email="not an address"))
    sqlite_panel.change(11, full_name="<b>x {days}\r\nBcc: evil@example.com", email="u7a@customers.example.com")
    sqlite_panel.world.execute(sa.update(MailTemplate).values(body_html="<p>{name} {password}{unknown}</p>\n.\n.."))
    sqlite_panel.job("mail-expiry")
    [mail] = server.received
    assert mail.recipients == ["u7a@customers.example.com"]
    assert mail.html.split() == ["<p>&lt;b&gt;x", "{days}", "Bcc:", "evil@example.com", "{unknown}</p>", ".", ".."]
    assert mail.message["Subject"] == "<b>x {days} Bcc: evil@example.com 7"
    assert mail.message["Bcc"] is None


def test_persian_text_arrives(sqlite_panel: Notices, server: MailServer) -> None:
    sqlite_panel.mail_settings(ADMIN, server.port)
    sqlite_panel.change(11, full_name="سلام 📱")
    sqlite_panel.world.execute(sa.update(MailTemplate).values(subject="اشتراک {name} " * 18))
    sqlite_panel.job("mail-expiry")
    mail = server.received[0]
    assert "سلام 📱" in mail.html
    assert mail.message["Subject"].startswith("اشتراک سلام 📱 اشتراک")
    assert mail.message["To"].addresses[0].display_name == "سلام 📱"


def test_dry_run_sends_nothing(sqlite_panel: Notices, server: MailServer) -> None:
    sqlite_panel.mail_settings(ADMIN, server.port)
    code, text = sqlite_panel.job("mail-expiry", dry_run=True)
    assert (code, text.count("WOULD SEND"), server.sessions, sqlite_panel.logs) == (0, 4, 0, [])


def test_two_runs_at_once_send_once(panel: Notices, server: MailServer) -> None:
    panel.mail_settings(ADMIN, server.port)
    with ThreadPoolExecutor(3) as pool:
        results: list[Any] = list(pool.map(lambda _: panel.job("mail-expiry"), range(3)))
    assert [code for code, _ in results] == [0] * 3
    assert set(server.counts.values()) == {1}
    assert len(server.received) == 4


def test_copies_are_distinct() -> None:
    addresses = ["a@x.com", None, "", "A@x.com", "me@x.com", "b@x.com"]
    assert copies(addresses, "ME@x.com") == ("A@x.com", "b@x.com")
