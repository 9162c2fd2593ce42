"""Which stored secrets are sealed, and sealing those that were stored before they were: by an older version, by a PHP
panel whose dump was restored, or by hand. Only in a database of our own.
"""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.orm import InstrumentedAttribute

from core.security.sealing import Sealer, is_sealed
from core.storage.database import Database
from core.storage.schema import Layout
from core.storage.tables import MailSettings, SmsSettings, StalkerSetting, TelegramSettings
from core.storage.tables.devices import PORTAL_PASSWORD

log = logging.getLogger(__name__)

COLUMNS: tuple[InstrumentedAttribute[Any], ...] = (
    MailSettings.smtp_password,
    SmsSettings.api_token,
    StalkerSetting.setting_value,
    TelegramSettings.bot_token,
    TelegramSettings.webhook_secret,
)


def seal_all(database: Database, layout: Layout, sealer: Sealer) -> int:
    """Seal what stands in clear, and how many that were. Raises KeyNotStored, DatabaseFailed."""
    if not sealer.is_ours:
        return 0
    with database.read() as connection:
        found = in_clear(connection, layout)
    if not found:
        return 0

    def seal(connection: Connection) -> int:
        return sum(_seal(connection, column, id_, clear, sealer) for column, id_, clear in found)

    sealed = database.transact(seal)
    if sealed:
        database.rewrite()
        log.warning("%d stored passwords and tokens stood in clear; they are sealed now", sealed)
    return sealed


def in_clear(connection: Connection, layout: Layout) -> "list[_Found]":
    """What :func:`seal_all` would seal: the column, the row's id, and what stands there."""
    return [row for column in COLUMNS if layout.has(column) for row in _in_clear(connection, column)]


_Found = tuple[InstrumentedAttribute[Any], int, str]


def _in_clear(connection: Connection, column: InstrumentedAttribute[Any]) -> Iterator[_Found]:
    model = column.class_
    wanted = select(model.id, column).where(column.is_not(None), column != "")
    if column is StalkerSetting.setting_value:
        wanted = wanted.where(StalkerSetting.setting_key == PORTAL_PASSWORD)
    for id_, stored in connection.execute(wanted):
        if not is_sealed(stored):
            yield column, id_, stored


def _seal(connection: Connection, column: InstrumentedAttribute[Any], id_: int, clear: str, sealer: Sealer) -> int:
    """1, unless it was changed meanwhile."""
    row: Mapping[str, Any] = {column.name: sealer.sealed(clear)}
    changed = connection.execute(update(column.class_).where(column.class_.id == id_, column == clear).values(**row))
    return changed.rowcount
