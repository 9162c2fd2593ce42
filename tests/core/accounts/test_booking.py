"""What the portal has and the database does not take at once: a confirm that fails, of every kind of operation.

Source: issue "Nothing lost", lines 2, 11 and 12.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from core.accounts import operations, recovery
from core.errors import CommitUncertain
from core.storage.database import Database
from tests.conftest import MakeWorld
from tests.worlds.accounts import Accounts, accounts_world, new_account
from tests.worlds.locked import ForeignLock, Locks, impatient
from tests.worlds.moments import Meanwhile
from tests.worlds.waiting import until

_BOOKED_LATER = "The portal has it; it is being booked in the background"
_RECORDS = "UPDATE _sbx_operations SET updated_at = updated_at + 1"

# the endpoint, its fields, the portal's call, and whether database and portal have it
_Write = tuple[str, dict[str, Any], str, Callable[[Accounts], bool]]
WRITES: dict[str, _Write] = {
    "renew": (
        "edit_account",
        {"original_username": "user001", "plan": "2"},
        "PUT accounts",
        lambda accounts: (
            str(_row(accounts)["end_date"])[:10] == str(accounts.portal.users[0].end_date)[:10].replace("/", "-")
            and str(_row(accounts)["end_date"])[:10] == "2025-05-16"
            and [row["amount"] for row in accounts.transactions] == [Decimal(-25)]
            and accounts.balance("reseller1") == 75
        ),
    ),
    "change": (
        "edit_account",
        {"original_username": "user001", "name": "Other"},
        "PUT accounts",
        lambda accounts: _row(accounts)["full_name"] == accounts.portal.users[0].full_name == "Other",
    ),
    "status": (
        "toggle_account_status",
        {"username": "user001", "status": "0"},
        "PUT accounts",
        lambda accounts: _row(accounts)["status"] == 0 and str(accounts.portal.users[0].status) == "0",
    ),
    "remove": (
        "remove_account",
        {"id": "user001"},
        "DELETE accounts",
        lambda accounts: (
            accounts.row("user001") is None and all(user.login != "user001" for user in accounts.portal.users)
        ),
    ),
}


def _row(accounts: Accounts) -> dict[str, Any]:
    row = accounts.row("user001")
    assert row is not None
    return row


@pytest.fixture
def accounts(make_world: MakeWorld, kind: str) -> Iterator[Accounts]:
    with accounts_world(make_world, kind) as accounts, impatient(accounts.panel):
        # what is looked at once, and what the login writes
        accounts.client("reseller1")
        yield accounts


@pytest.fixture
def lock(accounts: Accounts) -> Iterator[ForeignLock]:
    lock = ForeignLock(accounts.panel, _RECORDS)
    yield lock
    lock.let_go()


def test_a_confirm_that_meets_a_foreign_lock_is_tried_for_some_seconds(accounts: Accounts, lock: ForeignLock) -> None:
    endpoint, fields, call, is_done = WRITES["renew"]
    accounts.portal.fail(call, Locks(lock, 1.3))
    answer = accounts.post("reseller1", endpoint, **fields)
    assert answer["error"] == 0, answer
    assert "pending" not in answer
    assert is_done(accounts)
    assert accounts.open_operations() == []


@pytest.mark.parametrize(("kind", "write"), [*(("sqlite", write) for write in WRITES), ("mariadb", "renew")])
def test_a_confirm_that_fails_says_so_and_is_settled_within_seconds(
    accounts: Accounts, lock: ForeignLock, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    monkeypatch.setattr(recovery, "PATIENCE_SECONDS", 0.0)
    endpoint, fields, call, is_done = WRITES[write]
    accounts.portal.fail(call, Locks(lock))
    answer = accounts.post("reseller1", endpoint, **fields)
    assert answer == {
        "error": 0,
        "err_msg": _BOOKED_LATER,
        "message": _BOOKED_LATER,
        "pending": 1,
        "warning": 1,
        "warning_text": _BOOKED_LATER,
    }
    assert len(accounts.open_operations()) == 1
    lock.let_go()
    # nobody calls for it, no clock is moved
    until(lambda: accounts.open_operations() == [], "no operation is open")
    assert is_done(accounts)
    # and the account is free for the next change
    if write != "remove":
        assert accounts.post("reseller1", "toggle_account_status", username="user001", status="1")["error"] == 0


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_an_account_that_cannot_be_booked_is_nowhere_and_not_paid_for(
    accounts: Accounts, lock: ForeignLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "PATIENCE_SECONDS", 0.0)
    accounts.portal.fail("POST accounts*", Locks(lock))
    answer = accounts.post("reseller1", "add_account", **new_account(plan="78-GBP"))
    assert answer["error"] == 1
    assert "nothing is charged" in answer["message"]
    lock.let_go()
    until(lambda: accounts.open_operations() == [], "no operation is open")
    assert accounts.row("new10") is None
    assert all(user.login != "new10" for user in accounts.portal.users)
    assert accounts.balance("reseller1") == 100
    assert accounts.transactions == []


_TRIGGERS = {
    "sqlite": "CREATE TRIGGER refusing BEFORE INSERT ON {} BEGIN SELECT RAISE(ABORT, 'no'); END",
    "mysql": "CREATE TRIGGER refusing BEFORE INSERT ON {} FOR EACH ROW"
    " SIGNAL SQLSTATE '22001' SET MYSQL_ERRNO = 1406, MESSAGE_TEXT = 'Data too long'",
}


@pytest.fixture
def refusing(make_world: MakeWorld, request: pytest.FixtureRequest) -> Iterator[Accounts]:
    """A database that never stores a row of the table that the test names."""
    kind, table = request.param
    with accounts_world(make_world, kind) as accounts:
        accounts.client("reseller1")
        accounts.world.execute(_TRIGGERS[accounts.panel.database.dialect].format(table))
        try:
            yield accounts
        finally:
            accounts.world.execute("DROP TRIGGER refusing")


@pytest.mark.parametrize(
    "refusing", [("sqlite", "_transactions"), ("mariadb", "_transactions")], indirect=True, ids=["sqlite", "mariadb"]
)
def test_a_confirm_that_never_can_be_is_undone_at_the_portal_and_paid_back(refusing: Accounts) -> None:
    accounts = refusing
    answer = accounts.post("reseller1", "edit_account", original_username="user001", plan="2")
    assert answer["error"] == 1
    assert answer["code"] == 7
    assert accounts.balance("reseller1") == 100
    assert str(accounts.portal.users[0].end_date)[:10].replace("/", "-") == "2025-02-15"
    assert str(_row(accounts)["end_date"])[:10] == "2025-02-15"
    assert accounts.open_operations() == []
    [record] = accounts.world.rows(sa.text("SELECT state, error FROM _sbx_operations"))
    assert record["state"] == operations.UNDONE
    assert "cannot store" in record["error"]
    # who was told of a failure can look up what became of it
    [undone] = recovery.undone_operations(accounts.panel, 20)
    assert (undone.username, undone.error) == ("user001", record["error"])
    # the account is free again
    assert accounts.post("reseller1", "toggle_account_status", username="user001", status="0")["error"] == 0


@pytest.mark.parametrize(
    "refusing", [("sqlite", "_audit_log"), ("mariadb", "_audit_log")], indirect=True, ids=["sqlite", "mariadb"]
)
def test_a_deletion_that_cannot_be_archived_says_what_was_done(refusing: Accounts) -> None:
    answer = refusing.post("reseller1", "remove_account", id="user001")
    assert answer["error"] == 1
    assert "no longer has the account" in answer["message"]
    [record] = refusing.open_operations()
    assert "cannot book" in record["error"]
    refusing.world.execute("DROP TRIGGER refusing")
    refusing.finish_operations()
    assert refusing.row("user001") is None
    refusing.world.execute(_TRIGGERS[refusing.panel.database.dialect].format("_audit_log"))


def _lose_one_answer(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    original, lost = database.transact, []

    def transact(act: Any) -> Any:
        done = original(act)
        if not lost:
            lost.append(act)
            raise CommitUncertain
        return done

    monkeypatch.setattr(database, "transact", transact)


@pytest.mark.parametrize("write", [*WRITES, "add"])
def test_a_commit_whose_answer_was_lost_is_looked_up_and_not_done_twice(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    with accounts_world(make_world, "sqlite") as accounts:
        accounts.client("reseller1")
        added: _Write = (
            "add_account",
            new_account(plan="78-GBP"),
            "POST accounts*",
            lambda world: (
                world.row("new10") is not None
                and world.balance("reseller1") == Decimal("89.50")
                and len(world.transactions) == 1
                and any(user.login == "new10" for user in world.portal.users)
            ),
        )
        endpoint, fields, call, is_done = {**WRITES, "add": added}[write]
        arm = partial(_lose_one_answer, accounts.panel.database, monkeypatch)
        accounts.portal.fail(call, Meanwhile(arm))
        answer = accounts.post("reseller1", endpoint, **fields)
        assert answer["error"] == 0, answer
        assert "pending" not in answer
        assert is_done(accounts)
        assert accounts.open_operations() == []


def test_a_reservation_whose_answer_was_lost_is_found_again(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with accounts_world(make_world, "sqlite") as accounts:
        # a panel's first request stores the keys that it needs
        assert accounts.client("reseller1").get("/get_accounts.php").json()["error"] == 0
        _lose_one_answer(accounts.panel.database, monkeypatch)
        assert accounts.post("reseller1", "edit_account", original_username="user001", plan="2")["error"] == 0
        assert accounts.balance("reseller1") == 75
        assert len(accounts.transactions) == 1
        assert accounts.open_operations() == []
