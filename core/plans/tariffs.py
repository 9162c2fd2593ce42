"""The portal's tariffs as the panel offers them for making plans. Source: contract chapter 40 §3.6."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import UpstreamFailed
from core.panel import Panel
from core.plans.plan_tariff import shared_id_note
from core.portal import PortalError, Tariff
from core.portal.wire.deadline import one_deadline
from core.values.escaping import plain, quotable

FAILED = "Failed to fetch tariff plans from Stalker Portal"
# what a tariff without a length gets
USUAL_DAYS = 30
_PATIENCE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class OfferedTariff:
    """A tariff with an id; ``days`` 0 is unlimited. All texts are without markup.

    ``is_guess``: the portal told no length, as those of 5.1 never do (90 §13 M6), and ``days`` is the usual one.
    ``external_id`` may be empty, ``note`` says so, or that another tariff has the same (M7).
    """

    id: str
    external_id: str
    name: str
    days: int
    description: str
    is_guess: bool = False
    note: str | None = None


def portal_tariffs(panel: Panel, *, fresh: bool = False) -> list[OfferedTariff]:
    """The tariffs of portal server 1 in its order, at most a minute old unless ``fresh``. Raises UpstreamFailed."""
    try:
        found = panel.portals.tariffs.get(fresh=fresh)
    except PortalError as error:
        raise UpstreamFailed(FAILED) from error
    return [_offered(tariff, found) for tariff in found if tariff.id]


def tariff_note(panel: Panel, id: str) -> str | None:
    """What is wrong with the tariff of which a plan with this external id is made, as far as that is quickly known."""
    try:
        with one_deadline(_PATIENCE_SECONDS):
            offered = portal_tariffs(panel)
    except UpstreamFailed:
        return None
    return next((tariff.note for tariff in offered if id == tariff.id), None)


def _offered(tariff: Tariff, tariffs: Sequence[Tariff]) -> OfferedTariff:
    id = plain(tariff.id)
    # of a portal that tells no external ids nobody knows whether they are others
    note = shared_id_note(tariff, tariffs) if tariff.tells_external_id else None
    return OfferedTariff(
        id=id,
        external_id=plain(tariff.external_id) if tariff.tells_external_id else id,
        name=plain(tariff.name).strip() or f"Tariff {id}",
        days=USUAL_DAYS if tariff.days is None else tariff.days,
        description=plain(tariff.description),
        is_guess=tariff.days is None,
        note=note and quotable(note),
    )
