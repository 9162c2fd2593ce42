"""What a subscriber account may be: pure functions over values, no database and no portal.

Source: contract chapter 20 §1.3 to §1.5, §1.7 and §1.12. Plans and prices are in :mod:`core.plans.choice`,
who may do what in :mod:`core.access.permissions`.
"""

import re
from datetime import date, timedelta

from core.access.actors import Actor
from core.access.permissions import Field, is_unpaid
from core.errors import InvalidInput
from core.portal import normal_mac
from core.values.checks import USERNAME_CHARACTERS, normal_phone

COMMENT_CHARACTERS = 2000
DAYS_WITHOUT_PLAN = 30
# what a renewal by a plan without length gives (chapter 20 §1.7); a stock portal may read it back as "no date"
FAR_FUTURE = date(2099, 12, 31)

_NEW_USERNAME = re.compile(r"[A-Za-z0-9._@-]+")


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
