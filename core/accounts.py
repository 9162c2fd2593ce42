"""The list of subscriber accounts, as every page load asks for it. Source: contract chapter 20 §2.

The list is kept encoded, for it is long and asked for after every change; see :mod:`core.freshness` for why what is
shown is never old.
"""

import gzip
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import Connection, select
from sqlalchemy.engine import Row

from core import freshness
from core.clock import Clock
from core.database import Database
from core.identity import Actor, shown_currency
from core.markup import plain
from core.models import Account, DeletedPlan, Plan, User

# the tables whose versions decide whether the list has changed (core.models, triggers)
LIST_TABLES = ("accounts", "plans", "users")
CACHE_BYTES = 64 * 1024 * 1024
GZIP_LEVEL = 4
_QUARTER_HOUR = 900
# in the encoded list: markup, entities, control characters
_SIGNS_OF_MARKUP = (b"<", b">", b"&", b"\\u00", b"\x7f")


@dataclass(frozen=True, slots=True)
class Listing:
    """``{"error":0,"err_msg":"","accounts":[…]}`` as JSON, and the same gzipped."""

    body: bytes
    gzipped: bytes


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


class AccountLists:
    """The encoded lists of all scopes that were asked for lately."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._kept: OrderedDict[int | None, tuple[tuple[Any, ...], Listing]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._building: dict[int | None, threading.Lock] = {}

    def listing(self, scope: int | None) -> Listing:
        """The current list of ``scope``, newest account first."""
        rows = _rows(scope)
        with self._database.read() as connection:
            token = freshness.token(connection, rows, LIST_TABLES)
            listing = self._get(scope, token)
            if listing is not None:
                return listing
            # of several that find it old, one builds and the others take what it built
            with self._lock:
                building = self._building.setdefault(scope, threading.Lock())
            with building:
                listing = self._get(scope, token)
                if listing is None:
                    listing = _encode(connection.execute(rows), self._clock)
                    self._keep(scope, token, listing)
            return listing

    def _get(self, scope: int | None, token: tuple[Any, ...]) -> Listing | None:
        with self._lock:
            kept = self._kept.get(scope)
            if kept is None or kept[0] != token:
                return None
            self._kept.move_to_end(scope)
            return kept[1]

    def _keep(self, scope: int | None, token: tuple[Any, ...], listing: Listing) -> None:
        with self._lock:
            old = self._kept.pop(scope, None)
            self._bytes += _size(listing) - (_size(old[1]) if old else 0)
            self._kept[scope] = (token, listing)
            while self._bytes > CACHE_BYTES and self._kept:
                oldest, (_, dropped) = self._kept.popitem(last=False)
                self._bytes -= _size(dropped)
                self._building.pop(oldest, None)


def _size(listing: Listing) -> int:
    return len(listing.body) + len(listing.gzipped)


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


def _encode(rows: Iterable[Row[Any]], clock: Clock) -> Listing:
    accounts = list(map(partial(_account, clock, {}, {}), rows))
    body = orjson.dumps({"error": 0, "err_msg": "", "accounts": accounts})
    # names may come from the portal or from the PHP panel, which let markup through; few lists have any
    if any(sign in body for sign in _SIGNS_OF_MARKUP):
        accounts = [{key: plain(v) if isinstance(v, str) else v for key, v in item.items()} for item in accounts]
        body = orjson.dumps({"error": 0, "err_msg": "", "accounts": accounts})
    return Listing(body, gzip.compress(body, compresslevel=GZIP_LEVEL, mtime=0))


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
