"""Filling ``{name}``, ``{date}`` and the like into the texts that customers get. Source: contract chapter 60 S3."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date

from core.values.escaping import plain

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


def render(template: str, values: Mapping[str, str], clean: Callable[[str], str] | None = None) -> str:
    """``template`` with each ``{name}`` of ``values`` filled in; what is not among them stays as it is.

    One pass: a value that looks like a placeholder is not filled in again. Values lose markup and all control
    characters but line breaks, unless ``clean`` says otherwise; the template is taken as it was typed.
    """
    clean = clean or _clean
    return _PLACEHOLDER.sub(lambda found: clean(values[found[1]]) if found[1] in values else found[0], template)


def account_values(*, name: str, username: str, mac: str, end_date: date | None, days: int) -> dict[str, str]:
    """The placeholders of every text about an account. ``name``: what stands in for an empty one is the caller's."""
    day = end_date.isoformat() if end_date else ""
    return {"name": name, "username": username, "mac": mac, "days": str(days), "date": day, "expiry_date": day}


def days_left(end_date: date, today: date) -> int:
    """``{days}`` of a text that no sweep sends: whole days until the last valid one, never below 0."""
    return max(0, (end_date - today).days)


def _clean(value: str) -> str:
    return without_controls(plain(value))


def without_controls(value: str) -> str:
    """``value`` without control characters but line breaks."""
    return "".join(character for character in value if character == "\n" or unicodedata.category(character) != "Cc")
