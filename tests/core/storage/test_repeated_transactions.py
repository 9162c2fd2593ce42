"""Which transactions are repeated whole, and which cannot be: lost connections, lost commits, and who must repeat.

Source: issue "Nothing lost", lines 3 and 12.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from core.errors import CommitUncertain, DatabaseRefused, DatabaseUnavailable
from core.storage.database import Database
from tests.worlds.databases import create_database, require
from tests.worlds.places import ROOT

_ADD = "UPDATE counted SET n = n + 1 WHERE id = 1"
_OWN_ID = {"mysql": "SELECT connection_id()", "postgresql": "SELECT pg_backend_pid()"}
_END = {"mysql": "KILL {}", "postgresql": "SELECT pg_terminate_backend({})"}
# what opens a transaction by itself: the frame, long ones with tries of their own, and a read within another one
_MAY_WRITE = {
    "core/storage/database.py",
    "core/storage/one_at_a_time.py",
    "core/storage/schema.py",
    "core/backup/backups.py",
    "core/sync/sync.py",
    "core/xtream/store.py",
}


@pytest.fixture(params=["mariadb", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    require(request.param)
    made = Database(create_database(request.param, "repeated"))
    with made.write() as connection:
        connection.execute(sa.text("CREATE TABLE counted (id INTEGER PRIMARY KEY, n INTEGER)"))
        connection.execute(sa.text("INSERT INTO counted VALUES (1, 0)"))
    yield made
    made.dispose()


def _count(database: Database) -> int:
    with database.read() as connection:
        return int(connection.scalar(sa.text("SELECT n FROM counted")) or 0)


def _cut(database: Database, connection: Connection) -> None:
    """The server ends the connection, as it would when it is stopped."""
    number = connection.exec_driver_sql(_OWN_ID[database.dialect]).scalar()
    with database.engine.connect() as other:
        other.exec_driver_sql(_END[database.dialect].format(number))


def test_a_connection_that_is_lost_before_the_commit_has_done_nothing_and_all_is_done_again(database: Database) -> None:
    tries = []

    def act(connection: Connection) -> None:
        tries.append(1)
        connection.execute(sa.text(_ADD))
        if len(tries) == 1:
            _cut(database, connection)
            connection.execute(sa.text(_ADD))

    database.transact(act)
    assert len(tries) == 2
    assert _count(database) == 1


def test_a_commit_without_an_answer_is_not_done_again(database: Database) -> None:
    tries = []

    def act(connection: Connection) -> None:
        tries.append(1)
        connection.execute(sa.text(_ADD))
        _cut(database, connection)

    with pytest.raises(CommitUncertain, match="may be done or not"):
        database.transact(act)
    assert len(tries) == 1


@pytest.mark.parametrize("answer", [True, False, DatabaseUnavailable()], ids=["stored", "not stored", "not seen"])
def test_a_commit_without_an_answer_is_well_where_its_work_is_seen(
    database: Database, answer: bool | DatabaseUnavailable
) -> None:
    def act(connection: Connection) -> int:
        _cut(database, connection)
        return 7

    def is_stored(made: int) -> bool:
        assert made == 7
        if isinstance(answer, bool):
            return answer
        raise answer

    if answer is True:
        assert database.transact(act, is_stored=is_stored) == 7
    else:
        with pytest.raises(CommitUncertain):
            database.transact(act, is_stored=is_stored)


def test_a_connection_that_breaks_under_the_driver_itself_is_a_named_failure_and_all_is_done_again(
    database: Database,
) -> None:
    tries = []

    def act(connection: Connection) -> None:
        tries.append(1)
        if len(tries) == 1:
            _cut(database, connection)
            # past SQLAlchemy, which would give its own error
            driver = connection.connection.cursor()
            driver.execute("SELECT 1")
        connection.execute(sa.text(_ADD))

    database.transact(act)
    assert len(tries) == 2
    assert _count(database) == 1


def test_what_never_fits_is_told_from_what_may_pass(database: Database) -> None:
    def act(connection: Connection) -> None:
        connection.execute(sa.text("INSERT INTO counted VALUES (1, 0)"))

    with pytest.raises(DatabaseRefused):
        database.transact(act)


def _writers(root: Path) -> set[str]:
    found = (path for path in (root / "core").rglob("*.py") if re.search(r"database\.write\(\)", path.read_text()))
    return {str(path.relative_to(root)) for path in found}


def test_every_writer_repeats_its_transaction() -> None:
    assert _writers(ROOT) <= _MAY_WRITE


def test_a_writer_that_does_not_repeat_is_found(tmp_path: Path) -> None:
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "new.py").write_text("with panel.database.write() as connection: ...\n")
    assert _writers(tmp_path) == {"core/new.py"}
