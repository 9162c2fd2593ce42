"""The portal's list of accounts for all processes: the last fetch of it, and the last list that there was.

How it is fetched: :mod:`core.sync.fetch`. Source: contract README, "who may sync".
"""

import hashlib
import logging
import zlib
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
from pydantic import TypeAdapter
from sqlalchemy import Connection, select, update

from core.errors import DatabaseFailed
from core.panel import Panel
from core.portal import PortalAccountList
from core.storage.tables import PortalListing
from core.storage.writing import insert_if_absent

log = logging.getLogger(__name__)

# another one is in core.sync.staging
_ONLY_ROW = 1
_STATE = select(
    PortalListing.number, PortalListing.failure, PortalListing.source, PortalListing.begun, PortalListing.ended
).where(PortalListing.id == _ONLY_ROW)
_CONTENT = select(PortalListing.begun, PortalListing.content).where(PortalListing.id == _ONLY_ROW)
_LIST = TypeAdapter(PortalAccountList)


@dataclass(frozen=True, slots=True)
class Listed:
    """The list, and when the portal had not been asked for it yet (Unix milliseconds): what changed here after that
    is newer."""

    begun: int
    accounts: PortalAccountList


@dataclass(frozen=True, slots=True)
class Ended:
    """How a fetch ended: with a list, or a failure in words."""

    listed: Listed | None
    failure: str | None


def fetches_so_far(panel: Panel) -> int:
    panel.layout  # noqa: B018 - creates our tables where they are missing
    row = panel.database.first(_STATE)
    return 0 if row is None else int(row.number)


def ended_after(panel: Panel, number: int) -> Ended | None:
    """What the first fetches after ``number`` brought; None while none has ended, or it was of another portal."""
    row = panel.database.first(_STATE)
    if row is None or row.number <= number or row.source != source(panel):
        return None
    return Ended(None, row.failure) if row.failure is not None else Ended(_read(panel), None)


def fresh_list(panel: Panel) -> Listed | None:
    """The last list, if it is of the portal in force and young enough to do without asking again."""
    panel.layout  # noqa: B018 - creates our tables where they are missing
    row = panel.database.first(_STATE)
    if row is None or row.ended is None or row.source != source(panel):
        return None
    age = panel.clock.seconds() - row.ended / 1000
    # a clock that went back makes nothing young
    return _read(panel) if 0 <= age < panel.config.portal.list_fresh_seconds else None


def last_list(panel: Panel) -> Listed | None:
    """The last list of the portal in force, however old."""
    row = panel.database.first(_STATE)
    return _read(panel) if row is not None and row.source == source(panel) else None


def keep_list(panel: Panel, listed: Listed, of: str) -> None:
    """For the other processes, which fetch themselves where it cannot be stored; ``of``: its :func:`source`."""
    ended = int(panel.clock.seconds() * 1000)
    _store(panel, of, failure=None, begun=listed.begun, ended=ended, content=packed(listed.accounts))


def packed(accounts: PortalAccountList) -> bytes:
    """As a list is stored."""
    return zlib.compress(orjson.dumps(accounts), 1)


def unpacked(content: bytes) -> PortalAccountList:
    return _LIST.validate_json(zlib.decompress(bytes(content)))


def keep_failure(panel: Panel, text: str, of: str) -> None:
    _store(panel, of, failure=text)


def _store(panel: Panel, of: str, **values: Any) -> None:
    try:
        panel.database.transact(partial(_stored, values={**values, "source": of}))
    except DatabaseFailed as error:
        log.warning("the portal's list could not be kept for other processes: %s", type(error).__name__)


def _stored(connection: Connection, *, values: dict[str, Any]) -> None:
    another = (PortalListing.id == _ONLY_ROW) & (PortalListing.source != values["source"])
    connection.execute(update(PortalListing).where(another).values(begun=None, ended=None, content=None))
    counted = {**values, "number": PortalListing.number + 1}
    if connection.execute(update(PortalListing).where(PortalListing.id == _ONLY_ROW).values(**counted)).rowcount == 0:
        insert_if_absent(connection, PortalListing, id=_ONLY_ROW, **{**values, "number": 1})


def _read(panel: Panel) -> Listed | None:
    row = panel.database.first(_CONTENT)
    if row is None or row.content is None:
        return None
    return Listed(int(row.begun), unpacked(row.content))


def source(panel: Panel) -> str:
    """Of which portal a list is, if it is asked for now; after its address was changed it says nothing."""
    settings = panel.portal_settings
    return hashlib.sha256(f"{settings.primary_api_url} {settings.username}".encode()).hexdigest()
