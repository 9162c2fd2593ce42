"""What a browser sends of a passkey, checked against what was asked for: type, challenge, origin, host, flags,
algorithm, signature.

Pure functions over bytes: no database, no clock, no session. Whether a challenge is outstanding, and what a counter
must not do, is decided next door. Source: contract chapter 10 §5.5, §5.6 and §5.9.
"""

import hmac
import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from core.access.passkeys.keys import ES256, RS256, Key, canonical, decoded, key_of_cose, spki, stored_key, unreadable
from core.access.passkeys.relying_party import RelyingParty

CREATE, GET = "webauthn.create", "webauthn.get"
_USER_PRESENT, _USER_VERIFIED, _MAY_BE_BACKED_UP, _IS_BACKED_UP = 0x01, 0x04, 0x08, 0x10
_FLAGS_AT, _COUNTER_END = 32, 37


class ProofFailed(Exception):
    """What was sent proves nothing; the text says why, for the log alone."""


@dataclass(frozen=True, slots=True)
class ClientData:
    """What the browser says of a ceremony: its kind, for which challenge, on a page of which origin."""

    kind: str
    challenge: bytes
    origin: str
    is_cross_origin: bool
    top_origin: str | None


@dataclass(frozen=True, slots=True)
class Assertion:
    """A login as the browser sent it, its texts decoded."""

    credential_id: bytes
    authenticator_data: bytes
    client_data: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Registered:
    """A key that its authenticator made, and its counter then."""

    key: Key
    counter: int


def read_client_data(raw: bytes) -> ClientData:
    """Members that nobody asked for are ignored. Raises ProofFailed."""
    try:
        content = json.loads(raw)
        challenge = decoded(content["challenge"])
        kind, origin, top = content["type"], content["origin"], content.get("topOrigin")
    except unreadable():
        raise ProofFailed("unreadable client data") from None
    if not challenge or not isinstance(kind, str) or not isinstance(origin, str):
        raise ProofFailed("incomplete client data")
    # whatever is not plainly absent or false, and so also a top origin that is no text, counts as foreign
    crosses = content.get("crossOrigin") not in (None, False)
    return ClientData(kind, challenge, origin, crosses, None if top is None else str(top))


def refuse_foreign(said: ClientData, kind: str, party: RelyingParty) -> None:
    """Raises ProofFailed unless the ceremony was of this kind, on a page of ours, in no other site's frame."""
    if said.kind != kind:
        raise ProofFailed("another kind of ceremony")
    if said.origin not in party.origins:
        raise ProofFailed("another origin")
    if said.is_cross_origin or (said.top_origin is not None and said.top_origin not in party.origins):
        raise ProofFailed("a page in another site's frame")


def verify_assertion(sent: Assertion, key: Key, rp_id: str) -> int:
    """The authenticator's counter. The client data's own content is checked before. Raises ProofFailed."""
    data = sent.authenticator_data
    if len(data) < _COUNTER_END:
        raise ProofFailed("authenticator data too short")
    if not hmac.compare_digest(data[:_FLAGS_AT], sha256(rp_id.encode()).digest()):
        raise ProofFailed("another host")
    flags = data[_FLAGS_AT]
    if not flags & _USER_PRESENT or not flags & _USER_VERIFIED:
        raise ProofFailed("the user was not verified")
    if flags & _IS_BACKED_UP and not flags & _MAY_BE_BACKED_UP:
        raise ProofFailed("impossible flags")
    # over the very bytes that came
    signed = data + sha256(sent.client_data).digest()
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(sent.signature, signed, ec.ECDSA(hashes.SHA256()))
        else:
            key.verify(sent.signature, signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise ProofFailed("wrong signature") from None
    return int.from_bytes(data[_FLAGS_AT + 1 : _COUNTER_END], "big")


def verify_registration(
    credential_id: bytes, client_data: bytes, attestation: bytes, public_key: str, challenge: bytes, party: RelyingParty
) -> Registered:
    """The key of a new passkey, after every check. ``public_key``: what was sent beside it. Raises ProofFailed."""
    # see core.access.passkeys.keys
    from webauthn import verify_registration_response
    from webauthn.helpers.cose import COSEAlgorithmIdentifier
    from webauthn.helpers.structs import AuthenticatorAttestationResponse, RegistrationCredential

    refuse_foreign(read_client_data(client_data), CREATE, party)
    credential = RegistrationCredential(
        id=canonical(credential_id),
        raw_id=credential_id,
        response=AuthenticatorAttestationResponse(
            client_data_json=client_data, attestation_object=_without_statement(attestation)
        ),
    )
    try:
        verified = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=list(party.origins),
            require_user_verification=True,
            supported_pub_key_algs=[COSEAlgorithmIdentifier(ES256), COSEAlgorithmIdentifier(RS256)],
        )
        key = key_of_cose(verified.credential_public_key)
    except unreadable() as error:
        raise ProofFailed(f"refused by {type(error).__name__}") from None
    if verified.credential_id != credential_id:
        raise ProofFailed("the attestation is of another credential")
    _refuse_other_key(public_key, key, credential_id, attestation)
    return Registered(key, verified.sign_count)


def _without_statement(attestation: bytes) -> bytes:
    """No statement was asked for, and browsers that send one all the same are not to fail by it."""
    from webauthn.helpers import encode_cbor, parse_cbor

    try:
        content: dict[str, Any] = parse_cbor(attestation)
        if not isinstance(content["fmt"], str) or not isinstance(content["attStmt"], dict):
            raise ProofFailed("unreadable attestation object")
        return bytes(encode_cbor({"fmt": "none", "attStmt": {}, "authData": content["authData"]}))
    except unreadable():
        raise ProofFailed("unreadable attestation object") from None


def _refuse_other_key(public_key: str, key: Key, credential_id: bytes, attestation: bytes) -> None:
    """Browsers send the key itself, the attestation object again, or nothing."""
    if not public_key.strip() or decoded(public_key) == attestation:
        return
    said = stored_key(public_key, credential_id)
    if said is None or spki(said) != spki(key):
        raise ProofFailed("another key than the authenticator's")
