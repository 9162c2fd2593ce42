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
from core.storage.caching.open_transactions import Horizon, OpenTransactions
from core.storage.database import Database
from core.storage.tables import Account, Plan, User
from tests.worlds.private_servers import PrivateMariadb
from tests.worlds.waiting import until

WATCHED = listing._WATCHED[listing._ALL]
# what the hammer never exceeds
LONGEST_SECONDS = 3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateMariadb]:
    made = PrivateMariadb(tmp_path_factory.mktemp("mariadb"))
    made.run(
        "CREATE DATABASE panel CHARACTER SET utf8mb4", "CREATE USER plain@localhost", "CREATE USER plain@'127.0.0.1'"
    )
    made.run("GRANT ALL ON panel.* TO plain@localhost", "GRANT ALL ON panel.* TO plain@'127.0.0.1'")
    # it may ask which transactions are open
    made.run("CREATE USER sees@localhost", "CREATE USER sees@'127.0.0.1'")
    for host in ("localhost", "'127.0.0.1'"):
        made.run(f"GRANT ALL ON panel.* TO sees@{host}", f"GRANT PROCESS ON *.* TO sees@{host}")
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


@pytest.fixture
def seeing(server: PrivateMariadb) -> Iterator[Database]:
    """Of an account that may ask which transactions are open, which alone must do: they may last for ever."""
    made = Database(f"mysql://sees@127.0.0.1:{server.port}/panel", longest_transaction=3600)
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
        began = time.monotonic()
        for statement in statements:
            connection.execute(sa.text(statement))
        time.sleep(open_for)
        connection.rollback() if rolled_back or _is_too_long(began) else connection.commit()


def _write_late(database: Database, open_for: float) -> None:
    """A transaction that has begun long before it changes anything."""
    with database.engine.connect() as connection:
        began = time.monotonic()
        connection.execute(sa.text("SELECT * FROM _plans"))
        time.sleep(open_for)
        connection.execute(sa.text(_rename()))
        connection.rollback() if _is_too_long(began) else connection.commit()


def _is_too_long(began: float) -> bool:
    """Who waited for another's rows may have become older than a panel is told that transactions get."""
    return time.monotonic() - began > LONGEST_SECONDS - 0.5


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
    lambda database: _write_late(database, random.uniform(0, LONGEST_SECONDS - 1)),
    lambda database: _write(database, f"UPDATE _accounts SET full_name = '{random.random()}' WHERE SLEEP(0.02) = 0"),
)


def _hammer(database: Database, ends: float, pause: float) -> None:
    while time.monotonic() < ends:
        try:
            random.choice(HITS)(database)
        except sa.exc.OperationalError:
            # two that lock each other's rows: rolled back, which is a hit as well
            continue
        time.sleep(max(0, min(random.uniform(0, pause), ends - time.monotonic())))


# seldom: so that there are times at which nothing is in doubt, which come in so many seconds
@pytest.mark.parametrize(("pause", "seconds"), [(0.3, 4.0), (6.0, 8.0)], ids=("often", "seldom"))
@pytest.mark.parametrize("account", ["database", "seeing"])
def test_under_the_hammer_every_answer_is_the_truth(
    account: str, pause: float, seconds: float, request: pytest.FixtureRequest, server: PrivateMariadb
) -> None:
    database, writers = request.getfixturevalue(account), Database(f"{server.url}panel")
    kept, ends, compared = Kept(database), time.monotonic() + seconds, 0
    threads = [threading.Thread(target=_hammer, args=(writers, ends, pause)) for _ in range(3)]
    for thread in threads:
        thread.start()
    while time.monotonic() < ends:
        before, rows, after = kept.truth(), kept.rows(), kept.truth()
        # what changes meanwhile may show or not
        if before == after:
            compared += 1
            assert rows == before
        # that leaves a hundred looks, and the writers the processor
        time.sleep(0.03)
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
        ends = time.monotonic() + LONGEST_SECONDS - 0.7
        while time.monotonic() < ends:
            kept.rows()
            time.sleep(0.2)
        late.commit()
    assert kept.rows() == kept.truth()
    writers.dispose()


@pytest.mark.parametrize("first", ["SELECT * FROM _plans", "UPDATE _accounts SET full_name = 'x' WHERE id = 5"])
def test_a_transaction_that_is_open_is_waited_for(seeing: Database, server: PrivateMariadb, first: str) -> None:
    """It began in the second of the last change, and commits when that is long over: the time stays equal."""
    writers, kept = Database(f"{server.url}panel"), Kept(seeing)
    changed = sa.select(freshness.changed_at("_accounts"))
    kept.rows()
    with writers.engine.connect() as late:

        def both_within_one_second() -> bool:
            late.rollback()
            second = int(time.time())
            late.execute(sa.text(first))
            _write(writers, "UPDATE _accounts SET full_name = CONCAT(RAND()) WHERE id = 7")
            return int(time.time()) == second

        until(both_within_one_second, "a transaction and a change within one second")
        before = seeing.all(changed)
        ends = time.monotonic() + 4
        while time.monotonic() < ends:
            assert kept.rows() == kept.truth()
            time.sleep(0.05)
        late.execute(sa.text("UPDATE _accounts SET full_name = CONCAT(RAND()) WHERE id = 6"))
        late.commit()
    assert seeing.all(changed) == before
    assert kept.rows() == kept.truth()
    writers.dispose()


def _settles(database: Database, kept: Kept) -> None:
    """Wait until the rows are not digested again."""

    def is_kept() -> bool:
        kept.rows()
        taken = database.proofs.copy()
        kept.rows()
        return database.proofs == taken and any(
            isinstance(proof, Proof) and proof.stamp.settled for proof in taken.values()
        )

    until(is_kept, "nothing is in doubt")


def test_what_no_open_transaction_can_change_has_settled(seeing: Database, server: PrivateMariadb) -> None:
    writers, kept = Database(f"{server.url}panel"), Kept(seeing)
    for _ in range(2):
        _write(writers, _rename())
        assert kept.rows() == kept.truth()
        # long before the hour that a transaction may last
        _settles(seeing, kept)
    writers.dispose()


def test_what_others_were_told_of_open_transactions_is_no_proof(seeing: Database, server: PrivateMariadb) -> None:
    """Who asks ten times a second makes the server repeat itself."""
    others, writers, kept = Database(f"{server.url}panel"), Database(f"{server.url}panel"), Kept(seeing)
    ended = threading.Event()
    pauses: list[float] = []

    def ask() -> None:
        asked = time.monotonic()
        with others.engine.connect() as connection:
            while not ended.wait(0.01):
                connection.execute(sa.text("SELECT COUNT(*) FROM information_schema.innodb_trx"))
                pauses.append(time.monotonic() - asked)
                asked += pauses[-1]

    def is_no_proof() -> bool:
        _write(writers, _rename())
        pauses.clear()
        ends = time.monotonic() + 2
        while time.monotonic() < ends:
            assert kept.rows() == kept.truth()
            time.sleep(0.1)
        is_settled = any(isinstance(proof, Proof) and proof.stamp.settled for proof in seeing.proofs.values())
        # a slow machine asks too seldom, now and then
        assert not is_settled or max(pauses) >= 0.1
        return not is_settled

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        kept.rows()
        until(is_no_proof, "a server that is asked ten times a second repeats itself")
    finally:
        ended.set()
        asking.join()
    _settles(seeing, kept)
    for database in (others, writers):
        database.dispose()


def test_what_the_same_connection_was_told_a_moment_ago_is_no_proof(seeing: Database) -> None:
    def is_refused_when_repeated() -> bool:
        # so that the first one is told what is
        time.sleep(0.2)
        with seeing.read() as connection:
            ages = [OpenTransactions._age_of_the_oldest(connection) for _ in range(2)]
        return ages == [0, None]

    # a slow machine asks again too late for that
    until(is_refused_when_repeated, "a copy is told as one")


def test_an_account_that_may_not_ask_does_not_ask_again(server: PrivateMariadb) -> None:
    database = Database(f"mysql://plain@127.0.0.1:{server.port}/panel", longest_transaction=3600)
    known = OpenTransactions.of(database)
    assert not known.have_ended(1000, 2000)
    assert known.seconds_until_worth_asking(1000, 2000) > 60
    assert known.horizon == Horizon()
    database.dispose()


def test_a_clock_that_went_back_makes_what_was_seen_worthless() -> None:
    seen = Horizon(second=2000, seen_at=2001)
    assert seen.covers(1999, 2001)
    assert not seen.covers(2000, 2001)
    assert not seen.covers(1000, 2000)


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
