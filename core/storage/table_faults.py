"""What is wrong with a database's tables and no upgrade of ours puts right: each told in a sentence.

Only MySQL and MariaDB have such: engines that cannot undo, and columns that compare text in different ways, or cannot
hold every text. What is stored in the latter is fitted or refused in :mod:`core.storage.tables.texts`.
"""

from collections import Counter

import sqlalchemy as sa
from sqlalchemy import Connection

from core.errors import DatabaseUnavailable
from core.storage.database import Database
from core.storage.tables import PANEL_TABLES
from core.storage.undoable import MONEY_TABLES, tables_without_undo

_NAMES = [table.name for table in PANEL_TABLES]
# those of another character set can be compared, and a binary collation wins over any other
_COLLATIONS = sa.text(
    "SELECT table_name AS name, character_set_name AS character_set, collation_name AS collation, COUNT(*) AS texts"
    " FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name IN :names"
    " AND collation_name IS NOT NULL AND collation_name NOT LIKE '%\\_bin' AND data_type <> 'enum'"
    " GROUP BY table_name, character_set_name, collation_name ORDER BY table_name, collation_name"
).bindparams(sa.bindparam("names", expanding=True))


_HOLDING_ALL = ("utf8mb4", "utf16", "utf32", "binary")
_CHARACTER_SETS = sa.text(
    "SELECT DISTINCT character_set_name AS character_set, table_name AS name FROM information_schema.columns"
    " WHERE table_schema = DATABASE() AND table_name IN :names AND character_set_name NOT IN :all"
    " AND data_type <> 'enum' ORDER BY character_set_name, table_name"
).bindparams(sa.bindparam("names", expanding=True), sa.bindparam("all", expanding=True))


class NotReferable(DatabaseUnavailable):
    default_text = (
        "The table _users cannot be referred to by new tables, for its engine is not InnoDB; nothing was changed."
        " Convert it first (ALTER TABLE _users ENGINE=InnoDB)"
    )


def refuse_upgrade(connection: Connection) -> None:
    """Raises NotReferable where new tables could not refer to the users."""
    if tables_without_undo(connection, ["_users"]):
        raise NotReferable


def table_faults(connection: Connection) -> list[str]:
    """One sentence each."""
    return [*_without_undo(connection), *_mixed(connection)]


def narrow_texts(database: Database) -> list[str]:
    """A sentence for each character set that cannot hold every text, with its tables: all works but for such texts."""
    if database.dialect != "mysql" or database.is_missing:
        return []
    narrow: dict[str, list[str]] = {}
    with database.read() as connection:
        for row in connection.execute(_CHARACTER_SETS, {"names": _NAMES, "all": _HOLDING_ALL}):
            narrow.setdefault(row.character_set, []).append(row.name)
    return [
        f"texts of {', '.join(names)} are kept in {name}, which cannot hold {_lost(name)}: such a text is refused, "
        "or stored without those characters (ALTER TABLE … CONVERT TO CHARACTER SET utf8mb4)"
        for name, names in narrow.items()
    ]


def _lost(character_set: str) -> str:
    return "emoji" if character_set in ("utf8", "utf8mb3") else "emoji and letters of most other scripts"


def _without_undo(connection: Connection) -> list[str]:
    lines = []
    for name, engine in sorted(tables_without_undo(connection, _NAMES).items()):
        consequence = "; no money is moved until it is converted" if name in MONEY_TABLES else ""
        lines.append(
            f"{name} is kept by {engine}, which cannot undo what fails half-way{consequence}:"
            f" ALTER TABLE {name} ENGINE=InnoDB"
        )
    return lines


def _mixed(connection: Connection) -> list[str]:
    """Tables whose texts cannot be compared with those of most others: another collation of the same character set."""
    if connection.dialect.name != "mysql":
        return []
    by_set: dict[str, list[sa.Row[tuple[str, str, str, int]]]] = {}
    for row in connection.execute(_COLLATIONS, {"names": _NAMES}):
        by_set.setdefault(row.character_set, []).append(row)
    lines = []
    for rows in by_set.values():
        counts = Counter[str]()
        for row in rows:
            counts[row.collation] += row.texts
        if len(counts) > 1:
            usual = counts.most_common(1)[0][0]
            others = ", ".join(f"{row.name} ({row.collation})" for row in rows if row.collation != usual)
            lines.append(f"mixed collations: most texts are compared by {usual}, but others in {others}")
    return lines
