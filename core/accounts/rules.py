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
from core.values.checks import USERNAME_CHARACTERS
from core.values.days import LAST_END, checked_date
from core.values.macs import EXPECTED_MAC
from core.values.numerals import folded, without_marks
from core.values.phones import normal_phone, same_phone

COMMENT_CHARACTERS = 2000
DAYS_WITHOUT_PLAN = 30
# what is sent for an account without end; null and nothing keep the end that there is
UNLIMITED = ("unlimited", "0000-00-00", "0000/00/00")
# what a renewal by a plan without length gives (chapter 20 §1.7); a stock portal may read it back as "no date"
FAR_FUTURE = LAST_END

_NEW_USERNAME = re.compile(r"[A-Za-z0-9._@-]+")


def may_edit_names(actor: Actor) -> bool:
    """Whether name, e-mail and phone of an account may be changed; rows of old panels lack that field and allow it."""
    if is_unpaid(actor) or len((actor.permissions or "").split("|")) <= Field.EDIT_PHONE_NAME:
        return True
    return actor.has_permission(Field.EDIT_PHONE_NAME)


def new_username(text: str, field: str = "username") -> str:
    """A name for a new account or a rename. Raises InvalidInput, naming ``field``."""
    text = without_marks(text)
    if not text:
        raise InvalidInput.missing(field)
    if len(text) > USERNAME_CHARACTERS or not _NEW_USERNAME.fullmatch(text) or text in (".", "..", "0"):
        raise InvalidInput("The {field} may have 1 to 100 of the characters A-Z a-z 0-9 . _ @ -", field=field)
    return text


def required_mac(text: str) -> str:
    """``00:1A:79:00:00:01``, from colons, hyphens or bare digits in any case. Raises InvalidInput."""
    mac = normal_mac(text)
    if mac is None:
        raise InvalidInput.of("mac", EXPECTED_MAC) if text else InvalidInput.missing("mac", "e.g. 00:1A:79:00:00:01")
    return mac


def edited_phone(posted: str, stored: str | None, country_code: str) -> str | None:
    """The number after an edit; an empty text clears it. Raises InvalidInput."""
    # also an old number that nobody could enter any more comes back from the dialogs as it is
    if posted == stored:
        return stored
    return stored if same_phone(posted, stored, country_code) else normal_phone(posted, country_code)


def checked_status(value: int | None, default: int) -> int:
    """0 or 1. Raises InvalidInput."""
    if value is None:
        return default
    if value not in (0, 1):
        raise InvalidInput.of("status", "expected 1 (on) or 0 (off)")
    return value


def checked_end(text: str) -> date | None:
    """The last day that an account is valid; None for the words that mean unlimited. Raises InvalidInput."""
    return None if folded(text).lower() in UNLIMITED else checked_date(text, "end_date", last=LAST_END)


def first_end(today: date, days: int) -> date | None:
    """The last day of a new account; None (unlimited) for a plan without length."""
    return min(today + timedelta(days=days), FAR_FUTURE) if days > 0 else None


def renewed_end(today: date, current: date | None, days: int) -> date:
    """The last day after a renewal: a running account counts on from its end, any other from today."""
    if days <= 0:
        return FAR_FUTURE
    try:
        return min(max(today, current or today) + timedelta(days=days), FAR_FUTURE)
    except OverflowError:
        return FAR_FUTURE


def days_extended(before: date | None, after: date | None) -> int | None:
    """Calendar days between two ends; None when either is unlimited."""
    return None if before is None or after is None else (after - before).days
