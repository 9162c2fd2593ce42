"""What a simulated portal holds: users, plans, packages, resellers and the event queue; no rules of the API."""

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

from simulators.portal.columns import ZERO_DATE

_INDEXED = ("login", "stb_mac", "account_number")
# rows of two portals are compared without what each portal gives out by itself
_OWN = frozenset({"id", "uid", "at"})


def hash_password(password: str) -> str:
    return hashlib.sha256(password.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True)
class User:
    """A row of ``users``. ``tariff_plan_id`` 0 is no plan, ``status`` 1 is on; dates are texts of the database."""

    id: int
    login: str = ""
    password_hash: str = ""
    full_name: str = ""
    phone: str = ""
    account_number: str = ""
    stb_mac: str = ""
    tariff_plan_id: int = 0
    status: int = 1
    comment: str | None = None
    end_date: str = ZERO_DATE
    account_balance: str = ""
    theme: str = ""
    reseller: int | None = None
    reseller_id: int | None = None
    tariff_expired_date: str | None = None
    tariff_instead_expired: str | None = None
    stb_sn: str = ""
    stb_type: str = ""
    ip: str = ""
    version: str = ""
    last_active: str = ZERO_DATE
    online: bool = False
    access_token: str = ""
    device_id: str = ""
    subscribed: tuple[int, ...] = ()

    def has_password(self, password: str) -> bool:
        return self.password_hash == hash_password(password)


@dataclass(frozen=True, slots=True)
class Package:
    id: int
    external_id: str
    name: str
    description: str = ""
    type: str = "tv"
    all_services: int = 1
    service_type: str = "periodic"
    rent_duration: int = 0
    price: str = "0.00"
    optional: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """``days_to_expires`` is shown by Ministra only; ``packages`` are row ids."""

    id: int
    external_id: str
    name: str
    user_default: int = 0
    days_to_expires: int | None = None
    packages: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Reseller:
    """A row of Ministra's own ``reseller`` table, which has nothing to do with the panel's resellers."""

    id: int
    name: str
    created: str = ZERO_DATE
    modified: str = ZERO_DATE
    max_users: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """Queued for the box of user ``uid``; ``ttl`` in seconds, ``at`` Unix time; ``msg`` may hold a channel number."""

    uid: int
    event: str
    msg: str = ""
    ttl: int = 0
    need_confirm: int = 0
    need_reboot: int = 0
    auto_hide_timeout: int = 0
    video: str = ""
    at: float = 0.0


class PortalState:
    """Rows by id, users also by login, MAC and account number (all compared without regard to case, as MySQL does)."""

    def __init__(self) -> None:
        self.users: dict[int, User] = {}
        self.plans: dict[int, Plan] = {}
        self.packages: dict[int, Package] = {}
        self.resellers: dict[int, Reseller] = {}
        self.events: list[Event] = []
        self._last_user = 0
        self._index: dict[str, dict[str, dict[int, None]]] = {column: {} for column in _INDEXED}

    def add_user(self, **columns: Any) -> User:
        self._last_user += 1
        user = User(id=self._last_user, **columns)
        self._store(user)
        return user

    def change_user(self, user: User, **columns: Any) -> User:
        changed = replace(user, **columns)
        self._forget(user)
        self._store(changed)
        return changed

    def delete_user(self, user: User) -> None:
        self._forget(user)
        del self.users[user.id]

    def _store(self, user: User) -> None:
        self.users[user.id] = user
        for column, index in self._index.items():
            index.setdefault(_key(getattr(user, column)), {})[user.id] = None

    def _forget(self, user: User) -> None:
        for column, index in self._index.items():
            key = _key(getattr(user, column))
            index[key].pop(user.id, None)
            if not index[key]:
                del index[key]

    def find_users(self, column: str, values: Iterable[str]) -> list[User]:
        """The users that have one of ``values`` in ``column`` (login, stb_mac, account_number), by id."""
        index = self._index[column]
        ids = {id for value in values for id in index.get(_key(value), ())}
        return [self.users[id] for id in sorted(ids)]

    def plan_by_external_id(self, external_id: str) -> Plan | None:
        return next((plan for plan in self.plans.values() if plan.external_id == external_id), None)

    def default_plan(self) -> Plan | None:
        return next((plan for plan in self.plans.values() if plan.user_default), None)

    def queue(self, users: Iterable[User], event: Event) -> None:
        """One copy of ``event`` per user."""
        now = time.time()
        self.events.extend(replace(event, uid=user.id, at=now) for user in users)

    def snapshot(self) -> dict[str, list[dict[str, Any]]]:
        """All rows as plain data without times, names for row ids: equal for two portals that hold the same."""
        logins = {user.id: user.login for user in self.users.values()}
        plans = {plan.id: plan.external_id for plan in self.plans.values()}
        packages = {package.id: package.external_id for package in self.packages.values()}
        resellers = {reseller.id: reseller.name for reseller in self.resellers.values()}
        users = [
            _comparable(user)
            | {
                "tariff_plan_id": plans.get(user.tariff_plan_id),
                "reseller_id": resellers.get(user.reseller_id or 0),
                "subscribed": [packages.get(id) for id in user.subscribed],
            }
            for user in sorted(self.users.values(), key=lambda user: (user.login, user.stb_mac, user.id))
        ]
        return {
            "users": users,
            "plans": [
                _comparable(plan) | {"packages": [packages.get(id) for id in plan.packages]}
                for plan in self.plans.values()
            ],
            "packages": [_comparable(package) for package in self.packages.values()],
            "resellers": [_comparable(reseller) for reseller in self.resellers.values()],
            "events": [_comparable(event) | {"login": logins.get(event.uid)} for event in self.events],
        }


def _key(value: str) -> str:
    return value.rstrip(" ").lower()


def _comparable(row: Any) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in fields(row) if field.name not in _OWN}
