"""The HTTP server under the app: waitress, with limits for those who open connections and say nothing, or never end.

No thread waits for such a client, but each holds one of the connections that there are.
"""

import ipaddress
import time
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import waitress
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import BaseWSGIServer, MultiSocketServer

from compat.serving.answers import AnsweringChannel
from compat.serving.lanes import LaneDispatcher
from compat.serving.processes import Share

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

PATIENCE_SECONDS = 20
# of a body, in so much time: any line is faster
LEAST_BODY_BYTES = 2000
_LOOK_SECONDS = 2
# in which another process takes a connection that is left to it
_OFFER_SECONDS = 0.001


class _Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """Refuses a request that names two lengths: what stands before us may have believed the other one."""

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Content-Length and Transfer-Encoding exclude each other")


class _Channel(AnsweringChannel):
    """A connection that is closed when a head is not complete, or a body stops, within :data:`PATIENCE_SECONDS`."""

    parser_class = _Parser
    # of each address but those that are exempt; set by create_server
    per_address = 0
    exempt: tuple[Any, ...] = ()

    def __init__(self, server: Any, sock: Any, addr: Any, adj: Any, map: Any = None) -> None:
        # since when something is waited for, and how many bytes have come since
        self.waiting_since: float | None = time.monotonic()
        self.bytes_since = 0
        self.client = client_of(addr)
        super().__init__(server, sock, addr, adj, map=map)
        if self._is_one_too_many(server.active_channels):
            self.will_close = True

    def received(self, data: bytes) -> bool:
        was_open = self.request is not None
        answered: bool = super().received(data)
        if self.request is None:
            # complete, or between two requests
            self.waiting_since = None
        elif not was_open or self.waiting_since is None:
            self.waiting_since, self.bytes_since = time.monotonic(), len(data)
        else:
            self.bytes_since += len(data)
        return answered

    def is_overdue(self, now: float) -> bool:
        """Whether head or body are late; a body that comes on begins a new term."""
        if self.requests or self.waiting_since is None or now - self.waiting_since < PATIENCE_SECONDS:
            return False
        in_body = self.request is not None and self.request.headers_finished
        if in_body and self.bytes_since >= LEAST_BODY_BYTES:
            self.waiting_since, self.bytes_since = now, 0
            return False
        return True

    def _is_one_too_many(self, channels: Mapping[int, Any]) -> bool:
        client = self.client
        if not self.per_address or client is None or any(client in network for network in self.exempt):
            return False
        return bool(sum(channel.client == client for channel in list(channels.values())) > self.per_address)


def create_server(
    app: "WSGIApplication",
    *,
    connections_per_address: int,
    exempt: Iterable[str] = (),
    share: Share | None = None,
    threads: int,
    held_back: Collection[str] = (),
    **options: Any,
) -> Any:
    """A waitress server with these limits; ``options`` are waitress's own.

    ``exempt``: addresses and networks, beside this machine's own, that may open as many as they like (proxies).
    ``share``: of this process, where several accept from the same sockets. ``held_back``: paths whose requests may have
    half of the ``threads``.
    """
    networks = tuple(ipaddress.ip_network(item, strict=False) for item in ("127.0.0.0/8", "::1", *exempt))
    channel = type("Channel", (_Channel,), {"per_address": connections_per_address, "exempt": networks})
    lanes = LaneDispatcher(threads, held_back)
    server = waitress.create_server(app, _dispatcher=lanes, threads=threads, cleanup_interval=_LOOK_SECONDS, **options)
    for one in _each(server):
        one.channel_class = channel
        one.maintenance = _maintenance(one)
        if share is not None:
            _take_turns(one, share)
    return server


def _each(server: Any) -> list[Any]:
    """The servers of all addresses that are listened at."""
    if isinstance(server, MultiSocketServer):
        return [one for one in server.map.values() if isinstance(one, BaseWSGIServer)]
    return [server]


def _maintenance(server: Any) -> Any:
    usual = server.maintenance

    def maintain(now: float) -> None:
        usual(now)
        moment = time.monotonic()
        for channel in list(server.active_channels.values()):
            if channel.is_overdue(moment):
                channel.will_close = True

    return maintain


def _take_turns(server: Any, share: Share) -> None:
    usual_readable, usual_accept = server.readable, server.handle_accept

    def readable() -> Any:
        # its map has all connections of the process, and the same few other things everywhere
        share.tell(len(server._map))
        return usual_readable()

    def accept() -> None:
        if share.leaves_it():
            time.sleep(_OFFER_SECONDS)
        else:
            usual_accept()

    server.readable, server.handle_accept = readable, accept


def client_of(addr: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Who is at the other end: the address, of IPv6 the /64, all of which one client may have; None for a socket that
    is a file."""
    if not isinstance(addr, tuple):
        return None
    try:
        address = ipaddress.ip_address(addr[0].partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return address
    first = ipaddress.IPv6Address(int(address) >> 64 << 64)
    return address.ipv4_mapped or (address if address.is_loopback or address.is_link_local else first)
