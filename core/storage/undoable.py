"""Whether the tables that money stands in can undo what fails half-way: MyISAM cannot, so no money moves there.

A balance and its ledger row change together or not at all only where the database keeps that promise.
"""

import time
from collections.abc import Iterable
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from core.errors import DatabaseFailed
from core.storage.tables import Account, ResellerPayment, Transaction, User

MONEY_TABLES = tuple(sorted(model.__tablename__ for model in (Account, ResellerPayment, Transaction, User)))
# for so long a database that was found well is taken for well
_TRUSTED_SECONDS = 60.0
_BY_DATABASE = (
    "SELECT table_name AS name, engine AS engine FROM information_schema.tables WHERE table_schema = DATABASE()"
    " AND engine NOT IN (SELECT engine FROM information_schema.engines WHERE transactions = 'YES')"
)
_OF_TABLES = sa.text(f"{_BY_DATABASE} AND table_name IN :names").bindparams(sa.bindparam("names", expanding=True))
_trusted_until: WeakKeyDictionary[Engine, float] = WeakKeyDictionary()


class NotUndoable(DatabaseFailed):
    """Tables of an engine without transactions; trying again does not help."""

    def __init__(self, tables: Iterable[str]) -> None:
        names = ", ".join(tables)
        super().__init__(
            f"Nothing was done: tables of the database cannot undo what fails half-way ({names}: MyISAM or the like,"
            " not InnoDB), and have to be converted first"
        )


def refuse_money_without_undo(connection: Connection) -> None:
    """Raises NotUndoable, before anything was changed. Asks the database once a minute while it is well."""
    engine = connection.engine
    if connection.dialect.name != "mysql" or time.monotonic() < _trusted_until.get(engine, 0.0):
        return
    refuse_without_undo(connection, MONEY_TABLES)
    _trusted_until[engine] = time.monotonic() + _TRUSTED_SECONDS


def refuse_without_undo(connection: Connection, tables: Iterable[str]) -> None:
    """Raises NotUndoable when one of ``tables`` cannot undo."""
    found = tables_without_undo(connection, tables)
    if found:
        raise NotUndoable(sorted(found))


def tables_without_undo(connection: Connection, tables: Iterable[str]) -> dict[str, str]:
    """Those of ``tables`` that cannot undo, with their engines; only MySQL and MariaDB have such."""
    if connection.dialect.name != "mysql":
        return {}
    return {row.name: row.engine for row in connection.execute(_OF_TABLES, {"names": list(tables)})}
