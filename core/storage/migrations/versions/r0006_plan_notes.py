"""When each plan was made."""

from sqlalchemy import Connection

from core.storage.migrations import additive

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

PROMISED = {"_sbx_plan_notes": "plan_id created_at"}


def plan(connection: Connection) -> list[additive.Change]:
    return additive.missing(connection, PROMISED)


def upgrade() -> None:
    additive.run(plan)
