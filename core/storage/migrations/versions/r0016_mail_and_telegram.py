"""One-time links to Telegram chats, who once got mail templates, and room for sealed secrets.

Secrets are sealed in a database of our own only; in a panel's its columns stay as they are (chapter 80, settled 2).
"""

from sqlalchemy import Connection

from core.storage.migrations import additive

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

PROMISED = {
    "_sbx_telegram_links": "user_id token_hash expires_at",
    "_sbx_mail_templates_given": "user_id given_at",
}
_SEALED = (("_mail_settings", "smtp_password"), ("_telegram_settings", "bot_token"))


def plan(connection: Connection) -> list[additive.Change]:
    changes = additive.missing(connection, PROMISED)
    if additive.is_ours(connection):
        changes += [change for table, column in _SEALED for change in additive.widened(connection, table, column)]
    return changes


def upgrade() -> None:
    additive.run(plan)
