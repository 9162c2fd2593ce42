"""Which users the identifiers of a path mean (contract chapter 90, section 5)."""

from collections.abc import Sequence

from simulators.portal.state import PortalState, User

_LOOKALIKES = str.maketrans("АВСЕавсе", "ABCEABCE")  # Cyrillic to Latin


def normal_mac(text: str) -> str | None:
    """The portal's spelling; None where it drops the identifier. Not only hexadecimal digits pass."""
    mac = text.strip().upper().translate(_LOOKALIKES)
    if len(mac) == 12:
        mac = ":".join(mac[start : start + 2] for start in range(0, 12, 2))
    return mac if len(mac) == 17 else None


def find_accounts(state: PortalState, identifiers: Sequence[str], other_column: str) -> list[User]:
    """``accounts`` and ``users``: a first identifier with a colon makes all MACs, else they are of ``other_column``."""
    first = identifiers[0]
    if _bytes(first) >= 12 and first.find(":") > 0:
        return _by_macs(state, identifiers)
    return state.find_users(other_column, identifiers)


def find_boxes(state: PortalState, identifiers: Sequence[str]) -> list[User]:
    """``stb_msg`` and ``send_event``: a first identifier of 12 bytes makes all MACs, else they are account numbers."""
    if _bytes(identifiers[0]) >= 12:
        return _by_macs(state, identifiers)
    return state.find_users("account_number", identifiers)


def _by_macs(state: PortalState, identifiers: Sequence[str]) -> list[User]:
    macs = [mac for mac in map(normal_mac, identifiers) if mac is not None]
    return state.find_users("stb_mac", macs)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))
