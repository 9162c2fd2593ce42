"""The list of subscriber accounts, as every page load asks for it. Source: contract chapter 20 §2.

The list is kept encoded, for it is long and asked for after every change; see :mod:`core.storage.freshness` for why
what is shown is never old.
"""

import gzip
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import select

from core.accounts.rows import ACCOUNT_COLUMNS
from core.panel import Panel
from core.storage import freshness
from core.storage.answer_cache import EncodedAnswer
from core.storage.database import AnySelect
from core.storage.tables import Account, DeletedPlan, Plan, User
from core.values.clock import Clock
from core.values.currencies import shown_currency
from core.values.sinks import shown

# the tables whose versions decide whether the list has changed (core.storage.tables, triggers)
LIST_TABLES = ("accounts", "plans", "users")
GZIP_LEVEL = 4
_QUARTER_HOUR = 900
# what MySQL holds where a date was never set
NO_DATE = "0000-00-00"
# in the encoded list: markup, entities, quotation marks, control characters
_SIGNS_OF_MARKUP = (b"<", b">", b"&", b"'", b"`", b"\\", b"\x7f", "\u2028".encode(), "\u2029".encode())


def count_accounts(panel: Panel, scope: int | None) -> int:
    """How many accounts are in ``scope`` (see :func:`scope_of`)."""
    if scope is None:
        return int(panel.database.first(_COUNT_ALL).accounts)
    return int(panel.database.first(_COUNT_OWN, reseller=scope).accounts)


def list_accounts(panel: Panel, scope: int | None) -> EncodedAnswer:
    """``{"error":0,"err_msg":"","accounts":[…]}`` of ``scope`` (see :func:`scope_of`), newest account first."""
    rows, parameters = (_ALL, {}) if scope is None else (_OWN, {"reseller": scope})

    token = freshness.token(panel.database, rows, LIST_TABLES, **parameters)
    return panel.answer_cache.get(
        ("accounts", scope), token, lambda: _encode(panel.database.all(rows, **parameters), panel.clock)
    )


_COUNT_ALL = select(sa.func.count().label("accounts")).select_from(Account)
_COUNT_OWN = _COUNT_ALL.where(Account.reseller == sa.bindparam("reseller"))
# bare columns, since functions over thousands of rows cost the database more than they cost in _account
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


def _encode(rows: Iterable[Sequence[Any]], clock: Clock) -> EncodedAnswer:
    days: dict[int, str] = {}
    accounts = [_account(clock, days, row) for row in rows]
    body = orjson.dumps({"error": 0, "err_msg": "", "accounts": accounts})
    # names may come from the portal or from the PHP panel, which let markup through; few lists have any
    if any(sign in body for sign in _SIGNS_OF_MARKUP):
        accounts = [shown("account", account) for account in accounts]
        body = orjson.dumps({"error": 0, "err_msg": "", "accounts": accounts})
    return EncodedAnswer(body, gzip.compress(body, compresslevel=GZIP_LEVEL, mtime=0))


def _account(clock: Clock, days: dict[int, str], row: Sequence[Any]) -> dict[str, Any]:
    end_date = None if row[10] is None else str(row[10])[:10]
    if end_date == NO_DATE:
        end_date = None
    return {
        "id": row[0],
        "username": row[1],
        "mac": row[2],
        "email": row[3],
        "phone_number": row[4],
        "reseller": row[5] or None,
        "plan": row[6],
        "timestamp": row[7],
        "full_name": row[8],
        "tariff_plan": row[9],
        "end_date": end_date,
        "status": row[11] or 0,
        "plan_name": row[13] if row[12] is None else row[12],
        "reseller_name": row[14],
        "currency_name": shown_currency(row[15]),
        "created": _day(clock, days, row[7]),
        "end_datetime": end_date and f"{end_date} 23:59:59",
    }


def _day(clock: Clock, days: dict[int, str], stamp: int | None) -> str | None:
    """The local date of a Unix stamp; zones change at full quarters of an hour only, so those are remembered."""
    if not stamp or stamp < 0:
        return None
    quarter = stamp // _QUARTER_HOUR
    day = days.get(quarter)
    if day is None:
        day = days[quarter] = clock.local(stamp).date().isoformat()
    return day
