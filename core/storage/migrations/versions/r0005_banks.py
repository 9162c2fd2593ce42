"""The banks of payments, where a database has the table and no row in it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Connection

from core.storage.migrations import additive
from core.storage.tables import IranianBank
from core.values.banks import BANKS

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

PROMISED: dict[str, str] = {}


def plan(_connection: Connection) -> list[additive.Change]:
    return []


def upgrade() -> None:
    connection = op.get_bind()
    if connection.scalar(sa.select(sa.func.count()).select_from(IranianBank)) == 0:
        rows = [
            {"code": bank.code, "name_fa": bank.name_fa, "name_en": bank.name_en, "sort_order": bank.sort_order}
            for bank in BANKS
        ]
        connection.execute(sa.insert(IranianBank), rows)
