"""One message to one device through its push service: encryption, request, and what the answer means.

Source: contract chapter 70, "Request to the push service" and "Outcome per subscription". Nothing of an address but its
host is ever logged: whoever knows it can send to the device.
"""

import base64
import binascii
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from cryptography.hazmat.primitives.asymmetric import ec
from urllib3.exceptions import HTTPError

from core.messages.push.vapid import vapid_keys
from core.outbound.timed_http import PrivateAddress, PublicAdapter, TimedAdapter, causes, quiet_session
from core.panel import Panel

log = logging.getLogger(__name__)

CONNECTIONS = 8
_CONNECT_SECONDS = 5.0
_TOTAL_SECONDS = 10.0
_LARGEST_ANSWER = 4096
_LONGEST_ENDPOINT = 2048
_KEPT_BY_SERVICE_SECONDS = 28 * 24 * 3600
_LONGEST_WAIT_SECONDS = 600.0
_ENCODING = "aes128gcm"


class Meaning(Enum):
    """``GONE``: the subscription has ended; ``LATER``: worth another try; ``TOO_LARGE``: worth one with less data."""

    SENT = "sent"
    GONE = "gone"
    LATER = "later"
    TOO_LARGE = "too large"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Device:
    """A row of ``_push_subscriptions``; its address and keys are secrets of the device."""

    id: int
    user_id: int
    endpoint: str = field(repr=False)
    p256dh: str = field(repr=False)
    auth: str = field(repr=False)

    @property
    def host(self) -> str:
        try:
            return urlsplit(self.endpoint).hostname or "?"
        except ValueError:
            return "?"


@dataclass(frozen=True, slots=True)
class Answer:
    """``wait``: seconds after which the service wants to be asked again, where it says so."""

    meaning: Meaning
    wait: float | None = None


def is_endpoint(text: str, insecure: bool) -> bool:
    """Whether ``text`` can be the address of a push service, by its form; ``insecure``: also with plain http."""
    try:
        parts = urlsplit(text)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    if len(text) > _LONGEST_ENDPOINT or any(ord(character) < 33 or ord(character) == 127 for character in text):
        return False
    is_secure = parts.scheme == "https" or (insecure and parts.scheme == "http")
    return is_secure and has_port and bool(parts.hostname) and parts.username is None and parts.password is None


class PushClient:
    """The connections to push services, for any number of threads. Raises KeyNotStored when made."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._insecure = panel.config.push.allow_insecure
        self._keys = vapid_keys(panel)
        adapter = TimedAdapter(CONNECTIONS) if self._insecure else PublicAdapter(CONNECTIONS)
        self._session = quiet_session({"User-Agent": "showbox-server"}, adapter)

    def close(self) -> None:
        self._session.close()

    def send(self, device: Device, payload: bytes, urgency: str) -> Answer:
        """One request. Fails by its Answer, never raises."""
        try:
            if not is_endpoint(device.endpoint, self._insecure):
                raise ValueError("not the address of a push service")
            body = _encrypted(device, payload)
            headers = {
                "Authorization": self._keys.authorization(device.endpoint, self._panel.clock.stamp()),
                "Content-Encoding": _ENCODING,
                "Content-Type": "application/octet-stream",
                "TTL": str(_KEPT_BY_SERVICE_SECONDS),
                "Urgency": urgency,
            }
        except ValueError:
            log.warning("push by %s: the subscription cannot be used", device.host)
            return Answer(Meaning.REFUSED)
        try:
            return self._post(device, body, headers)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            return _failed(device, error)

    def _post(self, device: Device, body: bytes, headers: Mapping[str, str]) -> Answer:
        # requests hands it on as it is; its type stubs know numbers only
        timeout: Any = urllib3.Timeout(connect=_CONNECT_SECONDS, total=_TOTAL_SECONDS)
        with self._session.post(
            device.endpoint, data=body, headers=dict(headers), timeout=timeout, allow_redirects=False, stream=True
        ) as response:
            # so that the connection can be used again; more than that is not waited for
            next(response.iter_content(_LARGEST_ANSWER), None)
            answer = _read(response, self._panel.clock.seconds())
        if answer.meaning is not Meaning.SENT:
            log.warning("push by %s: status %d", device.host, response.status_code)
        return answer


def _encrypted(device: Device, payload: bytes) -> bytes:
    """Raises ValueError when the device's keys are none."""
    # takes a quarter of a second, which every start of the program would wait for
    from pywebpush import WebPusher

    point, secret = _decoded(device.p256dh), _decoded(device.auth)
    if len(point) != 65 or len(secret) != 16:
        raise ValueError("not the keys of a subscription")
    ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    keys = {"p256dh": _encoded(point), "auth": _encoded(secret)}
    pusher = WebPusher({"endpoint": device.endpoint, "keys": keys})
    return bytes(pusher.encode(payload, _ENCODING)["body"])


def _decoded(text: str) -> bytes:
    """Base64 or base64url, with or without padding. Raises ValueError."""
    plain = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _read(response: requests.Response, now: float) -> Answer:
    status = response.status_code
    if status in (200, 201, 202, 204):
        return Answer(Meaning.SENT)
    if status in (404, 410):
        return Answer(Meaning.GONE)
    if status == 413:
        return Answer(Meaning.TOO_LARGE)
    if status == 429 or status >= 500:
        return Answer(Meaning.LATER, _wait(response.headers.get("Retry-After", ""), now))
    return Answer(Meaning.REFUSED)


def _wait(text: str, now: float) -> float | None:
    """Of a Retry-After in seconds or as a date, at most ten minutes."""
    if text.strip().isascii() and text.strip().isdigit():
        return min(float(text), _LONGEST_WAIT_SECONDS)
    try:
        until = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, until - now), _LONGEST_WAIT_SECONDS)


def _failed(device: Device, error: Exception) -> Answer:
    if any(isinstance(cause, PrivateAddress) for cause in causes(error)):
        log.warning("push by %s: not a public address", device.host)
        return Answer(Meaning.REFUSED)
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidHeader | UnicodeError):
        log.warning("push by %s: not an address", device.host)
        return Answer(Meaning.REFUSED)
    log.warning("push by %s: %s", device.host, type(error).__name__)
    return Answer(Meaning.LATER)
