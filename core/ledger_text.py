"""What the text of a ledger row that a panel wrote tells of the sale: pure functions, no database.

Source: contract chapter 40 §3.9.4. Rows that this server wrote have notes instead (:class:`core.models.LedgerNote`).
"""

import re
from dataclasses import dataclass

NEW_ACCOUNT, RENEWAL = "New account", "Account renewal"

_HEX = "[0-9A-Fa-f]{2}"
_MAC = re.compile(rf"(?<![0-9A-Fa-f:]){_HEX}(?::{_HEX}){{5}}(?![0-9A-Fa-f:])")
# short marks that are looked for one after the other: one pattern for a whole text, which may have 64 KiB, could look
# back from every place
_RENEWAL, _OF_PLAN = re.compile("account renewal:", re.IGNORECASE), re.compile(r"\s- plan:", re.IGNORECASE)
_DISCOUNT = re.compile(r"\(discount:[^()]*\)$", re.IGNORECASE)
_PLAN, _ASSIGNED_FOR = re.compile('plan "', re.IGNORECASE), re.compile(r'" assigned for\s', re.IGNORECASE)
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


def _between(first: re.Pattern[str], second: re.Pattern[str], text: str) -> tuple[str, str] | None:
    """What stands between the two marks, and what stands behind the second."""
    begin = first.search(text)
    end = second.search(text, begin.end()) if begin else None
    return (text[begin.end() : end.start()].strip(), text[end.end() :].strip()) if begin and end else None


def _renewal(details: str) -> Told | None:
    parts = _between(_RENEWAL, _OF_PLAN, details)
    if parts is None:
        return None
    username, plan = parts
    return Told(RENEWAL, _DISCOUNT.sub("", plan).strip(), username)


def _assigned_for(details: str) -> Told | None:
    found = _between(_PLAN, _ASSIGNED_FOR, details)
    if found is None:
        return None
    plan, rest = found
    parts = [part.strip() for part in rest.split(",")]
    at = next((number for number, part in enumerate(parts) if first_mac(part)), 0)
    # the part before the MAC is the name, unless it is the user name
    name = parts[at - 1] if at > 1 else ""
    return Told(NEW_ACCOUNT, plan, parts[0], first_mac(details), name)


def _assigned_to(details: str) -> Told | None:
    match = _ASSIGNED_TO.search(details)
    return None if match is None else Told(NEW_ACCOUNT, match["plan"], mac=first_mac(match["mac"]))
