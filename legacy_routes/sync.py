"""Bringing the accounts in line with the portal's (contract chapter 20 §9)."""

import time
from collections.abc import Sequence

from compat.endpoints import Answer, Endpoints, Manners
from core.access.permissions import SYNC_ACCOUNTS
from core.access.whose import whose_accounts
from core.accounts.listing import count_accounts
from core.sync.sync import synchronise, wish_of
from core.values.markup import quotable
from legacy_routes.gate import Call, by, caller, having

endpoints = Endpoints(chapter="20")
# of those that the answer tells by name
_NAMED = 20


@endpoints.endpoint("sync_accounts", "GET", "POST", who=having(SYNC_ACCOUNTS), manners=Manners(get_changes=True))
def sync_accounts(call: Call) -> Answer:
    """Take the accounts over from portal server 1: all for super admins, one's own for others, no observers."""
    started = time.monotonic()
    actor = caller(call)
    changes = synchronise(call.panel, by(call), wish_of(call.panel, actor))
    return {
        "err_msg": "",
        "synced": changes.synced,
        "skipped": changes.skipped,
        "total_accounts": count_accounts(call.panel, whose_accounts(actor, view_all=True)),
        "sync_time": f"{time.monotonic() - started:.1f} seconds",
        "orphans_detected": len(changes.removed),
        "transactions_preserved": True,
        **_named("doubles", changes.doubles),
        **_named("unstorable", changes.unstorable),
    }


def _named(key: str, logins: Sequence[str]) -> dict[str, list[str]]:
    return {key: [quotable(login) for login in logins[:_NAMED]]} if logins else {}
