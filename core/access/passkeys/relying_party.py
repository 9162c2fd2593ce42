"""For whom passkeys are made: the public host name of this panel, and the origins of its pages.

Pure functions. Browsers make passkeys for names only, never for IP addresses, and over HTTPS only, but for localhost.
Source: contract chapter 10 §5.1, §5.5 and §5.9, and its README, "passkeys behind proxies".
"""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from core.errors import PanelError

_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.(?!-)[a-z0-9_-]{1,63})*")
_LOCALHOST = "localhost"
_DEFAULT_PORTS = {"http": 80, "https": 443}


class NeedsHostName(PanelError):
    default_text = "Passkeys need a host name: open the panel by its name instead of its IP address"


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """``id``: the host name that passkeys belong to; ``origins``: of the pages that may use them."""

    id: str
    origins: tuple[str, ...]


def relying_party(public_url: str, host: str) -> RelyingParty:
    """``public_url``: the configured address of the panel, or "" to go by ``host``, as the client named it with port.

    Raises NeedsHostName.
    """
    if public_url:
        parts = urlsplit(public_url)
        return RelyingParty(_name(parts.hostname), (_origin(parts.scheme, parts.hostname, parts.port),))
    try:
        parts = urlsplit(f"//{host}")
        name, port = _name(parts.hostname), parts.port
    except ValueError:
        raise NeedsHostName from None
    # what is seen here of a proxy that ends TLS may be plain HTTP; the pages are not
    schemes = ("https", "http") if name == _LOCALHOST else ("https",)
    return RelyingParty(name, tuple(_origin(scheme, name, port) for scheme in schemes))


def _origin(scheme: str, name: str | None, port: int | None) -> str:
    """As browsers write it: the default port left out."""
    return f"{scheme}://{name}" if port in (None, _DEFAULT_PORTS[scheme]) else f"{scheme}://{name}:{port}"


def _name(host: str | None) -> str:
    name = (host or "").lower()
    # a last part of digits makes browsers read the whole as an IPv4 address
    if not _NAME.fullmatch(name) or name.rpartition(".")[2].isdigit() or _is_address(name):
        raise NeedsHostName
    return name


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
