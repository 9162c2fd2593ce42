"""The books stay proved whatever is done through the ledger, and whatever is done past it is found."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

import commands
from core.access.actors import bare_actor
from core.access.audit import By, Origin
from core.access.began import Began
from core.accounts import operations
from core.accounts.operations import AccountBusy, Draft
from core.accounts.records import Removal
from core.errors import InvalidInput, NotEnoughCredit
from core.ledger import ledger
from core.ledger.corrections import correct_transaction
from core.ledger.manual_rows import add_transaction
from core.moving import copying
from core.panel import Panel
from core.payments.payments import NewPayment, cancel_payment, record_payment
from core.payments.proof import BATCH, check_ledger
from core.resellers.credit import Adjustment, adjust_credit
from core.storage.database import Database
from core.storage.tables import LedgerNote, LedgerOpening, Transaction, User
from core.values import money
from simulators.faults import Answer
from simulators.wire import Response
from tests.conftest import MakeWorld
from tests.worlds.accounts import accounts_world, new_account
from tests.worlds.harness import World
from tests.worlds.ledger import audits, count, fill_chapter_40

ADMIN, CONSOLE = bare_actor(1, "admin", super_user=True), Origin("", "test")
RES, RESIRR = 3, 5
LARGEST = Decimal("9999999999999.99")


@pytest.fixture
def world(make_world: MakeWorld, kind: str) -> World:
    return fill_chapter_40(make_world(kind))


@pytest.fixture
def sqlite_world(make_world: MakeWorld) -> World:
    return fill_chapter_40(make_world("sqlite"))


# what can happen to the books: each returns by how much it moved the balance of ``user``


def credit(panel: Panel, user: int, amount: Decimal, number: int) -> Decimal:
    try:
        added = add_transaction(
            panel, By(ADMIN, CONSOLE), user_id=user, amount=str(amount), direction="credit", details=f"row {number}"
        )
    except InvalidInput:
        # the balance would become too large
        return Decimal(0)
    return _effect(panel, added.id)


def debit(panel: Panel, user: int, amount: Decimal, number: int) -> Decimal:
    added = add_transaction(
        panel, By(ADMIN, CONSOLE), user_id=user, amount=str(amount), direction="debit", details=f"row {number}"
    )
    moved = _effect(panel, added.id)
    assert -amount <= moved <= 0
    return moved


def sale(panel: Panel, user: int, amount: Decimal, number: int) -> Decimal:
    record = _reserve(panel, user, amount, number)
    if record is None:
        return Decimal(0)
    with panel.database.write() as connection:
        operations.move(panel, connection, record, operations.DONE)
        entry = _entry(user, -amount, ledger.DEBIT, ledger.SALE)
        ledger.record(connection, entry, panel.clock.stamp(), effect=-(record.amount or Decimal(0)))
    return -amount


def failed_sale(panel: Panel, user: int, amount: Decimal, number: int) -> Decimal:
    record = _reserve(panel, user, amount, number)
    if record is not None:
        operations.close(panel, record)
    return Decimal(0)


def open_sale(panel: Panel, user: int, amount: Decimal, number: int) -> Decimal:
    return Decimal(0) if _reserve(panel, user, amount, number) is None else -amount


def sale_to_an_admin(panel: Panel, user: int, amount: Decimal, number: int) -> Decimal:
    with panel.database.write() as connection:
        entry = _entry(user, -amount, ledger.CREDIT, ledger.RENEWAL)
        ledger.record(connection, entry, panel.clock.stamp(), effect=Decimal(0))
    return Decimal(0)


def adjustment(panel: Panel, user: int, amount: Decimal, number: int) -> Decimal:
    with panel.database.read() as connection:
        before = money.stored(connection.scalar(sa.select(User.balance).where(User.id == user)))
    return adjust_credit(panel, By(ADMIN, CONSOLE), user, Adjustment(str(amount), action="set")).balance - before


def correction(panel: Panel, user: int, amount: Decimal, number: int) -> Decimal:
    with panel.database.read() as connection:
        ids = connection.scalars(sa.select(Transaction.id).order_by(Transaction.id)).all()
    status = ("active", "corrected", "voided")[number % 3]
    target = ids[number % len(ids)]
    correct_transaction(panel, By(ADMIN, CONSOLE), number=target, amount=f"-{amount}", note="why", status=status)
    return Decimal(0)


def payment(panel: Panel, user: int, amount: Decimal, number: int) -> Decimal:
    """The other book, which never touches this one."""
    currency = "IRR" if user == RESIRR else "GBP"
    wish = NewPayment(user, str(amount), currency, "2025-11-20", "Bank", "", "", b"")
    paid = record_payment(panel, By(ADMIN, CONSOLE), wish)
    if number % 2:
        cancel_payment(panel, By(ADMIN, CONSOLE), paid.id, "a mistake")
    return Decimal(0)


def _reserve(panel: Panel, user: int, amount: Decimal, number: int) -> operations.Record | None:
    name = f"box{user}n{number}"
    removal = Removal({}, is_ambiguous=False, began=Began(user, name, name, Origin("", "")))
    draft = Draft("change", name, name, None, removal, payer_id=user, amount=amount, price=amount)
    try:
        return operations.begin(panel, user, lambda _connection: draft, step="one")
    except (NotEnoughCredit, AccountBusy):
        return None


def _entry(user: int, amount: Decimal, type_: int, kind: str) -> ledger.Entry:
    return ledger.Entry("system", user, str(amount), "GBP", type_, "Account renewal: x - Plan: y", ledger.Note(kind))


def _effect(panel: Panel, number: int) -> Decimal:
    with panel.database.read() as connection:
        effect = connection.scalar(sa.select(LedgerNote.effect).where(LedgerNote.transaction_id == number))
    assert effect is not None
    return effect


Act = Callable[[Panel, int, Decimal, int], Decimal]
ACTS: tuple[Act, ...] = (
    credit,
    debit,
    sale,
    failed_sale,
    open_sale,
    sale_to_an_admin,
    adjustment,
    correction,
    payment,
)
amounts = st.one_of(
    st.decimals(Decimal("0.01"), Decimal(200), places=2), st.decimals(Decimal(1), LARGEST, places=2), st.just(LARGEST)
)
steps = st.tuples(st.sampled_from(ACTS), st.sampled_from((RES, RESIRR)), amounts)


def _balances(world: World) -> dict[int, Decimal]:
    rows = world.rows(sa.select(User.id, User.balance).where(User.id.in_((RES, RESIRR))))
    return {row["id"]: Decimal(str(row["balance"])).quantize(Decimal("0.01")) for row in rows}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, min_size=4, max_size=12))
def test_any_sequence_keeps_the_books_proved(world: World, script: list[tuple[Act, int, Decimal]]) -> None:
    # each by itself: the sum of what several have sold would not fit into a column
    world.reset()
    fill_chapter_40(world)
    check_ledger(world.panel)
    expected = _balances(world)
    for number, (act, user, amount) in enumerate(script):
        expected[user] += act(world.panel, user, amount, number)
        assert _balances(world) == expected, act.__name__
    findings = check_ledger(world.panel)
    assert findings.is_clean, [(proof.username, proof.drift) for proof in findings.drifts]
    assert findings.unexplained == []


def test_so_do_parallel_ones_at_every_moment(world: World) -> None:
    check_ledger(world.panel)
    before, moved, faults = _balances(world), {RES: Decimal(0), RESIRR: Decimal(0)}, []
    lock, done = threading.Lock(), threading.Event()

    def work(worker: int) -> None:
        try:
            for turn in range(8):
                number = 100 * worker + turn
                user = (RES, RESIRR)[turn % 2]
                # adjustments set the balance, which says nothing of what others moved meanwhile
                act = [act for act in ACTS if act is not adjustment][number % (len(ACTS) - 1)]
                change = act(world.panel, user, Decimal(number % 37) + Decimal("0.37"), number)
                with lock:
                    moved[user] += change
        except Exception as error:  # a thread's failure is the test's
            faults.append(error)

    def watch() -> None:
        while not done.is_set():
            findings = check_ledger(world.panel)
            if not findings.is_clean:
                faults.append(AssertionError([(proof.username, proof.drift) for proof in findings.drifts]))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    watcher = threading.Thread(target=watch)
    for thread in (*workers, watcher):
        thread.start()
    for thread in workers:
        thread.join()
    done.set()
    watcher.join()
    assert faults == []
    assert _balances(world) == {user: before[user] + moved[user] for user in before}
    assert check_ledger(world.panel).is_clean


# what the rows of a panel explain, and what not


def test_the_openings_of_the_fixture(world: World) -> None:
    findings = check_ledger(world.panel)
    found = {proof.username: (proof.explained, proof.opening.amount) for proof in findings.proofs}
    assert found == {
        "admin": (0, 0),
        "radmin": (0, 100),
        "res": (Decimal("-15.50"), 116),
        "obs": (0, 0),
        "resirr": (-185000000, 685000000),
    }
    assert [proof.username for proof in findings.unexplained] == ["radmin", "res", "resirr"]
    assert findings.is_clean
    assert check_ledger(world.panel).unexplained == []


def test_rows_of_a_panel_that_came_later(world: World) -> None:
    check_ledger(world.panel)
    sold = {"for_user": 3, "amount": -20, "type": 0, "details": 'Plan "P" assigned for u', "creator": "system"}
    to_admin = {**sold, "for_user": 2}
    renewed = {**sold, "amount": "-5.5", "type": 1, "details": "Account renewal: u - Plan: P"}
    odd = {**sold, "amount": None, "type": None, "details": None}
    gone = {**sold, "for_user": 77}
    # a panel takes credit from the reseller, and none from the reseller admin
    world.insert(Transaction, [sold, to_admin, renewed, odd, gone, {**gone, "for_user": None}])
    world.execute(sa.update(User).where(User.id == 3).values(balance=Decimal("75.00")))
    findings = check_ledger(world.panel)
    assert findings.is_clean, findings.drifts
    assert findings.ownerless == 2
    # who was an admin at the first check is judged as one, whatever he is now
    world.execute(sa.update(User).where(User.id == 2).values(permissions="0|0|0|0|0"))
    assert check_ledger(world.panel).is_clean


@dataclass(frozen=True)
class Fraud:
    statement: str
    told: str


FRAUDS = (
    Fraud("UPDATE _users SET balance = balance + 0.01 WHERE id = 3", "DRIFT res: the balance is 110.51 GBP, 0.01 more"),
    Fraud("UPDATE _users SET balance = NULL WHERE id = 3", "DRIFT res: the balance is 0.00 GBP, -110.50 more"),
    Fraud("UPDATE _transactions SET amount = 11 WHERE id = {new}", "CHANGED ledger rows: {new}"),
    Fraud("UPDATE _transactions SET for_user = 5 WHERE id = {new}", "DRIFT resirr"),
    Fraud("DELETE FROM _transactions WHERE id = {new}", "DELETED ledger rows: {new}"),
    Fraud("DELETE FROM _transactions WHERE id = 1", "DRIFT res"),
    Fraud("UPDATE _transactions SET amount = 31 WHERE id = 1", "DRIFT res"),
)


def _run(world: World, *arguments: str) -> tuple[int, str]:
    app = Flask("commands")
    commands.register(app, world.panel)
    result = app.test_cli_runner().invoke(args=["ledger", "check", *arguments])
    return result.exit_code, result.stdout


@pytest.mark.parametrize("number", range(len(FRAUDS)))
def test_what_goes_past_the_ledger_is_found(world: World, number: int) -> None:
    fraud = FRAUDS[number]
    check_ledger(world.panel)
    new = add_transaction(
        world.panel, By(ADMIN, CONSOLE), user_id=3, amount="10", direction="credit", details="a row of ours"
    ).id
    assert _run(world)[0] == 0
    world.execute(fraud.statement.format(new=new))
    code, told = _run(world)
    assert code == 1
    assert fraud.told.format(new=new) in told
    assert "proved." not in told


def test_the_command(sqlite_world: World) -> None:
    code, told = _run(sqlite_world)
    assert code == 0
    assert told.splitlines() == [
        "5 balances, 5 ledger rows",
        "Not explained by history, remembered as these users' openings:",
        "- radmin: 100.00 GBP of 100.00",
        "- res: 116.00 GBP of 100.50",
        "- resirr: 685000000.00 IRR of 500000000.00",
        "Every balance is proved.",
    ]
    assert _run(sqlite_world)[1].splitlines() == ["5 balances, 5 ledger rows", "Every balance is proved."]
    sqlite_world.execute("UPDATE _users SET balance = 100 WHERE id = 3")
    assert _run(sqlite_world, "--accept")[0] == 1
    assert _run(sqlite_world)[0] == 0
    [audit] = audits(sqlite_world, "ledger_opening")
    assert (audit["username"], audit["target_name"], audit["details"]) == (
        "system",
        "res",
        "A drift of -0.50 was accepted",
    )
    assert count(sqlite_world, LedgerOpening) == 6


def test_more_rows_than_fit_one_sum(sqlite_world: World) -> None:
    rows = [{"for_user": 5, "amount": LARGEST, "type": 1, "details": "top-up"}] * (2 * BATCH + 1)
    with sqlite_world.panel.database.write() as connection:
        connection.execute(sa.insert(Transaction), rows)
    seen: list[tuple[int, int]] = []
    findings = check_ledger(sqlite_world.panel, lambda done, total: seen.append((done, total)))
    [proof] = [proof for proof in findings.proofs if proof.user_id == 5]
    assert proof.explained == (2 * BATCH + 1) * LARGEST - 185000000
    assert [done for done, _ in seen] == [0, BATCH, 2 * BATCH, 2 * BATCH + 6]
    assert {total for _, total in seen} == {2 * BATCH + 6}


def test_a_copy_takes_the_books_along_and_leaves_none_of_others(sqlite_world: World, tmp_path: Path) -> None:
    panel = sqlite_world.panel
    add_transaction(panel, By(ADMIN, CONSOLE), user_id=3, amount="10", direction="credit", details="")
    check_ledger(panel)
    url = f"sqlite:///{tmp_path}/copy.db"
    section = sqlite_world.config.database.model_copy(update={"url": SecretStr(url)})
    copied = Panel(sqlite_world.config.model_copy(update={"database": section}))
    try:
        copying.copy_from(panel.database, copied.database)
        findings = check_ledger(copied)
        assert (findings.is_clean, findings.unexplained) == (True, [])
        # work in the copy that a second copy drops again
        add_transaction(copied, By(ADMIN, CONSOLE), user_id=3, amount="7", direction="credit", details="")
        copying.copy_from(panel.database, copied.database, replace=True)
        assert check_ledger(copied).is_clean
    finally:
        copied.close()


def test_a_copy_from_a_panel_s_database_drops_what_was_noted_of_other_rows(sqlite_world: World, tmp_path: Path) -> None:
    source, target = (Database(f"sqlite:///{tmp_path}/{name}.db") for name in ("panel", "target"))
    try:
        copying.copy_from(sqlite_world.panel.database, source)
        copying.copy_from(sqlite_world.panel.database, target)
        with source.write() as connection:
            for table in (LedgerNote, LedgerOpening):
                connection.execute(sa.DDL(f"DROP TABLE {table.__tablename__}"))
        with target.write() as connection:
            connection.execute(sa.insert(LedgerNote).values(transaction_id=1, kind="manual", amount=1, effect=1))
        copying.copy_from(source, target, replace=True)
        with target.read() as connection:
            assert connection.execute(sa.select(LedgerNote.transaction_id)).all() == []
    finally:
        source.dispose()
        target.dispose()


def test_purchases_over_the_wire_are_explained_at_once(make_world: MakeWorld, kind: str) -> None:
    """Sales and renewals of those who pay and of those who do not, refused ones too: no opening, no drift."""
    with accounts_world(make_world, kind) as accounts:
        panel = accounts.panel
        check_ledger(panel)
        accounts.portal.fail("POST accounts", Answer(Response(b"<html>")))
        outcomes = [
            accounts.post("reseller1", "add_account", **new_account(0x20, plan="78-GBP")),
            accounts.post("reseller1", "add_account", **new_account(0x21, plan="78-GBP")),
            accounts.post("admin", "add_account", **new_account(0x22, plan="78-GBP", reseller=2, discount=3)),
            accounts.post("admin", "add_account", **new_account(0x23, plan="78-GBP")),
            accounts.post("radmin", "add_account", **new_account(0x24, plan="78-GBP")),
            accounts.post("reseller1", "edit_account", original_username="user001", plan="2"),
            accounts.post("admin", "edit_account", original_username="user001", plan="2"),
            accounts.post("reseller2", "edit_account", original_username="user002", plan="12"),
        ]
        assert [answer["error"] for answer in outcomes] == [1, 0, 0, 0, 0, 0, 0, 1], outcomes
        assert accounts.balance("reseller1") == Decimal("100.00") - Decimal("10.50") - Decimal("7.50") - 25
        assert len(accounts.transactions) == 5
        findings = check_ledger(panel)
        assert (findings.is_clean, findings.unexplained) == (True, []), findings.drifts


def test_effects_that_rows_say_themselves() -> None:
    entry = _entry(3, Decimal("-5.50"), ledger.CREDIT, ledger.RENEWAL)
    assert entry.effect == Decimal("-5.50")
    assert replace(entry, amount="5.50").effect == Decimal("-5.50")
    manual = replace(entry, amount="5.50", note=ledger.Note(ledger.MANUAL))
    assert (manual.effect, replace(manual, type=ledger.DEBIT).effect) == (Decimal("5.50"), Decimal("-5.50"))
