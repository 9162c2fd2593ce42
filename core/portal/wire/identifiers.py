"""What may stand in a portal path: MAC addresses and logins, checked before any request is made.

An empty or foreign identifier is no cosmetic matter: the portal takes "none" as "everyone". Source: contract
chapter 90 §1, §5, §10.1 and chapter 50 R1.
"""

import re
from urllib.parse import quote

from core.portal.errors import PortalInvalidInput
from core.values.macs import _MAC_LIKE_LENGTH, normal_mac

_LOGIN = re.compile(r"[A-Za-z0-9:._@-]+")
MAX_LOGIN = 64


def required_mac(text: object) -> str:
    """As :func:`normal_mac`; raises PortalInvalidInput instead of None."""
    mac = normal_mac(text)
    if mac is None:
        raise PortalInvalidInput("The MAC address is not valid")
    return mac


def required_login(text: object) -> str:
    """``text`` if the portal can be asked for it by path; raises PortalInvalidInput if not."""
    if not isinstance(text, str) or not _LOGIN.fullmatch(text) or text in ("0", ".", ".."):
        raise PortalInvalidInput("The login cannot be used with the portal: allowed are A-Z a-z 0-9 . _ @ -")
    if len(text) >= _MAC_LIKE_LENGTH and ":" in text[1:]:
        raise PortalInvalidInput("The login cannot be used with the portal: it would be taken for a MAC address")
    return text


def new_login(text: object) -> str:
    """As :func:`required_login`, for a login that is about to be stored: no longer than the portal's column."""
    login = required_login(text)
    if len(login) > MAX_LOGIN:
        raise PortalInvalidInput(f"The login is too long for the portal (more than {MAX_LOGIN} characters)")
    return login


def segment(identifier: str) -> str:
    """One path segment of a checked identifier."""
    return quote(identifier, safe=":")
