"""Bringing the accounts in line with the portal's (contract chapter 20 §9)."""

import time

from compat.endpoints import Answer, Endpoints, Manners
from compat.envelope import FailedWith
from core.access.actors import Actor
from core.access.permissions import SYNC_ACCOUNTS
from core.access.seen_accounts import count_accounts
from core.access.whose_accounts import whose_accounts
from core.errors import DatabaseFailed
from core.panel import Panel
from core.sync.on_request import NothingKnownYet, sync_on_request
from core.values.escaping import quotable
from legacy_routes.gate import Call, by, caller, having

endpoints = Endpoints(chapter="20")
_PENDING = "The portal is slow; the sync goes on in the background, and these are the last known numbers"


@endpoints.endpoint("sync_accounts", "GET", "POST", who=having(SYNC_ACCOUNTS), manners=Manners(get_changes=True))
def sync_accounts(call: Call) -> Answer:
    """Take the accounts over from portal server 1: all for super admins, one's own for others, no observers."""
    started = time.monotonic()
    actor = caller(call)
    try:
        told = sync_on_request(call.panel, by(call), str(call.session.sid))
    except NothingKnownYet as error:
        raise FailedWith(error, {"pending": 1, "job_id": error.job_id}) from error
    counts = told.counts
    return {
        "err_msg": "",
        "synced": counts.synced,
        "skipped": counts.skipped,
        "total_accounts": _total(call.panel, actor, counts.synced),
        "sync_time": f"{time.monotonic() - started:.1f} seconds",
        "orphans_detected": counts.removed,
        "transactions_preserved": True,
        **{key: [quotable(login) for login in logins] for key, logins in counts.named.items() if logins},
        **({"message": _PENDING, "pending": 1, "job_id": told.job_id} if told.job_id is not None else {}),
    }


def _total(panel: Panel, actor: Actor, synced: int) -> int:
    """How many accounts the caller has now; where that cannot be read, how many were synced: the sync is done."""
    try:
        return count_accounts(panel, whose_accounts(actor, view_all=True))
    except DatabaseFailed:
        return synced
