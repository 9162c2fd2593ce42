"""The list that is being written in several transactions, kept until all of it is: what a killed process left half done
is finished with it, also while the portal is away.

So are long lists, for which nobody should have to wait (:mod:`core.sync.batches`).
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, delete, select, update

from core.panel import Panel
from core.storage.tables import PortalListing
from core.storage.writing import insert_if_absent
from core.sync.outcomes import EVERY
from core.sync.shared_list import Listed, packed, unpacked

# beside the last list, which a later fetch may have replaced
_ROW = 2
_STAGED = select(PortalListing.number, PortalListing.begun, PortalListing.content).where(PortalListing.id == _ROW)

_IS_STAGED = select(PortalListing.id).where(PortalListing.id == _ROW)


@dataclass(frozen=True, slots=True)
class Staged:
    """``scope``: as in :class:`core.sync.merge.Terms`."""

    scope: int | None
    listed: Listed


def stage(panel: Panel, staged: Staged) -> None:
    """Before the first of several transactions."""
    values = {
        "number": staged.scope or EVERY,
        "source": "",
        "begun": staged.listed.begun,
        "content": packed(staged.listed.accounts),
    }
    panel.database.transact(partial(_stored, values=values))


def is_staged(panel: Panel) -> bool:
    panel.layout  # noqa: B018 - creates our tables where they are missing
    return panel.database.first(_IS_STAGED) is not None


def staged(panel: Panel) -> Staged | None:
    """What is being written, or was when its process ended."""
    row = panel.database.first(_STAGED)
    if row is None:
        return None
    return Staged(None if row.number == EVERY else row.number, Listed(int(row.begun), unpacked(row.content)))


def clear(panel: Panel) -> None:
    """After the last of them."""
    statement = delete(PortalListing).where(PortalListing.id == _ROW)
    panel.database.transact(lambda connection: connection.execute(statement))


def _stored(connection: Connection, *, values: dict[str, Any]) -> None:
    changed = update(PortalListing).where(PortalListing.id == _ROW).values(**values)
    if connection.execute(changed).rowcount == 0:
        insert_if_absent(connection, PortalListing, id=_ROW, **values)
