"""Nobody waits for a long sync: how long its transactions hold what others need, measured beside a renewal, a heartbeat
and a sale of the PHP panel.

SHOWBOX_TEST_SYNC_ACCOUNTS=50000 measures the volume of the issue, on a quiet machine, against its bound; by default few
accounts are compared with what one transaction for all would cost, which holds on a busy one as well.

Source: issue "Nothing lost", line 16.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from bench.measure import percentile
from core.accounts.operations import lock_accounts
from core.accounts.rows import change_account
from core.config import load_config
from core.panel import Panel
from core.portal import PortalAccountList
from core.storage.tables import Account, State
from core.sync import batches
from core.sync.merge import Changes, cleaned
from core.sync.shared_list import Listed
from core.sync.sync import Wish, bring_in_line
from tests.core.sync.test_sync import BY_ADMIN
from tests.core.sync.test_sync_merge import told
from tests.worlds.databases import KINDS, prepared_database

ACCOUNTS = int(os.environ.get("SHOWBOX_TEST_SYNC_ACCOUNTS", "5000"))
IS_WHOLE_VOLUME = ACCOUNTS >= 50_000
HELD_AT_MOST = 0.2
_KNOWN = 100

Act = Callable[[Connection], object]
# beginning and end, in seconds
Times = tuple[float, float]


@pytest.fixture(params=KINDS)
def panels(request: pytest.FixtureRequest) -> Iterator[tuple[Panel, Panel]]:
    """Two of one database: the sync's, and that of all others."""
    url = prepared_database(request.param, "waits")
    mine, theirs = (Panel(load_config(None, {"SHOWBOX_DATABASE_URL": url})) for _ in range(2))
    yield mine, theirs
    mine.close()
    theirs.close()


def _sync(panel: Panel, number: int) -> Changes:
    listed = cleaned(PortalAccountList([told(each) for each in range(number)], 0))
    return bring_in_line(panel, Listed(int(panel.clock.seconds() * 1000), listed), BY_ADMIN, Wish(None))


def _others(panel: Panel) -> dict[str, Act]:
    with panel.database.read() as connection:
        account = connection.scalar(sa.select(sa.func.min(Account.id))) or 0

    def renewal(connection: Connection) -> None:
        lock_accounts(panel, connection)
        change_account(panel, connection, account, {"phone_number": str(time.monotonic_ns())}, {})

    def sale_in_php(connection: Connection) -> None:
        changed = {"plan": time.monotonic_ns() % 1000}
        connection.execute(sa.update(Account).where(Account.id == account).values(**changed))

    def heartbeat(connection: Connection) -> None:
        connection.execute(sa.update(State).where(State.name == "a heartbeat").values(value="1"))

    return {"renewal": renewal, "sale in PHP": sale_in_php, "heartbeat": heartbeat}


@contextmanager
def _working(panel: Panel) -> Iterator[dict[str, list[Times]]]:
    """While the block runs, all others work; when each of their transactions was asked for and done."""
    waits: dict[str, list[Times]] = {}
    is_over = threading.Event()

    def work(act: Act, times: list[Times]) -> None:
        while not is_over.wait(0.005):
            began = time.monotonic()
            panel.database.transact(act)
            times.append((began, time.monotonic()))

    threads = [
        threading.Thread(target=work, args=(act, waits.setdefault(name, []))) for name, act in _others(panel).items()
    ]
    for thread in threads:
        thread.start()
    try:
        yield waits
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


class _Held:
    """When the sync's transactions had the lock of all operations."""

    def __init__(self, panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times: list[Times] = []
        self._taken: float | None = None
        self._transact = panel.database.transact
        self._lock = batches.lock_accounts
        monkeypatch.setattr(batches, "lock_accounts", self._taking)
        monkeypatch.setattr(panel.database, "transact", self._timed)

    def _taking(self, panel: Panel, connection: Connection) -> None:
        self._lock(panel, connection)
        self._taken = time.monotonic()

    def _timed(self, act: Callable[[Connection], object]) -> object:
        self._taken = None
        done = self._transact(act)
        if self._taken is not None:
            self.times.append((self._taken, time.monotonic()))
        return done


def test_nobody_waits_for_a_long_first_sync(
    panels: tuple[Panel, Panel], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    panel, others = panels
    _sync(panel, _KNOWN)
    held = _Held(panel, monkeypatch)
    with _working(others) as waits:
        changes = _sync(panel, ACCOUNTS)
    assert len(changes.inserted) == ACCOUNTS - _KNOWN
    with capsys.disabled():
        print(f"\n{panel.database.dialect}, {ACCOUNTS} accounts, {len(held.times)} batches: {_told(held.times)}")
        for name, times in waits.items():
            print(f"  a {name} waited {_told(times)}")
    assert len(held.times) > 1
    began, ended = held.times[0][0], held.times[-1][1]
    for name, times in waits.items():
        # with one transaction for all there was one of each, which waited for the whole
        through = [start for start, end in times if start > began and end < ended]
        assert len(through) >= len(held.times) / 2, name
    if IS_WHOLE_VOLUME:
        assert all(percentile(_seconds(times), 99) <= HELD_AT_MOST for times in (held.times, *waits.values()))


def _seconds(times: list[Times]) -> list[float]:
    return [end - start for start, end in times]


def _told(times: list[Times]) -> str:
    seconds = _seconds(times)
    middle, most = median(seconds) * 1e3, max(seconds) * 1e3
    return f"{middle:.0f} ms, p99 {percentile(seconds, 99) * 1e3:.0f} ms, at most {most:.0f} ms"
