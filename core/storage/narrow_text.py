"""Text as an older panel's table can keep it: without the characters that its encoding lacks.

Source: contract chapter 60 S8. The text that is sent is never changed, only the copy that is stored.
"""

import re
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, text

from core.storage.tables import Base

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_FOUR_BYTES = re.compile(r"[\U00010000-\U0010ffff]")
_NARROW = text(
    "SELECT column_name AS name FROM information_schema.columns"
    " WHERE table_schema = DATABASE() AND table_name = :table AND character_set_name IN ('utf8', 'utf8mb3')"
)
_found: WeakKeyDictionary[Engine, dict[str, frozenset[str]]] = WeakKeyDictionary()


def storable(connection: Connection, model: type[Base], **values: object) -> dict[str, object]:
    """``values`` as the columns of ``model`` in this database can keep them: texts no longer than their column,
    and in utf8mb3 columns without characters of four bytes, which would make the statement fail."""
    columns, narrow = model.__table__.c, _narrow_columns(connection, model.__tablename__)
    stored = dict(values)
    for name, value in values.items():
        if isinstance(value, str):
            fitting = _FOUR_BYTES.sub(_REPLACEMENT, value) if name in narrow else value
            stored[name] = fitting[: getattr(columns[name].type, "length", None)]
    return stored


def _narrow_columns(connection: Connection, table: str) -> frozenset[str]:
    if connection.dialect.name not in ("mysql", "mariadb"):
        return frozenset()
    known = _found.setdefault(connection.engine, {})
    if table not in known:
        known[table] = frozenset(row.name for row in connection.execute(_NARROW, {"table": table}))
    return known[table]
