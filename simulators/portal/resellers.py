"""Ministra's own ``reseller`` resource, of which the panel must not take the rows for its own resellers."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from simulators.php import scalar, to_int, truthy
from simulators.portal.calls import Action, ResourceCall
from simulators.portal.errors import PortalRefusal
from simulators.portal.settings import PortalSettings
from simulators.portal.state import PortalState, Reseller

_NOT_AN_ID = "Identifier is wrong, for this action use reseller's id"


class Resellers:
    def __init__(self, state: PortalState, settings: PortalSettings) -> None:
        self.state = state
        self.settings = settings

    @property
    def actions(self) -> Mapping[str, Action]:
        if not self.settings.reseller_info:
            raise PortalRefusal("Resource denied by admin")
        return {"get": self.get, "create": self.create, "update": self.update, "delete": self.delete}

    def get(self, call: ResourceCall) -> object:
        if call.identifiers is None:
            return [_as_texts(reseller) for reseller in self.state.resellers.values()]
        found = [self.state.resellers.get(to_int(identifier)) for identifier in call.identifiers]
        if None in found:
            raise PortalRefusal("Account not found" if len(found) == 1 else "One or more identifiers are incorrect")
        return [_as_texts(reseller) for reseller in found if reseller]

    def create(self, call: ResourceCall) -> object:
        """False although it was done, as the real one."""
        if not call.fields:
            raise PortalRefusal("Data is empty")
        name = self._free_name(call)
        id = max(self.state.resellers, default=0) + 1
        self.state.resellers[id] = Reseller(id, name, max_users=to_int(scalar(call.fields, "max_users")))
        return False

    def update(self, call: ResourceCall) -> object:
        if not call.fields:
            raise PortalRefusal("Data is empty")
        reseller = self._addressed(call)
        name = self._free_name(call, reseller.id) if "name" in call.fields else reseller.name
        max_users = to_int(scalar(call.fields, "max_users", str(reseller.max_users)))
        self.state.resellers[reseller.id] = replace(reseller, name=name, max_users=max_users)
        return True

    def delete(self, call: ResourceCall) -> object:
        reseller = self._addressed(call)
        if any(user.reseller_id == reseller.id for user in self.state.users.values()):
            raise PortalRefusal("Reseller has users")
        del self.state.resellers[reseller.id]
        return True

    def _free_name(self, call: ResourceCall, own_id: int = 0) -> str:
        name = scalar(call.fields, "name")
        if not truthy(name):
            raise PortalRefusal("Reseller name required")
        if any(other.name == name and other.id != own_id for other in self.state.resellers.values()):
            raise PortalRefusal("Reseller with this name already exists")
        return name

    def _addressed(self, call: ResourceCall) -> Reseller:
        if call.identifiers is None or not call.identifiers[0].isdecimal():
            raise PortalRefusal(_NOT_AN_ID)
        reseller = self.state.resellers.get(int(call.identifiers[0]))
        if reseller is None:
            raise PortalRefusal("Account not found")
        return reseller


def _as_texts(reseller: Reseller) -> dict[str, Any]:
    return {name: str(value) for name, value in asdict(reseller).items()}
