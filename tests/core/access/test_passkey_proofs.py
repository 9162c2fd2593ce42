"""What proves a passkey and what does not: the vector of a real browser (contract chapter 10 §5.8), and forgeries."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fido2 import cbor
from hypothesis import given, settings
from hypothesis import strategies as st

from core.access.passkeys.keys import UnusableKey, decoded, key_of_cose, key_of_spki, spki, stored_key
from core.access.passkeys.proofs import (
    GET,
    Assertion,
    ProofFailed,
    read_client_data,
    refuse_foreign,
    verify_assertion,
    verify_registration,
)
from core.access.passkeys.relying_party import NeedsHostName, RelyingParty, relying_party
from tests.worlds import passkey_vector as vector
from tests.worlds.authenticators import ORIGIN, Authenticator, Ceremony, b64, unb64

PARTY = RelyingParty("localhost", (vector.ORIGIN,))
ID = unb64(vector.CREDENTIAL_ID)
OPTIONS = {"rp": {"id": "billing.example.com"}, "user": {"id": "MV9h"}, "challenge": b64(bytes(32))}
BILLING = RelyingParty("billing.example.com", (ORIGIN,))


def _assertion(**changes: bytes) -> Assertion:
    honest = {
        "credential_id": ID,
        "authenticator_data": unb64(vector.AUTHENTICATOR_DATA),
        "client_data": unb64(vector.GET_CLIENT_DATA),
        "signature": unb64(vector.SIGNATURE),
    }
    return Assertion(**{**honest, **changes})


# the vector


@pytest.mark.parametrize("stored", [vector.PUBLIC_KEY, vector.ATTESTATION], ids=["key", "attestation object"])
def test_the_vectors_login_verifies_with_either_stored_form(stored: str) -> None:
    key = stored_key(stored, ID)
    assert key is not None
    assert verify_assertion(_assertion(), key, "localhost") == 2
    refuse_foreign(read_client_data(unb64(vector.GET_CLIENT_DATA)), GET, PARTY)


@pytest.mark.parametrize("part", ["signature", "authenticator_data", "client_data"])
def test_any_flipped_bit_of_the_vectors_login_fails(part: str) -> None:
    key = stored_key(vector.PUBLIC_KEY, ID)
    assert key is not None
    honest = getattr(_assertion(), part)
    for bit in range(len(honest) * 8):
        flipped = bytearray(honest)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ProofFailed):
            verify_assertion(_assertion(**{part: bytes(flipped)}), key, "localhost")


def test_the_vectors_registration_verifies_and_its_key_is_stored_as_php_would() -> None:
    proved = verify_registration(
        ID,
        unb64(vector.CREATE_CLIENT_DATA),
        unb64(vector.ATTESTATION),
        vector.PUBLIC_KEY,
        unb64(vector.REGISTRATION_CHALLENGE),
        PARTY,
    )
    assert (spki(proved.key), proved.counter) == (vector.PUBLIC_KEY, 1)


# registrations


def _registered(device: Authenticator, ceremony: Ceremony, *, challenge: bytes = bytes(32), **changes: object) -> str:
    sent = {**device.registers(OPTIONS, ceremony), **{name: str(value) for name, value in changes.items()}}
    proved = verify_registration(
        device.credential_id,
        unb64(sent["client_data_json"]),
        unb64(sent["attestation_object"]),
        sent["public_key"],
        challenge,
        BILLING,
    )
    return spki(proved.key)


@pytest.mark.parametrize("is_rsa", [False, True], ids=["ES256", "RS256"])
def test_both_algorithms_register_and_log_in(is_rsa: bool) -> None:
    device = Authenticator(is_rsa=is_rsa)
    text = _registered(device, Ceremony(), public_key="")
    assert text == device.spki
    sent = device.signs(OPTIONS)
    key = stored_key(text, device.credential_id)
    assert key is not None
    parts = [unb64(sent[name]) for name in ("authenticator_data", "client_data_json", "signature")]
    assert verify_assertion(Assertion(device.credential_id, *parts), key, BILLING.id) == 1


FOREIGN = {
    "another kind": Ceremony(kind="webauthn.get"),
    "another origin": Ceremony(origin="https://evil.example"),
    "an origin with a slash": Ceremony(origin=ORIGIN + "/"),
    "plain http": Ceremony(origin="http://billing.example.com"),
    "another port": Ceremony(origin=ORIGIN + ":8443"),
    "in a frame": Ceremony(client_more=(("crossOrigin", True),)),
    "in a frame, as text": Ceremony(client_more=(("crossOrigin", "true"),)),
    "another top origin": Ceremony(client_more=(("topOrigin", "https://evil.example"),)),
    "another host": Ceremony(rp_id="evil.example"),
    "nobody there": Ceremony(flags=0x04),
    "not verified": Ceremony(flags=0x01),
    "impossible flags": Ceremony(flags=0x15),
}


@pytest.mark.parametrize("ceremony", FOREIGN.values(), ids=FOREIGN)
def test_a_registration_elsewhere_or_by_nobody_fails(ceremony: Ceremony) -> None:
    with pytest.raises(ProofFailed):
        _registered(Authenticator(), ceremony)


@pytest.mark.parametrize("ceremony", FOREIGN.values(), ids=FOREIGN)
def test_a_login_elsewhere_or_by_nobody_fails(ceremony: Ceremony) -> None:
    device = Authenticator()
    device.registers(OPTIONS)
    changed = Ceremony(**{**ceremony.__dict__, "kind": ceremony.kind and "webauthn.create"})
    sent = device.signs(OPTIONS, changed)
    key = stored_key(device.spki, device.credential_id)
    assert key is not None
    parts = [unb64(sent[name]) for name in ("authenticator_data", "client_data_json", "signature")]
    with pytest.raises(ProofFailed):
        _login(key, Assertion(device.credential_id, *parts))


def _login(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, assertion: Assertion) -> None:
    refuse_foreign(read_client_data(assertion.client_data), GET, BILLING)
    verify_assertion(assertion, key, BILLING.id)


HARMLESS = {
    "its own top origin": Ceremony(client_more=(("topOrigin", ORIGIN),)),
    "unknown members": Ceremony(client_more=(("other_keys_can_be_added_here", "x"), ("crossOrigin", None))),
    "backed up": Ceremony(flags=0x1D),
    "extensions": Ceremony(flags=0x85, extra=cbor.encode({"credProtect": 2})),
}


@pytest.mark.parametrize("ceremony", HARMLESS.values(), ids=HARMLESS)
def test_what_browsers_add_does_no_harm(ceremony: Ceremony) -> None:
    assert _registered(Authenticator(), ceremony)


def test_a_byte_order_mark_does_no_harm() -> None:
    assert read_client_data(b"\xef\xbb\xbf" + unb64(vector.GET_CLIENT_DATA)).kind == GET


@pytest.mark.parametrize("fmt", ["packed", "apple", "compound", "android-key"])
def test_statements_that_nobody_asked_for_are_not_looked_at(fmt: str) -> None:
    device = Authenticator()
    sent = device.registers(OPTIONS)
    attestation = device.attestation(fmt=fmt, attStmt={"alg": -7, "sig": b"nonsense"})
    proved = verify_registration(
        device.credential_id, unb64(sent["client_data_json"]), attestation, "", bytes(32), BILLING
    )
    assert spki(proved.key) == device.spki


def test_a_key_beside_the_proof_must_be_the_same_or_the_proof_itself() -> None:
    device, other = Authenticator(), Authenticator()
    other.registers(OPTIONS)
    for said in (other.spki, "junk", b64(other.attestation())):
        with pytest.raises(ProofFailed):
            _registered(device, Ceremony(), public_key=said)
    sent = device.registers(OPTIONS)
    args = device.credential_id, unb64(sent["client_data_json"]), unb64(sent["attestation_object"])
    for said in ("", sent["attestation_object"], device.spki + "=="):
        assert spki(verify_registration(*args, said, bytes(32), BILLING).key) == device.spki


def test_another_challenge_or_another_credential_fails() -> None:
    device = Authenticator()
    with pytest.raises(ProofFailed):
        _registered(device, Ceremony(), challenge=b"x" * 32)
    sent = device.registers(OPTIONS)
    with pytest.raises(ProofFailed):
        verify_registration(
            b"another", unb64(sent["client_data_json"]), unb64(sent["attestation_object"]), "", bytes(32), BILLING
        )


# keys


WEAK: dict[str, Callable[[], bytes]] = {
    "P-384": lambda: _spki(ec.generate_private_key(ec.SECP384R1())),
    "RSA of 1024 bits": lambda: _spki(rsa.generate_private_key(65537, 1024)),
}


def _spki(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return unb64(spki(key.public_key()))


@pytest.mark.parametrize("make", WEAK.values(), ids=WEAK)
def test_other_keys_are_refused(make: Callable[[], bytes]) -> None:
    with pytest.raises(UnusableKey):
        key_of_spki(make())
    assert stored_key(b64(make()), b"x") is None


def test_a_point_off_the_curve_and_other_algorithms_are_refused() -> None:
    x, y = bytes(31) + b"\x01", bytes(31) + b"\x01"
    with pytest.raises(ValueError, match=r"(?i)curve|point|key"):
        key_of_cose(cbor.encode({1: 2, 3: -7, -1: 1, -2: x, -3: y}))
    device = Authenticator()
    device.registers(OPTIONS)
    numbers = device.private_key.public_key().public_numbers()
    with pytest.raises(UnusableKey):
        key_of_cose(
            cbor.encode({1: 2, 3: -36, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})
        )


def test_an_attestation_object_is_a_key_for_its_own_credential_only() -> None:
    assert stored_key(vector.ATTESTATION, ID) is not None
    assert stored_key(vector.ATTESTATION, b"another") is None
    device = Authenticator()
    device.registers(OPTIONS)
    assert stored_key(b64(device.cose), b"any") is not None


@pytest.mark.parametrize("stored", ["", " ", "x", "junk", "MFkw", "o2", "oA", None, "é", "gQE" * 500])
def test_junk_is_no_key(stored: str | None) -> None:
    assert stored_key(stored, ID) is None


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 200), st.binary(max_size=3))
def test_no_bytes_make_a_parser_fault(raw: bytes, at: int, more: bytes) -> None:
    honest = unb64(vector.ATTESTATION)
    for attestation in (raw, honest[:at], honest[:at] + more + honest[at + len(more) :]):
        stored_key(b64(attestation), ID)
        for client_data in (raw, unb64(vector.CREATE_CLIENT_DATA)):
            if attestation == honest:
                continue
            try:
                verify_registration(ID, client_data, attestation, "", unb64(vector.REGISTRATION_CHALLENGE), PARTY)
            except ProofFailed:
                continue


@pytest.mark.parametrize(
    "text", ["[]", "null", "{}", '{"type":1}', '{"challenge":"x"}', "[" * 100_000, '{"challenge":null}', ""]
)
def test_client_data_that_says_nothing(text: str) -> None:
    with pytest.raises(ProofFailed):
        read_client_data(text.encode())


@pytest.mark.parametrize(
    "text", ["-_8", "+/8=", "-_8=", " +/\n8 ", "+/8"], ids=["url", "standard", "padded", "blanks", "bare"]
)
def test_every_base64_is_read(text: str) -> None:
    assert decoded(text) == b"\xfb\xff"


@pytest.mark.parametrize("text", ["a", "abcde", "!!!!", "é", "a=b"])
def test_what_is_no_base64_is_none(text: str) -> None:
    assert decoded(text) is None


# hosts


HOSTS = {
    "billing.example.com": ("billing.example.com", ("https://billing.example.com",)),
    "billing.example.com:443": ("billing.example.com", ("https://billing.example.com",)),
    "billing.example.com:8443": ("billing.example.com", ("https://billing.example.com:8443",)),
    "BILLING.example.com": ("billing.example.com", ("https://billing.example.com",)),
    "panel": ("panel", ("https://panel",)),
    "xn--pgbs0dh.example": ("xn--pgbs0dh.example", ("https://xn--pgbs0dh.example",)),
    "localhost:8000": ("localhost", ("https://localhost:8000", "http://localhost:8000")),
}


@pytest.mark.parametrize("host", HOSTS)
def test_the_host_is_whom_passkeys_are_for(host: str) -> None:
    party = relying_party("", host)
    assert (party.id, party.origins) == HOSTS[host]


@pytest.mark.parametrize(
    "host",
    [
        "192.0.2.1",
        "192.0.2.1:8000",
        "[::1]",
        "[2001:db8::1]:443",
        "::1",
        "",
        "a b",
        "x.example:port",
        "127.1",
        "-a",
        "[",
    ],
)
def test_an_address_is_nobody(host: str) -> None:
    with pytest.raises(NeedsHostName, match="host name"):
        relying_party("", host)


def test_the_configured_address_counts_whatever_a_proxy_says() -> None:
    party = relying_party("https://billing.example.com:443/", "10.0.0.7:8000")
    assert party == RelyingParty("billing.example.com", ("https://billing.example.com",))
    assert relying_party("http://localhost:8000", "x").origins == ("http://localhost:8000",)
