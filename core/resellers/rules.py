"""What a reseller's fields may be: pure functions over texts as a request brings them, no database.

Each raises InvalidInput with a sentence that names the field. Source: contract chapter 30 A.2, B.2 and D.
"""

import re
from collections.abc import Collection

from core.errors import InvalidInput
from core.values.checks import TEXT_CHARACTERS, USERNAME_CHARACTERS, checked_email, clean_text
from core.values.currencies import CURRENCY_NUMBERS, shown_currency
from core.values.escaping import key, quotable
from core.values.numerals import folded, in_ascii_digits

MISSING = "Missing required fields"
FIRST_PERMISSIONS = "0|0|0|0|1|0"
FIRST_CURRENCY = "GBP"
IP_RANGES_CHARACTERS = 1000
_KNOWN_CURRENCIES = ("GBP", "USD", "EUR", "IRR", "IRT")
_LARGEST_COUNT = 2**31 - 1

_PERMISSIONS = re.compile(r"[01](\|[01]){0,7}")
_THEME = re.compile(r"[A-Za-z0-9 _.-]{0,50}")
_NOT_IN_USERNAMES = re.compile(r"[\s\x00-\x1f\x7f<>\"'&\\`]")


def checked_username(text: str) -> str:
    """A name to log in with."""
    if not text:
        raise InvalidInput(MISSING)
    if len(text) > USERNAME_CHARACTERS or _NOT_IN_USERNAMES.search(text):
        raise InvalidInput.of("username", f"1 to {USERNAME_CHARACTERS} characters without blanks and < > \" ' & \\ `")
    return text


def checked_name(text: str) -> str:
    """The name that the panel shows, an apostrophe as one that ends no string of a page."""
    if not text:
        raise InvalidInput(MISSING)
    shown = quotable(text)
    if len(text) > TEXT_CHARACTERS or shown != text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}"):
        raise InvalidInput.of("name", f'1 to {TEXT_CHARACTERS} characters without < > " \\ `')
    return shown


def reseller_email(text: str) -> str:
    """An address, or nothing."""
    if quotable(text) != text:
        raise InvalidInput.of("email", "expected an e-mail address such as name@example.com")
    return checked_email(text) or ""


def checked_max_users(text: str) -> int:
    """How many accounts at most; 0, also for nothing, is without limit."""
    text = folded(text)
    if not text:
        return 0
    if not re.fullmatch(r"\+?[0-9]{1,10}", text) or int(text) > _LARGEST_COUNT:
        raise InvalidInput.of("max_users", "expected a whole number, 0 (no limit) or more")
    return int(text)


def checked_theme(text: str) -> str:
    """Any theme's id: a portal may have others than those that are offered."""
    if not _THEME.fullmatch(text):
        raise InvalidInput.of("theme", "up to 50 letters, digits, spaces and _ . -")
    return text


def checked_permissions(text: str) -> str:
    """One to eight fields; stored as they were sent."""
    if not _PERMISSIONS.fullmatch(text):
        raise InvalidInput.of("permissions", "expected up to eight fields 0 or 1, parted by |")
    return text


def without_permissions(permissions: str | None) -> str | None:
    """What an observer has: as many fields, all 0."""
    return None if permissions is None else "|".join("0" for _ in permissions.split("|"))


def checked_ip_ranges(text: str) -> str:
    return clean_text(text, "ip_ranges", IP_RANGES_CHARACTERS)


def checked_currency(text: str, stored: Collection[str]) -> str:
    """The code that ``text`` means, as ``stored`` (the ids of ``_currencies``) spells it."""
    text = in_ascii_digits(text)
    code = CURRENCY_NUMBERS.get(text, text).upper()
    for known in (*stored, *_KNOWN_CURRENCIES):
        if known.upper() == code:
            return known
    raise InvalidInput.of(
        "currency", f"expected one of {', '.join(_KNOWN_CURRENCIES[:-1])}, or another of this panel's"
    )


def same_currency(one: str | None, other: str | None) -> bool:
    """Whether both codes mean the same: regardless of case, the legacy IRT is IRR."""
    return (shown_currency((one or "").upper())) == (shown_currency((other or "").upper()))


def shown_name(stored: str | None, username: str) -> str:
    """The name as the pages need it: they put it between quotes of inline handlers."""
    return quotable(stored or username)


def shown_plans(stored: str | None) -> str | None:
    """Plan keys as every answer spells them: the legacy currency IRT as IRR."""
    if not stored:
        return stored
    return ",".join(re.sub(r"-irt$", "-IRR", each, flags=re.IGNORECASE) for each in key(stored).split(","))
