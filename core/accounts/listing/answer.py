"""The list of subscriber accounts, as every page load asks for it. Source: contract chapter 20 §2.

The list is kept as who asks encodes it, for it is long and asked for after every change; see
:mod:`core.storage.caching.freshness` for why what is shown is never old.
"""

from collections.abc import Iterable
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy import select

from core.accounts.listing.blocks import (
    DELETED_PLANS,
    PLANS,
    USERS,
    ListedAccount,
    compared_blocks,
    digest_of_blocks,
    digested_blocks,
)
from core.accounts.rows import ACCOUNT_COLUMNS
from core.panel import Panel
from core.storage.caching import freshness
from core.storage.caching.answer_cache import EncodedAnswer
from core.storage.caching.gzip_pieces import Piece
from core.storage.lookups import AnySelect
from core.storage.tables import Account, DeletedPlan, Plan, User

# the tables whose versions decide whether the list has changed (core.storage.tables, triggers)
LIST_TABLES = ("accounts", "plans", "users")


class Encoder(Protocol):
    """Makes the answer of the accounts, block by block: of thousands few have changed since the last time."""

    def block(self, accounts: Iterable[ListedAccount]) -> Piece:
        """Of one at least."""

    def whole(self, blocks: Iterable[Piece]) -> EncodedAnswer: ...


def list_accounts(panel: Panel, scope: int | None, encode: Encoder) -> EncodedAnswer:
    """What ``encode`` makes of the accounts of ``scope`` (see :mod:`core.access.whose_accounts`), newest first."""
    database, parts = panel.database, panel.answer_cache.parts
    rows, parameters = (_ALL, {}) if scope is None else (_OWN, {"reseller": scope})

    def build() -> EncodedAnswer:
        if database.dialect == "mysql":
            return encode.whole(digested_blocks(database, scope, token[1], parts, encode.block))
        return encode.whole(compared_blocks(database.all(rows, **parameters), parts, encode.block))

    token = freshness.token(database, _WATCHED[rows], **parameters)
    return panel.answer_cache.get(("accounts", scope), token, build)


# bare columns, since functions over thousands of rows cost the database more than they cost the encoder
_ALL: AnySelect = (
    select(
        *ACCOUNT_COLUMNS,
        Plan.name.label("plan_name"),
        DeletedPlan.name.label("deleted_plan_name"),
        User.name.label("reseller_name"),
        User.currency_id.label("currency_name"),
    )
    .outerjoin(Plan, Plan.id == Account.plan)
    .outerjoin(DeletedPlan, DeletedPlan.id == Account.plan)
    .outerjoin(User, User.id == Account.reseller)
    .order_by(Account.id.desc())
)
_OWN = _ALL.where(Account.reseller == sa.bindparam("reseller"))
_SMALL = (PLANS, DELETED_PLANS, USERS)
_WATCHED = {
    rows: freshness.Watched(rows, LIST_TABLES, (Account.__tablename__,), _SMALL, digest_of_blocks(owned))
    for rows, owned in ((_ALL, False), (_OWN, True))
}
