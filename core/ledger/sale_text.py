"""What the text of a ledger row says about a sale: account, plan, name and device. Source: contract chapter 30 B.1, D.

The texts are the panel's, and ours are spelled alike. Rows of ours have a note beside them that says it better.
"""

import re
from dataclasses import dataclass, replace
from typing import Self

from core.portal import normal_mac

_RENEWAL = re.compile(r"Account renewal:(?P<username>.*?) - Plan:(?P<plan>.*)", re.IGNORECASE | re.DOTALL)
_NEW_ACCOUNT = re.compile(
    r'Plan (?:"(?P<quoted>.*?)"|(?P<bare>.*?)) assigned (?:for|to) (?P<whom>.*)', re.IGNORECASE | re.DOTALL
)
_MAC = re.compile(r"(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Subject:
    """What was sold to whom, "" where nothing tells it; ``text`` is the row's own, "" when the rest says it all."""

    username: str = ""
    plan: str = ""
    full_name: str = ""
    mac: str = ""
    text: str = ""

    def named(self, full_name: str) -> Self:
        return replace(self, full_name=full_name)


def read_subject(details: str) -> Subject:
    """The subject of a sale's ``details``."""
    renewal = _RENEWAL.fullmatch(details)
    if renewal is not None:
        return Subject(renewal["username"].strip(), renewal["plan"].strip(), mac=_any_mac(details))
    new = _NEW_ACCOUNT.fullmatch(details)
    if new is None:
        return Subject(mac=_any_mac(details), text=details)
    username, *rest = new["whom"].split(" ,")
    # what stands last is the device, and a full name may hold the separator
    mac = rest.pop().strip() if rest and normal_mac(rest[-1].strip()) else ""
    plan = new["bare"] if new["quoted"] is None else new["quoted"]
    return Subject(username.strip(), plan.strip(), " ,".join(rest).strip(), mac or _any_mac(details))


def _any_mac(details: str) -> str:
    found = _MAC.search(details)
    return found[0] if found else ""
