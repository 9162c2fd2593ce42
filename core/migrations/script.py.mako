"""${message}."""

from sqlalchemy import Connection

from core.migrations import additive

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None

# tables and columns that exist from this revision on
PROMISED: dict[str, str] = {}


def plan(connection: Connection) -> list[additive.Change]:
    return additive.missing(connection, PROMISED)


def upgrade() -> None:
    additive.run(plan)
