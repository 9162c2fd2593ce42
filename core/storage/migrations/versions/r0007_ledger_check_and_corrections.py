"""What each ledger row did to its balance, what history cannot explain of balances, and the history of corrections."""

from sqlalchemy import Connection

from core.storage.migrations import additive

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

PROMISED = {
    "_sbx_ledger_notes": "amount effect",
    "_sbx_ledger_openings": "id user_id amount pays remembered_at",
    "_sbx_corrections": (
        "id transaction_id correction_amount correction_note status corrected_by corrected_by_username corrected_at"
    ),
}


def plan(connection: Connection) -> list[additive.Change]:
    return additive.missing(connection, PROMISED)


def upgrade() -> None:
    additive.run(plan)
