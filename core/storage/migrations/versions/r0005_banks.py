"""The banks of payments, where a database has the table and no row in it."""

import sqlalchemy as sa
from sqlalchemy import Connection

from core.storage.migrations import additive
from core.storage.migrations.look import look_at
from core.storage.tables import IranianBank
from core.values.banks import BANKS

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

PROMISED: dict[str, str] = {}


def plan(_connection: Connection) -> list[additive.Change]:
    return []


def first_rows(connection: Connection) -> list[additive.Change]:
    name = IranianBank.__tablename__
    is_there = name in look_at(connection).tables
    if is_there and connection.execute(sa.select(IranianBank.id).limit(1)).first() is not None:
        return []
    return [additive.Change(f"add {len(BANKS)} banks to {name}", _add_banks)]


def _add_banks(connection: Connection) -> None:
    rows = [
        {"code": bank.code, "name_fa": bank.name_fa, "name_en": bank.name_en, "sort_order": bank.sort_order}
        for bank in BANKS
    ]
    connection.execute(sa.insert(IranianBank), rows)


def upgrade() -> None:
    additive.run(first_rows)
