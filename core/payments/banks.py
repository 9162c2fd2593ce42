"""The banks that a payment may have come through. Source: contract chapter 30 D."""

from collections.abc import Sequence

from sqlalchemy import select

from core.panel import Panel
from core.storage.tables import IranianBank
from core.values.banks import BANKS, Bank

DATABASE, DEFAULT = "database", "default"


def list_banks(panel: Panel) -> tuple[Sequence[Bank], str]:
    """The active banks of the database, and DATABASE; where it has none, the built-in ones, and DEFAULT."""
    if panel.layout.has_table(IranianBank.__tablename__):
        with panel.database.read() as connection:
            rows = connection.execute(
                select(IranianBank.sort_order, IranianBank.code, IranianBank.name_fa, IranianBank.name_en)
                .where(IranianBank.is_active == 1)
                .order_by(IranianBank.sort_order, IranianBank.name_fa)
            )
            if stored := [Bank(row.sort_order or 0, row.code, row.name_fa, row.name_en) for row in rows]:
                return stored, DATABASE
    return BANKS, DEFAULT
