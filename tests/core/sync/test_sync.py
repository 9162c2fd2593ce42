"""The whole operation at many accounts and beside a portal that is slow, lies or is gone; the command line."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from commands.sync import SYSTEM, sync_command
from core.access.audit import By, Origin
from core.accounts.rows import change_account
from core.config import Portal, load_config
from core.jobs.locks import named_lock
from core.panel import Panel
from core.storage.tables import Account, AccountNote, ArchivedAccount, AuditEntry, Base, Operation
from core.sync.fetch import FetchFailed
from core.sync.merge import Changes
from core.sync.on_request import sync_on_request
from core.sync.sync import Wish, synchronise
from simulators.faults import Answer, Cut, Delay, Hang, Trickle
from simulators.stalker import StalkerPortal
from simulators.wire import Response
from tests.worlds.databases import prepared_database

# several batches of several parts, which is all that a database sees of any number; five thousand are in
# test_sync_waits
MANY = 1200
# syncs beside fifty edits
ROUNDS = 6
ORIGIN = Origin("192.0.2.1", "test")
BY_ADMIN = By(SYSTEM, ORIGIN)


@pytest.fixture(scope="module")
def _portal() -> Iterator[StalkerPortal]:
    with StalkerPortal(dialect="panel") as portal:
        yield portal


@pytest.fixture
def portal(_portal: StalkerPortal) -> StalkerPortal:
    _portal.clear_faults()
    for user in _portal.users:
        _portal.state.delete_user(user)
    _portal.forget_requests()
    return _portal


@pytest.fixture(scope="module")
def _panels() -> Iterator[Callable[[str, str], Panel]]:
    panels: dict[str, Panel] = {}

    def make(kind: str, portal_url: str) -> Panel:
        if kind not in panels:
            environment = {
                "SHOWBOX_DATABASE_URL": prepared_database(kind, "sync"),
                "SHOWBOX_PORTAL_PRIMARY_API_URL": portal_url,
            }
            panels[kind] = Panel(load_config(None, environment))
        return panels[kind]

    yield make
    for panel in panels.values():
        panel.close()


def _emptied(panel: Panel) -> Panel:
    panel.layout  # noqa: B018 - creates the tables
    with panel.database.write() as connection:
        for model in (Account, AccountNote, ArchivedAccount, AuditEntry, Operation):
            connection.execute(sa.delete(model))
    return panel


@pytest.fixture
def panel(_panels: Callable[[str, str], Panel], kind: str, portal: StalkerPortal) -> Panel:
    return _emptied(_panels(kind, portal.base_url))


@pytest.fixture
def sqlite_panel(_panels: Callable[[str, str], Panel], portal: StalkerPortal) -> Panel:
    return _emptied(_panels("sqlite", portal.base_url))


def sync(panel: Panel, **wish: Any) -> Changes:
    return synchronise(panel, By(SYSTEM, ORIGIN), Wish(None, **wish))


def content(panel: Panel, *models: type[Base]) -> list[list[Any]]:
    with panel.database.read() as connection:
        tables = [model.__table__ for model in models or (Account, AccountNote, ArchivedAccount, AuditEntry)]
        return [
            [tuple(row) for row in connection.execute(sa.select(*table.c).order_by(*table.primary_key))]
            for table in tables
        ]


def test_many_come_change_go_and_come_back(panel: Panel, portal: StalkerPortal) -> None:
    portal.add_examples(MANY)
    assert len(sync(panel).inserted) == MANY
    assert sync(panel).is_empty
    before = {row[1]: row for row in content(panel, Account)[0]}
    assert len(before) == MANY
    for user in portal.users:
        portal.change_user(user.login, full_name=f"{user.full_name} changed")
    assert len(sync(panel).updated) == MANY
    half = portal.users[: MANY // 2]
    for user in half:
        portal.state.delete_user(user)
    assert len(sync(panel).removed) == MANY // 2
    assert len(content(panel, AuditEntry)[0]) == MANY // 2
    for user in half:
        portal.add_user(user.login, user.stb_mac, full_name=user.full_name)
    assert len(sync(panel).restored) == MANY // 2
    after = {row[1]: row for row in content(panel, Account)[0]}
    assert {name: row[0] for name, row in after.items()} == {name: row[0] for name, row in before.items()}
    assert content(panel, ArchivedAccount) == [[]]


_FAULTS = {
    "never answers": Hang(),
    "is slow": Delay(30),
    "dribbles": Trickle(0.05, 10),
    "answers HTML": Answer(Response(b"<html></html>")),
    "is cut": Cut(),
    "is cut, says it is not": Cut(consistent=True),
    "knows nobody": Answer(Response(b'{"status":"OK","results":[]}')),
    "knows one": Answer(Response(b'{"status":"OK","results":[{"login":"a","stb_mac":"00:1A:79:FF:FF:FF"}]}')),
    "knows nobody with a box": Answer(Response(b'{"status":"OK","results":[{"login":"a","stb_mac":""}]}')),
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_a_portal_that_fails_changes_nothing(sqlite_panel: Panel, portal: StalkerPortal, fault: str) -> None:
    portal.add_examples(MANY if fault == "is cut" else 50)
    sync(sqlite_panel)
    before = content(sqlite_panel)
    portal.fail(lambda request: request.method == "GET", _FAULTS[fault], times=None)
    is_slow = fault in ("never answers", "is slow", "dribbles")
    # of its own, since its fetch may go on for long; what answers at once may take long on a busy machine
    other = Panel(sqlite_panel.config.model_copy(update={"portal": _impatient(sqlite_panel, 1.0 if is_slow else 60.0)}))
    started = time.monotonic()
    with nullcontext() if is_slow else pytest.raises(FetchFailed, match=r"^Failed to fetch accounts from Stalker"):
        told = sync_on_request(other, BY_ADMIN, "session")
        assert (told.counts.synced, told.counts.removed) == (50, 0)
        assert told.job_id is not None
    # the portal itself would take thirty
    assert not is_slow or time.monotonic() - started < 20
    # the next test would share the fetch that goes on
    with named_lock(other, "portal-list", wait=60):
        other.close()
    assert content(sqlite_panel) == before


def _impatient(panel: Panel, seconds: float) -> Portal:
    waits = {"sync_wait_seconds": seconds, "list_seconds": seconds + 0.3}
    return panel.config.portal.model_copy(update={**waits, "list_fresh_seconds": 0})


def test_two_processes_do_not_insert_the_same_accounts(panel: Panel, portal: StalkerPortal) -> None:
    others = [Panel(panel.config), Panel(panel.config)]
    for round in range(1, 3):
        for user in portal.users:
            portal.state.delete_user(user)
        portal.add_examples(100 * round)
        with ThreadPoolExecutor(2) as pool:
            done = list(pool.map(sync, others))
        assert [changes.synced for changes in done] == [100 * round] * 2
        macs = [row[2] for row in content(panel, Account)[0]]
        assert len(macs) == len(set(macs)) == 100 * round
    for other in others:
        other.close()


def test_edits_beside_syncs_are_kept(panel: Panel, portal: StalkerPortal) -> None:
    portal.add_examples(50)
    sync(panel)
    ids = [row[0] for row in content(panel, Account)[0]]

    def edit() -> None:
        for number, id in enumerate(ids):
            with panel.database.write() as connection:
                change_account(panel, connection, id, {"email": f"{number}@example.com"}, {"comment": "edited"})

    def resync() -> None:
        for number in range(ROUNDS):
            for user in portal.users:
                portal.change_user(user.login, full_name=f"{user.login} {number}")
            sync(panel)

    with ThreadPoolExecutor(2) as pool:
        for work in [pool.submit(edit), pool.submit(resync)]:
            work.result()
    sync(panel)
    [accounts, notes] = content(panel, Account, AccountNote)
    assert [row[0] for row in accounts] == ids
    assert {row[8] for row in accounts} == {f"{row[1]} {ROUNDS - 1}" for row in accounts}
    assert [row[3] for row in accounts] == [f"{number}@example.com" for number in range(50)]
    assert {row[-1] for row in notes} == {"edited"}


def test_operations_under_way_are_left_alone(panel: Panel, portal: StalkerPortal) -> None:
    portal.add_examples(4)
    sync(panel)
    row = {
        "payload": "{}",
        "step": "",
        "actor_id": 1,
        "created_at": 1,
        "updated_at": 1,
        "kind": "x",
        "state": "reserved",
    }
    with panel.database.write() as connection:
        for username, mac in (("user00001", "00:1A:79:00:00:01"), ("coming", "00:1A:79:00:00:99")):
            connection.execute(sa.insert(Operation).values(username=username, mac=mac, **row))
    portal.state.delete_user(portal.user("user00001"))  # type: ignore[arg-type]
    portal.add_user("coming", "00:1A:79:00:00:99")
    before = content(panel)
    assert sync(panel).is_empty
    assert content(panel) == before
    with panel.database.write() as connection:
        connection.execute(sa.update(Operation).values(state="done"))
    changes = sync(panel)
    assert ([a.username for a in changes.inserted], [a.username for a in changes.removed]) == (
        ["coming"],
        ["user00001"],
    )


def run(panel: Panel, *options: str) -> Result:
    return CliRunner().invoke(sync_command(panel), options)


def test_the_command(sqlite_panel: Panel, portal: StalkerPortal) -> None:
    portal.add_examples(25)
    dry = run(sqlite_panel, "--dry-run")
    assert (dry.exit_code, content(sqlite_panel, Account)) == (0, [[]])
    assert "This would be changed:\nnew:        25\n" in dry.output
    assert "new: user00001, user00002" in dry.output
    assert "and 15 more" in dry.output
    done = run(sqlite_panel)
    assert (done.exit_code, len(content(sqlite_panel, Account)[0])) == (0, 25)
    assert "This was changed:\nnew:        25\n" in done.output
    again = run(sqlite_panel)
    assert "unchanged:  25\n" in again.output


def test_the_command_believes_a_suspicious_list_when_forced(sqlite_panel: Panel, portal: StalkerPortal) -> None:
    portal.add_examples(25)
    run(sqlite_panel)
    for user in portal.users[5:]:
        portal.state.delete_user(user)
    before = content(sqlite_panel)
    for options in ((), ("--dry-run",)):
        refused = run(sqlite_panel, *options)
        assert refused.exit_code == 1
        assert "The portal's list holds only 5 of 25 accounts" in refused.output
    assert content(sqlite_panel) == before
    dry = run(sqlite_panel, "--dry-run", "--force")
    assert "removed:    20\n" in dry.output
    assert content(sqlite_panel) == before
    assert run(sqlite_panel, "--force").exit_code == 0
    assert len(content(sqlite_panel, Account)[0]) == 5
    [entry] = {row[2:5] for row in content(sqlite_panel, AuditEntry)[0]}
    assert entry == (0, "system", "super_admin")
