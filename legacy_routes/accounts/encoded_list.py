"""How the list of accounts is encoded: it is long, and asked for at every page load (contract chapter 20 §2)."""

from collections.abc import Iterable
from typing import Any

import orjson

from compat import envelope
from core.access.actors import Actor
from core.access.whose_accounts import whose_accounts
from core.accounts.end_dates import known_day
from core.accounts.listing.answer import list_accounts
from core.accounts.listing.blocks import ListedAccount
from core.panel import Panel
from core.storage.caching.answer_cache import EncodedAnswer
from core.storage.caching.gzip_pieces import Piece, joined, piece
from core.values import sinks
from core.values.clock import Clock
from core.values.currencies import shown_currency

# a block is packed once; the whole of 2 MB would take 18 ms
_GZIP_LEVEL = 6
_BEFORE, _, _AFTER = map(piece, envelope.success_body({"err_msg": "", "accounts": [0]}).rpartition(b"0"))
_COMMA = piece(b",")
_QUARTER_HOUR = 900
# in the encoded list: markup, entities, quotation marks, control characters
_SIGNS_OF_MARKUP = (b"<", b">", b"&", b"'", b"`", b"\\", b"\x7f", "\u2028".encode(), "\u2029".encode())


def encoded_accounts(panel: Panel, actor: Actor, *, view_all: bool) -> EncodedAnswer:
    """The accounts that ``actor`` sees, newest first, kept while nothing in them changes."""
    return list_accounts(panel, whose_accounts(actor, view_all=view_all), _Encoder(panel.clock))


class _Encoder:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._days: dict[int, str] = {}

    def block(self, accounts: Iterable[ListedAccount]) -> Piece:
        return piece(b",".join(map(self._row, accounts)), _GZIP_LEVEL)

    def whole(self, blocks: Iterable[Piece]) -> EncodedAnswer:
        separated = [part for block in blocks for part in (_COMMA, block)]
        return EncodedAnswer(joined([_BEFORE, *separated[1:], _AFTER]))

    def _row(self, account: ListedAccount) -> bytes:
        answer = _account(self._clock, self._days, account)
        encoded = orjson.dumps(answer)
        # names may come from the portal or from the PHP panel, which let markup through; few have any
        if any(sign in encoded for sign in _SIGNS_OF_MARKUP):
            encoded = orjson.dumps(sinks.shown("account", answer))
        return encoded


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
