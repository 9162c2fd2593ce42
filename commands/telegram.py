"""The command about Telegram: having it call this server with what people write to the bot."""

import click

from commands.failing import failing_clearly
from core.messages.telegram.settings import change_webhook
from core.panel import Panel

PATH = "/api/telegram/webhook.php"


def telegram_command(panel: Panel) -> click.Group:
    @click.group("telegram", help="Set the Telegram bot up further than the panel's page does.")
    def telegram() -> None: ...

    @telegram.command(
        "webhook",
        help="Have Telegram call the panel at ADDRESS (https://panel.example.com), with a new secret that proves it.",
    )
    @click.argument("address")
    @failing_clearly
    def webhook(address: str) -> None:
        url = address.rstrip("/") + PATH
        change_webhook(panel, url)
        click.echo(f"Telegram calls {url}; calls without the new secret are refused.")

    return telegram
