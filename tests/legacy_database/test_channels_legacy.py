"""Mail and Telegram in the databases of live panels: what they have works as it stands, what they lack is told."""

from typing import Any

import sqlalchemy as sa

from core.storage import schema
from core.storage.tables import MailSettings, TelegramSettings
from simulators.telegram import TOKEN, BotApi
from tests.worlds.channels import outside
from tests.worlds.harness import Client, World

READS = ("telegram/get_settings.php", "telegram/get_logs.php", "get_mail_settings.php", "get_mail_logs.php")


def answers(client: Client) -> dict[str, dict[str, Any]]:
    return {path: client.get(f"/api/{path}").json() for path in READS}


def test_reads_and_writes(live: World) -> None:
    client = live.client("admin", "admin123")
    assert {path: answer["error"] for path, answer in answers(client).items()} == dict.fromkeys(READS, 0)
    has_channels = live.panel.layout.has_table("_telegram_settings")
    with BotApi() as api, outside(live, api):
        for path, fields in {
            "telegram/update_settings": {"bot_token": TOKEN},
            "telegram/link_telegram": {"action": "set_chat_id", "chat_id": "100200300"},
            "telegram/update_notification_settings": {"notify_login": "1"},
            "telegram/send_message": {"message": "Hi", "recipient_ids": "[1]"},
            "update_mail_settings": {"smtp_host": "mail.example.com", "smtp_username": "u", "smtp_password": "pw-1"},
            "save_mail_template": {"name": "Promo", "subject": "S", "body_html": "\N{GRINNING FACE}"},
        }.items():
            answer = client.post(f"/api/{path}.php", fields).json()
            assert answer.get("code", 0) == (0 if has_channels else 7), (path, answer)
            if not has_channels:
                assert "upgrade" in answer["message"]
        # a login works in each, and is told where it can be
        assert live.client("admin", "admin123")
    if has_channels:
        # in clear, as PHP reads them, in columns of PHP's width
        [bot] = live.rows(sa.select(TelegramSettings.bot_token))
        assert bot["bot_token"] == TOKEN
        stored = live.rows(sa.select(MailSettings.smtp_password).where(MailSettings.smtp_host == "mail.example.com"))
        assert stored == [{"smtp_password": "pw-1"}]
        shown = answers(client)
        assert TOKEN not in str(shown)
        assert "pw-1" not in str(shown)


def test_phps_row_without_a_password_is_no_configuration(live: World) -> None:
    schema.upgrade(live.panel.database)
    live.panel._layout = None
    client = live.client("admin", "admin123")
    mail = {"to": "c@example.com", "subject": "S", "body": "x"}
    answer = client.post("/send_mail.php", mail, "json").json()
    assert (answer["error"], answer["code"]) == (1, 8)
    assert "not configured" in answer["message"]
