"""One table of claims for all messages; what was claimed of text messages is taken over."""

from sqlalchemy import Connection

from core.storage.migrations import additive

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

PROMISED = {"_sbx_claims": "channel name row_id owner lease_until claimed_at"}


def plan(connection: Connection) -> list[additive.Change]:
    return additive.missing(connection, PROMISED)


def upgrade() -> None:
    additive.run(plan)
