"""The public keys of passkeys: read from whatever form they came or were stored in, and written in one.

Pure functions over bytes. PHP panels stored what the browser gave: a key (SPKI), a whole attestation object, nothing,
or junk; all but the last two can be verified. What is done with a key: :mod:`core.access.passkeys.proofs`. The library
is imported where it is used: most processes never see a passkey, and it is a twentieth of what starting costs, in time
and memory. Source: contract chapter 10 §5.5, §5.6 and §5.9.
"""

import base64
import hashlib
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

ES256, RS256 = -7, -257
LEAST_RSA_BITS, MOST_RSA_BITS = 2048, 8192
_DER_SEQUENCE = 0x30
_COSE_KIND = 1

Key = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class UnusableKey(ValueError):
    """No key that was ever asked for (ES256, RS256), or none at all; the text is for the log."""


def decoded(text: str) -> bytes | None:
    """The bytes of a base64 text of either alphabet, padded or not, blanks ignored; None when it is none."""
    plain = "".join(text.split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        return None


def canonical(raw: bytes) -> str:
    """Base64url without padding: the form in which ids and keys are stored."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def spellings(raw: bytes) -> set[str]:
    """Every form in which a client may have had ``raw`` stored."""
    standard = base64.b64encode(raw).decode()
    return {canonical(raw), base64.urlsafe_b64encode(raw).decode(), standard, standard.rstrip("=")}


def hash_of(credential_id: bytes) -> str:
    """What a passkey is known by in our own tables, whatever spelling its row has."""
    return hashlib.sha256(credential_id).hexdigest()


def unreadable() -> tuple[type[Exception], ...]:
    """What the parsers raise at bytes that are not what they should be."""
    from webauthn.helpers.exceptions import WebAuthnException

    values = ValueError, TypeError, LookupError, AttributeError, RecursionError
    return WebAuthnException, UnsupportedAlgorithm, *values


def stored_key(text: str | None, credential_id: bytes) -> Key | None:
    """The key in a stored or sent ``public_key``; None where there is none that can verify anything.

    An attestation object counts only for the credential that it was made for.
    """
    raw = decoded(text or "")
    if not raw:
        return None
    try:
        return key_of_spki(raw) if raw[0] == _DER_SEQUENCE else _key_of_cbor(raw, credential_id)
    except unreadable():
        return None


def key_of_spki(raw: bytes) -> Key:
    """Raises UnusableKey, or what the parser raises (:func:`unreadable`)."""
    return _checked(load_der_public_key(raw), None)


def key_of_cose(raw: bytes) -> Key:
    """The key that an authenticator made. Raises as :func:`key_of_spki`."""
    from webauthn.helpers.decode_credential_public_key import decode_credential_public_key
    from webauthn.helpers.decoded_public_key_to_cryptography import decoded_public_key_to_cryptography

    cose = decode_credential_public_key(raw)
    return _checked(decoded_public_key_to_cryptography(cose), int(cose.alg))


def spki(key: Key) -> str:
    """The form that also a PHP panel would have stored."""
    return canonical(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _key_of_cbor(raw: bytes, credential_id: bytes) -> Key:
    from webauthn.helpers import parse_authenticator_data, parse_cbor

    content = parse_cbor(raw)
    if isinstance(content, dict) and "authData" in content:
        attested = parse_authenticator_data(content["authData"]).attested_credential_data
        if attested is None or attested.credential_id != credential_id:
            raise UnusableKey("an attestation object of another credential")
        return key_of_cose(attested.credential_public_key)
    if isinstance(content, dict) and _COSE_KIND in content:
        return key_of_cose(raw)
    raise UnusableKey("neither a key nor an attestation object")


def _checked(key: Any, algorithm: int | None) -> Key:
    """``algorithm``: what the authenticator said; None where only the kind of key tells."""
    if (
        isinstance(key, ec.EllipticCurvePublicKey)
        and isinstance(key.curve, ec.SECP256R1)
        and algorithm in (None, ES256)
    ):
        return key
    is_usual_size = isinstance(key, rsa.RSAPublicKey) and LEAST_RSA_BITS <= key.key_size <= MOST_RSA_BITS
    if isinstance(key, rsa.RSAPublicKey) and is_usual_size and algorithm in (None, RS256):
        return key
    raise UnusableKey("a key of another kind than ES256 and RS256")
