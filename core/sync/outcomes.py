"""What came of the last sync of each scope, for answers that are given before the next one has ended."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Self

import orjson
from sqlalchemy import Connection, bindparam, func, select, update

from core.panel import Panel
from core.storage.tables import Account, SyncOutcome
from core.storage.writing import insert_if_absent
from core.sync.merge import Changes

# the scope of all accounts, as it is stored
EVERY = 0
# of those that an answer tells by name
_NAMED = 20
_COUNTS = select(SyncOutcome.counts).where(SyncOutcome.scope == bindparam("scope"))
_OWN = select(func.count().label("number")).select_from(Account).where(Account.reseller == bindparam("scope"))


@dataclass(frozen=True, slots=True)
class Counts:
    """The accounts that the portal confirmed, the records of its list that could not be used, and the accounts that
    were taken away. ``named``: lists of logins (the first of each), by what is told of them."""

    synced: int = 0
    skipped: int = 0
    removed: int = 0
    named: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, changes: Changes) -> Self:
        named = {
            "doubles": changes.doubles[:_NAMED],
            "unstorable": changes.unstorable[:_NAMED],
            "unreadable_dates": changes.unreadable_dates[:_NAMED],
            "broken": changes.broken[:_NAMED],
        }
        return cls(changes.synced, changes.skipped, len(changes.removed), named)

    def stored(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, stored: Mapping[str, Any] | None) -> Self:
        """``stored`` None: nothing was told yet."""
        return cls(**(stored or {}))


def keep_counts(panel: Panel, scope: int | None, begun: int, changes: Changes) -> None:
    """``begun``: of the list, Unix milliseconds."""
    values = {"begun": begun, "counts": orjson.dumps(Counts.of(changes).stored()).decode()}
    panel.database.transact(partial(_kept, scope=scope or EVERY, values=values))


def last_counts(panel: Panel, scope: int | None) -> Counts | None:
    """None: there was no sync of this scope, nor one of all accounts, which counts for one's own as well."""
    row = panel.database.first(_COUNTS, scope=scope or EVERY)
    if row is not None:
        return Counts.read(orjson.loads(row.counts))
    if scope is None or panel.database.first(_COUNTS, scope=EVERY) is None:
        return None
    return Counts(int(panel.database.first(_OWN, scope=scope).number), 0, 0)


def _kept(connection: Connection, *, scope: int, values: Mapping[str, Any]) -> None:
    changed = update(SyncOutcome).where(SyncOutcome.scope == scope, SyncOutcome.begun <= values["begun"])
    if connection.execute(changed.values(**values)).rowcount == 0:
        insert_if_absent(connection, SyncOutcome, scope=scope, **values)
