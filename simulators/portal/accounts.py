"""The resources ``accounts`` and ``users``: reading, creating, changing and deleting users."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from simulators.php import scalar, to_int, truthy
from simulators.portal.calls import Action, ResourceCall
from simulators.portal.columns import date_column, text_column
from simulators.portal.errors import PortalRefusal, SqlFailure
from simulators.portal.events import EVENT_TTL
from simulators.portal.identifiers import find_accounts, normal_mac
from simulators.portal.settings import PortalSettings
from simulators.portal.state import Event, PortalState, User, hash_password

_TEXTS = ("login", "full_name", "phone", "account_number", "stb_mac", "comment", "account_balance")
_FIELDS = frozenset({*_TEXTS, "password", "tariff_plan", "status", "end_date"})
_MINISTRA_FIELDS = frozenset({"tariff_expired_date", "tariff_instead_expired"})


class Accounts:
    """Identifiers are MACs or account numbers; the answers are lists."""

    other_identifier: ClassVar[str] = "account_number"

    def __init__(self, state: PortalState, settings: PortalSettings) -> None:
        self.state = state
        self.settings = settings

    @property
    def actions(self) -> Mapping[str, Action]:
        return {"get": self.get, "create": self.create, "update": self.update, "delete": self.delete}

    def get(self, call: ResourceCall) -> object:
        return self._found(call)

    def _found(self, call: ResourceCall) -> list[dict[str, Any]]:
        if call.identifiers is None:
            users = list(self.state.users.values())
        else:
            users = find_accounts(self.state, call.identifiers, self.other_identifier)
            if len(users) < len(call.identifiers):
                one = len(call.identifiers) == 1
                raise PortalRefusal("Account not found" if one else "One or more identifiers are incorrect")
        call.delay = len(users) * self.settings.list_delay_per_account / 1000
        as_object = AccountView(self.state, self.settings)
        return [as_object(user) for user in users]

    def create(self, call: ResourceCall) -> object:
        fields = self._known_fields(call)
        login, mac = scalar(fields, "login"), scalar(fields, "stb_mac")
        if truthy(mac):
            normalised = normal_mac(mac)
            if normalised is None:
                raise PortalRefusal("Not valid mac address")
            fields["stb_mac"] = mac = normalised
        if not truthy(login):
            raise PortalRefusal("Login required")
        if self.state.find_users("login", [login]):
            raise PortalRefusal("Login already in use")
        if truthy(mac) and self.state.find_users("stb_mac", [mac]):
            raise PortalRefusal("MAC address already in use")
        reseller_id = to_int(fields.get("reseller_id", ""))
        if reseller_id and reseller_id not in self.state.resellers:
            raise PortalRefusal("Reseller does not exist")
        self.state.add_user(**self._columns(fields))
        return True

    def update(self, call: ResourceCall) -> object:
        fields = self._known_fields(call)
        users = self._addressed(call)
        login = fields.get("login", "")
        if truthy(login) and any(user not in users for user in self.state.find_users("login", [login])):
            raise PortalRefusal("Login already in use")
        for user in users:
            self._change(user, fields)
        return True

    def _change(self, user: User, fields: Mapping[str, str]) -> None:
        """Status with its event, then the password, then the rest; an error leaves done what came before it."""
        if "status" in fields:
            user = self._switch(user, int(truthy(fields["status"])))
        if fields.get("password"):
            user = self.state.change_user(user, password_hash=hash_password(fields["password"]))
        rest = {name: value for name, value in fields.items() if name not in ("status", "password")}
        if not truthy(rest.get("tariff_plan", "none")):
            raise SqlFailure(
                "Unknown column 'tariff_plan' in 'field list'",
                f"UPDATE `users` SET `tariff_plan`='' where `id`={user.id}",  # noqa: S608 - shown, never executed
            )
        columns = self._columns(rest)
        if "stb_mac" in rest:
            columns |= {"access_token": "", "device_id": ""}
        self.state.change_user(user, **columns)

    def _switch(self, user: User, status: int) -> User:
        if status == user.status:
            return user
        changed = self.state.change_user(user, status=status)
        name = "cut_on" if status else "cut_off"
        self.state.queue([changed], Event(uid=changed.id, event=name, ttl=EVENT_TTL))
        return changed

    def delete(self, call: ResourceCall) -> object:
        for user in self._addressed(call):
            self.state.delete_user(user)
        return True

    def _known_fields(self, call: ResourceCall) -> dict[str, str]:
        if not call.fields:
            raise PortalRefusal("HTTP POST data is empty")
        known = {name: scalar(call.fields, name) for name in call.fields if name in self._field_names()}
        if not known:
            raise PortalRefusal("Insert data is empty")
        return known

    def _field_names(self) -> frozenset[str]:
        names = _FIELDS
        if self.settings.is_panel:
            names |= {"reseller"}
        if self.settings.is_ministra:
            names |= _MINISTRA_FIELDS
            if self.settings.reseller_info:
                names |= {"reseller_id"}
        return names

    def _addressed(self, call: ResourceCall) -> list[User]:
        if call.identifiers is None:
            raise PortalRefusal("Identifier required")
        users = find_accounts(self.state, call.identifiers, self.other_identifier)
        if not users:
            raise PortalRefusal("Account not found")
        if len(call.identifiers) > 1:
            raise PortalRefusal("Only one identifier allowed")
        return users

    def _columns(self, fields: Mapping[str, str]) -> dict[str, Any]:
        columns: dict[str, Any] = {
            name: text_column(self.settings, name, fields[name]) for name in _TEXTS if name in fields
        }
        for name, (column, convert) in self._conversions().items():
            if name in fields:
                columns[column] = convert(fields[name])
        if fields.get("password"):
            columns["password_hash"] = hash_password(fields["password"])
        return columns

    def _conversions(self) -> dict[str, tuple[str, Callable[[str], object]]]:
        return {
            "status": ("status", lambda value: int(truthy(value))),
            "tariff_plan": ("tariff_plan_id", self._plan_id),
            "end_date": ("end_date", lambda value: date_column(self.settings, "end_date", value)),
            "reseller": ("reseller", lambda value: to_int(value) if value else None),
            "reseller_id": ("reseller_id", lambda value: to_int(value) or None),
            "tariff_expired_date": ("tariff_expired_date", self._optional_date),
            "tariff_instead_expired": ("tariff_instead_expired", lambda value: value or None),
        }

    def _plan_id(self, external_id: str) -> int:
        plan = self.state.plan_by_external_id(external_id)
        return plan.id if plan else 0

    def _optional_date(self, value: str) -> str | None:
        return date_column(self.settings, "tariff_expired_date", value) if value else None


class Users(Accounts):
    """Identifiers are MACs or logins; reading gives one object, the first."""

    other_identifier = "login"

    def get(self, call: ResourceCall) -> object:
        found = self._found(call)
        return found[0] if found else None


class AccountView:
    """Turns users into the account objects of the API, with what is the same for all of them looked up once."""

    def __init__(self, state: PortalState, settings: PortalSettings) -> None:
        self._settings = settings
        self._packages = state.packages
        self._resellers = state.resellers
        default = state.default_plan()
        self._default_plan = default.external_id if default else None
        self._plans = {plan.id: plan.external_id for plan in state.plans.values()}

    def __call__(self, user: User) -> dict[str, Any]:
        account: dict[str, Any] = {
            "login": user.login,
            "full_name": user.full_name,
            "phone": user.phone,
            "account_number": user.account_number,
            "tariff_plan": self._plans.get(user.tariff_plan_id, self._default_plan),
        }
        if self._settings.is_ministra:
            account["tariff_expired_date"] = user.tariff_expired_date
            account["tariff_instead_expired"] = user.tariff_instead_expired
        account |= {
            "stb_sn": user.stb_sn,
            "stb_mac": user.stb_mac,
            "stb_type": user.stb_type,
            "status": user.status,
            "online": "1" if user.online else "0",
            "ip": user.ip,
            "version": user.version,
            "comment": user.comment,
        }
        if self._settings.internal_billing:
            account["end_date"] = user.end_date
        account["account_balance"] = user.account_balance
        account["last_active"] = user.last_active
        self._add_reseller(account, user)
        packages = [self._packages[id] for id in user.subscribed if id in self._packages]
        account["subscribed"] = [package.external_id for package in packages]
        account["subscribed_id"] = [str(package.id) for package in packages]
        return account

    def _add_reseller(self, account: dict[str, Any], user: User) -> None:
        if self._settings.is_panel:
            account["reseller"] = None if user.reseller is None else str(user.reseller)
        if self._settings.is_ministra and self._settings.reseller_info:
            reseller = self._resellers.get(user.reseller_id or 0)
            account["reseller_id"] = str(reseller.id) if reseller else None
            account["reseller_name"] = reseller.name if reseller else None
