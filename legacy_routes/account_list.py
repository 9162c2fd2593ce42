"""How the list of accounts is encoded: it is long, and asked for at every page load (contract chapter 20 §2)."""

import gzip
from collections.abc import Iterable
from functools import partial
from typing import Any

from compat import envelope
from core.access.actors import Actor
from core.access.whose import whose_accounts
from core.accounts.end_dates import known_day
from core.accounts.listing import ListedAccount, list_accounts
from core.panel import Panel
from core.storage.answer_cache import EncodedAnswer
from core.values import sinks
from core.values.clock import Clock
from core.values.currencies import shown_currency

_GZIP_LEVEL = 4
_QUARTER_HOUR = 900
# in the encoded list: markup, entities, quotation marks, control characters
_SIGNS_OF_MARKUP = (b"<", b">", b"&", b"'", b"`", b"\\", b"\x7f", "\u2028".encode(), "\u2029".encode())


def encoded_accounts(panel: Panel, actor: Actor, *, view_all: bool) -> EncodedAnswer:
    """The accounts that ``actor`` sees, newest first, kept while nothing in them changes."""
    return list_accounts(panel, whose_accounts(actor, view_all=view_all), partial(_encode, panel.clock))


def _encode(clock: Clock, rows: Iterable[ListedAccount]) -> EncodedAnswer:
    days: dict[int, str] = {}
    accounts = [_account(clock, days, row) for row in rows]
    body = _body(accounts)
    # names may come from the portal or from the PHP panel, which let markup through; few lists have any
    if any(sign in body for sign in _SIGNS_OF_MARKUP):
        body = _body([sinks.shown("account", account) for account in accounts])
    return EncodedAnswer(body, gzip.compress(body, compresslevel=_GZIP_LEVEL, mtime=0))


def _body(accounts: list[dict[str, Any]]) -> bytes:
    return envelope.success_body({"err_msg": "", "accounts": accounts})


def _account(clock: Clock, days: dict[int, str], row: ListedAccount) -> dict[str, Any]:
    last_day = known_day(row.end_date)
    end_date = last_day and last_day.isoformat()
    return {
        "id": row.id,
        "username": row.username,
        "mac": row.mac,
        "email": row.email,
        "phone_number": row.phone_number,
        "reseller": row.reseller or None,
        "plan": row.plan,
        "timestamp": row.timestamp,
        "full_name": row.full_name,
        "tariff_plan": row.tariff_plan,
        "end_date": end_date,
        "status": row.status or 0,
        "plan_name": row.deleted_plan_name if row.plan_name is None else row.plan_name,
        "reseller_name": row.reseller_name,
        "currency_name": shown_currency(row.currency),
        "created": _day(clock, days, row.timestamp),
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
