"""Passkeys: what was verified, and which challenges are outstanding. The audit log: its digest, and one more index."""

from sqlalchemy import Connection

from core.storage.migrations import additive

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

PROMISED = {
    "_sbx_passkeys": "credential_hash user_id sign_count verified_at",
    "_sbx_passkey_challenges": "challenge purpose user_id session rp_id issued_at expires_at used",
    "_sbx_audit_digest": "id user_id username action target_type entries",
    "_sbx_audit_digest_reach": "id first_id last_id",
    "_audit_log": "",
}


def plan(connection: Connection) -> list[additive.Change]:
    return additive.missing(connection, PROMISED)


def upgrade() -> None:
    additive.run(plan)
