"""Panels on tables in the character sets of old servers, which lack most of the world's letters: strict and lenient."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event

from core.storage.database import Database
from core.storage.tables import PANEL_TABLES
from tests.conftest import Worlds
from tests.worlds.databases import prepared_database
from tests.worlds.harness import World

STRICT, LENIENT = "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION", ""
_LOGS = ("_audit_log", "_expiry_reminders", "_login_history", "_mail_logs", "_sms_logs", "_stb_action_logs")
# which tables have which character set; all others utf8mb4
KINDS = {
    "utf8mb3": {table.name: "utf8mb3" for table in PANEL_TABLES},
    "latin1": {table.name: "latin1" for table in PANEL_TABLES},
    "latin1 logs": dict.fromkeys((*_LOGS, "_telegram_logs", "_transactions"), "latin1"),
}


class OldWorlds(Worlds):
    """As :class:`Worlds`, on a MariaDB whose tables have the character sets of ``old`` and whose server is ``mode``."""

    def __init__(self, make_directory: Callable[[str], Path], old: str) -> None:
        super().__init__(make_directory)
        self.old = old
        self.mode = STRICT

    def __call__(self, kind: str, **settings: str) -> World:
        world = super().__call__(kind, **settings)
        database = world.panel.database
        if not event.contains(database.engine, "connect", self._set_mode):
            event.listen(database.engine, "connect", self._set_mode)
        database.dispose()
        return world

    def _set_mode(self, connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET SESSION sql_mode = '{self.mode}'")
        cursor.close()

    def _database(self, kind: str) -> str:
        if kind not in self._databases:
            url = prepared_database("mariadb", f"old_{self.old.replace(' ', '_')}")
            database = Database(url)
            with database.write() as connection:
                # Persian, too
                connection.exec_driver_sql("DELETE FROM _iranian_banks")
                for table, charset in KINDS[self.old].items():
                    connection.exec_driver_sql(f"ALTER TABLE {table} CONVERT TO CHARACTER SET {charset}")
            database.dispose()
            self._databases[kind] = url
        return self._databases[kind]
