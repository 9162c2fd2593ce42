"""Chapter 70's people for backups, and what a database holds, to compare it with what it held before."""

import io
from typing import Any

import sqlalchemy as sa

from core.access.actors import bare_actor
from core.access.audit import By, Origin
from core.backup import backups
from core.backup.backups import Imported
from core.backup.dump import write_dump
from core.panel import Panel
from core.storage.database import Database
from core.storage.tables import Account, Base, User
from tests.worlds.databases import DUMPS, dump_statements
from tests.worlds.harness import World, legacy_hash, user_row

CONSOLE = Origin("", "command line")
BY_CONSOLE = By(bare_actor(0, "system", super_user=True), CONSOLE)
# that something ran, and how often something changed
_TRACES = {"_sbx_locks", "_sbx_state", "_sbx_versions"}
_COMPARED = [table for table in Base.metadata.sorted_tables if table.name not in _TRACES]
PASSWORD = "secret-pass"

Held = dict[str, list[tuple[Any, ...]]]


def held(database: Database) -> Held:
    """Every row of every table that we know, by its key, as the driver hands it out."""
    quote = database.engine.dialect.identifier_preparer.quote
    with database.read() as connection:
        there = set(sa.inspect(connection).get_table_names())
        # plain SQL, for the same for models would be compiled anew for each database
        return {
            table.name: [
                tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {quote(table.name)} ORDER BY 1")
            ]
            for table in _COMPARED
            if table.name in there
        }


def fixture_text(version: str, *, whole: bool = False) -> str:
    """The dump of a panel: the first rows of each table, or the ``whole`` volume of 5,000 accounts."""
    return ";\n".join([*dump_statements(DUMPS[version], whole), ""])


def dump_text(panel: Panel, *, redacted: bool = False) -> str:
    file = io.BytesIO()
    write_dump(panel, file, redacted=redacted)
    return file.getvalue().decode()


def import_text(panel: Panel, text: str | bytes, name: str = "dump.sql") -> Imported:
    """As the command line does it."""
    content = text.encode() if isinstance(text, str) else text
    return backups.import_dump(panel, BY_CONSOLE, io.BytesIO(content), name)


def fill_chapter_70(world: World) -> World:
    """admin, rita (reseller admin), bob and sam (resellers), olaf (observer), and three accounts."""
    own = {"password": legacy_hash(PASSWORD)}
    users = [
        {**user_row(1, "admin", super_user=1, permissions="1|1|1|1|1|1|1"), **own},
        {**user_row(1, "admin"), **own, "id": 5, "username": "rita", "name": "Rita RA", "permissions": "1|1|1|1|1|1|1"},
        {
            **user_row(1, "admin"),
            **own,
            "id": 7,
            "username": "bob",
            "name": "Bob Reseller",
            "permissions": "1|1|0|0|0|0|0",
            "balance": "100.00",
        },
        {**user_row(1, "admin"), **own, "id": 8, "username": "sam", "name": None, "permissions": "1|1|0|1|1"},
        {**user_row(1, "admin"), **own, "id": 9, "username": "olaf", "is_observer": 1, "permissions": None},
    ]
    accounts = [
        {"id": n, "username": f"acc{n}", "mac": f"00:1A:79:00:00:0{n}", "reseller": 7, "status": 1} for n in (1, 2, 3)
    ]
    world.insert_all([(User, users), (Account, accounts)])
    return world
