"""A simulated web push service with the browsers behind it, started by tests as :class:`PushService`.

Each browser decrypts what it gets (RFC 8291); a permit that does not verify (RFC 8292) is refused with 403.
"""

import base64
import itertools
import json
import secrets
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import http_ece
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import jwt

from simulators.faults import Fault, FaultRule, Match
from simulators.simulator import Simulator
from simulators.wire import Request, Response

_PREFIX = "/push/"
_LARGEST = 4096


@dataclass(frozen=True, slots=True)
class Notification:
    """What a browser showed: the decrypted payload, and the request's headers."""

    device: str
    payload: Mapping[str, Any]
    headers: Mapping[str, str]
    claims: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Browser:
    """A subscribed browser: ``endpoint``, ``p256dh`` and ``auth`` are what it tells the panel."""

    name: str
    endpoint: str
    p256dh: str
    auth: str
    private: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def keys(self) -> dict[str, str]:
        return {"endpoint": self.endpoint, "p256dh": self.p256dh, "auth": self.auth}


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class _Application:
    def __init__(self) -> None:
        self.browsers: dict[str, Browser] = {}
        self.shown: list[Notification] = []
        self.lock = threading.Lock()
        self.origin = ""

    def describe(self, request: Request) -> str:
        return f"{request.method} {request.target.removeprefix(_PREFIX)}"

    def respond(self, request: Request) -> Response:
        browser = self.browsers.get(request.target.removeprefix(_PREFIX))
        if request.method != "POST" or browser is None:
            return Response(b"no such subscription", 404)
        claims = self._permit(request.headers.get("authorization", ""))
        if claims is None:
            return Response(b"the permit is not valid", 403)
        if request.headers.get("content-encoding") != "aes128gcm" or not request.headers.get("ttl", "").isdigit():
            return Response(b"encoding or TTL is missing", 400)
        if len(request.body) > _LARGEST:
            return Response(b"too large", 413)
        try:
            secret = base64.urlsafe_b64decode(browser.auth + "==")
            clear = http_ece.decrypt(request.body, private_key=browser.private, auth_secret=secret, version="aes128gcm")
        except (http_ece.ECEException, ValueError):
            return Response(b"cannot be decrypted", 400)
        with self.lock:
            self.shown.append(Notification(browser.name, json.loads(clear), request.headers, claims))
        return Response(b"", 201)

    def _permit(self, header: str) -> Mapping[str, Any] | None:
        """The claims of ``vapid t=…, k=…``, if its signature and audience are right."""
        scheme, _, rest = header.partition(" ")
        parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
        try:
            claims: Mapping[str, Any] = jwt.decode(parts.get("t", ""), parts.get("k", ""))
        except (InvalidSignature, ValueError):
            return None
        return claims if scheme.lower() == "vapid" and claims.get("aud") == self.origin and "exp" in claims else None


class PushService(Simulator):
    """A push service on a free loopback port from ``with`` until its end."""

    def __init__(self) -> None:
        self._application = _Application()
        super().__init__(self._application, "push")
        self._numbers = itertools.count(1)

    def start(self) -> Self:
        super().start()
        self._application.origin = self.origin
        return self

    def subscribe(self, name: str) -> Browser:
        """A new browser that has subscribed."""
        private = ec.generate_private_key(ec.SECP256R1())
        point = private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        path = f"{name}-{next(self._numbers)}"
        browser = Browser(name, f"{self.origin}{_PREFIX}{path}", _text(point), _text(secrets.token_bytes(16)), private)
        self._application.browsers[path] = browser
        return browser

    @property
    def shown(self) -> list[Notification]:
        """What browsers showed, oldest first."""
        with self._application.lock:
            return list(self._application.shown)

    @property
    def counts(self) -> Counter[tuple[str, str]]:
        """How often each browser showed each tag."""
        return Counter((item.device, item.payload["type"]) for item in self.shown)

    def fail(self, fault: Fault, match: Match = "*", *, times: int | None = 1, after: int = 0) -> FaultRule:
        """See :meth:`simulators.stalker.StalkerPortal.fail`."""
        return self._faults.add(FaultRule(match, fault, times, after))

    def forget(self) -> None:
        """Begin anew: nothing was asked, nothing shown, and nothing fails; browsers stay."""
        with self._application.lock:
            self._application.shown.clear()
        super().forget()
