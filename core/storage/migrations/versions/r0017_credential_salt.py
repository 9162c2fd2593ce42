"""A salt of the fingerprints that sessions are bound by, new at each change of a password."""

from sqlalchemy import Connection

from core.storage.migrations import additive

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

PROMISED = {"_sbx_credentials": "salt"}


def plan(connection: Connection) -> list[additive.Change]:
    return additive.missing(connection, PROMISED)


def upgrade() -> None:
    additive.run(plan)
