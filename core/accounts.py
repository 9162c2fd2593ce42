"""The list of subscriber accounts, as every page load asks for it. Source: contract chapter 20 §2.

The list is kept encoded, for it is long and asked for after every change; see :mod:`core.freshness` for why what is
shown is never old.
"""

import gzip
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import select

from core import freshness
from core.clock import Clock
from core.database import AnySelect
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


def count_accounts(panel: Panel, scope: int | None) -> int:
    """How many accounts are in ``scope`` (see :func:`scope_of`)."""
    if scope is None:
        return int(panel.database.first(_COUNT_ALL).accounts)
    return int(panel.database.first(_COUNT_OWN, reseller=scope).accounts)


def list_accounts(panel: Panel, scope: int | None) -> EncodedAnswer:
    """``{"error":0,"err_msg":"","accounts":[…]}`` of ``scope`` (see :func:`scope_of`), newest account first."""
    rows, parameters = (_ALL, {}) if scope is None else (_OWN, {"reseller": scope})

    token = freshness.token(panel.database, rows, LIST_TABLES, **parameters)
    return panel.kept.get(
        ("accounts", scope), token, lambda: _encode(panel.database.all(rows, **parameters), panel.clock)
    )


_COUNT_ALL = select(sa.func.count().label("accounts")).select_from(Account)
_COUNT_OWN = _COUNT_ALL.where(Account.reseller == sa.bindparam("reseller"))
_END_DATE = sa.func.substr(sa.cast(Account.end_date, sa.String(20)), 1, 10)
_ALL: AnySelect = (
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
        sa.func.nullif(_END_DATE, "0000-00-00").label("end_date"),
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
_OWN = _ALL.where(Account.reseller == sa.bindparam("reseller"))


def _encode(rows: Iterable[Sequence[Any]], clock: Clock) -> EncodedAnswer:
    days: dict[int, str] = {}
    accounts = [_account(clock, days, row) for row in rows]
    body = orjson.dumps({"error": 0, "err_msg": "", "accounts": accounts})
    # names may come from the portal or from the PHP panel, which let markup through; few lists have any
    if any(sign in body for sign in _SIGNS_OF_MARKUP):
        accounts = [{key: plain(v) if isinstance(v, str) else v for key, v in item.items()} for item in accounts]
        body = orjson.dumps({"error": 0, "err_msg": "", "accounts": accounts})
    return EncodedAnswer(body, gzip.compress(body, compresslevel=GZIP_LEVEL, mtime=0))


def _account(clock: Clock, days: dict[int, str], row: Sequence[Any]) -> dict[str, Any]:
    end_date = row[10]
    return {
        "id": row[0],
        "username": row[1],
        "mac": row[2],
        "email": row[3],
        "phone_number": row[4],
        "reseller": row[5],
        "plan": row[6],
        "timestamp": row[7],
        "full_name": row[8],
        "tariff_plan": row[9],
        "end_date": end_date,
        "status": row[11],
        "plan_name": row[12],
        "reseller_name": row[13],
        "currency_name": shown_currency(row[14]),
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
