"""The payments of resellers who are gone."""

from sqlalchemy import Connection

from core.storage.migrations import additive

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

PROMISED = {
    "_sbx_archived_payments": (
        "id reseller_id reseller_name reseller_username amount currency payment_date bank_name reference_number "
        "receipt_path description recorded_by recorded_by_username created_at updated_at status cancelled_by "
        "cancelled_at cancellation_reason archived_at"
    ),
}


def plan(connection: Connection) -> list[additive.Change]:
    return additive.missing(connection, PROMISED)


def upgrade() -> None:
    additive.run(plan)
