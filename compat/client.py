"""Who is at the other end: the client's address, the public host and HTTPS, through trusted proxies only.

Source: contract chapters 00 (session cookie, cross-site) and 10 §4.1 (the panel trusted any X-Forwarded-For).
"""

import ipaddress
import logging
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

log = logging.getLogger(__name__)

Environ = Mapping[str, Any]
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
DOUBTFUL = "?"
_TOLD_CHARACTERS = 100
# where a proxy of ours may be: this machine and the private networks
_OWN_NETWORKS: list[_Network] = [
    ipaddress.ip_network(network)
    for network in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
]
_FORWARDED = re.compile(r'(?:^|[;,\s])for\s*=\s*("[^"]*"|[^;,\s]*)', re.IGNORECASE)
_WITH_PORT = re.compile(r"\[([^\[\]]*)\](?::\d*)?|([^:\[\]]*)(?::\d*)?")
# by any of these a proxy gives itself away
FORWARDING_HEADERS = (
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_REAL_IP",
    "HTTP_FORWARDED",
    "HTTP_VIA",
)
# /billing or /apps/billing: what a browser could take for another host, or climb with, is none
_PREFIX = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class ClientResolver:
    """Reads forwarding headers only when the peer is one of ``trusted_proxies`` (addresses or networks).

    ``public_url``: the configured address of the panel, whose pages are ours whatever host a proxy names; or "".
    """

    def __init__(self, trusted_proxies: Iterable[str] = (), public_url: str = "") -> None:
        self._trusted: list[_Network] = [ipaddress.ip_network(item, strict=False) for item in trusted_proxies]
        self._public = _origin(public_url)
        self._told_of: set[str] = set()

    def address(self, environ: Environ) -> str:
        """The client's IP address: the nearest hop that is not a trusted proxy; "" when there is none."""
        peer = str(environ.get("REMOTE_ADDR") or "")
        if not self._is_trusted(peer):
            return peer
        nearest = peer
        for hop in reversed(_hops(environ)):
            address = _parsed(hop)
            if address is None:
                break
            nearest = str(address)
            if not self._is_trusted(nearest):
                return nearest
        real = _parsed(str(environ.get("HTTP_X_REAL_IP") or ""))
        return str(real) if nearest == peer and real is not None else nearest

    def counted_as(self, environ: Environ) -> str:
        """Whom limits count: :meth:`address`, or what begins with ``DOUBTFUL`` where many may share that address.

        That is where a trusted proxy names nobody readable, and where a proxy in our own network is not entered as
        trusted, of which the log says so once.
        """
        peer = str(environ.get("REMOTE_ADDR") or "")
        told = ",".join(_hops(environ)) or str(environ.get("HTTP_X_REAL_IP") or "").strip()
        address = self.address(environ)
        if not told:
            return address
        if self._is_trusted(peer):
            return address if address != peer else f"{DOUBTFUL}{peer} {told[:_TOLD_CHARACTERS]}"
        parsed = _parsed(peer)
        if parsed is None or not self._is_own(parsed):
            return address
        if peer not in self._told_of:
            self._told_of.add(peer)
            log.warning(
                "Requests come through a proxy at %s that [server] trusted_proxies does not name: "
                "its clients are told apart by what it says of them, and logged under its address.",
                parsed,
            )
        return f"{DOUBTFUL}{peer} {told[:_TOLD_CHARACTERS]}"

    def behind_proxies(self, app: "WSGIApplication") -> "WSGIApplication":
        """``app`` seeing the scheme that the client used and the path below which the panel lies for it, as a trusted
        proxy tells them."""
        if not self._trusted:
            return app

        def proxied(environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
            environ["wsgi.url_scheme"] = self.scheme(environ)
            if prefix := self.prefix(environ):
                environ["SCRIPT_NAME"] = prefix
                path = str(environ.get("PATH_INFO") or "")
                # some proxies take the prefix away, some leave it
                if path == prefix or path.startswith(prefix + "/"):
                    environ["PATH_INFO"] = path.removeprefix(prefix) or "/"
            return app(environ, start_response)

        return proxied

    def scheme(self, environ: Environ) -> str:
        forwarded = self.forwarded(environ, "HTTP_X_FORWARDED_PROTO").lower()
        scheme = forwarded or str(environ.get("wsgi.url_scheme") or "http")
        return "https" if scheme.lower() == "https" else "http"

    def prefix(self, environ: Environ) -> str:
        """The path that a trusted proxy puts before ours (``X-Forwarded-Prefix``), such as ``/billing``; else ""."""
        told = self.forwarded(environ, "HTTP_X_FORWARDED_PREFIX").rstrip("/")
        return told if _PREFIX.fullmatch(told) else ""

    def host(self, environ: Environ) -> str:
        """The public host with port, lower case, without the scheme's default port."""
        return self._host_told(environ).removesuffix(_DEFAULT_PORTS[self.scheme(environ)])

    def _host_told(self, environ: Environ) -> str:
        host = self.forwarded(environ, "HTTP_X_FORWARDED_HOST") or str(environ.get("HTTP_HOST") or "")
        return host.strip().lower()

    def is_same_origin(self, origin: str, environ: Environ) -> bool:
        """Whether an ``Origin`` or ``Referer`` is of this very scheme and host, or of the configured address (``null``
        and unreadable ones are not).

        A proxy that is not trusted is believed its scheme here: no page can make a browser send that header.
        """
        asked = _origin(origin)
        if asked is None:
            return False
        schemes = {self.scheme(environ), _told(environ.get("HTTP_X_FORWARDED_PROTO")).lower()}
        scheme, host = asked
        named = self._host_told(environ)
        if asked == self._public or (scheme in schemes and host == named.removesuffix(_DEFAULT_PORTS[scheme])):
            return True
        self._tell_of_lost_host(named, environ)
        return False

    def _tell_of_lost_host(self, host: str, environ: Environ) -> None:
        """Log once that a refused page may be our own, where a proxy put its own name for us in the place of the
        ``Host`` that the browser sent, as nginx does unless it is told otherwise."""
        peer, named = _parsed(str(environ.get("REMOTE_ADDR") or "")), _parsed(host.replace("localhost", "127.0.0.1"))
        if not (peer and named and self._is_own(peer) and self._is_own(named)) or host in self._told_of:
            return
        self._told_of.add(host)
        log.warning(
            "A browser's call was refused, for its page is of another host than %s. If a proxy names that one to the "
            "server, let it pass on the browser's (nginx: proxy_set_header Host $http_host;), or set "
            "[security] public_url.",
            named,
        )

    def forwarded(self, environ: Environ, header: str) -> str:
        """What a trusted proxy says in a header, the nearest of several; "" from anybody else."""
        value = environ.get(header)
        if not value or not self._is_trusted(str(environ.get("REMOTE_ADDR") or "")):
            return ""
        return _told(value)

    @staticmethod
    def _is_own(address: _Address) -> bool:
        return any(address in network for network in _OWN_NETWORKS)

    def _is_trusted(self, text: str) -> bool:
        if not self._trusted:
            return False
        address = _parsed(text)
        return address is not None and any(address in network for network in self._trusted)


def _origin(url: str) -> tuple[str, str] | None:
    """Scheme and host of a page's address, without the default port; None where it has none that serves pages."""
    try:
        parts = urlsplit(url.strip().lower())
    except ValueError:
        return None
    default_port = _DEFAULT_PORTS.get(parts.scheme)
    return None if default_port is None else (parts.scheme, parts.netloc.removesuffix(default_port))


def _told(value: object) -> str:
    """What the nearest of several proxies wrote."""
    return str(value or "").split(",")[-1].strip()


def _hops(environ: Environ) -> list[str]:
    """What proxies said of their clients, the nearest one last; parts that say nothing are left out."""
    told = environ.get("HTTP_X_FORWARDED_FOR")
    parts = _FORWARDED.findall(str(environ.get("HTTP_FORWARDED") or "")) if told is None else str(told).split(",")
    return [part for part in (part.strip() for part in parts) if part.strip("\"' ")]


def _parsed(text: str) -> _Address | None:
    """The address of ``192.0.2.1``, ``192.0.2.1:4711``, ``2001:db8::1``, ``[2001:db8::1]:4711``, quoted or not."""
    text = text.strip().strip("\"'").strip()
    match = _WITH_PORT.fullmatch(text)
    host = text if match is None else match[1] if match[1] is not None else match[2]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    # a dual-stack socket shows IPv4 peers as ::ffff:192.0.2.1
    return getattr(address, "ipv4_mapped", None) or address
