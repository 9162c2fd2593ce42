"""Deadlocks and lock waits: told apart from lasting faults by every driver's own words, and repeated where they may be.

Source: issue "Nothing lost", lines 3 and 12.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from core.errors import DatabaseBusy, DatabaseFailed
from core.storage.database import Database
from core.storage.engines import LOCK_SECONDS
from tests.worlds.databases import create_database

_ADD = "UPDATE counted SET n = n + 1 WHERE id = :id"


@pytest.fixture
def database(kind: str) -> Iterator[Database]:
    made = Database(create_database(kind, "passing"))
    with made.write() as connection:
        connection.execute(sa.text("CREATE TABLE counted (id INTEGER PRIMARY KEY, n INTEGER)"))
        connection.execute(sa.text("INSERT INTO counted VALUES (1, 0), (2, 0)"))
    yield made
    made.dispose()


def _counts(database: Database) -> list[int]:
    with database.read() as connection:
        return list(connection.execute(sa.text("SELECT n FROM counted ORDER BY id")).scalars())


def test_the_victim_of_a_deadlock_does_all_again(database: Database) -> None:
    meeting = threading.Barrier(2, timeout=1)

    def cross(first: int, second: int) -> None:
        def act(connection: Connection) -> None:
            connection.execute(sa.text(_ADD), {"id": first})
            # SQLite lets one in at a time; and a repeat meets nobody
            with suppress(threading.BrokenBarrierError):
                meeting.wait()
            connection.execute(sa.text(_ADD), {"id": second})

        database.transact(act)

    threads = [threading.Thread(target=cross, args=order) for order in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert _counts(database) == [2, 2]


def test_a_lock_that_is_held_too_long_is_busy_and_not_waited_for_again(database: Database) -> None:
    waits = {
        "mysql": "SET SESSION innodb_lock_wait_timeout = 1",
        "postgresql": "SET LOCAL lock_timeout = '300ms'",
        "sqlite": "SELECT 1",
    }

    def act(connection: Connection) -> None:
        connection.execute(sa.text(waits[database.dialect]))
        connection.execute(sa.text(_ADD), {"id": 1})

    if database.dialect == "sqlite":
        sa.event.listen(database.engine, "connect", lambda own, _: own.execute("PRAGMA busy_timeout = 300"))
        database.engine.dispose()
    with database.write() as holder:
        holder.execute(sa.text(_ADD), {"id": 1})
        with pytest.raises(DatabaseBusy), database.write() as connection:
            act(connection)
    assert _counts(database) == [1, 0]


def test_a_lasting_fault_is_not_repeated(database: Database) -> None:
    tries = []

    def act(connection: Connection) -> None:
        tries.append(time.monotonic())
        connection.execute(sa.text("INSERT INTO counted VALUES (1, 0)"))

    with pytest.raises(DatabaseFailed) as caught:
        database.transact(act)
    assert not isinstance(caught.value, DatabaseBusy)
    assert len(tries) == 1


_WAITS = {
    "sqlite": "PRAGMA busy_timeout",
    "mysql": "SELECT @@innodb_lock_wait_timeout * 1000",
    "postgresql": "SELECT setting FROM pg_settings WHERE name = 'lock_timeout'",
}


def test_no_statement_waits_for_a_lock_longer_than_we_say(database: Database) -> None:
    """By themselves MariaDB's wait for 50 seconds and PostgreSQL's for ever."""
    told = sa.text(_WAITS[database.dialect])
    with database.write() as connection:
        assert int(connection.execute(told).scalar_one()) == LOCK_SECONDS * 1000
    if database.dialect != "sqlite":
        # the connections of what is looked up by itself
        looked_up = sa.select(sa.literal_column("@@innodb_lock_wait_timeout").label("seconds"))
        if database.dialect == "postgresql":
            looked_up = sa.select(sa.func.current_setting("lock_timeout").label("seconds"))
        assert str(database.first(looked_up).seconds).removesuffix("s") == str(LOCK_SECONDS)


def test_what_an_address_says_of_waiting_is_left_alone() -> None:
    own = sa.engine.make_url(create_database("mariadb", "waits"))
    named = own.update_query_dict({"init_command": "SET SESSION innodb_lock_wait_timeout=3"})
    database = Database(named.render_as_string(hide_password=False))
    try:
        with database.read() as connection:
            assert connection.exec_driver_sql("SELECT @@innodb_lock_wait_timeout").scalar_one() == 3
    finally:
        database.dispose()
