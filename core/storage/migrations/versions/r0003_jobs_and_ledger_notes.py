"""Jobs that outlive a process, named locks, and our notes beside the ledger."""

from sqlalchemy import Connection

from core.storage.migrations import additive

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

PROMISED = {
    "_sbx_jobs": (
        "id kind state actor_id payload done total result error attempts due_at owner lease_until created_at updated_at"
    ),
    "_sbx_locks": "name owner taken_at lease_until",
    "_sbx_ledger_notes": (
        "transaction_id kind account_id username mac full_name plan_id plan_name discount description"
    ),
}


def plan(connection: Connection) -> list[additive.Change]:
    return additive.missing(connection, PROMISED)


def upgrade() -> None:
    additive.run(plan)
