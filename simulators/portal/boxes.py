"""The resource ``stb``, as far as the panel reads it: all boxes in one cheap query, without names and tariffs."""

from collections.abc import Mapping
from typing import Any

from simulators.portal.calls import Action, ResourceCall
from simulators.portal.identifiers import find_boxes
from simulators.portal.settings import PortalSettings
from simulators.portal.state import PortalState, User


class Boxes:
    def __init__(self, state: PortalState, settings: PortalSettings) -> None:
        self.state = state
        self.settings = settings

    @property
    def actions(self) -> Mapping[str, Action]:
        return {"get": self.get} if self.settings.has_stb else {}

    def get(self, call: ResourceCall) -> object:
        """All boxes, or those of the identifiers; unknown ones are left out without a word."""
        if call.identifiers is None:
            users = list(self.state.users.values())
        else:
            users = find_boxes(self.state, call.identifiers)
        call.delay = len(users) * self.settings.stb_delay_per_account / 1000
        return [self._box(user) for user in users]

    def _box(self, user: User) -> dict[str, Any]:
        box: dict[str, Any] = {
            "mac": user.stb_mac,
            "ls": user.account_number,
            "login": user.login,
            "status": user.status,
            "online": "1" if user.online else "0",
            "additional_services_on": "1",
            "ip": user.ip,
            "version": user.version,
            "account_balance": user.account_balance,
            "last_active": user.last_active,
        }
        if self.settings.internal_billing:
            box["end_date"] = user.end_date
        return box
