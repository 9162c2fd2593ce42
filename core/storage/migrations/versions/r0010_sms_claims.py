"""Who once got the templates of the reminder stages. The claims of text messages, which it made, are in 0012."""

from sqlalchemy import Connection

from core.storage.migrations import additive

revision = "0010"
down_revision = "0007"
branch_labels = None
depends_on = None

PROMISED = {"_sbx_sms_stages_given": "user_id given_at"}


def plan(connection: Connection) -> list[additive.Change]:
    return additive.missing(connection, PROMISED)


def upgrade() -> None:
    additive.run(plan)
