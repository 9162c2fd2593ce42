"""What the text of a ledger row that a panel wrote tells of the sale: pure functions, no database.

Source: contract chapter 40 §3.9.4. Rows that this server wrote have notes instead (:class:`core.models.LedgerNote`).
"""

import re
from dataclasses import dataclass

NEW_ACCOUNT, RENEWAL = "New account", "Account renewal"

_HEX = "[0-9A-Fa-f]{2}"
_MAC = re.compile(rf"(?<![0-9A-Fa-f:]){_HEX}(?::{_HEX}){{5}}(?![0-9A-Fa-f:])")
_RENEWAL = re.compile(r"account renewal:\s*(?P<user>.*?)\s+- plan:\s*(?P<plan>.*)", re.IGNORECASE | re.DOTALL)
_DISCOUNT = re.compile(r"\s*\(discount:[^()]*\)\s*$", re.IGNORECASE)
_ASSIGNED_FOR = re.compile(r'plan "(?P<plan>.*?)" assigned for\s+(?P<rest>.*)', re.IGNORECASE | re.DOTALL)
_ASSIGNED_TO = re.compile(rf"plan (?P<plan>\S+) assigned to\s+(?P<mac>{_MAC.pattern})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Told:
    """``label`` None: the text is not a sale's. ``mac`` in capitals and ``full_name`` as the text has them, or empty;
    an account of the name ``username`` knows better."""

    label: str | None = None
    plan: str = ""
    username: str = ""
    mac: str = ""
    full_name: str = ""


def read_details(details: str) -> Told:
    """The first of the forms that fits; a sale without the plan's name counts as any other text."""
    for read in (_renewal, _assigned_for, _assigned_to):
        told = read(details)
        if told is not None and told.plan:
            return told
    return Told(mac=first_mac(details))


def first_mac(text: str) -> str:
    """The first MAC address in ``text``, in capitals, or nothing."""
    match = _MAC.search(text)
    return match[0].upper() if match else ""


def sentence(label: str, plan: str, full_name: str | None) -> str:
    """``Account renewal, Plan: One Year, John Doe``."""
    return f"{label}, Plan: {plan}" + (f", {full_name}" if full_name else "")


def _renewal(details: str) -> Told | None:
    match = _RENEWAL.search(details)
    if match is None:
        return None
    return Told(RENEWAL, _DISCOUNT.sub("", match["plan"]).strip(), match["user"].strip())


def _assigned_for(details: str) -> Told | None:
    match = _ASSIGNED_FOR.search(details)
    if match is None:
        return None
    parts = [part.strip() for part in match["rest"].split(",")]
    at = next((number for number, part in enumerate(parts) if first_mac(part)), 0)
    # the part before the MAC is the name, unless it is the user name
    name = parts[at - 1] if at > 1 else ""
    return Told(NEW_ACCOUNT, match["plan"].strip(), parts[0], first_mac(details), name)


def _assigned_to(details: str) -> Told | None:
    match = _ASSIGNED_TO.search(details)
    return None if match is None else Told(NEW_ACCOUNT, match["plan"], mac=first_mac(match["mac"]))
