"""What the demo shows messages with: the mail catcher and the simulated Bot API, as programs and to other clients."""

import smtplib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
from pydantic import SecretStr

from core.messages.delivery import Outcome
from core.messages.mail.settings import MailServer
from core.messages.mail.smtp import MailSession
from simulators.mail_catcher import MailCatcher
from simulators.telegram import TOKEN, BotApi


@contextmanager
def running(module: str, *arguments: str) -> Iterator[list[str]]:
    """The lines that the program prints at its start."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield [process.stdout.readline().strip() for _ in range(2)]
        finally:
            process.terminate()


def test_a_mail_of_ours_is_caught_and_shown() -> None:
    message = b"Subject: =?utf-8?q?S=C3=A9?=\r\nFrom: a@example.com\r\n\r\n<b>\r\n.dot\r\n"
    with MailCatcher() as catcher:
        server = MailServer(catcher.host, catcher.port, "none", "any", SecretStr("thing"))
        with MailSession(server, verify_tls=True) as session:
            for _ in range(2):
                assert (
                    session.send("a@example.com", ["b@example.com", "c@example.com"], message).outcome is Outcome.SENT
                )
        assert [mail.recipients for mail in catcher.mails] == [("b@example.com", "c@example.com")] * 2
        assert catcher.mails[0].text.splitlines() == ["<b>", ".dot"]
        page = requests.get(catcher.messages_url, timeout=60).text
        assert "S\u00e9" in page
        assert "&lt;b&gt;" in page
        assert requests.get(catcher.messages_url + "/x", timeout=60).status_code == 404


def test_other_clients_log_in_as_they_like() -> None:
    with MailCatcher() as catcher, smtplib.SMTP(catcher.host, catcher.port, timeout=60) as client:
        client.ehlo()
        client.user, client.password = "any", "thing"
        client.auth("LOGIN", client.auth_login)
        client.auth("PLAIN", client.auth_plain, initial_response_ok=False)
        with pytest.raises(smtplib.SMTPResponseException):
            client.auth("CRAM-MD5", client.auth_cram_md5)
        assert client.docmd("DATA")[0] == 503
        assert client.docmd("NONSENSE")[0] == 500


def test_messages_of_the_bot_are_shown() -> None:
    with BotApi() as api:
        answer = requests.post(
            f"{api.base_url}/bot{TOKEN}/sendMessage",
            data={"chat_id": "5", "text": "*<b>* a\\_b", "parse_mode": "Markdown"},
            timeout=60,
        ).json()
        assert (answer["ok"], answer["result"]["text"]) == (True, "<b> a_b")
        assert "&lt;b&gt; a_b" in requests.get(f"{api.base_url}/messages", timeout=60).text
        assert requests.get(f"{api.base_url}/botx/getMe", timeout=60).status_code == 401


def test_as_programs() -> None:
    with running("simulators.telegram", "--port", "0") as (base, token):
        assert requests.get(f"{base}/bot{token.removeprefix('bot token: ')}/getMe", timeout=60).json()["ok"] is True
    with running("simulators.mail_catcher", "--port", "0", "--web-port", "0") as (smtp, page):
        host, _, port = smtp.removeprefix("smtp: ").partition(":")
        with smtplib.SMTP(host, int(port), timeout=60) as client:
            client.sendmail("a@example.com", ["b@example.com"], "Subject: hi\r\n\r\nthere")
        assert "hi" in requests.get(page.removeprefix("messages: "), timeout=60).text
