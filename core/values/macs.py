"""MAC addresses: their one normal form, and the spellings in which older rows hold them."""

import re

from core.values.numerals import folded


def mac_spellings(mac: str) -> list[str]:
    """All forms in which a panel may have stored ``mac`` (given with colons, in capitals)."""
    bare = mac.replace(":", "")
    spellings = (mac, mac.replace(":", "-"), bare)
    return [text for spelling in spellings for text in (spelling, spelling.lower())]


EXPECTED_MAC = "expected a MAC address such as 00:1A:79:00:00:01"
_NORMAL_MAC = re.compile(r"(?:[0-9A-F]{2}:){5}[0-9A-F]{2}")
_MAC = re.compile(r"(?:[0-9A-F]{2}:){5}[0-9A-F]{2}|(?:[0-9A-F]{2}-){5}[0-9A-F]{2}|[0-9A-F]{12}")
# from here on a colon (not the first character) makes the portal read a login as a MAC
_MAC_LIKE_LENGTH = 12


def normal_mac(text: object) -> str | None:
    """``text`` as ``00:1A:79:00:00:01``, from colons, hyphens or 12 bare digits in any case; None if it is no MAC."""
    if not isinstance(text, str):
        return None
    # as nearly all of a portal's thousands are
    if _NORMAL_MAC.fullmatch(text):
        return text
    text = folded(text).upper()
    if not _MAC.fullmatch(text):
        return None
    digits = text.replace(":", "").replace("-", "")
    return ":".join(digits[start : start + 2] for start in range(0, 12, 2))
