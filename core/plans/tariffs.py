"""The portal's tariffs as the panel offers them for making plans. Source: contract chapter 40 §3.6."""

from dataclasses import dataclass

from core.errors import UpstreamFailed
from core.panel import Panel
from core.portal import PortalError, Tariff
from core.values.markup import plain

FAILED = "Failed to fetch tariff plans from Stalker Portal"
# what a tariff without a length gets
USUAL_DAYS = 30


@dataclass(frozen=True, slots=True)
class OfferedTariff:
    """A tariff with an id; ``days`` 0 is unlimited. All texts are without markup.

    ``is_guess``: the portal told no length, as those of 5.1 never do (90 §13 M6), and ``days`` is the usual one.
    """

    id: str
    external_id: str
    name: str
    days: int
    description: str
    is_guess: bool = False


def portal_tariffs(panel: Panel, *, fresh: bool = False) -> list[OfferedTariff]:
    """The tariffs of portal server 1 in its order, at most a minute old unless ``fresh``. Raises UpstreamFailed."""
    try:
        found = panel.portals.tariffs.get(fresh=fresh)
    except PortalError as error:
        raise UpstreamFailed(FAILED) from error
    return [_offered(tariff) for tariff in found if tariff.id]


def _offered(tariff: Tariff) -> OfferedTariff:
    id = plain(tariff.id)
    return OfferedTariff(
        id=id,
        external_id=plain(tariff.external_id) or id,
        name=plain(tariff.name).strip() or f"Tariff {id}",
        days=USUAL_DAYS if tariff.days is None else tariff.days,
        description=plain(tariff.description),
        is_guess=tariff.days is None,
    )
