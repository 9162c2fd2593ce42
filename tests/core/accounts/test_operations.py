"""The fault matrix: each write × each step × each way to fail. Afterwards database, money and portals agree, or an open
operation says that they do not, and finishing it makes them agree.
"""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from core.access.audit import Origin
from core.access.began import Began
from core.accounts import operations, recovery, remove
from core.accounts.operations import AccountBusy, Draft
from core.accounts.records import STATUS, Change
from core.errors import NotFound
from core.panel import Panel
from core.storage.tables import Account, AuditEntry, Operation, Transaction
from simulators.faults import Answer, Delay, Exchange, Fault, Hang, HangUp, Refuse, Respond
from simulators.recording import RecordedRequest
from simulators.stalker import StalkerPortal
from simulators.wire import Response
from tests.conftest import MakeWorld
from tests.worlds.accounts import MAC, NOON, Accounts, accounts_world, add_subscriber, new_account
from tests.worlds.forked import Forked
from tests.worlds.moments import Meanwhile
from tests.worlds.places import ROOT

SECONDS = 0.2
# with the deletion and without
ROUNDS = 2
HTML = Response(b"<html><body>Bad things happen</body></html>")
ERROR = Response(b'{"status":"ERROR","results":"","error":"Out of order"}', content_type="application/json")

FAULTS: dict[str, Fault] = {
    "refused": Refuse(),
    "timeout": Hang(),
    "timeout, done": Hang(effect=True),
    "timeout, done late": Delay(2 * SECONDS, late_effect=True),
    "connection lost, done": HangUp(effect=True),
    "HTML": Answer(HTML),
    "HTML, done": Answer(HTML, effect=True),
    "ERROR": Answer(ERROR),
}


Fields = Callable[[str, str], dict[str, Any]]


@dataclass(frozen=True)
class Write:
    """One write operation as a request; ``call``: what it asks of each portal, ``fields``: for user name and MAC."""

    who: str
    endpoint: str
    call: str
    fields: Fields


WRITES = {
    "add": Write(
        "reseller1",
        "add_account",
        "POST accounts",
        lambda name, mac: new_account(username=name, mac=mac, plan="78-GBP"),
    ),
    "renew": Write(
        "reseller1", "edit_account", "PUT accounts", lambda name, mac: {"original_username": name, "plan": "2"}
    ),
    "edit": Write(
        "admin",
        "edit_account",
        "PUT accounts",
        lambda name, mac: {"original_username": name, "name": "Other", "username": f"other-{name}"},
    ),
    "update": Write(
        "admin",
        "update_account",
        "PUT accounts",
        lambda name, mac: {"username": name, "end_date": "2026-01-01", "phone": "+447700"},
    ),
    "remove": Write("reseller1", "remove_account", "DELETE accounts", lambda name, mac: {"id": name}),
    "status": Write(
        "reseller1", "toggle_account_status", "PUT accounts", lambda name, mac: {"username": name, "status": "0"}
    ),
}


@dataclass(frozen=True)
class Cell:
    """One cell of the matrix: a write of an account of its own, at which ``server`` fails once."""

    number: int
    write: str
    server: int
    fault: str

    @property
    def username(self) -> str:
        return f"new{self.number}" if self.write == "add" else f"cell{self.number}"

    @property
    def mac(self) -> str:
        return MAC(f"{0x20 + self.number:02X}")

    @property
    def waits(self) -> bool:
        return self.fault.startswith("timeout")

    def is_meant(self, request: RecordedRequest) -> bool:
        asked = request.call.startswith(WRITES[self.write].call)
        return asked and self.mac in (request.fields.get("stb_mac"), request.call.partition("/")[2])

    def run(self, accounts: Accounts) -> dict[str, Any]:
        wish = WRITES[self.write]
        accounts.portals[self.server - 1].fail(self.is_meant, FAULTS[self.fault])
        return accounts.post(wish.who, wish.endpoint, **wish.fields(self.username, self.mac))


@pytest.fixture
def dual(make_world: MakeWorld) -> Iterator[Accounts]:
    with accounts_world(make_world, "sqlite", dual=True, seconds=SECONDS) as accounts:
        yield accounts


@pytest.fixture
def patient(make_world: MakeWorld) -> Iterator[Accounts]:
    """As ``dual``, where no call is meant to time out: a busy machine must not make one do so."""
    with accounts_world(make_world, "sqlite", dual=True) as accounts:
        yield accounts


@pytest.fixture
def every(make_world: MakeWorld, kind: str) -> Iterator[Accounts]:
    """As ``dual``, on each database: for what locks and transactions decide."""
    with accounts_world(make_world, kind, dual=True) as accounts:
        yield accounts


State = dict[str, tuple[Any, ...]]


def _local(accounts: Accounts) -> State:
    rows = accounts.world.rows(sa.text("SELECT mac, username, full_name, status, end_date FROM _accounts"))
    return {row["mac"]: (row["username"], row["full_name"], row["status"], str(row["end_date"] or "")) for row in rows}


def _portal(portal: StalkerPortal) -> State:
    found = {}
    for user in portal.users:
        day = str(user.end_date)[:10].replace("/", "-")
        found[user.stb_mac] = (user.login, user.full_name, int(user.status), "" if day.startswith("0000") else day)
    return found


_NAMED = re.compile(r"(?:assigned for|Account renewal:) (\S+)")


def _money_fits(accounts: Accounts, start: int) -> bool:
    """What was taken is in the ledger, and what is in the ledger was bought, account by account."""
    entries = [entry for entry in accounts.transactions if entry["for_user"] == 2]
    if accounts.balance("reseller1") - start != sum(entry["amount"] for entry in entries):
        return False
    spent = {_NAMED.search(entry["details"])[1]: entry["amount"] for entry in entries}  # type: ignore[index]
    bought = {
        row["username"]: Decimal("-10.50") if row["username"].startswith("new") else Decimal(-25)
        for row in accounts.world.rows(sa.text("SELECT username, end_date FROM _accounts"))
        if row["username"].startswith("new") or str(row["end_date"])[:10] == "2025-05-16"
    }
    return spent == bought and len(entries) == len(bought)


def _differing(accounts: Accounts) -> set[str]:
    """The MACs of which database and portals do not say the same."""
    local, first, second = _local(accounts), *map(_portal, accounts.portals)
    return {mac for mac in {*local, *first, *second} if not local.get(mac) == first.get(mac) == second.get(mac)}


def _agree(accounts: Accounts, start: int = 100) -> bool:
    return not _differing(accounts) and _money_fits(accounts, start)


def _shown(accounts: Accounts) -> str:
    states = [_local(accounts), *map(_portal, accounts.portals)]
    return f"{states} {accounts.balance('reseller1')} {accounts.transactions} {accounts.open_operations()}"


@pytest.mark.parametrize("write", WRITES)
def test_nothing_is_lost(dual: Accounts, write: str) -> None:
    """All cells of one write in one world, those that wait for a timeout at the same time."""
    steps = [(server, fault) for server in (1, 2) for fault in FAULTS]
    cells = [Cell(number, write, *step) for number, step in enumerate(steps)]
    dual.world.execute("UPDATE _users SET balance = 1000, max_users = 0 WHERE id = 2")
    for cell in cells:
        if write != "add":
            add_subscriber(dual, cell.username, cell.mac)
    dual.client(WRITES[write].who)
    before = _local(dual)
    waiting = [cell for cell in cells if cell.waits]
    with ThreadPoolExecutor(len(waiting)) as pool:
        answers = dict(zip(waiting, pool.map(lambda cell: cell.run(dual), waiting), strict=True))
    # until what comes late has come
    time.sleep(2 * SECONDS)
    for cell in cells:
        if not cell.waits:
            answers[cell] = cell.run(dual)
            dual.portals[cell.server - 1].clear_faults()
    after, differing = _local(dual), _differing(dual)
    open_macs = {row["mac"] for row in dual.open_operations()}
    assert differing <= open_macs, _shown(dual)
    for cell, answer in answers.items():
        if answer["error"]:
            assert after.get(cell.mac) == before.get(cell.mac), (cell, answer)
            assert "html" not in answer["err_msg"].lower()
    dual.finish_operations()
    assert _agree(dual, 1000), _shown(dual)
    assert dual.open_operations() == []
    after = _local(dual)
    for cell, answer in answers.items():
        if answer["error"] == 0:
            assert after.get(cell.mac) != before.get(cell.mac), (cell, answer)
    # the faults were met: what server 1 refused for certain happened nowhere
    assert {cell.fault for cell, answer in answers.items() if cell.server == 1 and answer["error"]} >= {
        "refused",
        "ERROR",
        "timeout",
    }


@pytest.mark.parametrize("write", WRITES)
def test_a_portal_that_stays_down_keeps_the_operation_open(dual: Accounts, write: str) -> None:
    wish = WRITES[write]
    dual.client(wish.who)
    dual.portals[1].fail(wish.call, Hang(effect=True))
    dual.post(wish.who, wish.endpoint, **wish.fields("new10" if write == "add" else "user001", MAC("10")))
    dual.portals[1].stop_listening()
    dual.forward += 600
    recovery.finish_open_operations(dual.panel)
    if dual.open_operations():
        # it hinders no other account
        assert dual.post("admin", "add_account", **new_account(0x44))["error"] == 1
        dual.portals[1].clear_faults()
        assert dual.post("admin", "update_account", username="user002", phone="+441111")["error"] == 0
    dual.portals[1].clear_faults()
    dual.finish_operations()
    assert _agree(dual), _shown(dual)


# a process that is killed

_PROGRAM = """
import json, sys, time
from core.accounts.add import NewAccount, add_account
from core.accounts.edit import Edit, edit_account, set_status
from core.accounts.remove import remove_account
from core.access.audit import By, Origin
from core.values.clock import Clock
from core.config import load_config
from core.access.identity import actor_of, find_user
from core.panel import Panel

write, noon, mac = sys.argv[1], float(sys.argv[2]), sys.argv[3]
panel = Panel(load_config(None))
start = time.time()
panel.clock = Clock("Asia/Tehran", source=lambda: noon + time.time() - start)
actor = actor_of(find_user(panel, "reseller1"))
by = By(actor, Origin("127.0.0.1", ""))
if write == "add":
    add_account(panel, by, NewAccount("new10", mac, "pw-secret", full_name="Ann", plan="78-GBP"))
elif write == "renew":
    edit_account(panel, by, Edit("user001", plan="2"))
elif write == "remove":
    remove_account(panel, by, "user001")
else:
    set_status(panel, by, 0, username="user001")
"""


class Kill(Fault):
    """Ends the process that asked, before or after the effect."""

    def __init__(self, *, effect: bool) -> None:
        self.effect = effect
        self.process: Future[int] = Future()

    def act(self, exchange: Exchange, respond: Respond) -> None:
        if self.effect:
            respond()
        os.kill(self.process.result(60), signal.SIGKILL)
        exchange.hang_up()


def _run(accounts: Accounts, write: str, kill: Kill | None = None) -> int:
    """The exit code of a process that does ``write``."""
    settings = {
        "SHOWBOX_DATABASE_URL": accounts.panel.config.database.url.get_secret_value(),
        "SHOWBOX_PORTAL_PRIMARY_API_URL": accounts.portals[0].base_url,
        "SHOWBOX_PORTAL_SECONDARY_API_URL": accounts.portals[1].base_url,
        "SHOWBOX_PORTAL_DUAL_SERVER": "yes",
    }
    process = Forked("-c", [_PROGRAM, write, str(NOON), MAC("10")], cwd=ROOT, environment={**os.environ, **settings})
    with closing(process):
        if kill is not None:
            kill.process.set_result(process.pid)
        return process.wait(60)


@pytest.mark.parametrize("effect", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("server", [1, 2])
@pytest.mark.parametrize("write", ["add", "renew", "remove", "status"])
def test_a_killed_process_loses_nothing(patient: Accounts, write: str, server: int, effect: bool) -> None:
    kill = Kill(effect=effect)
    rule = patient.portals[server - 1].fail(WRITES[write].call, kill)
    assert _run(patient, write, kill) == -signal.SIGKILL
    assert rule.used == 1
    assert patient.open_operations()
    # the next start: the lease still runs, but its owner is gone
    recovery.finish_open_operations(patient.panel)
    assert _money_fits(patient, 100), _shown(patient)
    patient.finish_operations()
    assert _agree(patient), _shown(patient)


@pytest.mark.parametrize("write", ["add", "renew", "remove", "status"])
def test_a_portal_that_is_late_after_a_crash_is_looked_at_again(patient: Accounts, write: str) -> None:
    """The process dies, the next start finds nothing at the portal, and the effect comes seconds later."""
    lost: list[Respond] = []

    class KillLate(Kill):
        def act(self, exchange: Exchange, respond: Respond) -> None:
            lost.append(respond)
            super().act(exchange, respond)

    kill = KillLate(effect=False)
    patient.portal.fail(WRITES[write].call, kill)
    assert _run(patient, write, kill) == -signal.SIGKILL
    recovery.finish_open_operations(patient.panel)
    # paid back at once, and not closed
    assert (patient.balance("reseller1"), len(patient.open_operations())) == (100, 1)
    patient.forward += 7
    lost[0]()
    patient.forward += operations.RECHECK_SECONDS
    recovery.finish_open_operations(patient.panel)
    patient.finish_operations()
    assert _agree(patient), _shown(patient)


@pytest.mark.parametrize("write", ["add", "renew", "remove", "status"])
def test_what_was_cut_short_long_ago_is_closed_at_the_first_look(patient: Accounts, write: str) -> None:
    kill = Kill(effect=False)
    patient.portal.fail(WRITES[write].call, kill)
    _run(patient, write, kill)
    patient.forward += 60
    recovery.finish_open_operations(patient.panel)
    assert (patient.open_operations(), _agree(patient)) == ([], True)


def test_the_program_of_the_killed_process_works(patient: Accounts) -> None:
    assert _run(patient, "add") == 0
    assert _agree(patient), _shown(patient)


# leases


def _reserve(panel: Panel, mac: str = MAC("01"), amount: int = 0, username: str = "user001") -> operations.Record:
    record = operations.begin(panel, 2, lambda connection: _draft(mac, amount, username), "server 1")
    assert record is not None
    return record


def _draft(mac: str = MAC("01"), amount: int = 0, username: str = "user001") -> Draft[Change]:
    began = Began(2, "reseller1", "Reseller One", Origin("", ""))
    change = Change(STATUS, {}, portal=["status"], changed=[], entry=None, plan_name=None, phone=None, began=began)
    return Draft("change", username, mac, 10, change, 2, Decimal(amount), Decimal(amount))


def test_an_operation_blocks_its_account_and_no_other(every: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "WAIT_SECONDS", 0.2)
    record = _reserve(every.panel)
    with pytest.raises(AccountBusy):
        _reserve(every.panel)
    with pytest.raises(AccountBusy):
        _reserve(every.panel, mac=MAC("55"), username="USER001")
    _reserve(every.panel, MAC("02"), username="user002")
    operations.close(every.panel, record)
    _reserve(every.panel)


@pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
def test_what_ends_while_a_plan_is_made_is_known_to_it(every: Accounts) -> None:
    """A plan of before the other's end would undo it, or pay for a month that the other has already paid for. (On
    SQLite nothing ends while another transaction writes.)"""
    panel = every.panel
    record = _reserve(panel)
    seen: list[Any] = []

    def end(connection: sa.Connection) -> None:
        connection.execute(sa.update(Account).where(Account.username == "user001").values(status=0))
        operations.move(panel, connection, record, operations.DONE)

    def plan(connection: sa.Connection) -> Draft[Change]:
        seen.append(connection.scalar(sa.select(Account.status).where(Account.username == "user001")))
        if len(seen) == 1:
            panel.database.transact(end)
        return _draft()

    assert operations.begin(panel, 2, plan, "server 1") is not None
    assert seen[-1] == 0


def test_what_is_closed_or_taken_over_cannot_be_worked_on(every: Accounts) -> None:
    record = _reserve(every.panel, amount=10)
    every.forward += operations.LEASE_SECONDS + 1
    taken = operations.claim(every.panel, record.id)
    assert taken is not None
    for act in (operations.close, lambda panel, stale: operations.step(panel, stale, "server 2")):
        with pytest.raises(operations.OperationTaken):
            act(every.panel, record)
    assert operations.claim(every.panel, record.id) is None
    operations.close(every.panel, taken)
    assert every.balance("reseller1") == 100
    with pytest.raises(operations.OperationTaken):
        operations.close(every.panel, taken)
    assert every.balance("reseller1") == 100


def test_an_operation_at_work_is_left_alone(every: Accounts) -> None:
    _reserve(every.panel)
    assert recovery.finish_open_operations(every.panel, even_if_not_due=True) == []


def test_several_processes_finish_at_once(every: Accounts) -> None:
    every.client("reseller1")
    every.portals[1].fail("DELETE accounts", Answer(ERROR))
    assert every.post("reseller1", "remove_account", id="user001")["warning"] == 1
    every.forget()
    every.forward += 600
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.extend(recovery.finish_open_operations(every.panel))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # by one of them, or by the panel's own worker, should its minute be over just now
    every.finish_operations()
    assert [finding.is_closed for finding in found] in ([True], [])
    assert len(every.calls("DELETE", portal=1)) == 1


def test_resolving_by_hand_pays_back(every: Accounts) -> None:
    record = _reserve(every.panel, amount=30)
    assert every.balance("reseller1") == 70
    with pytest.raises(AccountBusy):
        recovery.resolve(every.panel, record.id)
    operations.leave(every.panel, record, "left")
    recovery.resolve(every.panel, record.id)
    assert every.balance("reseller1") == 100
    with pytest.raises(NotFound):
        recovery.resolve(every.panel, record.id)


def test_a_lagging_portal_gets_what_is_stored_now(every: Accounts) -> None:
    """What was left open never undoes a later change."""
    every.portals[1].fail("PUT accounts", Answer(ERROR))
    assert every.post("admin", "edit_account", original_username="user001", name="First")["warning"] == 1
    assert every.post("admin", "edit_account", original_username="user001", name="Second")["error"] == 0
    every.finish_operations()
    assert _agree(every), _shown(every)
    assert {portal.users[0].full_name for portal in every.portals} == {"Second"}


def test_what_was_deleted_and_made_again_stays(patient: Accounts) -> None:
    """Server 2 carried out a deletion and could not say so; when it is looked at again, it has the new account."""
    patient.portals[1].fail("DELETE accounts", Answer(ERROR, effect=True))
    assert patient.post("reseller1", "remove_account", id="user001")["warning"] == 1
    again = new_account(username="user001", mac=MAC("01"), plan="78-GBP")
    patient.portals[1].clear_faults()
    assert patient.post("reseller1", "add_account", **again)["error"] == 0
    patient.finish_operations()
    assert patient.open_operations() == []
    assert [portal.user("user001") is not None for portal in patient.portals] == [True, True]
    assert patient.row("user001") is not None


def test_what_was_deleted_and_is_made_again_by_who_was_away_for_long_stays(patient: Accounts) -> None:
    """As above, and the deletion is looked at while nobody knows yet what became of the creation."""
    patient.portals[1].fail("DELETE accounts", Answer(ERROR, effect=True))
    assert patient.post("reseller1", "remove_account", id="user001")["warning"] == 1
    [left] = patient.open_operations()
    patient.portals[1].clear_faults()

    def look_at_the_deletion() -> None:
        patient.forward += 2 * operations.LEASE_SECONDS
        deletion = operations.claim(patient.panel, left["id"])
        assert deletion is not None
        recovery.TAKE_UP[remove.KIND](patient.panel, deletion)

    patient.portals[1].fail("POST accounts*", Meanwhile(look_at_the_deletion))
    again = new_account(username="user001", mac=MAC("01"), plan="78-GBP")
    assert patient.post("reseller1", "add_account", **again)["error"] == 0
    assert [operation["id"] for operation in patient.open_operations()] == [left["id"]]
    patient.finish_operations()
    assert [portal.user("user001") is not None for portal in patient.portals] == [True, True]
    assert patient.row("user001") is not None


def test_edits_deletion_and_syncs_at_once_end_in_a_legal_state(every: Accounts) -> None:
    """Each round all of them on one account; in every second one the account is deleted, too."""
    every.world.execute("UPDATE _users SET balance = 1000 WHERE id = 2")
    clients = {who: [every.world.client(who) for _ in range(3)] for who in ("admin", "reseller1")}
    for number in range(ROUNDS):
        name = f"cell{number}"
        add_subscriber(every, name, MAC(f"{0x20 + number:02X}"))
        requests: list[tuple[str, str, dict[str, str]]] = [
            ("admin", "edit_account", {"original_username": name, "name": "Other"}),
            ("admin", "sync_accounts", {}),
            ("reseller1", "edit_account", {"original_username": name, "plan": "2"}),
            ("reseller1", "toggle_account_status", {"username": name, "status": "0"}),
            ("admin", "sync_accounts", {}),
        ]
        if number % 2:
            requests.insert(2, ("reseller1", "remove_account", {"id": name}))
        # its list is older than what the others do
        every.portal.fail(lambda request: request.call == "GET accounts/", Delay(0.25))
        turns = {who: iter(found) for who, found in clients.items()}
        jobs = [(next(turns[who]), endpoint, fields) for who, endpoint, fields in requests]
        with ThreadPoolExecutor(len(jobs)) as pool:
            answers = list(pool.map(lambda job: job[0].post(f"/{job[1]}.php", job[2]).json(), jobs))
        # what was not done came too late for the deletion, and nothing else
        assert {answer.get("code") for answer in answers} <= ({None, 4} if number % 2 else {None}), answers
        assert _differing(every) == set(), _shown(every)
    assert every.open_operations() == []
    kept = [f"cell{number}" for number in range(0, ROUNDS, 2)]
    rows = [row for row in _local(every).values() if row[0].startswith("cell")]
    assert sorted(row[:3] for row in rows) == sorted((name, "Other", 0) for name in kept)
    spent = [entry["details"] for entry in every.transactions]
    assert every.balance("reseller1") == 1000 - 25 * len(spent)
    assert len(spent) == len(set(spent))
    assert {f"Account renewal: {name} - Plan: Quarter" for name in kept} <= set(spent)
    assert every.post("admin", "sync_accounts")["orphans_detected"] == 0
    assert len(_local(every)) == len(every.portal.users) == 3 + len(kept)


def test_no_record_and_no_log_line_holds_a_secret(patient: Accounts, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    patient.portals[1].fail("PUT accounts", Answer(ERROR))
    patient.post("reseller1", "add_account", **new_account(plan="78-GBP"))
    patient.post("admin", "edit_account", original_username="user001", password="pw-secret")
    tables = (Operation, AuditEntry, Transaction)
    written = [patient.world.rows(sa.select(*table.__table__.c)) for table in tables]
    assert all(written)
    for secret in ("pw-secret", "theme-key"):
        assert secret not in str(written)
        assert secret not in caplog.text
