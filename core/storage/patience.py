"""What is done outside of the database is written down in it, with more patience than a single transaction has."""

import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from core.errors import CommitUncertain, DatabaseFailed, DatabaseRefused
from core.storage.database import Database

Done = TypeVar("Done")


def persist(
    database: Database, act: Callable[[Connection], Done], is_stored: Callable[[], bool], *, seconds: float, poll: float
) -> Done | None:
    """``act``'s transaction, tried for some ``seconds`` of faults that may pass, every ``poll`` seconds.

    ``is_stored`` is asked before another try whether one whose commit was not answered is done: then None. Raises
    DatabaseRefused at once, else the last fault.
    """
    until = time.monotonic() + seconds
    uncertain: CommitUncertain | None = None
    while True:
        try:
            if uncertain is not None and is_stored():
                return None
            return database.transact(act)
        except DatabaseRefused:
            raise
        except CommitUncertain as error:
            uncertain = error
        except DatabaseFailed as error:
            if time.monotonic() >= until:
                # what came of the earlier try is not known either
                raise uncertain or error from error
        time.sleep(poll)
