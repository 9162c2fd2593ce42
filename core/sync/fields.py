"""One account here and at the portal: what it is here, and what of the portal's word is taken over, field by field.

Which account is which, and what a whole list changes: :mod:`core.sync.merge`. Source: contract chapter 20 §1.5 (phone
numbers) and §9.
"""

import re
from collections.abc import Collection
from dataclasses import replace
from datetime import date
from typing import NamedTuple

from core.accounts.end_dates import known_day
from core.accounts.rows import ACCOUNT_FIELDS
from core.errors import InvalidInput
from core.portal import PortalAccount
from core.portal.stored_form import LAST_END, is_same_end, is_same_text
from core.values.phones import normal_phone, same_phone

_NO_DIGITS = re.compile(r"[^0-9]+")
_MAX_INT = 2**31 - 1


class LocalAccount(NamedTuple):
    """A row of ``_accounts`` with our notes on it; ``end_date`` is YYYY-MM-DD.

    ``id`` is None for an account that we do not have yet, ``changed_at`` (Unix milliseconds) for one without notes.
    ``known`` with ``seen`` None: assigned here before the portal ever named an owner.
    """

    id: int | None
    username: str
    mac: str
    email: str | None
    phone_number: str | None
    reseller: int | None
    plan: int | None
    timestamp: int | None
    full_name: str | None
    tariff_plan: str | None
    end_date: str | None
    status: int | None
    account_number: int | None
    seen: int | None
    known: int
    changed_at: int | None


# so many of them are the account's row, the others our notes
ROW = len(ACCOUNT_FIELDS)


def is_told(old: LocalAccount, told: PortalAccount) -> bool:
    """Whether the portal says word for word what is here, as for most accounts at most times: spares the merging."""
    return (
        is_same_text(told.login, old.username)
        and old.mac == told.mac
        and old.status == told.status
        and (not told.has_end_date or _end_date(old.end_date, told.end_date) == old.end_date)
        and (not told.account_number or str(old.account_number) == told.account_number)
        and (not told.is_fresh or _are_details_told(old, told))
    )


def _are_details_told(old: LocalAccount, told: PortalAccount) -> bool:
    return (
        is_same_text(told.full_name, old.full_name)
        and old.tariff_plan == told.tariff_plan
        and (not told.has_phone or old.phone_number == told.phone)
        and (not told.has_email or old.email == told.email)
        and (told.reseller is None or (bool(old.known) and old.seen == told.reseller))
    )


def merge(old: LocalAccount, told: PortalAccount, users: Collection[int], country_code: str = "") -> LocalAccount:
    """``old`` with what the portal says, field by field as the contract has it; equal to ``old`` if nothing changes.

    What is no more than the word of an earlier list counts for an account that is not here yet.
    """
    if not told.is_fresh and old.id is not None:
        told = _only_fresh(old, told)
    reseller, seen, known = _owner(old, told, users)
    return LocalAccount(
        old.id,
        old.username if is_same_text(told.login, old.username) else told.login,
        told.mac,
        _text(old.email, told.email) if told.has_email else old.email,
        _phone(old.phone_number, told.phone, country_code) if told.has_phone else old.phone_number,
        reseller,
        old.plan,
        old.timestamp,
        _text(old.full_name, told.full_name),
        _text(old.tariff_plan, told.tariff_plan),
        _end_date(old.end_date, told.end_date) if told.has_end_date else old.end_date,
        int(told.status),
        _number(old.account_number, told.account_number),
        seen,
        known,
        old.changed_at,
    )


def _only_fresh(old: LocalAccount, told: PortalAccount) -> PortalAccount:
    return replace(
        told,
        full_name=old.full_name or "",
        tariff_plan=old.tariff_plan or "",
        has_phone=False,
        has_email=False,
        reseller=None,
    )


def _owner(old: LocalAccount, told: PortalAccount, users: Collection[int]) -> tuple[int | None, int | None, int]:
    """Owner, the portal's owner as last seen, and whether one was seen: only a new word of the portal counts."""
    named = told.reseller
    if named is None or (old.known and old.seen == named):
        return old.reseller, old.seen, old.known
    assigned_before = bool(old.known) and old.seen is None
    return (named if named in users and not assigned_before else old.reseller), named, 1


def _text(old: str | None, told: str) -> str | None:
    """What the portal merely could not store whole stays as we have it."""
    return old if is_same_text(told, old) else told


def _end_date(old: str | None, told: date | None) -> str | None:
    """The same of a day."""
    if told == LAST_END and is_same_end(told, known_day(old)):
        return old
    return None if told is None else told.isoformat()


def _phone(old: str | None, told: str, country_code: str) -> str | None:
    """One that cannot be used leaves ours, and so does the same in another spelling, if ours is spelled as all are."""
    if old == told:
        return old
    try:
        new = normal_phone(told, country_code)
        if old and _digits(old) in (_digits(new or ""), _digits(told)):
            return old
        return old if _is_normal(old, country_code) and same_phone(told, old, country_code) else new
    except InvalidInput:
        return old


def _is_normal(phone: str | None, country_code: str) -> bool:
    try:
        return bool(phone) and normal_phone(phone or "", country_code) == phone
    except InvalidInput:
        return False


def _digits(text: str) -> str:
    return _NO_DIGITS.sub("", text)


def _number(old: int | None, told: str) -> int | None:
    if not told or told == str(old) or not (told.isascii() and told.isdecimal()) or len(told) > len(str(_MAX_INT)):
        return old
    return int(told) if int(told) <= _MAX_INT else old
