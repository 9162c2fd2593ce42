"""The mail server's password and the bot's token are nowhere but in the sealed columns (issue of mail and Telegram)."""

import logging
from collections.abc import Iterator

import pytest

from core.jobs import jobs
from core.storage.tables import Base
from core.workers import workers
from simulators.faults import Answer, Cut
from simulators.telegram import TOKEN, BotApi, refusal
from tests.conftest import MakeWorld
from tests.worlds.channels import BOB, RITA, Channels, channels_world
from tests.worlds.mail_server import PASSWORD, USER, MailServer, refuse

# what may stand nowhere: the token's secret part, the password, and an address that holds the token
SECRETS = (TOKEN.partition(":")[2], PASSWORD, f"bot{TOKEN}")
READS = (
    "telegram/get_settings.php",
    "telegram/get_logs.php",
    "get_mail_settings.php",
    "get_mail_logs.php",
    "get_user_info.php",
    "get_resellers.php",
)


@pytest.fixture
def panel(make_world: MakeWorld) -> Iterator[Channels]:
    with BotApi() as api, MailServer() as mail, channels_world(make_world, "sqlite", api, mail) as channels:
        yield channels


def test_no_secret_in_answers_logs_and_tables(panel: Channels, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server = {"smtp_host": "127.0.0.1", "smtp_port": panel.mail.port, "smtp_secure": "none", "smtp_username": USER}
    answers = [
        panel.post("admin", "update_mail_settings", "json", **server, smtp_password=PASSWORD),
        panel.post("admin", "test_mail_connection", "json", **server, smtp_password=PASSWORD),
        panel.post("admin", "telegram/update_settings", bot_token=TOKEN),
    ]
    assert [answer["error"] for answer in answers] == [0, 0, 0]
    panel.link(BOB, RITA)
    # each sends once well, and once with a fault that names what it likes to
    panel.api.fail(Answer(refusal(400, f"Bad Request: bot{TOKEN}")), "POST sendMessage")
    panel.api.fail(Cut(), "POST sendMessage", after=1)
    for number in range(3):
        fields = {"message": f"m{number}", "recipient_ids": "5,7"}
        answers.append(panel.post("admin", "telegram/send_message", **fields))
        panel.mail.on_data = refuse if number == 1 else None
        mail = {"to": "c@example.com", "subject": f"s{number}", "body": "x"}
        answers.append(panel.post("admin", "send_mail", "json", **mail))
    panel.api.stop_listening()
    answers.append(panel.post("admin", "telegram/verify_bot", bot_token=TOKEN))
    answers += [panel.get(who, path) for who in ("admin", "rita", "bob") for path in READS]
    jobs.work_off(panel.panel, workers.KINDS)
    tables = [panel.world.rows(table.select()) for table in Base.metadata.sorted_tables]
    # what urllib3 of the tests themselves logs is no log of the server's
    logged = "\n".join(record.getMessage() for record in caplog.records)
    for secret in SECRETS:
        assert secret not in str(answers)
        assert secret not in str(tables)
        assert secret not in logged


def test_the_test_can_fail(panel: Channels) -> None:
    panel.set_bot(bot_token=TOKEN)
    assert SECRETS[0] in str(panel.world.rows(Base.metadata.tables["_telegram_settings"].select()))


def test_in_a_panels_database_they_stay_as_php_reads_them(panel: Channels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel.panel.sealer, "is_ours", False)
    assert panel.post("admin", "telegram/update_settings", bot_token=TOKEN)["error"] == 0
    assert panel.post("admin", "update_mail_settings", "json", smtp_password=PASSWORD)["error"] == 0
    tables = str(panel.world.rows(Base.metadata.tables["_telegram_settings"].select()))
    assert TOKEN in tables
    assert PASSWORD in str(panel.world.rows(Base.metadata.tables["_mail_settings"].select()))
