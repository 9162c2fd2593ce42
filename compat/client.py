"""Who is at the other end: the client's address, the public host and HTTPS, through trusted proxies only.

Source: contract chapters 00 (session cookie, cross-site) and 10 §4.1 (the panel trusted any X-Forwarded-For).
"""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

Environ = Mapping[str, Any]
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class ClientResolver:
    """Reads forwarding headers only when the peer is one of ``trusted_proxies`` (addresses or networks)."""

    def __init__(self, trusted_proxies: Iterable[str] = ()) -> None:
        self._trusted: list[_Network] = [ipaddress.ip_network(item, strict=False) for item in trusted_proxies]

    def address(self, environ: Environ) -> str:
        """The client's IP address: the nearest hop that is not a trusted proxy; "" when there is none."""
        peer = str(environ.get("REMOTE_ADDR") or "")
        if not self._is_trusted(peer):
            return peer
        hops = [hop.strip() for hop in str(environ.get("HTTP_X_FORWARDED_FOR") or "").split(",")]
        nearest = peer
        for hop in reversed(hops):
            address = _parsed(hop)
            if address is None:
                break
            nearest = str(address)
            if not self._is_trusted(nearest):
                return nearest
        real = _parsed(str(environ.get("HTTP_X_REAL_IP") or ""))
        return str(real) if nearest == peer and real is not None else nearest

    def behind_proxies(self, app: "WSGIApplication") -> "WSGIApplication":
        """``app`` seeing the scheme that the client used, as a trusted proxy tells it."""
        if not self._trusted:
            return app

        def proxied(environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
            environ["wsgi.url_scheme"] = self.scheme(environ)
            return app(environ, start_response)

        return proxied

    def scheme(self, environ: Environ) -> str:
        forwarded = self._forwarded(environ, "HTTP_X_FORWARDED_PROTO")
        scheme = forwarded or str(environ.get("wsgi.url_scheme") or "http")
        return "https" if scheme.lower() == "https" else "http"

    def host(self, environ: Environ) -> str:
        """The public host with port, lower case, without the scheme's default port."""
        return self._host_told(environ).removesuffix(_DEFAULT_PORTS[self.scheme(environ)])

    def _host_told(self, environ: Environ) -> str:
        host = self._forwarded(environ, "HTTP_X_FORWARDED_HOST") or str(environ.get("HTTP_HOST") or "")
        return host.strip().lower()

    def is_same_origin(self, origin: str, environ: Environ) -> bool:
        """Whether an ``Origin`` or ``Referer`` is of this very scheme and host (``null`` and unreadable ones are not).

        A proxy that is not trusted is believed its scheme here: no page can make a browser send that header.
        """
        try:
            parts = urlsplit(origin.strip().lower())
        except ValueError:
            return False
        schemes = {self.scheme(environ), _told(environ.get("HTTP_X_FORWARDED_PROTO"))}
        default_port = _DEFAULT_PORTS.get(parts.scheme)
        if default_port is None or parts.scheme not in schemes:
            return False
        return parts.netloc.removesuffix(default_port) == self._host_told(environ).removesuffix(default_port)

    def _forwarded(self, environ: Environ, header: str) -> str:
        value = environ.get(header)
        if not value or not self._is_trusted(str(environ.get("REMOTE_ADDR") or "")):
            return ""
        return _told(value)

    def _is_trusted(self, text: str) -> bool:
        if not self._trusted:
            return False
        address = _parsed(text)
        return address is not None and any(address in network for network in self._trusted)


def _told(value: object) -> str:
    """What the nearest of several proxies wrote."""
    return str(value or "").split(",")[-1].strip().lower()


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.strip().strip("[]"))
    except ValueError:
        return None
    # a dual-stack socket shows IPv4 peers as ::ffff:192.0.2.1
    return getattr(address, "ipv4_mapped", None) or address
