"""Which plans a reseller may sell: reading, checking and storing the list of plan keys.

Source: contract chapter 30 D, ``assign_plans.php``. What a key means at a sale is in :mod:`core.plans.choice`.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, select, update

from core.access.audit import By
from core.access.user_rows import require_reseller
from core.errors import InvalidInput
from core.panel import Panel
from core.plans.choice import normal_key
from core.plans.edit import lock_plans
from core.resellers.rules import shown_plans
from core.storage.tables import Plan, User
from core.values.currencies import ANY_CURRENCY, currency_code, shown_currency
from core.values.escaping import plain


def assign_plans(panel: Panel, by: By, reseller_id: int, plans: str) -> str:
    """Replace the reseller's plans by ``plans``, keys parted by commas; returns the list as it is stored and shown.

    Raises NotFound, InvalidInput.
    """

    def act(connection: Connection) -> str:
        lock_plans(panel, connection)
        reseller = require_reseller(panel, connection, reseller_id, lock=True)
        chosen = checked_plans(connection, plans, reseller.currency_id)
        connection.execute(update(User).where(User.id == reseller.id).values(plans=chosen))
        by.write_audit(
            panel,
            connection,
            "update",
            "user",
            target_id=reseller.id,
            target_name=reseller.username,
            old={"plans": reseller.plans},
            new={"plans": chosen},
            details=f"{by.actor.username} assigned plans to {reseller.username}",
        )
        return chosen

    chosen = panel.database.transact(act)
    return shown_plans(chosen) or ""


def checked_plans(connection: Connection, plans: str, currency: str | None) -> str:
    """The keys as they are to be stored for a reseller with ``currency``: each once, in order. Raises InvalidInput."""
    keys = list(dict.fromkeys(key for key in map(str.strip, plans.split(",")) if key))
    if not keys:
        return ""
    pairs = [_pair(key) for key in keys]
    known = _known(connection, (external_id for external_id, _ in pairs))
    wanted = (ANY_CURRENCY, currency_code(currency))
    refused = [
        f"{plain(known[pair][1]) if pair in known else f'Plan {pair[0]}'} ({pair[1]})"
        for pair in pairs
        if pair not in known or pair[1] not in wanted
    ]
    if refused:
        raise InvalidInput(
            f"A reseller with currency {shown_currency(currency) or 'unknown'} cannot have these plans: "
            + ", ".join(refused)
        )
    return ",".join(dict.fromkeys(known[pair][0] for pair in pairs))


def _pair(key: str) -> tuple[str, str]:
    external_id, currency = normal_key(key)
    if not external_id or not currency or plain(key) != key:
        raise InvalidInput.of("plans", "expected keys such as 12-GBP, parted by commas")
    return external_id, currency


def _known(connection: Connection, external_ids: Iterable[str]) -> dict[tuple[str, str], tuple[str, str]]:
    """External id and currency → the key in the plan's own spelling, which the panel compares exactly; its name."""
    rows = connection.execute(
        select(Plan.external_id, Plan.currency_id, Plan.name, Plan.id).where(Plan.external_id.in_(set(external_ids)))
    )
    return {
        (row.external_id, currency_code(row.currency_id)): (
            f"{row.external_id}-{row.currency_id}",
            row.name or f"Plan {row.external_id}",
        )
        for row in rows
    }
