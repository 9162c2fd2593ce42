"""The key pair by which push services know this panel, and the signed permits made with it. Source: contract 70.

Browsers bind their subscriptions to the public key: a pair that exists is never replaced.
"""

import base64
import threading
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from core.config.fields import checked_subject
from core.panel import Panel
from core.security.key_files import KeyNotStored, kept_key

FILE = "push-vapid.pem"
# push services accept up to 24 hours
_VALID_SECONDS = 12 * 3600
_USED_SECONDS = 6 * 3600


class VapidKeys:
    """``public``: what browsers subscribe with, 87 characters base64url."""

    def __init__(self, private: ec.EllipticCurvePrivateKey, subject: str) -> None:
        self._private = private
        self._subject = subject
        point = private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        self.public = base64.urlsafe_b64encode(point).rstrip(b"=").decode()
        self._permits: dict[str, tuple[int, str]] = {}
        self._lock = threading.Lock()

    def authorization(self, endpoint: str, now: int) -> str:
        """The Authorization header for requests to ``endpoint``'s push service; ``now``: Unix seconds."""
        parts = urlsplit(endpoint)
        audience = f"{parts.scheme}://{parts.netloc}"
        with self._lock:
            made_at, permit = self._permits.get(audience, (0, ""))
            if not made_at <= now < made_at + _USED_SECONDS or not permit:
                permit = self._sign(audience, now)
                self._permits[audience] = (now, permit)
        return f"vapid t={permit}, k={self.public}"

    def _sign(self, audience: str, now: int) -> str:
        from py_vapid import jwt

        claims: dict[str, object] = {"aud": audience, "exp": now + _VALID_SECONDS}
        if self._subject:
            claims["sub"] = self._subject
        return str(jwt.sign(claims, self._private))


def vapid_keys(panel: Panel) -> VapidKeys:
    """The configured pair, else the one that was made at the first call. Raises KeyNotStored."""
    settings = panel.config.push
    text = settings.vapid_private_key.get_secret_value()
    subject = settings.vapid_subject or _own_address(panel)
    if text:
        return VapidKeys(private_key_of(text), subject)
    try:
        key = serialization.load_pem_private_key(kept_key(panel.config.panel.data_directory, FILE, _make), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyNotStored from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeyNotStored
    return VapidKeys(key, subject)


def _own_address(panel: Panel) -> str:
    """The panel's public address, where push services take it for one; else nothing."""
    try:
        return checked_subject(panel.config.security.public_url)
    except ValueError:
        return ""


def private_key_of(text: str) -> ec.EllipticCurvePrivateKey:
    """The key of 32 bytes base64url, as panels keep it. Raises ValueError."""
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(raw) != 32:
        raise ValueError("the private key has 32 bytes")
    return ec.derive_private_key(int.from_bytes(raw), ec.SECP256R1())


def _make() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
