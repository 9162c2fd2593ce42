"""Our notes beside accounts, the archive of accounts that are gone, and the operations that span the portals."""

from sqlalchemy import Connection

from core.storage.migrations import additive

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

PROMISED = {
    "_sbx_account_notes": ("account_id account_number portal_reseller_seen portal_reseller_known changed_at comment"),
    "_sbx_archived_accounts": (
        "id username mac email phone_number reseller plan timestamp full_name tariff_plan end_date status "
        "account_number portal_reseller_seen portal_reseller_known reason archived_at"
    ),
    "_sbx_operations": (
        "id kind state username mac account_id actor_id payer_id amount payload step error owner lease_until "
        "created_at updated_at"
    ),
}


def plan(connection: Connection) -> list[additive.Change]:
    return additive.missing(connection, PROMISED)


def upgrade() -> None:
    additive.run(plan)
