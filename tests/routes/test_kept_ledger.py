"""Pages of the ledger and its marked days are kept where that is proved right, and are right whoever writes."""

from typing import Any

import pytest
import sqlalchemy as sa

from core.ledger import listing, marked_days
from core.storage.tables import Account, Transaction, User
from tests.conftest import MakeWorld
from tests.worlds.harness import World
from tests.worlds.ledger import fill_chapter_40, ledger_row
from tests.worlds.logged_in import logged_in

LEDGER = "/api/get_transactions.php?limit=5"
DAYS = "/api/get_dates_with_data.php?type=transactions&start_date=2025-11-01&end_date=2025-11-30"
# 2025-11-10 12:00 in Tehran
NOON = 1_762_763_400


@pytest.fixture
def world(make_world: MakeWorld, kind: str) -> World:
    return fill_chapter_40(make_world(kind))


def _new_row(world: World, stamp: int = NOON) -> None:
    world.insert(Transaction, [ledger_row(900, 2, "-1", "GBP", 0, "new", stamp)])


def test_days_are_right_whoever_adds_and_removes_rows(world: World) -> None:
    client = logged_in(world, "admin")
    before = [client.get(DAYS).json()["dates"] for _ in range(3)]
    assert before[0] == before[1] == before[2]
    assert "2025-11-10" not in before[0]
    _new_row(world)
    assert [client.get(DAYS).json()["dates"] for _ in range(2)] == [sorted([*before[0], "2025-11-10"])] * 2
    world.execute(sa.update(Transaction).where(Transaction.id == 900).values(timestamp=NOON + 86400))
    assert client.get(DAYS).json()["dates"] == sorted({*before[0], "2025-11-11"})
    world.execute(sa.delete(Transaction).where(Transaction.id == 900))
    assert client.get(DAYS).json()["dates"] == before[0]


CHANGES: dict[str, tuple[Any, str]] = {
    "a row": (sa.update(Transaction).values(details="other"), "details"),
    "its account": (sa.update(Account).values(full_name="Renamed"), "formatted_description"),
    "its owner": (sa.update(User).values(name="Renamed"), "reseller_name"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_page_is_right_whoever_changes_it(world: World, what: str) -> None:
    change, field = CHANGES[what]
    client = logged_in(world, "admin")
    before = [client.get(LEDGER).json()["transactions"] for _ in range(3)]
    assert before[0] == before[1] == before[2]
    world.execute(change)
    after = client.get(LEDGER).json()["transactions"]
    assert [row[field] for row in after] != [row[field] for row in before[0]]
    _new_row(world)
    assert client.get(LEDGER).json()["transactions"][0]["id"] == 900
    assert client.get(LEDGER).json()["total"] == len(world.rows(sa.select(Transaction.id)))


def test_on_sqlite_nothing_is_read_again_until_something_changes(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = fill_chapter_40(make_world("sqlite"))
    read: list[str] = []
    for module, name in ((listing, "list_transactions"), (marked_days, "_stamps")):
        plain = getattr(module, name)

        def noted(*arguments: Any, _plain: Any = plain, _name: str = name, **named: Any) -> Any:
            read.append(_name)
            return _plain(*arguments, **named)

        monkeypatch.setattr(module, name, noted)
    client = logged_in(world, "admin")
    for _ in range(3):
        client.get(LEDGER)
        client.get(DAYS)
    assert sorted(read) == ["_stamps", "list_transactions"]
    # the days are of the ledger alone
    world.execute(sa.update(Account).values(full_name="Renamed"))
    client.get(LEDGER)
    client.get(DAYS)
    assert sorted(read) == ["_stamps", "list_transactions", "list_transactions"]
    # nobody else is shown what was kept for him
    client = logged_in(world, "res")
    client.get(LEDGER)
    client.get(DAYS)
    assert len(read) == 5
