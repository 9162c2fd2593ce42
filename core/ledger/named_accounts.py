"""The accounts that the texts of ledger rows name, which know their MAC and name better. Source: chapter 40 §3.9."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from sqlalchemy import bindparam, or_, select

from core.ledger.row_text import Told, sentence
from core.panel import Panel
from core.portal import normal_mac
from core.storage.database import same_text_in
from core.storage.lookups import AnySelect
from core.storage.tables import Account
from core.values.macs import mac_spellings

_STATEMENTS = 64


class NamedAccounts:
    """MAC and full name of accounts by name and by MAC."""

    def __init__(self, rows: Iterable[Sequence[str]]) -> None:
        self._by_name: dict[str, tuple[str, str]] = {}
        self._by_mac: dict[str, tuple[str, str]] = {}
        for username, mac, full_name in rows:
            found = (normal_mac(mac) or mac.upper(), full_name or "")
            # of two accounts with one name the oldest is meant
            self._by_name.setdefault(username.casefold(), found)
            self._by_mac.setdefault(found[0], found)

    def described(self, told: Told, details: str) -> tuple[str, str]:
        """MAC and description of a panel's row."""
        if told.label is None:
            return told.mac, details
        known: Mapping[str, tuple[str, str]] = self._by_name if told.username else self._by_mac
        key = told.username.casefold() if told.username else told.mac
        mac, full_name = known.get(key, (told.mac, told.full_name))
        return mac, sentence(told.label, told.plan, full_name)


def named_accounts(panel: Panel, told: Iterable[Told]) -> NamedAccounts:
    """The accounts that these texts name, in one statement, or none where they name nobody."""
    sales = [item for item in told if item.label is not None]
    names = sorted({item.username for item in sales if item.username})
    spelled = {text for item in sales if item.mac and not item.username for text in mac_spellings(item.mac)}
    if not names and not spelled:
        return NamedAccounts(())
    wanted = {"name": _padded(names), "mac": _padded(sorted(spelled))}
    statement = _named(panel.database.dialect, *(len(texts) for texts in wanted.values()))
    values = {f"{kind}{number}": text for kind, texts in wanted.items() for number, text in enumerate(texts)}
    return NamedAccounts(panel.database.all(statement, **values))


def _padded(texts: Sequence[str]) -> list[str]:
    """``texts`` with the last one repeated up to a power of two, so that there are few different statements."""
    size = 1 << (len(texts) - 1).bit_length() if texts else 0
    return [*texts, *list(texts[-1:]) * (size - len(texts))]


@lru_cache(_STATEMENTS)
def _named(dialect: str, names: int, macs: int) -> AnySelect:
    wanted = []
    if names:
        wanted.append(same_text_in(Account.username, [bindparam(f"name{number}") for number in range(names)], dialect))
    if macs:
        wanted.append(Account.mac.in_([bindparam(f"mac{number}") for number in range(macs)]))
    return select(Account.username, Account.mac, Account.full_name).where(or_(*wanted)).order_by(Account.id)
