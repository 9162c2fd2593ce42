"""The list of subscriber accounts, as every page load asks for it. Source: contract chapter 20 §2.

The list is kept as who asks encodes it, for it is long and asked for after every change; see
:mod:`core.storage.freshness` for why what is shown is never old.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa
from sqlalchemy import select

from core.accounts.rows import ACCOUNT_COLUMNS
from core.panel import Panel
from core.storage import freshness
from core.storage.answer_cache import EncodedAnswer
from core.storage.lookups import AnySelect
from core.storage.tables import Account, DeletedPlan, Plan, User

# the tables whose versions decide whether the list has changed (core.storage.tables, triggers)
LIST_TABLES = ("accounts", "plans", "users")


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
    end_date: date | str | None
    status: int | None
    plan_name: str | None
    deleted_plan_name: str | None
    reseller_name: str | None
    currency: str | None


class Encoder(Protocol):
    """Makes the answer of the accounts, row by row: of thousands few have changed since the last time."""

    def row(self, account: ListedAccount) -> bytes: ...

    def whole(self, rows: Iterable[bytes]) -> EncodedAnswer: ...


def list_accounts(panel: Panel, scope: int | None, encode: Encoder) -> EncodedAnswer:
    """What ``encode`` makes of the accounts of ``scope`` (see :mod:`core.access.whose`), newest first."""
    rows, parameters = (_ALL, {}) if scope is None else (_OWN, {"reseller": scope})

    def build() -> EncodedAnswer:
        return encode.whole(_encoded_rows(panel, rows, parameters, encode))

    token = freshness.token(panel.database, _WATCHED[rows], **parameters)
    return panel.answer_cache.get(("accounts", scope), token, build)


def _encoded_rows(panel: Panel, rows: AnySelect, parameters: dict[str, Any], encode: Encoder) -> list[bytes]:
    """Each row encoded, those that were so before as they were."""
    known = panel.answer_cache.parts
    if panel.database.dialect != "mysql":
        found = panel.database.all(rows, **parameters)
        return [known.get(row) or known.keep(row, encode.row(ListedAccount._make(row))) for row in found]
    encoded = []
    for (line,) in panel.database.all(_LINES[rows], **parameters):
        part = known.get(line)
        if part is None:
            values = line.split(_BETWEEN)
            if len(values) != len(ListedAccount._fields):
                # a control character inside of a text: the long way, for all
                return [encode.row(ListedAccount._make(row)) for row in panel.database.all(rows, **parameters)]
            part = known.keep(line, encode.row(_account_of(values)))
        encoded.append(part)
    return encoded


def _account_of(values: Sequence[str]) -> ListedAccount:
    """The row whose values a line holds as texts."""
    read = ((None if text == _ABSENT else text) for text in values)
    typed = (
        int(text) if text is not None and name in _NUMBERS else text
        for name, text in zip(ListedAccount._fields, read, strict=True)
    )
    return ListedAccount._make(typed)


def _line(rows: AnySelect) -> AnySelect:
    """``rows`` with all values of a row in one text, which MariaDB makes, sends and has read in half of the time."""
    values = [sa.func.ifnull(freshness.in_one_set(column), _ABSENT) for column in rows.selected_columns]
    return rows.with_only_columns(sa.func.concat_ws(_BETWEEN, *values).label("line"), maintain_column_froms=True)


_BETWEEN, _ABSENT = "\x1f", "\x1e"
_NUMBERS = {"id", "reseller", "plan", "timestamp", "status"}
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
_SMALL: tuple[AnySelect, ...] = (
    select(Plan.id, Plan.name),
    select(DeletedPlan.id, DeletedPlan.name),
    select(User.id, User.name, User.currency_id),
)
_WATCHED = {rows: freshness.Watched(rows, LIST_TABLES, (Account.__tablename__,), _SMALL) for rows in (_ALL, _OWN)}
_LINES = {rows: _line(rows) for rows in (_ALL, _OWN)}
