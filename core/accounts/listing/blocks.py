"""The list of accounts in blocks, each kept encoded by all that it was made of: after a change one is made anew.

A block is the accounts whose ids differ in the last bits only. On MariaDB and MySQL the server tells by digests which
blocks have changed, and only those are read; the other databases' rows are read and compared.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import bindparam, select

from core.accounts.rows import ACCOUNT_COLUMNS
from core.storage.caching.answer_cache import Parts
from core.storage.caching.freshness import Token, row_checksum
from core.storage.caching.gzip_pieces import Piece
from core.storage.database import Database
from core.storage.lookups import AnySelect
from core.storage.tables import Account, DeletedPlan, Plan, User

_BITS = 6
# more changed blocks than this are read in one statement, with all that lies between them
_MOST_SINGLE = 8

PLANS, DELETED_PLANS = select(Plan.id, Plan.name), select(DeletedPlan.id, DeletedPlan.name)
USERS = select(User.id, User.name, User.currency_id)


class ListedAccount(NamedTuple):
    """A row as it is stored; what older panels left in it (zero dates, NULLs) is for the encoder to read.

    ``deleted_plan_name``: of a plan that is gone, where we knew it; ``currency``: the reseller's.
    """

    id: int
    username: str
    mac: str
    email: str | None
    phone_number: str | None
    reseller: int | None
    plan: int | None
    timestamp: int | None
    full_name: str | None
    tariff_plan: str | None
    end_date: Any
    status: int | None
    plan_name: str | None
    deleted_plan_name: str | None
    reseller_name: str | None
    currency: str | None


_RESELLER, _PLAN = map(ListedAccount._fields.index, ("reseller", "plan"))
Encode = Callable[[Iterable[ListedAccount]], Piece]


def compared_blocks(rows: Iterable[Sequence[Any]], parts: Parts[Piece], encode: Encode) -> list[Piece]:
    """The blocks of ``rows``, which are whole :class:`ListedAccount`, newest first."""
    pieces = []
    for _, block in groupby(rows, lambda row: row[0] >> _BITS):
        key = tuple(block)
        pieces.append(parts.get(key) or parts.keep(key, encode(map(ListedAccount._make, key))))
    return pieces


def digested_blocks(
    database: Database, scope: int | None, digests: Token, parts: Parts[Piece], encode: Encode
) -> list[Piece]:
    """The blocks of the accounts of ``scope``, newest first; ``digests``: what :func:`digest_of_blocks` gave."""
    names = _Names.read(database)
    known = {(number, *digest): parts.get((scope, names.key, number, *digest)) for number, *digest in digests}
    missing = [key[0] for key, piece in known.items() if piece is None]
    ranges = (
        [(number, number) for number in missing] if len(missing) <= _MOST_SINGLE else [(min(missing), max(missing))]
    )
    made: dict[int, Piece] = {}
    for first, last in ranges:
        bounds = {"first": first << _BITS, "last": ((last + 1) << _BITS) - 1}
        rows = database.all(_between(scope is not None), **bounds, **({} if scope is None else {"reseller": scope}))
        for number, block in groupby(rows, lambda row: row[0] >> _BITS):
            made[number] = _make(list(block), (scope, names.key, number), names, parts, encode)
    found = {number: piece for (number, *_), piece in known.items() if piece is not None} | made
    return [found[number] for number in sorted(found, reverse=True)]


def _make(
    block: Sequence[Sequence[Any]], key: tuple[Any, ...], names: "_Names", parts: Parts[Piece], encode: Encode
) -> Piece:
    # kept by the checksums that came with the rows: since the digests were read, they may have changed
    digest = (len(block), sum(row[0] * row[-1] for row in block))
    return parts.keep((*key, *digest), encode(names.listed(row) for row in block))


class _Names:
    """What the rows only have the ids of; ``key`` is made of all of it."""

    def __init__(self, plans: Any, deleted: Any, users: Any) -> None:
        self.key = hashlib.sha256(repr((plans, deleted, users)).encode()).digest()
        self._plans: Mapping[int, str | None] = dict(plans)
        self._deleted: Mapping[int, str | None] = dict(deleted)
        self._users: Mapping[int, tuple[str | None, str | None]] = {id: (name, code) for id, name, code in users}

    @classmethod
    def read(cls, database: Database) -> "_Names":
        return cls(*(tuple(database.all(rows)) for rows in (PLANS, DELETED_PLANS, USERS)))

    def listed(self, row: Sequence[Any]) -> ListedAccount:
        reseller, plan = row[_RESELLER], row[_PLAN]
        names = self._users.get(reseller, (None, None))
        return ListedAccount._make((*row[:-1], self._plans.get(plan), self._deleted.get(plan), *names))


@cache
def digest_of_blocks(owned: bool) -> AnySelect:
    """MariaDB and MySQL: of each block its number, the number of its rows and the sum of their checksums, each weighted
    by the row's id, so that what is changed in two rows does not outweigh itself."""
    number = (Account.id.op(">>")(sa.literal_column(str(_BITS)))).label("number")
    checksums = sa.func.sum(row_checksum(ACCOUNT_COLUMNS) * Account.id)
    return _owned(select(number, sa.func.count(), checksums), owned).group_by(number).order_by(None)


@cache
def _between(owned: bool) -> AnySelect:
    rows = select(*ACCOUNT_COLUMNS, row_checksum(ACCOUNT_COLUMNS).label("checksum"))
    within = Account.id.between(bindparam("first", type_=sa.BigInteger), bindparam("last", type_=sa.BigInteger))
    return _owned(rows.where(within), owned).order_by(Account.id.desc())


def _owned(rows: AnySelect, owned: bool) -> AnySelect:
    return rows.where(Account.reseller == bindparam("reseller")) if owned else rows
