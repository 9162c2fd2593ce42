"""The columns of an account stand in one list; typed rows, whose fields Python cannot share, begin as it does."""

import dataclasses

import pytest

from core.accounts.listing.blocks import ListedAccount
from core.accounts.rows import ACCOUNT_FIELDS, AccountRow
from core.sync.fields import LocalAccount

ROWS = {
    "listed": ListedAccount._fields,
    "of a sync": LocalAccount._fields,
    "single": tuple(field.name for field in dataclasses.fields(AccountRow)),
}


@pytest.mark.parametrize("fields", ROWS.values(), ids=ROWS)
def test_each_kind_of_row_begins_with_the_accounts_columns(fields: tuple[str, ...]) -> None:
    assert fields[: len(ACCOUNT_FIELDS)] == ACCOUNT_FIELDS
