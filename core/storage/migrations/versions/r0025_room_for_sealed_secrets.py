"""Room for SMS tokens and the webhook's secret in their sealed form, in a database of our own."""

from sqlalchemy import Connection

from core.storage.migrations import additive

revision = "0025"
down_revision = "0017"
branch_labels = None
depends_on = None

PROMISED: dict[str, str] = {}
_SEALED = (("_sms_settings", "api_token"), ("_telegram_settings", "webhook_secret"))


def plan(connection: Connection) -> list[additive.Change]:
    if not additive.is_ours(connection):
        return []
    return [change for table, column in _SEALED for change in additive.widened(connection, table, column)]


def upgrade() -> None:
    additive.run(plan)
