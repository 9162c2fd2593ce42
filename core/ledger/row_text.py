"""How the ledger's list describes a row that a panel wrote: pure functions, no database.

Source: contract chapter 40 §3.9.4. What a sale's text says is read in :mod:`core.ledger.sale_text`; rows that this
server wrote have notes instead (:class:`core.storage.tables.LedgerNote`).
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from core.ledger.sale_text import read_subject
from core.portal import normal_mac

# the newest rows are read all day
_KEPT_TEXTS = 4000
# characters; no panel writes so many, and what holds them is not kept
LONG_TEXT = 1000
NEW_ACCOUNT, RENEWAL = "New account", "Account renewal"

_HEX = "[0-9A-Fa-f]{2}"
_MAC = re.compile(rf"(?<![0-9A-Fa-f:]){_HEX}(?::{_HEX}){{5}}(?![0-9A-Fa-f:])")
# where the text of a sale begins, which may stand behind other words
_BEGINS = ((RENEWAL, re.compile("account renewal:", re.IGNORECASE)), (NEW_ACCOUNT, re.compile("plan ", re.IGNORECASE)))
_DISCOUNT = re.compile(r"\(discount:[^()]*\)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Told:
    """``label`` None: the text is not a sale's. ``mac`` in capitals and ``full_name`` as the text has them, or empty;
    an account of the name ``username``, or of that MAC, knows better."""

    label: str | None = None
    plan: str = ""
    username: str = ""
    mac: str = ""
    full_name: str = ""


def read_details(details: str) -> Told:
    """What the text tells; a sale without the plan's name counts as any other text."""
    return _read(details) if len(details) > LONG_TEXT else _read_once(details)


def _read(details: str) -> Told:
    for label, begins in _BEGINS:
        found = begins.search(details)
        if found is None:
            continue
        subject = read_subject(details[found.start() :])
        plan = _DISCOUNT.sub("", subject.plan).rstrip()
        if plan and not subject.text:
            # some texts name the device only
            username = "" if normal_mac(subject.username) else subject.username
            return Told(label, plan, username, normal_mac(subject.mac) or "", subject.full_name)
    return Told(mac=first_mac(details))


_read_once = lru_cache(_KEPT_TEXTS)(_read)


def first_mac(text: str) -> str:
    """The first MAC address in ``text``, in capitals, or nothing."""
    match = _MAC.search(text)
    return match[0].upper() if match else ""


def sentence(label: str, plan: str, full_name: str | None) -> str:
    """``Account renewal, Plan: One Year, John Doe``."""
    return f"{label}, Plan: {plan}" + (f", {full_name}" if full_name else "")
