"""MariaDB: since when no transaction is open any more, for accounts with the right ``PROCESS``.

A table's time of change is that of the transaction's begin, whenever it commits. So one that is equal proves that
nothing has changed as soon as no transaction of that second is open (:mod:`core.storage.caching.freshness`).
"""

import logging
import random
import secrets
import threading
import time
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from core.errors import DatabaseFailed
from core.storage.database import Database

log = logging.getLogger(__name__)

# after a look that told nothing, and after one that was refused
_PAUSE_SECONDS, _REFUSED_SECONDS = 1.0, 600.0
# above this the server might have left some out
_MOST_ROWS = 1000
# of those that begin while the second ends
MARGIN_SECONDS = 1
# the server answers from a copy that it renews only when nobody has asked for 0.1 seconds: what is told is of this very
# moment when our own statement is told as being at work
_LOOK = sa.text(
    "SELECT COUNT(*) AS found, MIN(trx_started) AS first_began,"
    " MAX(IF(trx_mysql_thread_id = CONNECTION_ID() AND trx_query LIKE CONCAT('%', :nonce, '%'), trx_started, NULL))"
    " AS own_began, MAX(trx_started) AS last_began, @@GLOBAL.wsrep_on AS is_one_of_several"
    " FROM information_schema.innodb_trx"
)


@dataclass(frozen=True, slots=True)
class Horizon:
    """Transactions that began before ``second`` (Unix time of the server) have ended, as was seen at ``seen_at``."""

    second: int = 0
    seen_at: int = 0

    def covers(self, second: int, now: int) -> bool:
        """Whether ``second`` lies before it, which a clock that went back makes worthless."""
        return second < self.second and now >= self.seen_at


class OpenTransactions:
    """What one process knows of a server's open transactions; safe between threads."""

    def __init__(self, database: Database) -> None:
        self.horizon = Horizon()
        self._database = database
        # two at once would show each other a copy
        self._looking = threading.Lock()
        self._not_before = 0.0

    @classmethod
    def of(cls, database: Database) -> "OpenTransactions":
        known: OpenTransactions | None = database.proofs.get(cls)
        return known or database.proofs.setdefault(cls, cls(database))

    def have_ended(self, second: int, now: int) -> bool:
        """Whether those that began in ``second`` have: a look at the server where that could tell more."""
        if not self.horizon.covers(second, now) and self._may_tell(second, now):
            self._look(now)
        return self.horizon.covers(second, now)

    def seconds_until_worth_asking(self, second: int, now: int) -> float:
        """In how many seconds :meth:`have_ended` could tell more of ``second`` than it just did."""
        return max(second + MARGIN_SECONDS + 1 - now, self._not_before - time.monotonic(), 0.0)

    def _may_tell(self, second: int, now: int) -> bool:
        return second < now - MARGIN_SECONDS and time.monotonic() >= self._not_before

    def _look(self, now: int) -> None:
        if not self._looking.acquire(blocking=False):
            return
        try:
            # not all processes at the same moments
            self._not_before = time.monotonic() + _PAUSE_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311
            with self._database.read() as connection:
                age = self._age_of_the_oldest(connection)
            if age is not None:
                self._seen(Horizon(now - age - MARGIN_SECONDS, now))
        except DatabaseFailed as error:
            self._not_before = time.monotonic() + _REFUSED_SECONDS
            log.info("open transactions are not told: %s", type(error).__name__)
        finally:
            self._looking.release()

    def _seen(self, found: Horizon) -> None:
        if found.second > self.horizon.second or found.seen_at < self.horizon.seen_at:
            self.horizon = found

    @staticmethod
    def _age_of_the_oldest(connection: Connection) -> int | None:
        """By how many seconds the oldest open transaction is older than this one; None where that is not certain."""
        nonce = secrets.token_hex(16)
        connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        row = connection.execute(_LOOK, {"nonce": nonce}).one()
        # what is open at the other servers of a cluster is not told
        if row.is_one_of_several:
            return None
        # with the clock's change to winter an older one may seem to be younger
        if row.own_began is None or row.found > _MOST_ROWS or row.last_began > row.own_began:
            return None
        return int((row.own_began - row.first_began).total_seconds())
