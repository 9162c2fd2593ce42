"""Unknown is not none: ends that cannot be read, from the portal and in the database (field case 13)."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from core.accounts.disable_expired import disable, expired_accounts
from core.storage.tables import Account
from tests.conftest import MakeWorld
from tests.worlds.accounts import MAC, Accounts, accounts_world

STRANGE = ["2024-05-00", "2024-00-00", "1403-10-15", "20240101", "soon", "2024-02-31"]


@pytest.fixture
def accounts(make_world: MakeWorld) -> Iterator[Accounts]:
    with accounts_world(make_world, "sqlite") as accounts:
        yield accounts


@pytest.mark.parametrize("told", ["2027-02-30", "never", "2027-05-00", "1405/10/15", "2100-01-01"])
def test_a_new_account_with_an_unreadable_end_is_stored_without_and_named(accounts: Accounts, told: str) -> None:
    accounts.portal.add_user("new9", MAC("09"), full_name="Ann", tariff_plan="12", end_date=told)
    answer = accounts.post("admin", "sync_accounts")
    assert (answer["error"], answer["unreadable_dates"]) == (0, ["new9"])
    row = accounts.row("new9")
    assert row is not None
    assert (row["end_date"], row["full_name"], row["tariff_plan"]) == (None, "Ann", "12")


def test_ten_digits_are_unix_seconds(accounts: Accounts) -> None:
    accounts.portal.add_user("new9", MAC("09"), end_date="1799094600")
    answer = accounts.post("admin", "sync_accounts")
    assert "unreadable_dates" not in answer
    row = accounts.row("new9")
    assert row is not None
    assert str(row["end_date"]) == "2027-01-05"


def test_an_unreadable_end_of_a_known_account_keeps_ours(accounts: Accounts) -> None:
    accounts.portal.change_user("user001", end_date="never")
    assert accounts.post("admin", "sync_accounts")["unreadable_dates"] == ["user001"]
    row = accounts.row("user001")
    assert row is not None
    assert str(row["end_date"]) == "2025-02-15"


@pytest.mark.parametrize("stored", STRANGE)
def test_an_unknown_end_is_null_and_never_acted_upon(accounts: Accounts, stored: str) -> None:
    accounts.world.execute(f"UPDATE _accounts SET end_date = '{stored}' WHERE id = 10")
    listed = accounts.client("admin").get("/get_accounts.php").json()["accounts"]
    shown = next(account for account in listed if account["username"] == "user001")
    assert (shown["end_date"], shown["end_datetime"]) == (None, None)
    # the one that has really expired is found
    assert [account.username for account in expired_accounts(accounts.panel)] == ["user002"]
    assert disable(accounts.panel, 10) is None
    statuses = accounts.world.rows(sa.select(Account.id, Account.status))
    assert all(row["status"] == 1 for row in statuses)
