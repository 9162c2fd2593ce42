"""How often each of the pages' usual requests asks the database (issue 14, line 3), told by the packets themselves."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.access.identity import replace_session
from core.storage.caching.freshness import SERVER_NOW, changed_at
from core.storage.tables import Account, Plan, StoredSession, Transaction, User
from tests.conftest import MakeWorld
from tests.worlds.databases import prepared_database, require
from tests.worlds.harness import Client, World, user_row
from tests.worlds.mysql_proxy import MysqlProxy
from tests.worlds.waiting import until

INFO, LEDGER = "/api/get_user_info.php", "/api/get_transactions.php"
SALE = 'Plan "Month" assigned to a1 ,00:1A:79:00:00:01'
USERS = [
    user_row(1, "admin", super_user=1),
    user_row(2, "reseller1", currency_id="GBP", plans="7-GBP"),
    user_row(3, "radmin", permissions="0|0|1|0|0|0|0"),
]


class Counted:
    """A panel whose packets to MariaDB are counted; ``forward`` moves its clock."""

    def __init__(self, folder: Path) -> None:
        require("mariadb")
        self.proxy = MysqlProxy(prepared_database("mariadb", "trips"))
        settings = {
            "SHOWBOX_SESSION_STORE": "sql",
            "SHOWBOX_DATABASE_LONGEST_TRANSACTION_SECONDS": "1",
            "SHOWBOX_PANEL_DATA_DIRECTORY": str(folder),
            "SHOWBOX_JOBS_QUEUE_FILE": str(folder / "jobs"),
        }
        self.world = World(self.proxy.url, settings)
        self.forward = 0
        self.world.panel.clock._source = lambda: time.time() + self.forward
        accounts = [
            {"id": id, "username": f"a{id}", "mac": f"00:1A:79:00:00:0{id}", "reseller": 2, "plan": 1} for id in (1, 2)
        ]
        plan = {"id": 1, "external_id": "7", "name": "Month", "currency_id": "GBP", "price": 5, "days": 30}
        sale = {"creator": "r", "for_user": 2, "amount": -5, "currency": "GBP", "type": 0, "details": SALE}
        rows = [(User, USERS), (Account, accounts), (Plan, [plan]), (Transaction, [sale])]
        self.world.insert_all(rows)

    def close(self) -> None:
        self.world.close()
        self.proxy.close()


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counted]:
    made = Counted(tmp_path_factory.mktemp("trips"))
    yield made
    made.close()


@pytest.fixture(params=["admin", "reseller1"])
def client(counted: Counted, request: pytest.FixtureRequest) -> Client:
    return counted.world.client(request.param)


def _asked(counted: Counted, client: Client, path: str) -> list[str]:
    """What is asked for a request, once the first one has prepared connections and statements."""
    answer = client.get(path).json()
    assert answer["error"] == 0, answer
    with counted.proxy.noting() as asked:
        assert client.get(path).json() == answer
    return list(asked)


def test_a_heartbeat_asks_once_and_once_more_when_it_writes(counted: Counted, client: Client) -> None:
    path = "/api/session_heartbeat.php"
    client.post(path)
    client.get(path)
    with counted.proxy.noting() as asked:
        client.get(path)
    assert len(asked) in (1, 2)
    counted.forward += 5
    with counted.proxy.noting() as asked:
        client.get(path)
    assert [text.split()[0] for text in asked] == ["SELECT", "UPDATE"]
    with counted.proxy.noting() as asked:
        assert client.post(path).json()["error"] == 0
    assert len(asked) <= 2


def test_user_info_asks_once(counted: Counted, client: Client) -> None:
    # and once more where the last change of the accounts stops to be a recent one, or was told a minute ago
    until(lambda: len(_asked(counted, client, INFO)) == 1, "one statement")
    assert client.get(INFO).json()["total_accounts"] == 2


def test_the_number_of_accounts_is_right_whoever_changes_it(counted: Counted, client: Client) -> None:
    def is_counted_once() -> bool:
        with counted.proxy.noting() as asked:
            assert client.get(INFO).json()["total_accounts"] == 2
        return len(asked) == 1 and is_settled()

    def is_settled() -> bool:
        changed, now = counted.world.panel.database.first(sa.select(changed_at("_accounts"), SERVER_NOW))
        return changed is not None and changed < now - 1

    until(is_settled, "no recent change")
    until(is_counted_once, "the number is kept")
    new = {"id": 3, "username": "a3", "mac": "00:1A:79:00:00:03", "reseller": 2, "plan": 1}
    counted.world.insert_all([(Account, [new])])
    assert client.get(INFO).json()["total_accounts"] == 3
    counted.world.execute(sa.delete(Account).where(Account.id == 3))
    assert client.get(INFO).json()["total_accounts"] == 2


def test_user_info_of_all_accounts_asks_twice(counted: Counted) -> None:
    client = counted.world.client("radmin")
    assert client.get("/api/get_user_info.php").json()["total_accounts"] == 0
    path = "/api/get_user_info.php?viewAllAccounts=true"
    assert len(_asked(counted, client, path)) == 2
    assert client.get(path).json()["total_accounts"] == 2


def test_plans_ask_twice(counted: Counted, client: Client) -> None:
    assert len(_asked(counted, client, "/api/get_plans.php")) == 2


def test_accounts_that_have_not_changed_ask_twice(counted: Counted, client: Client) -> None:
    # what was changed a moment ago is looked at more closely
    until(lambda: len(_asked(counted, client, "/api/get_accounts.php")) == 2, "the accounts count as settled")


def test_a_page_of_the_ledger_asks_four_times_at_most_and_twice_as_a_rule(counted: Counted, client: Client) -> None:
    counted.world.execute(sa.update(Transaction).values(creator="somebody"))
    # who, whether the last change is a recent one, the rows with their total, and the accounts that texts name
    assert len(_asked(counted, client, LEDGER)) <= 4
    # that it is none any more, and nothing else
    until(lambda: len(asked := _asked(counted, client, LEDGER)) == 2 and "UNIX_TIMESTAMP" in asked[1], "a kept page")


CHANGES: dict[str, tuple[Any, Any, str]] = {
    "a row": (sa.update(Transaction).values(details="other"), sa.update(Transaction).values(details=SALE), "details"),
    "an account": (
        sa.update(Account).where(Account.id == 1).values(full_name="Named"),
        sa.update(Account).where(Account.id == 1).values(full_name=""),
        "formatted_description",
    ),
    "the owner": (
        sa.update(User).where(User.id == 2).values(name="Renamed"),
        sa.update(User).where(User.id == 2).values(name="Reseller1"),
        "reseller_name",
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_kept_page_of_the_ledger_is_right_whoever_changes_it(counted: Counted, client: Client, what: str) -> None:
    change, back, field = CHANGES[what]
    until(lambda: len(_asked(counted, client, LEDGER)) == 2, "a kept page")
    [before] = client.get(LEDGER).json()["transactions"]
    counted.world.execute(change)
    [after] = client.get(LEDGER).json()["transactions"]
    assert after[field] != before[field]
    counted.world.execute(back)
    assert client.get(LEDGER).json()["transactions"] == [before]


def test_no_read_begins_or_ends_a_transaction_or_pings(counted: Counted, client: Client) -> None:
    for name in ("get_user_info", "get_plans", "get_accounts", "get_transactions"):
        assert {text.split()[0] for text in _asked(counted, client, f"/api/{name}.php")} == {"SELECT"}


def test_a_session_that_somebody_else_changed_is_not_replaced(kind: str, make_world: MakeWorld) -> None:
    world = make_world(kind)
    world.insert(StoredSession, [{"id": "s", "data": '{"a":"x"}', "touched_at": 1}])
    assert not replace_session(world.panel, "s", '{"a":"X"}', "{}", 2)
    assert not replace_session(world.panel, "other", '{"a":"x"}', "{}", 2)
    assert replace_session(world.panel, "s", '{"a":"x"}', '{"b":"é"}', 3)
    assert not replace_session(world.panel, "s", '{"a":"x"}', "{}", 4)
    assert replace_session(world.panel, "s", '{"b":"é"}', "{}", 5)
    assert world.rows(StoredSession.__table__.select()) == [{"id": "s", "data": "{}", "touched_at": 5}]
