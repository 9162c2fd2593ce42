"""The list of subscriber accounts, as every page load asks for it. Source: contract chapter 20 §2.

The list is kept encoded, for it is long and asked for after every change; see :mod:`core.freshness` for why what is
shown is never old.
"""

import gzip
from collections.abc import Iterable
from functools import partial
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import Connection, select
from sqlalchemy.engine import Row

from core import freshness
from core.clock import Clock
from core.identity import Actor, shown_currency
from core.kept import EncodedAnswer
from core.markup import plain
from core.models import Account, DeletedPlan, Plan, User
from core.panel import Panel

# the tables whose versions decide whether the list has changed (core.models, triggers)
LIST_TABLES = ("accounts", "plans", "users")
GZIP_LEVEL = 4
_QUARTER_HOUR = 900
# in the encoded list: markup, entities, control characters
_SIGNS_OF_MARKUP = (b"<", b">", b"&", b"\\u00", b"\x7f")


def scope_of(actor: Actor, *, view_all: bool) -> int | None:
    """Whose accounts the actor sees: None is everybody's, a number the reseller's with that id."""
    sees_all = actor.super_user or actor.is_observer or (actor.is_reseller_admin and view_all)
    return None if sees_all else actor.id


def count_accounts(connection: Connection, scope: int | None) -> int:
    """How many accounts are in ``scope`` (see :func:`scope_of`)."""
    statement = _COUNT_ALL if scope is None else _COUNT_OWN
    return connection.execute(statement, {} if scope is None else {"reseller": scope}).scalar() or 0


_COUNT_ALL = select(sa.func.count()).select_from(Account)
_COUNT_OWN = _COUNT_ALL.where(Account.reseller == sa.bindparam("reseller"))


def list_accounts(panel: Panel, scope: int | None) -> EncodedAnswer:
    """``{"error":0,"err_msg":"","accounts":[…]}`` of ``scope`` (see :func:`scope_of`), newest account first."""
    rows = _rows(scope)
    with panel.database.read() as connection:
        token = freshness.token(connection, rows, LIST_TABLES)
        return panel.kept.get(("accounts", scope), token, lambda: _encode(connection.execute(rows), panel.clock))


def _rows(scope: int | None) -> sa.Select[Any]:
    end_date = sa.func.substr(sa.cast(Account.end_date, sa.String(20)), 1, 10)
    statement = (
        select(
            Account.id,
            Account.username,
            Account.mac,
            Account.email,
            Account.phone_number,
            sa.func.nullif(Account.reseller, 0).label("reseller"),
            Account.plan,
            Account.timestamp,
            Account.full_name,
            Account.tariff_plan,
            sa.func.nullif(end_date, "0000-00-00").label("end_date"),
            sa.func.coalesce(Account.status, 0).label("status"),
            sa.func.coalesce(Plan.name, DeletedPlan.name).label("plan_name"),
            User.name.label("reseller_name"),
            User.currency_id.label("currency_name"),
        )
        .outerjoin(Plan, Plan.id == Account.plan)
        .outerjoin(DeletedPlan, DeletedPlan.id == Account.plan)
        .outerjoin(User, User.id == Account.reseller)
        .order_by(Account.id.desc())
    )
    return statement if scope is None else statement.where(Account.reseller == scope)


_KEYS = (
    *("id", "username", "mac", "email", "phone_number", "reseller", "plan", "timestamp", "full_name", "tariff_plan"),
    *("end_date", "status", "plan_name", "reseller_name", "currency_name", "created", "end_datetime"),
)


def _encode(rows: Iterable[Row[Any]], clock: Clock) -> EncodedAnswer:
    accounts = list(map(partial(_account, clock, {}, {}), rows))
    body = orjson.dumps({"error": 0, "err_msg": "", "accounts": accounts})
    # names may come from the portal or from the PHP panel, which let markup through; few lists have any
    if any(sign in body for sign in _SIGNS_OF_MARKUP):
        accounts = [{key: plain(v) if isinstance(v, str) else v for key, v in item.items()} for item in accounts]
        body = orjson.dumps({"error": 0, "err_msg": "", "accounts": accounts})
    return EncodedAnswer(body, gzip.compress(body, compresslevel=GZIP_LEVEL, mtime=0))


def _account(clock: Clock, days: dict[int, str], codes: dict[str | None, str | None], row: Row[Any]) -> dict[str, Any]:
    columns: tuple[Any, ...] = row[:-1]
    code: str | None = row[-1]
    if code not in codes:
        codes[code] = shown_currency(code)
    end_date = columns[10]
    return dict(
        zip(
            _KEYS,
            (*columns, codes[code], _day(clock, days, columns[7]), end_date and f"{end_date} 23:59:59"),
            strict=True,
        )
    )


def _day(clock: Clock, days: dict[int, str], stamp: int | None) -> str | None:
    """The local date of a Unix stamp; zones change at full quarters of an hour only, so those are remembered."""
    if not stamp or stamp < 0:
        return None
    quarter = stamp // _QUARTER_HOUR
    day = days.get(quarter)
    if day is None:
        day = days[quarter] = clock.local(stamp).date().isoformat()
    return day
