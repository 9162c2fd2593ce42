"""The portal's tariffs, and plans made of them (contract chapter 40 §3.6 to §3.8)."""

from collections.abc import Sequence

from compat import envelope
from compat.endpoints import WAITS, Answer, Endpoints, Manners
from core.access.actors import bare_actor
from core.access.audit import By
from core.access.permissions import READ_TARIFFS
from core.plans.tariff_import import TariffPlan, import_tariffs
from core.plans.tariffs import OfferedTariff, portal_tariffs
from legacy_routes.gate import Call, by, having, origin_of, super_admin, super_admin_or_key
from legacy_routes.warnings import warned

endpoints = Endpoints(chapter="40")

CRON = bare_actor(0, "cron", super_user=True)
# a longer number of the portal stays text, as it would not be the same number everywhere
_MOST_DIGITS = 15


@endpoints.endpoint("get_tariffs", "GET", "POST", who=having(READ_TARIFFS), manners=WAITS)
def get_tariffs(call: Call) -> Answer:
    """The tariffs of portal server 1, from which plans are made."""
    offered = portal_tariffs(call.panel)
    tariffs = [
        {**_named(tariff), "description": tariff.description, "external_id": tariff.external_id} for tariff in offered
    ]
    return {"err_msg": "", "message": "", "tariffs": tariffs, "count": len(tariffs), **warned(*_notes(offered))}


@endpoints.endpoint("sync_plans_web", "GET", "POST", who=super_admin(), manners=Manners(waits=True, get_changes=True))
def sync_plans_web(call: Call) -> Answer:
    """Make plans of the portal's tariffs, and give those that are there the tariff's name and length."""
    imported = import_tariffs(call.panel, by(call), renew=True)
    inserted, updated = len(imported.inserted), len(imported.present)
    text = f"Plans synced successfully: {inserted} added, {updated} updated"
    return {
        "err_msg": text,
        "message": text,
        "synced_count": inserted,
        "updated_count": updated,
        "total_plans": len(imported.tariffs),
        "plans": [_named(tariff) for tariff in imported.tariffs],
        **warned(*_notes(imported.tariffs)),
    }


@endpoints.endpoint(
    "sync_plans",
    "GET",
    "POST",
    who=super_admin_or_key("Only super admins, and crontabs with the configured key, may import plans"),
    manners=Manners(waits=True, get_changes=True, navigable=True, as_text=True),
)
def sync_plans(call: Call) -> Answer:
    """Make the plans of the portal's tariffs that are missing; answers lines of text."""
    imported = import_tariffs(call.panel, By(call.actor or CRON, origin_of(call)), renew=False)
    notes = [f"Warning: {note}" for note in _notes(imported.tariffs)]
    lines = [*map(_line, imported.lines), *notes, f"Imported {len(imported.inserted)} plans"]
    return envelope.text_response("".join(f"{line}\n" for line in lines))


def _notes(tariffs: Sequence[OfferedTariff]) -> list[str]:
    return [tariff.note for tariff in tariffs if tariff.note]


def _line(plan: TariffPlan) -> str:
    if plan.before:
        return f"{plan.external_id} {plan.currency}: already exists"
    return f"{plan.external_id} {plan.currency}: imported {plan.name} - {plan.days} days"


def _named(tariff: OfferedTariff) -> dict[str, int | str]:
    named = {"id": _number_or_text(tariff.id), "name": tariff.name, "days": tariff.days}
    return named | ({"days_guessed": 1} if tariff.is_guess else {})


def _number_or_text(id: str) -> int | str:
    """The document shows numbers; what a number would not spell the same stays text."""
    is_number = len(id) <= _MOST_DIGITS and id.isascii() and id.isdecimal() and str(int(id)) == id
    return int(id) if is_number else id
