"""Which of the portal's tariffs a plan or a name means: what goes out, and what is to be said about it. Pure.

Accounts refer to a tariff by its external id; a row id in its place would silently give them the default tariff.
Source: contract chapter 20 §1.9, chapter 90 §13 M7 and M15, contract README ("tariffs").
"""

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import PanelError
from core.plans.choice import PlanRow, find_tariff
from core.portal import Tariff


@dataclass(frozen=True, slots=True)
class Tariffs:
    """The portal's tariffs as far as we know them. ``known`` None: not asked for yet or, with ``failure``, not to be
    had."""

    known: Sequence[Tariff] | None = None
    failure: PanelError | None = None

    @property
    def listed(self) -> Sequence[Tariff]:
        return self.known or ()


NOT_ASKED = Tariffs()


@dataclass(frozen=True, slots=True)
class Resolved:
    """``external_id``: what the portal is to be told, empty for nothing. ``note``: what the reseller should know."""

    external_id: str
    note: str | None = None
    is_known: bool = True


def tariff_of_plan(plan: PlanRow, tariffs: Tariffs) -> Resolved:
    """A plan carries the row id of its tariff, on some panels the external id; a row id counts first.

    What the list does not have, and everything while there is none, stands as the plan has it.
    """
    by_id = next((tariff for tariff in tariffs.listed if tariff.id == plan.external_id), None)
    if by_id is not None and by_id.external_id:
        return _named(by_id, tariffs.listed)
    by_name = _first_with(plan.external_id, tariffs.listed)
    if by_name is not None:
        return Resolved(by_name.external_id)
    if by_id is not None:
        text = f"The portal's tariff {by_id.name or by_id.id} has no external id, so that no account can be given it"
        return Resolved("", text, is_known=False)
    if tariffs.known is None:
        return Resolved(plan.external_id)
    text = f"The portal has no tariff {plan.external_id}, which the plan {plan.shown_name()} stands for"
    return Resolved(plan.external_id, text, is_known=False)


def tariff_by_name(name: str, tariffs: Tariffs) -> Resolved:
    """The tariff with this name or external id."""
    found = find_tariff(tariffs.listed, name)
    if found is None:
        return Resolved("", f"The portal has no tariff {name}", is_known=False)
    if not found.external_id:
        text = f"The portal's tariff {name} has no external id, so that no account can be given it"
        return Resolved("", text, is_known=False)
    return _named(found, tariffs.listed)


def shared_id_note(tariff: Tariff, tariffs: Sequence[Tariff]) -> str | None:
    """What is wrong with ``tariff``'s external id, if anything: it has none, or an earlier tariff has the same."""
    if not tariff.external_id:
        return f"The tariff {tariff.name or tariff.id} has no external id: the portal cannot give it to an account"
    first = _first_with(tariff.external_id, tariffs)
    if first is None or first.id == tariff.id:
        return None
    return (
        f"The tariffs {first.name or first.id} and {tariff.name or tariff.id} have the same external id "
        f"{tariff.external_id}: the portal gives the first"
    )


def _named(tariff: Tariff, tariffs: Sequence[Tariff]) -> Resolved:
    return Resolved(tariff.external_id, shared_id_note(tariff, tariffs))


def _first_with(external_id: str, tariffs: Sequence[Tariff]) -> Tariff | None:
    """As the portal looks it up: of several the first, in any case."""
    wanted = external_id.casefold()
    return next((tariff for tariff in tariffs if wanted and tariff.external_id.casefold() == wanted), None)
