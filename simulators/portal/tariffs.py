"""The resource ``tariffs``: the plans with their packages, read only."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from simulators.php import to_int
from simulators.portal.calls import Action, ResourceCall
from simulators.portal.settings import PortalSettings
from simulators.portal.state import Package, Plan, PortalState


class Tariffs:
    def __init__(self, state: PortalState, settings: PortalSettings) -> None:
        self.state = state
        self.settings = settings

    @property
    def actions(self) -> Mapping[str, Action]:
        return {"get": self.get}

    def get(self, call: ResourceCall) -> object:
        """One object or null for a row id, read as PHP reads a number; all plans without one, or for 0."""
        id = to_int(call.identifiers[0]) if call.identifiers is not None else 0
        if id:
            plan = self.state.plans.get(id)
            return self._plan(plan) if plan else None
        return [self._plan(plan) for plan in self.state.plans.values()]

    def _plan(self, plan: Plan) -> dict[str, Any]:
        columns = as_texts(plan)
        packages = [as_texts(self.state.packages[id]) for id in plan.packages if id in self.state.packages]
        told = self.settings.tariff_lengths
        if not (self.settings.is_ministra if told is None else told):
            del columns["days_to_expires"]
        return columns | {"packages": packages}


def as_texts(row: Plan | Package) -> dict[str, Any]:
    """The columns as the database's text protocol gives them."""
    return {name: None if value is None else str(value) for name, value in asdict(row).items()}
