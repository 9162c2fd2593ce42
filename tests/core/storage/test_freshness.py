"""Whether a list has changed is told rightly, whoever writes and however (issue 14, line 4)."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from core.accounts.listing import answer as listing
from core.storage import schema
from core.storage.caching import freshness
from core.storage.caching.freshness import Proof, Stamp
from core.storage.database import Database
from core.storage.tables import Account, Plan, User
from tests.worlds.private_mariadb import PrivateMariadb

WATCHED = listing._WATCHED[listing._ALL]
HAMMERED_SECONDS = 8.0
# what the hammer never exceeds
LONGEST_SECONDS = 3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateMariadb]:
    made = PrivateMariadb(tmp_path_factory.mktemp("mariadb"))
    made.run(
        "CREATE DATABASE panel CHARACTER SET utf8mb4", "CREATE USER plain@localhost", "CREATE USER plain@'127.0.0.1'"
    )
    made.run("GRANT ALL ON panel.* TO plain@localhost", "GRANT ALL ON panel.* TO plain@'127.0.0.1'")
    database = Database(f"{made.url}panel")
    schema.prepare(database)
    with database.write() as connection:
        connection.execute(sa.insert(Plan).values(id=1, external_id="1", name="Plan", price=1))
        connection.execute(sa.insert(User).values(id=1, username="a", password="p", name="A"))
        rows = [{"id": id, "username": f"u{id}", "mac": str(id), "reseller": 1, "plan": 1} for id in range(1, 60)]
        connection.execute(sa.insert(Account), rows)
    database.dispose()
    yield made
    made.close()


@pytest.fixture
def database(server: PrivateMariadb) -> Iterator[Database]:
    made = Database(f"mysql://plain@127.0.0.1:{server.port}/panel", longest_transaction=LONGEST_SECONDS)
    yield made
    made.dispose()


class Kept:
    """A list that is kept as the panel keeps its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._token: Any = None
        self._rows: Any = None

    def rows(self) -> Any:
        token = freshness.token(self._database, WATCHED)
        if token != self._token:
            self._token, self._rows = token, self.truth()
        return self._rows

    def truth(self) -> Any:
        return list(self._database.all(listing._ALL))


def _write(database: Database, *statements: str, rolled_back: bool = False, open_for: float = 0.0) -> None:
    with database.engine.connect() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
        time.sleep(open_for)
        connection.rollback() if rolled_back else connection.commit()


def _rename() -> str:
    return f"UPDATE _accounts SET full_name = '{random.random()}' WHERE id = {random.randrange(1, 60)}"


HITS: tuple[Callable[[Database], None], ...] = (
    lambda database: _write(database, _rename()),
    lambda database: _write(database, _rename(), rolled_back=True),
    lambda database: _write(database, _rename(), open_for=random.uniform(0, LONGEST_SECONDS - 1)),
    lambda database: _write(database, "UPDATE _accounts SET full_name = full_name"),
    lambda database: _write(database, "FLUSH TABLES"),
    lambda database: _write(database, f"UPDATE _users SET name = '{random.random()}'"),
    lambda database: _write(database, f"UPDATE _plans SET name = '{random.random()}'"),
    lambda database: time.sleep(random.uniform(0.1, 0.6)),
)


def _hammer(database: Database, until: float) -> None:
    while time.monotonic() < until:
        try:
            random.choice(HITS)(database)
        except sa.exc.OperationalError:
            # two that lock each other's rows: rolled back, which is a hit as well
            continue
        time.sleep(random.uniform(0, 0.3))


def test_under_the_hammer_every_answer_is_the_truth(database: Database, server: PrivateMariadb) -> None:
    writers = Database(f"{server.url}panel")
    kept, until, compared = Kept(database), time.monotonic() + HAMMERED_SECONDS, 0
    threads = [threading.Thread(target=_hammer, args=(writers, until)) for _ in range(3)]
    for thread in threads:
        thread.start()
    while time.monotonic() < until:
        before, rows, after = kept.truth(), kept.rows(), kept.truth()
        # what changes meanwhile may show or not
        if before == after:
            compared += 1
            assert rows == before
        time.sleep(0.01)
    for thread in threads:
        thread.join()
    writers.dispose()
    assert kept.rows() == kept.truth()
    assert compared > 20


def test_a_change_in_the_same_second_that_is_committed_later_is_seen(
    database: Database, server: PrivateMariadb
) -> None:
    writers, kept = Database(f"{server.url}panel"), Kept(database)
    with writers.engine.connect() as late, writers.engine.connect() as soon:
        late.execute(sa.text("UPDATE _accounts SET full_name = 'late' WHERE id = 1"))
        soon.execute(sa.text("UPDATE _accounts SET full_name = 'soon' WHERE id = 2"))
        soon.commit()
        until = time.monotonic() + LONGEST_SECONDS - 0.7
        while time.monotonic() < until:
            kept.rows()
            time.sleep(0.2)
        late.commit()
    assert kept.rows() == kept.truth()
    writers.dispose()


def test_what_has_settled_is_not_read_again(database: Database, server: PrivateMariadb) -> None:
    writers, kept = Database(f"{server.url}panel"), Kept(database)
    _write(writers, _rename())
    # the first look finds out which kind of server it is
    kept.rows()
    time.sleep(LONGEST_SECONDS + 2)
    kept.rows()
    taken = database.proofs.copy()
    for _ in range(20):
        kept.rows()
    assert database.proofs == taken
    _write(writers, _rename())
    assert kept.rows() == kept.truth()
    assert database.proofs != taken
    writers.dispose()


def test_a_restart_hides_no_change(database: Database, server: PrivateMariadb) -> None:
    kept = Kept(database)
    kept.rows()
    for _ in range(2):
        server.run(f"UPDATE panel._accounts SET full_name = '{random.random()}' WHERE id = 3")
        server.restart()
        assert kept.rows() == kept.truth()
        server.run(f"UPDATE panel._accounts SET full_name = '{random.random()}' WHERE id = 4")
        assert kept.rows() == kept.truth()


SETTLED = Stamp(changed=(1000, 900), now=1100, settled=True, small=(1,))
DOUBTS = {
    "other second": replace(SETTLED, changed=(1001, 900)),
    "set back": replace(SETTLED, changed=(999, 900)),
    "not known": replace(SETTLED, changed=(1000, None)),
    "small table": replace(SETTLED, small=(2,)),
    "clock set back": replace(SETTLED, now=1099),
}


@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_doubt_is_no_proof(doubt: str) -> None:
    proof = Proof(SETTLED, (), time.monotonic())
    assert proof.holds(replace(SETTLED, now=1200))
    assert not proof.holds(DOUBTS[doubt])
    assert not replace(proof, stamp=replace(SETTLED, settled=False)).holds(SETTLED)
    assert not replace(proof, taken_at=time.monotonic() - 61).holds(SETTLED)
