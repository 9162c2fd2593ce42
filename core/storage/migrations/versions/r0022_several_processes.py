"""What several processes share: counters of attempts, and the portal's list with what came of it."""

from sqlalchemy import Connection

from core.storage.migrations import additive

revision = "0022"
down_revision = "0025"
branch_labels = None
depends_on = None

PROMISED = {
    "_sbx_counters": "name count ends hits",
    "_sbx_portal_list": "id number failure source begun ended content",
    "_sbx_sync_outcomes": "scope begun counts",
    "_sbx_synced_sessions": "session asked_at",
}


def plan(connection: Connection) -> list[additive.Change]:
    return additive.missing(connection, PROMISED)


def upgrade() -> None:
    additive.run(plan)
