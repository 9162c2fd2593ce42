"""MACs and end dates beside what was told about expired accounts, by push and by mail."""

from sqlalchemy import Connection

from core.storage.migrations import additive

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

PROMISED = {
    "_push_expiry_tracking": "mac",
    "_mail_reminder_tracking": "mac end_date",
}


def plan(connection: Connection) -> list[additive.Change]:
    return additive.missing(connection, PROMISED)


def upgrade() -> None:
    additive.run(plan)
