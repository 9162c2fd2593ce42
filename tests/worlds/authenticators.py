"""Authenticators and the scripts of the pages that speak to them, for tests of passkeys without a browser.

The device is soft-webauthn's; what platform authenticators do and it does not (verifying the user, RSA) is added here.
"""

import base64
import json
from dataclasses import dataclass, replace
from struct import pack
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fido2 import cbor
from fido2.utils import sha256
from soft_webauthn import SoftWebauthnDevice

from tests.worlds.harness import Client

HOST = "billing.example.com"
ORIGIN = f"https://{HOST}"
PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def b64(raw: bytes) -> str:
    """As the pages encode: base64url without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_") + "=" * (-len(text) % 4))


@dataclass(frozen=True)
class Ceremony:
    """What differs from an honest one in a test: the page's word, and the authenticator's."""

    origin: str = ORIGIN
    kind: str | None = None
    client_more: tuple[tuple[str, Any], ...] = ()
    rp_id: str | None = None
    flags: int = PRESENT | VERIFIED
    counter: int | None = None
    extra: bytes = b""


HONEST = Ceremony()


class Authenticator(SoftWebauthnDevice):  # type: ignore[misc]  # has no types
    """One device with one passkey. ``counts``: whether its counter rises; Apple's stays 0."""

    def __init__(self, *, counts: bool = True, is_rsa: bool = False) -> None:
        super().__init__()
        self.counts = counts
        self.is_rsa = is_rsa

    @property
    def spki(self) -> str:
        return b64(self.private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    @property
    def cose(self) -> bytes:
        numbers = self.private_key.public_key().public_numbers()
        if self.is_rsa:
            modulus = numbers.n.to_bytes(256, "big")
            return bytes(cbor.encode({1: 3, 3: -257, -1: modulus, -2: numbers.e.to_bytes(3, "big")}))
        x, y = (number.to_bytes(32, "big") for number in (numbers.x, numbers.y))
        return bytes(cbor.encode({1: 2, 3: -7, -1: 1, -2: x, -3: y}))

    def attestation(self, ceremony: Ceremony = HONEST, **more: Any) -> bytes:
        """The attestation object; ``more`` replaces members of it."""
        credential = self.aaguid + pack(">H", len(self.credential_id)) + self.credential_id + self.cose
        flags = ceremony.flags | ATTESTED
        auth_data = self._head(ceremony, flags, self.sign_count) + credential + ceremony.extra
        return bytes(cbor.encode({"fmt": "none", "attStmt": {}, "authData": auth_data} | more))

    def registers(self, options: dict[str, Any], ceremony: Ceremony = HONEST, *, anew: bool = True) -> dict[str, Any]:
        """The body of the page's POST after ``navigator.credentials.create`` with ``options`` of the GET.

        Not ``anew``: for the passkey that is there, as no honest authenticator would.
        """
        if anew:
            self.cred_init(options["rp"]["id"], unb64(options["user"]["id"]))
            if self.is_rsa:
                self.private_key = rsa.generate_private_key(65537, 2048)
        return {
            "credential_id": b64(self.credential_id),
            "public_key": self.spki,
            "attestation_object": b64(self.attestation(ceremony)),
            "client_data_json": b64(client_data(options["challenge"], "webauthn.create", ceremony)),
            "device_name": "Windows",
        }

    def signs(self, options: dict[str, Any], ceremony: Ceremony = HONEST) -> dict[str, Any]:
        """The body of the page's POST after ``navigator.credentials.get`` with ``options`` of the GET."""
        if ceremony.counter is not None:
            self.sign_count = ceremony.counter
        elif self.counts:
            self.sign_count += 1
        data = self._head(ceremony, ceremony.flags, self.sign_count) + ceremony.extra
        said = client_data(options["challenge"], "webauthn.get", ceremony)
        signed = data + sha256(said)
        if self.is_rsa:
            signature = self.private_key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            signature = self.private_key.sign(signed, ec.ECDSA(hashes.SHA256()))
        return {
            "credential_id": b64(self.credential_id),
            "authenticator_data": b64(data),
            "client_data_json": b64(said),
            "signature": b64(signature),
            "counter": self.sign_count,
        }

    def _head(self, ceremony: Ceremony, flags: int, counter: int) -> bytes:
        return bytes(sha256((ceremony.rp_id or self.rp_id).encode()) + bytes([flags]) + pack(">I", counter))


def client_data(challenge: str, kind: str, ceremony: Ceremony = HONEST) -> bytes:
    """What the browser says, of a challenge in any base64."""
    said = {"type": ceremony.kind or kind, "challenge": b64(unb64(challenge)), "origin": ceremony.origin}
    return json.dumps(said | {"crossOrigin": False} | dict(ceremony.client_more)).encode()


def at_host(client: Client, host: str = HOST) -> Client:
    """The same client where the panel is served under a name."""
    return replace(client, headers={**client.headers, "Host": host})


def register(client: Client, device: Authenticator, ceremony: Ceremony = HONEST, path: str = "/api/") -> dict[str, Any]:
    """A whole registration by a client that is logged in; the answer to its POST."""
    options = client.get(f"{path}webauthn_register.php").json()
    answer: dict[str, Any] = client.post(
        f"{path}webauthn_register.php", device.registers(options, ceremony), "json"
    ).json()
    return answer


def offered(client: Client, username: str, path: str = "/api/") -> dict[str, Any]:
    answer: dict[str, Any] = client.get(f"{path}webauthn_authenticate.php", params={"username": username}).json()
    return answer


def log_in(
    client: Client, device: Authenticator, username: str, ceremony: Ceremony = HONEST, path: str = "/api/"
) -> dict[str, Any]:
    """A whole login; the answer to its POST."""
    sent = device.signs(offered(client, username, path), ceremony)
    return send(client, sent, path)


def send(client: Client, sent: dict[str, Any], path: str = "/api/") -> dict[str, Any]:
    answer: dict[str, Any] = client.post(f"{path}webauthn_authenticate.php", sent, "json").json()
    return answer
