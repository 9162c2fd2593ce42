"""What keeps a text message from being sent twice, and who once got the templates of the reminder stages."""

from sqlalchemy import Connection

from core.storage.migrations import additive

revision = "0010"
down_revision = "0007"
branch_labels = None
depends_on = None

PROMISED = {
    "_sbx_sms_claims": "name log_id owner claimed_at",
    "_sbx_sms_stages_given": "user_id given_at",
}


def plan(connection: Connection) -> list[additive.Change]:
    return additive.missing(connection, PROMISED)


def upgrade() -> None:
    additive.run(plan)
