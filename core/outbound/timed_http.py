"""HTTP connections for requests whose connecting, and whose answer from first to last byte, end at one deadline each.

requests and urllib3 bound single reads only: a server that sends one byte now and then could hold a thread for ever.
"""

import io
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from threading import Thread
from time import monotonic
from typing import Any, ClassVar

import requests
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError, SSLError

from core.outbound.public_addresses import is_public


def _addresses(host: str, port: int | None, timeout: float) -> list[Any]:
    """As socket.getaddrinfo, which knows no deadline: a thread of its own waits in our place."""
    found: Future[list[Any]] = Future()

    def look_up() -> None:
        try:
            found.set_result(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.set_exception(error)

    Thread(target=look_up, name="portal-dns", daemon=True).start()
    return found.result(timeout)


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket until the timeout that it has now is used up, all reads together."""

    def __init__(self, sock: socket.socket) -> None:
        self._raw = sock.makefile("rb", buffering=0)
        self._socket = sock
        # urllib3 has just set it to what is left of the call's total
        self._deadline = monotonic() + (sock.gettimeout() or 0.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        remaining = self._deadline - monotonic()
        if remaining <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(remaining)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_DeadlineReader(sock), 65536)


class _TimedConnection(HTTPConnection):
    response_class = _TimedResponse

    def _new_conn(self) -> socket.socket:
        timeout = self.timeout if isinstance(self.timeout, int | float) else 0.0
        deadline = monotonic() + timeout
        failure: OSError = OSError("no address")
        for family, kind, protocol, _, address in _addresses(self._dns_host.strip("[]"), self.port, timeout):
            if not self._may_connect(address[0]):
                failure = PrivateAddress("not a public address")
                continue
            try:
                return self._open(family, kind, protocol, address, deadline)
            except OSError as error:
                failure = error
        raise failure

    def _may_connect(self, address: str) -> bool:
        return True

    def _open(self, family: int, kind: int, protocol: int, address: Any, deadline: float) -> socket.socket:
        sock = socket.socket(family, kind, protocol)
        try:
            for option in self.socket_options or ():
                sock.setsockopt(*option)
            # what is left also bounds the TLS handshake that may follow
            sock.settimeout(max(deadline - monotonic(), 0.001))
            sock.connect(address)
        except OSError:
            sock.close()
            raise
        return sock

    def connect(self) -> None:
        """As urllib3's; every failure, the TLS handshake's included, is a NewConnectionError: nothing was sent yet."""
        try:
            super().connect()
        except (OSError, UnicodeError, SSLError) as error:
            raise NewConnectionError(self, type(error).__name__) from error


class _TimedTlsConnection(_TimedConnection, HTTPSConnection):
    pass


class PrivateAddress(OSError):
    """The host's address is none of the public internet."""


class _PublicConnection(_TimedConnection):
    """Looks at the very address that it connects to: a name may mean another one at each look-up."""

    def _may_connect(self, address: str) -> bool:
        return is_public(address)


class _PublicTlsConnection(_PublicConnection, HTTPSConnection):
    pass


class _TimedPool(HTTPConnectionPool):
    ConnectionCls = _TimedConnection


class _TimedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _TimedTlsConnection


class _PublicPool(HTTPConnectionPool):
    ConnectionCls = _PublicConnection


class _PublicTlsPool(HTTPSConnectionPool):
    ConnectionCls = _PublicTlsConnection


class TimedAdapter(HTTPAdapter):
    """Keeps up to ``connections`` connections; repeats nothing by itself."""

    _POOLS: ClassVar[dict[str, type[HTTPConnectionPool]]] = {"http": _TimedPool, "https": _TimedTlsPool}

    def __init__(self, connections: int) -> None:
        super().__init__(pool_connections=4, pool_maxsize=connections, max_retries=0)
        self.poolmanager.pool_classes_by_scheme = self._POOLS


class PublicAdapter(TimedAdapter):
    """A :class:`TimedAdapter` that connects to public addresses only."""

    _POOLS: ClassVar[dict[str, type[HTTPConnectionPool]]] = {"http": _PublicPool, "https": _PublicTlsPool}


class _QuietSession(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """None: even when told not to follow, requests reads the whole body of a redirect and parses its target."""
        return None


def quiet_session(headers: Mapping[str, str], adapter: TimedAdapter) -> requests.Session:
    """A session with these headers and nothing else: no environment, no cookies, no redirects; for any thread."""
    session = _QuietSession()
    session.trust_env = False
    session.headers.clear()
    session.headers.update(headers)
    session.cookies = RequestsCookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def causes(error: BaseException) -> Iterator[BaseException]:
    """``error`` and what it wraps, in the three ways in which requests, urllib3 and our connections do so."""
    yield error
    wrapped = [*error.args, getattr(error, "reason", None), error.__cause__]
    for inner in wrapped:
        if isinstance(inner, BaseException):
            yield from causes(inner)
