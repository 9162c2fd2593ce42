"""What sessions were just answered, for double clicks that reach another process."""

from sqlalchemy import Connection

from core.storage.migrations import additive

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

PROMISED = {"_sbx_given_answers": "session request owner began ended is_kept answer"}


def plan(connection: Connection) -> list[additive.Change]:
    return additive.missing(connection, PROMISED)


def upgrade() -> None:
    additive.run(plan)
