"""Sealing stored secrets that are not, or by an older version that bound its seals to nothing: of such a version, of a
PHP panel whose dump was restored, or entered by hand. Only in a database of our own.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, select, update
from sqlalchemy.orm import InstrumentedAttribute

from core.security.sealing import Sealer, Unreadable, is_bound, is_sealed, is_unbound
from core.storage.database import Database
from core.storage.schema import Layout
from core.storage.tables import StalkerSetting
from core.storage.tables.devices import PORTAL_PASSWORD
from core.storage.tables.secret_columns import COLUMNS, portal_place

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Found:
    """``stored``: what stands in ``column`` of the row ``id`` in clear, or sealed but bound to nothing."""

    column: InstrumentedAttribute[str | None]
    id: int
    stored: str
    place: str


def seal_all(database: Database, layout: Layout, sealer: Sealer) -> int:
    """Seal what stands in clear or unbound, and how many these were. Raises KeyNotStored, DatabaseFailed."""
    if not sealer.is_ours:
        return 0
    with database.read() as connection:
        found = unsealed(connection, layout)
    if not found:
        return 0

    def seal(connection: Connection) -> int:
        return sum(_seal(connection, one, sealer) for one in found)

    sealed = database.transact(seal)
    in_clear = sum(not is_sealed(one.stored) for one in found)
    if sealed and in_clear:
        database.rewrite()
        log.warning("%d stored passwords and tokens stood in clear; they are sealed now", in_clear)
    return sealed


def unsealed(connection: Connection, layout: Layout) -> list[_Found]:
    """What :func:`seal_all` would seal."""
    return [one for one in _secrets(connection, layout) if not is_bound(one.stored)]


def forget_unbound(connection: Connection, layout: Layout) -> int:
    """Empty what is sealed and bound to nothing, and how many these were: whoever brought them here may have chosen
    where they go."""
    found = [one for one in _secrets(connection, layout) if is_unbound(one.stored)]
    for one in found:
        _store(connection, one, "")
    return len(found)


def _secrets(connection: Connection, layout: Layout) -> Iterator[_Found]:
    for one in COLUMNS:
        column, model = one.secret, one.secret.class_
        if not layout.has(column):
            continue
        wanted = select(model.id, column, *one.where).where(column.is_not(None), column != "")
        for row in map(dict, connection.execute(wanted).mappings()):
            yield _Found(column, row["id"], row[column.name], one.place(row))
    if layout.has(StalkerSetting.setting_value):
        model = StalkerSetting
        rows = connection.execute(select(model.id, model.setting_key, model.setting_value)).all()
        settings = {row.setting_key: row.setting_value for row in rows}
        for id_, key, value in rows:
            if key == PORTAL_PASSWORD and value:
                yield _Found(model.setting_value, id_, value, portal_place(settings))


def _seal(connection: Connection, found: _Found, sealer: Sealer) -> int:
    """1, unless it was changed meanwhile, or no key here reads it."""
    try:
        return _store(connection, found, sealer.sealed(sealer.unsealed(found.stored, found.place), found.place))
    except Unreadable:
        return 0


def _store(connection: Connection, found: _Found, text: str) -> int:
    model, column = found.column.class_, found.column
    row = {column.name: text}
    return connection.execute(update(model).where(model.id == found.id, column == found.stored).values(**row)).rowcount
