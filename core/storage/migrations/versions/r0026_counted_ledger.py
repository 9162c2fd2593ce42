"""On SQLite, triggers that count changes of the ledger as well."""

from sqlalchemy import Connection

from core.storage.migrations import additive

revision = "0026"
down_revision = "0022"
branch_labels = None
depends_on = None

PROMISED: dict[str, str] = {}
_WATCHED = {"_transactions": "transactions"}


def plan(connection: Connection) -> list[additive.Change]:
    return additive.counted(connection, _WATCHED)


def upgrade() -> None:
    additive.run(plan)
