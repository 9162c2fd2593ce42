"""The portal's accounts as records: read from its answers, and written as the fields of its forms.

Source: contract chapter 90 §6, §9, §10.9-10.11, chapter 20 §1.9 and §9.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from typing import Any

from core.portal.errors import PortalInvalidInput
from core.portal.stored_form import NO_END, kept_end, unexecuted
from core.portal.wire.identifiers import new_login, required_mac
from core.portal.wire.values import end_date, is_on, records_with, text_of, whole_number
from core.values.macs import normal_mac

log = logging.getLogger(__name__)

Field = str | int | date | None


@dataclass(slots=True)
class PortalAccount:
    """An account as the portal tells it.

    ``mac`` is in the normal spelling, or as told if it is none. The ``has_…`` flags say whether the portal told the
    field at all (an unreadable date counts as not told, and is ``unreadable_date``): if not, what is stored locally
    stays. ``is_fresh``: whether all of it was told just now; if not, only login, MAC, number, status and end were, and
    the rest counts only for an account that is not here yet. ``reseller`` is the panel's own user id, which only a
    customised portal knows; None if not told or not above 0.
    """

    login: str
    mac: str
    full_name: str
    account_number: str
    tariff_plan: str
    status: bool
    phone: str
    has_phone: bool
    email: str
    has_email: bool
    end_date: date | None
    has_end_date: bool
    reseller: int | None
    unreadable_date: bool = False
    is_fresh: bool = True


@dataclass(frozen=True, slots=True)
class PortalAccountList:
    """``skipped`` records had no login or no MAC, or were no records at all. ``doubles``: the logins of those that
    fall together with an earlier one, by login or MAC. ``unstorable``: logins that this database cannot keep.
    ``broken``: those of which the portal cannot tell name and tariff. ``is_whole``: all details were asked for now;
    ``whole_at``: when that was done last (Unix milliseconds; 0: never)."""

    accounts: list[PortalAccount]
    skipped: int
    doubles: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    is_whole: bool = True
    whole_at: int = 0
    unstorable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewPortalAccount:
    """What an account is created with. ``end_date`` None is unlimited and, as ``reseller`` None, not sent."""

    login: str
    mac: str
    password: str = field(repr=False)
    account_number: str
    tariff_plan: str
    full_name: str = ""
    status: bool = True
    end_date: date | None = None
    comment: str = ""
    reseller: int | None = None
    phone: str = ""

    def fields(self) -> dict[str, str]:
        """The form, in the order that the panel has always used. Raises PortalInvalidInput."""
        fields = {
            "login": new_login(self.login),
            "password": self.password,
            "full_name": unexecuted(self.full_name),
            "account_number": self.account_number,
            "tariff_plan": self.tariff_plan,
            "status": _text(self.status),
            "stb_mac": required_mac(self.mac),
        }
        if self.end_date is not None:
            # an empty one is an error of a portal in strict mode
            fields["end_date"] = _text(self.end_date)
        fields["comment"] = unexecuted(self.comment)
        if self.reseller is not None:
            fields["reseller"] = str(self.reseller)
        if self.phone:
            fields["phone"] = self.phone
        return fields

    def adopting_fields(self) -> dict[str, str]:
        """The form that makes this account of a user without login; without the password, which goes alone."""
        fields = self.fields()
        for name in ("password", "stb_mac", "tariff_plan", "end_date"):
            fields.pop(name, None)
        changes: dict[str, Field] = {"end_date": self.end_date, "phone": self.phone}
        if self.tariff_plan:
            changes["tariff_plan"] = self.tariff_plan
        return fields | changed_fields(changes)

    def is_stored_as(self, account: PortalAccount) -> bool:
        """Whether ``account`` came from this creation, not from an older account of the same name and device."""
        return (
            account.login.casefold() == self.login.casefold()
            and account.mac == normal_mac(self.mac)
            and account.account_number in ("", self.account_number)
        )


# the order in which the panel has always sent them
_UPDATE_FIELDS = (
    "login",
    "password",
    "full_name",
    "email",
    "phone",
    "account_number",
    "tariff_plan",
    "status",
    "stb_mac",
    "end_date",
    "comment",
    "account_balance",
    "reseller",
)
_FREE_TEXTS = ("full_name", "email", "phone", "comment")
# empty, these would blank what must not be blank, or are an SQL error of the portal (chapter 90 §6)
_NEVER_EMPTY = ("login", "password", "tariff_plan", "stb_mac", "status", "reseller")


def changed_fields(changes: Mapping[str, Field]) -> dict[str, str]:
    """The form of an update: exactly ``changes``, checked. None is an empty field (of ``end_date``: no end), a date
    YYYY/MM/DD or, if the portal cannot have it, the last that it can.

    Raises PortalInvalidInput for no change at all, an unknown field, or an empty one that must not be empty.
    """
    unknown = [name for name in changes if name not in _UPDATE_FIELDS]
    if unknown or not changes:
        raise PortalInvalidInput("There is nothing in the account that the portal could change")
    fields = {name: _text(changes[name]) for name in _UPDATE_FIELDS if name in changes}
    for name in _NEVER_EMPTY:
        if fields.get(name) == "":
            raise PortalInvalidInput(f"The field {name} of an account may not become empty")
    if fields.get("tariff_plan") == "0":
        raise PortalInvalidInput("The field tariff_plan of an account may not become empty")
    if "status" in fields and fields["status"] not in ("0", "1"):
        raise PortalInvalidInput("The status of an account is 0 or 1")
    if "login" in fields:
        new_login(fields["login"])
    if "stb_mac" in fields:
        fields["stb_mac"] = required_mac(fields["stb_mac"])
    if fields.get("end_date") == "":
        fields["end_date"] = NO_END
    for name in _FREE_TEXTS:
        if name in fields:
            fields[name] = unexecuted(fields[name])
    return fields


def accounts_of(results: object, zone: tzinfo = UTC) -> PortalAccountList:
    """The accounts of an answer's ``results``: a list, or a single object. Raises PortalInvalidAnswer for what is no
    list of accounts."""
    records = records_with(results, "login", "stb_mac")
    accounts: list[PortalAccount] = []
    unreadable = 0
    for record in records:
        account = account_of(record, zone)
        if account is None or not account.login or not account.mac:
            continue
        accounts.append(account)
        unreadable += account.unreadable_date
    if unreadable:
        log.warning("portal: the end dates of %d accounts cannot be read", unreadable)
    return PortalAccountList(accounts, skipped=len(records) - len(accounts))


def account_of(record: Any, zone: tzinfo = UTC) -> PortalAccount | None:
    """One record of the portal; None when it is no object. Login and MAC may be empty. ``zone``: of Unix seconds."""
    if not isinstance(record, dict):
        return None
    told = record.get
    mac = text_of(told("stb_mac"))
    unreadable = False
    try:
        ends, has_end_date = end_date(told("end_date"), zone), "end_date" in record
    except ValueError:
        ends, has_end_date, unreadable = None, False, True
    # by position, since lists are long: in the order of the fields above
    return PortalAccount(
        text_of(told("login")),
        normal_mac(mac) or mac.upper(),
        text_of(told("full_name")) or text_of(told("name")),
        text_of(told("account_number")),
        text_of(told("tariff_plan")) or text_of(told("tariff")),
        is_on(told("status")),
        text_of(told("phone")),
        "phone" in record,
        text_of(told("email")),
        "email" in record,
        ends,
        has_end_date,
        whole_number(told("reseller")),
        unreadable,
    )


def _text(value: Field) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, datetime):
        value = value.date()
    if isinstance(value, date):
        return kept_end(value).isoformat().replace("-", "/")
    return str(value)
