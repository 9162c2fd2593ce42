"""Long syncs are written in batches: nobody waits for the whole, what others change in between stays, and what a killed
process left half written is finished.

Source: issue "Nothing lost", line 16.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from core.accounts.rows import change_account
from core.config import load_config
from core.errors import DatabaseFailed
from core.panel import Panel
from core.portal import PortalAccount, PortalAccountList
from core.storage.tables import Account, ArchivedAccount, AuditEntry, Base, State
from core.sync import batches
from core.sync.fetch import FetchFailed
from core.sync.merge import Changes, cleaned
from core.sync.shared_list import Listed
from core.sync.staging import is_staged
from core.sync.sync import Wish, bring_in_line, finish_interrupted
from core.workers import workers
from tests.core.sync.test_sync import BY_ADMIN
from tests.core.sync.test_sync_merge import told
from tests.worlds import forked
from tests.worlds.databases import prepared_database
from tests.worlds.places import ROOT
from tests.worlds.rows import Emptied
from tests.worlds.waiting import until

# accounts, and how many of them are a part where the test is brief
MANY, PART = 300, 50
# of which ten are gone, and ten are new
LATER = range(10, MANY + 10)


# which remember what happened, so that caches go on
_KEPT = {"_sbx_state", "_sbx_versions", "_sbx_alembic"}
_EMPTIED = Emptied([table for table in reversed(Base.metadata.sorted_tables) if table.name not in _KEPT])
_TRIGGERS = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'full%'"


@pytest.fixture(scope="module")
def emptied() -> Iterator[Callable[[str], Panel]]:
    """``emptied(kind)``: the panel of that kind, which has compiled its statements, without rows."""
    panels: dict[str, Panel] = {}

    def emptied(kind: str) -> Panel:
        if kind not in panels:
            panels[kind] = _panel(prepared_database(kind, "batches"))
        panel = panels[kind]
        with panel.database.write() as connection:
            if kind == "sqlite":
                for trigger in connection.scalars(sa.text(_TRIGGERS)).all():
                    connection.exec_driver_sql(f"DROP TRIGGER {trigger}")
            _EMPTIED(connection)
        return panel

    yield emptied
    for panel in panels.values():
        panel.close()


@pytest.fixture
def sqlite_panel(emptied: Callable[[str], Panel]) -> Panel:
    return emptied("sqlite")


@pytest.fixture
def mortal_panel() -> Iterator[Panel]:
    """One whose process dies, and which starts anew."""
    panel = _panel(prepared_database("sqlite", "mortal"))
    yield panel
    panel.close()


def _panel(url: str) -> Panel:
    return Panel(load_config(None, {"SHOWBOX_DATABASE_URL": url}))


def _list(panel: Panel, *accounts: PortalAccount) -> Listed:
    begun = int(panel.clock.seconds() * 1000)
    return Listed(begun, cleaned(PortalAccountList(list(accounts), 0)))


def _many(tariff: str, numbers: range = range(MANY)) -> list[PortalAccount]:
    return [told(number, tariff_plan=tariff) for number in numbers]


def _sync(panel: Panel, listed: Listed, report: Callable[[int, int], None] | None = None, **wish: Any) -> Changes:
    def reported(step: str, done: int, total: int) -> None:
        if report is not None and step == "writing":
            report(done, total)

    return bring_in_line(panel, listed, BY_ADMIN, Wish(None, report=reported, **wish))


def _tariffs(panel: Panel) -> dict[str, int]:
    counted = sa.select(Account.tariff_plan, sa.func.count()).group_by(Account.tariff_plan)
    with panel.database.read() as connection:
        return {str(tariff): number for tariff, number in connection.execute(counted)}


@pytest.fixture
def panel(emptied: Callable[[str], Panel], kind: str) -> Panel:
    return emptied(kind)


# what takes none of our locks, and transactions that see a moment
on_servers = pytest.mark.parametrize("kind", ["mariadb", "postgresql"])


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part of a long sync is a batch, and small."""
    monkeypatch.setattr(batches, "HELD_SECONDS", 0.0)
    monkeypatch.setattr(batches, "_PART", PART)
    monkeypatch.setattr(batches, "_AT_ONCE", 2 * PART)


@pytest.mark.usefixtures("brief")
def test_others_write_between_two_batches(panel: Panel) -> None:
    """With one transaction for all of it, whoever wrote meanwhile would see nothing of it, then everything."""
    seen: set[int] = set()
    is_over = threading.Event()

    def write(connection: Connection) -> int:
        connection.execute(sa.delete(State).where(State.name == "nothing"))
        return connection.scalar(sa.select(sa.func.count()).select_from(Account)) or 0

    def heartbeat() -> None:
        while not is_over.wait(0.001):
            seen.add(panel.database.transact(write))

    panel.layout  # noqa: B018 - creates the tables
    beside = threading.Thread(target=heartbeat)
    beside.start()
    try:
        changes = _sync(panel, _list(panel, *_many("gold")))
    finally:
        is_over.set()
        beside.join()
    assert len(changes.inserted) == MANY
    assert seen - {0, MANY}
    assert _tariffs(panel) == {"gold": MANY}


def test_no_batch_begins_another_part_when_its_time_is_over(sqlite_panel: Panel) -> None:
    """Held for a tenth of a second and what one part takes, whatever the number of accounts."""
    reports: list[int] = []
    _sync(sqlite_panel, _list(sqlite_panel, *_many("gold", range(4000))), lambda done, total: reports.append(done))
    steps = [after - before for before, after in zip([0, *reports], reports, strict=False)]
    assert sum(steps) == 4000
    # at some 20 µs a row they are several on any machine that we know
    assert all(step % batches._PART == 0 for step in steps)


@pytest.mark.usefixtures("brief")
def test_what_others_change_between_two_batches_stays(panel: Panel) -> None:
    _sync(panel, _list(panel, *_many("silver")))
    with panel.database.read() as connection:
        last = connection.execute(sa.select(Account.id, Account.username).order_by(Account.id.desc())).first()
    assert last is not None

    def change(done: int, total: int) -> None:
        if done < total and not is_changed:
            is_changed.append(True)
            with panel.database.write() as connection:
                change_account(panel, connection, last.id, {"tariff_plan": "edited"}, {})
                connection.execute(sa.insert(Account).values(username="NEW1", mac="00:1A:79:77:00:01", reseller=None))

    is_changed: list[bool] = []
    added = [told(70001, login="new1", mac="00:1A:79:77:00:02")]
    changes = _sync(panel, _list(panel, *_many("gold"), *added), change)
    assert len(changes.updated) == MANY - 1
    assert _tariffs(panel) == {"gold": MANY - 1, "edited": 1, "": 1}
    # paired by its name in the second comparison: one account, and it takes over the portal's MAC
    with panel.database.read() as connection:
        named = connection.execute(sa.select(Account.mac).where(Account.username.in_(["NEW1", "new1"]))).all()
    assert len(named) == 1


@on_servers
def test_what_php_changes_within_a_batch_is_seen_by_it(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes none of our locks, and a transaction of MariaDB sees the moment at which it began."""
    # one batch, and one look
    monkeypatch.setattr(batches, "HELD_SECONDS", 600.0)
    monkeypatch.setattr("core.sync.sync.ATTEMPTS", 1)
    write_part = batches.Writer._write_part

    def after_php(writer: batches.Writer, connection: Connection, part: Any, now: Any) -> list[Any]:
        if part is writer._parts[-1]:
            with panel.database.write() as other:
                changed = sa.update(Account).where(Account.id == part.accounts[-1].id)
                other.execute(changed.values(tariff_plan="sold in PHP"))
        return write_part(writer, connection, part, now)

    _sync(panel, _list(panel, *_many("silver")))
    monkeypatch.setattr(batches.Writer, "_write_part", after_php)
    changes = _sync(panel, _list(panel, *_many("gold")))
    assert len(changes.updated) == MANY - 1
    assert _tariffs(panel) == {"gold": MANY - 1, "sold in PHP": 1}


@on_servers
def test_what_php_changes_in_a_row_that_is_being_written_waits(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    is_done = threading.Event()
    carry_out = batches.Writer._carry_out

    def sell(account: int) -> None:
        with panel.database.write() as connection:
            connection.execute(sa.update(Account).where(Account.id == account).values(tariff_plan="sold in PHP"))
        is_done.set()

    def beside_php(writer: batches.Writer, connection: Connection, step: str, accounts: list[Any]) -> None:
        threads.append(threading.Thread(target=sell, args=(accounts[0].id,)))
        threads[-1].start()
        assert not is_done.wait(0.3)
        carry_out(writer, connection, step, accounts)

    _sync(panel, _list(panel, *_many("silver", range(30))))
    monkeypatch.setattr(batches.Writer, "_carry_out", beside_php)
    monkeypatch.setattr("core.sync.sync.ATTEMPTS", 1)
    assert len(_sync(panel, _list(panel, *_many("gold", range(30)))).updated) == 30
    threads[0].join(30)
    assert _tariffs(panel) == {"gold": 29, "sold in PHP": 1}


_KILLED = """
import os, signal, sys
from tests.core.sync import test_sync_batches as here
here.batches.HELD_SECONDS, here.batches._PART, here.batches._AT_ONCE = 0.0, here.PART, 2 * here.PART
panel = here._panel(sys.argv[1])
after = int(sys.argv[2])

def report(done, total):
    if done >= after:
        os.kill(os.getpid(), signal.SIGKILL)

if not after:
    here.batches.Writer.write = lambda *_: report(0, 0)
here._sync(panel, here._list(panel, *here._many("gold", here.LATER)), report)
"""


def _killed(panel: Panel, after: int) -> None:
    url = panel.config.database.url.get_secret_value()
    done = forked.run("-c", _KILLED, url, str(after), cwd=ROOT, environment=os.environ)
    assert done.returncode == -signal.SIGKILL, done.stderr


def _refused(panel: Panel) -> None:
    with pytest.raises(FetchFailed, match="is empty"):
        _sync(panel, _list(panel))


_FINISHERS: dict[str, Callable[[Panel], object]] = {
    "the next start": workers.start,
    "the next sync": lambda panel: _sync(panel, _list(panel, *_many("gold", LATER))),
    "a sync whose list is refused": _refused,
}


# rows that were written when the process ended; the last are all of them
_AFTER = (0, PART, 5 * PART, MANY)


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize(
    ("after", "finisher"),
    [
        *((after, "the next start") for after in _AFTER),
        *((5 * PART, finisher) for finisher in ("the next sync", "a sync whose list is refused")),
    ],
)
def test_what_a_killed_process_left_half_written_is_finished(mortal_panel: Panel, after: int, finisher: str) -> None:
    """Ten accounts go, ten come, all others change; killed once ``after`` rows were written."""
    panel = mortal_panel
    _sync(panel, _list(panel, *_many("silver")))
    _killed(panel, after)
    assert is_staged(panel)
    assert set(_tariffs(panel)) == ({"silver"} if not after else {"gold"} if after == MANY else {"silver", "gold"})
    _FINISHERS[finisher](panel)
    until(lambda: not is_staged(panel), "the rest was written")
    assert _tariffs(panel) == {"gold": MANY}
    with panel.database.read() as connection:
        for model in (ArchivedAccount, AuditEntry):
            assert connection.scalar(sa.select(sa.func.count()).select_from(model)) == 10


@on_servers
def test_it_is_finished_on_a_server_as_well(panel: Panel) -> None:
    _sync(panel, _list(panel, *_many("silver")))
    _killed(panel, 5 * PART)
    assert set(_tariffs(panel)) == {"silver", "gold"}
    finish_interrupted(panel)
    assert _tariffs(panel) == {"gold": MANY}
    assert not is_staged(panel)


@pytest.mark.usefixtures("brief")
def test_a_database_that_fails_half_way_is_told_and_finished_by_itself(
    sqlite_panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = sqlite_panel
    _sync(panel, _list(panel, *_many("silver")))

    def full(done: int, total: int) -> None:
        with panel.database.write() as connection:
            connection.exec_driver_sql(
                "CREATE TRIGGER full BEFORE UPDATE ON _accounts BEGIN SELECT RAISE(ABORT, 'full'); END"
            )

    with pytest.raises(batches.HalfWritten, match=r"^The portal's list is not wholly stored yet; the rest follows"):
        _sync(panel, _list(panel, *_many("gold")), full)
    assert len(_tariffs(panel)) == 2
    with pytest.raises(DatabaseFailed):
        finish_interrupted(panel)
    with panel.database.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER full")
    finish_interrupted(panel)
    assert _tariffs(panel) == {"gold": MANY}
    assert not is_staged(panel)


_REFUSING = "CREATE TRIGGER full BEFORE {} ON {} BEGIN SELECT RAISE(ABORT, 'full'); END"


def _refuse(panel: Panel, *statements: tuple[str, str]) -> None:
    with panel.database.write() as connection:
        for number, (verb, table) in enumerate(statements):
            connection.exec_driver_sql(_REFUSING.format(verb, table).replace("full", f"full{number}", 1))


@pytest.mark.usefixtures("brief")
def test_a_failure_before_anything_was_written_leaves_nothing_to_follow(sqlite_panel: Panel) -> None:
    _sync(sqlite_panel, _list(sqlite_panel, *_many("silver")))
    _refuse(sqlite_panel, ("UPDATE", "_accounts"))
    with pytest.raises(DatabaseFailed) as caught:
        _sync(sqlite_panel, _list(sqlite_panel, *_many("gold")))
    assert not isinstance(caught.value, batches.HalfWritten)
    assert not is_staged(sqlite_panel)
    assert _tariffs(sqlite_panel) == {"silver": MANY}


@pytest.mark.usefixtures("brief")
def test_what_cannot_be_forgotten_is_told_as_following(sqlite_panel: Panel) -> None:
    _sync(sqlite_panel, _list(sqlite_panel, *_many("silver")))
    _refuse(sqlite_panel, ("UPDATE", "_accounts"), ("DELETE", "_sbx_portal_list"))
    with pytest.raises(batches.HalfWritten):
        _sync(sqlite_panel, _list(sqlite_panel, *_many("gold")))
    assert is_staged(sqlite_panel)


@pytest.mark.usefixtures("brief")
def test_what_is_written_is_told_though_it_cannot_be_compared_again(sqlite_panel: Panel) -> None:
    """The second look is for what others changed meanwhile; it failing undoes nothing."""
    _sync(sqlite_panel, _list(sqlite_panel, *_many("silver")))

    def interfere(done: int, total: int) -> None:
        if done == total:
            _refuse(sqlite_panel, ("UPDATE", "_accounts"))
        elif done == batches._PART:
            with sqlite_panel.database.write() as connection:
                last = sa.select(sa.func.max(Account.id)).scalar_subquery()
                connection.execute(sa.update(Account).where(Account.id == last).values(tariff_plan="of others"))

    changes = _sync(sqlite_panel, _list(sqlite_panel, *_many("gold")), interfere)
    assert len(changes.updated) == MANY - 1
    assert _tariffs(sqlite_panel) == {"gold": MANY - 1, "of others": 1}


def test_a_short_sync_is_one_transaction(sqlite_panel: Panel) -> None:
    reports: list[int] = []
    _sync(sqlite_panel, _list(sqlite_panel, *_many("gold", range(500))), lambda done, total: reports.append(done))
    assert reports == [500]
