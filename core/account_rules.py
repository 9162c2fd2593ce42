"""What a subscriber account may be: pure functions over values, no database and no portal.

Source: contract chapter 20 §1.3 to §1.5, §1.7 and §1.12. Plans and prices are in :mod:`core.plan_choice`,
who may do what in :mod:`core.permissions`.
"""

import re
from datetime import date, timedelta

from core.errors import InvalidInput
from core.identity import Actor
from core.markup import plain
from core.permissions import Field
from core.portal import normal_mac

USERNAME_CHARACTERS = 100
TEXT_CHARACTERS = 255
PHONE_CHARACTERS = 50
COMMENT_CHARACTERS = 2000
DAYS_WITHOUT_PLAN = 30
# what a renewal by a plan without length gives (chapter 20 §1.7); a stock portal may read it back as "no date"
FAR_FUTURE = date(2099, 12, 31)

_NEW_USERNAME = re.compile(r"[A-Za-z0-9._@-]+")
_EMAIL = re.compile(r"[^@\s<>\"',;:()\[\]\\]+@[^@\s<>\"',;:()\[\]\\]+\.[^@\s<>\"',;:()\[\]\\.]+")
_DATE = re.compile(r"(\d{4})([-/])(\d{1,2})\2(\d{1,2})(?:(?: +|T)\d{1,2}:\d{2}\S*(?: .*)?)?")


def is_unpaid(actor: Actor) -> bool:
    """Whether the user buys without balance: super admins and reseller admins."""
    return actor.super_user or actor.is_reseller_admin


def may_edit_names(actor: Actor) -> bool:
    """Whether name, e-mail and phone of an account may be changed; rows of old panels lack that field and allow it."""
    if is_unpaid(actor) or len((actor.permissions or "").split("|")) <= Field.EDIT_PHONE_NAME:
        return True
    return actor.has_permission(Field.EDIT_PHONE_NAME)


def new_username(text: str) -> str:
    """A name for a new account or a rename. Raises InvalidInput."""
    if not text:
        raise InvalidInput("Username is required")
    if len(text) > USERNAME_CHARACTERS or not _NEW_USERNAME.fullmatch(text) or text in (".", "..", "0"):
        raise InvalidInput("The username may have 1 to 100 of the characters A-Z a-z 0-9 . _ @ -")
    return text


def required_mac(text: str) -> str:
    """``00:1A:79:00:00:01``, from colons, hyphens or bare digits in any case. Raises InvalidInput."""
    mac = normal_mac(text)
    if mac is None:
        raise InvalidInput("The MAC address is not valid; expected e.g. 00:1A:79:00:00:01")
    return mac


def clean_text(text: str, name: str, limit: int = TEXT_CHARACTERS) -> str:
    """``text`` without markup and control characters. Raises InvalidInput when it is too long."""
    cleaned = plain(text).strip()
    if len(cleaned) > limit:
        raise InvalidInput(f"The {name} is too long (more than {limit} characters)")
    return cleaned


def checked_email(text: str) -> str | None:
    """The address, None for an empty one. Raises InvalidInput."""
    if not text:
        return None
    if len(text) > TEXT_CHARACTERS or not _EMAIL.fullmatch(text):
        raise InvalidInput("The e-mail address is not valid")
    return text


def normal_phone(text: str) -> str | None:
    """``+`` and digits; None without any digit. Raises InvalidInput when it is too long."""
    digits = re.sub(r"[^0-9]", "", text)
    if not digits:
        return None
    if not text.strip().startswith("+"):
        digits = digits.removeprefix("00")
    if len(digits) >= PHONE_CHARACTERS:
        raise InvalidInput("The phone number is too long")
    return f"+{digits}" if digits else None


def edited_phone(posted: str, stored: str | None) -> str | None:
    """The number after an edit. The edit dialogs lose country codes that they do not know: a number without ``+``
    with which the stored one ends is the stored one."""
    digits = re.sub(r"[^0-9]", "", posted)
    if digits and stored and "+" not in posted and re.sub(r"[^0-9]", "", stored).endswith(digits):
        return stored
    return normal_phone(posted)


def checked_status(value: int | None, default: int) -> int:
    """0 or 1. Raises InvalidInput."""
    if value is None:
        return default
    if value not in (0, 1):
        raise InvalidInput("The status is 0 or 1")
    return value


def checked_date(text: str) -> date:
    """The day of ``YYYY-MM-DD`` or ``YYYY/MM/DD``, a time of day behind it ignored. Raises InvalidInput."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise InvalidInput("The date is not valid; expected YYYY-MM-DD")
    try:
        return date(int(match[1]), int(match[3]), int(match[4]))
    except ValueError:
        raise InvalidInput("The date does not exist") from None


def first_end(today: date, days: int) -> date | None:
    """The last day of a new account; None (unlimited) for a plan without length."""
    return today + timedelta(days=days) if days > 0 else None


def renewed_end(today: date, current: date | None, days: int) -> date:
    """The last day after a renewal: a running account counts on from its end, any other from today."""
    if days <= 0:
        return FAR_FUTURE
    try:
        return max(today, current or today) + timedelta(days=days)
    except OverflowError:
        return FAR_FUTURE


def days_extended(before: date | None, after: date | None) -> int | None:
    """Calendar days between two ends; None when either is unlimited."""
    return None if before is None or after is None else (after - before).days
