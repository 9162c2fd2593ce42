"""Registering a passkey for the logged-in user. What the browser sent is checked in :mod:`core.access.passkeys.proofs`.

Browsers send their proof, and all of it is verified. The API document's short form comes without one: it needs an
outstanding challenge of the session, and whether its key is any good shows at the first login.
Source: contract chapter 10 §5.1, §5.4, §5.5 and §5.7.
"""

import hmac
import logging
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from core.access.actors import Actor
from core.access.audit import By
from core.access.passkeys import challenges
from core.access.passkeys.challenges import REGISTER, Challenge, NoChallenge, Visit
from core.access.passkeys.keys import canonical, decoded, hash_of, spellings, spki, stored_key
from core.access.passkeys.proofs import ProofFailed, read_client_data, verify_registration
from core.errors import AlreadyExists, DatabaseFailed, InvalidInput, PanelError
from core.panel import Panel
from core.storage.tables import Passkey, WebauthnCredential
from core.storage.writing import insert_if_absent

log = logging.getLogger(__name__)

MOST_PER_USER = 50
UNKNOWN_DEVICE = "Unknown Device"
# what the panel's column of counters holds
LARGEST_PANEL_COUNTER = 2**31 - 1
# in our own table: no counter was seen yet, so that the first one is taken as it comes
NO_COUNTER = -1
_LARGEST_ID = 1023
_LONGEST_KEY = 16_384
# the page inserts the name of the device as HTML
_LIVE = str.maketrans("", "", "<>\"'&" + "".join(map(chr, (*range(32), 127))))


class AlreadyRegistered(AlreadyExists):
    default_text = "This biometric is already registered"


class RegistrationRefused(InvalidInput):
    default_text = "This biometric could not be verified, please try again"


class TooManyPasskeys(PanelError):
    default_text = f"There are already {MOST_PER_USER} biometrics; please remove one first"


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """A registration as it was sent, all in base64; None is absent, and "" the absence of the browser's proof."""

    credential_id: str
    public_key: str | None
    client_data: str
    attestation: str
    device_name: str


@dataclass(frozen=True, slots=True)
class _Accepted:
    """``public_key``: as it is stored; ``counter``: :data:`NO_COUNTER` where nothing was verified."""

    credential_id: bytes
    public_key: str
    counter: int


def begin_registration(panel: Panel, actor: Actor, visit: Visit) -> bytes:
    """A challenge for a new passkey of ``actor``. Raises DatabaseFailed where the panel's table is missing."""
    _require_table(panel)
    return challenges.issue(panel, REGISTER, actor.id, visit.party.id, visit.session)


def register(panel: Panel, by: By, wanted: NewPasskey, visit: Visit) -> None:
    """Raises InvalidInput, AlreadyRegistered, NoChallenge, RegistrationRefused, TooManyPasskeys, DatabaseFailed."""
    _require_table(panel)
    credential_id = _checked_id(wanted.credential_id)
    if wanted.public_key is None:
        raise InvalidInput("Missing field: public_key")
    # before the challenge, as the document's repeated call expects
    with panel.database.read() as connection:
        _refuse_registered(connection, credential_id)
    try:
        challenge = _take_challenge(panel, by.actor, wanted, visit)
        accepted = _accepted(panel, credential_id, wanted, challenge, visit)
    except ProofFailed as error:
        log.warning("A registration of a passkey by user %d was refused: %s", by.actor.id, error)
        raise RegistrationRefused from None
    _store(panel, by, accepted, wanted.device_name, visit)


def _require_table(panel: Panel) -> None:
    if not panel.layout.has_table("_webauthn_credentials"):
        raise DatabaseFailed("This database has no table for passkeys yet; run the database upgrade first")


def _checked_id(text: str) -> bytes:
    if not text.strip():
        raise InvalidInput("Missing field: credential_id")
    credential_id = decoded(text)
    if not credential_id or len(credential_id) > _LARGEST_ID:
        raise InvalidInput(f"Invalid value for credential_id: expected base64 of at most {_LARGEST_ID} bytes")
    return credential_id


def _refuse_registered(connection: Connection, credential_id: bytes) -> None:
    # a collation may find more than the same text, and a panel may have stored any spelling
    found = connection.scalars(
        select(WebauthnCredential.credential_id).where(WebauthnCredential.credential_id.in_(spellings(credential_id)))
    )
    if any(decoded(text) == credential_id for text in found):
        raise AlreadyRegistered


def _take_challenge(panel: Panel, actor: Actor, wanted: NewPasskey, visit: Visit) -> Challenge:
    """The outstanding challenge that the browser answered, or any of the session for who does not say; used up now."""
    said = read_client_data(decoded(wanted.client_data) or b"").challenge if wanted.client_data else None
    found = challenges.find_of_session(panel, actor.id, visit.session, said)
    if found is not None:
        challenges.take(panel, found)
        return found
    of_php = visit.of_php
    if of_php is None or not of_php.is_fresh or not (said is None or hmac.compare_digest(said, of_php.challenge)):
        raise NoChallenge
    challenge = Challenge(of_php.challenge, actor.id, visit.party.id)
    challenges.take_of_php(panel, REGISTER, challenge)
    return challenge


def _accepted(panel: Panel, credential_id: bytes, wanted: NewPasskey, challenge: Challenge, visit: Visit) -> _Accepted:
    public_key = wanted.public_key or ""
    if len(public_key) > _LONGEST_KEY:
        raise InvalidInput(f"Invalid value for public_key: at most {_LONGEST_KEY} characters")
    if not wanted.client_data and not wanted.attestation:
        return _accepted_unproved(panel, credential_id, public_key.strip())
    client_data, attestation = decoded(wanted.client_data), decoded(wanted.attestation)
    if not client_data or not attestation:
        raise ProofFailed("one half of the proof is missing or unreadable")
    proved = verify_registration(credential_id, client_data, attestation, public_key, challenge.raw, visit.party)
    return _Accepted(credential_id, spki(proved.key), proved.counter)


def _accepted_unproved(panel: Panel, credential_id: bytes, public_key: str) -> _Accepted:
    if panel.config.security.strict_passkeys:
        raise ProofFailed("no proof, and the configuration asks for one")
    if not public_key:
        raise InvalidInput("Missing field: public_key")
    key = stored_key(public_key, credential_id)
    # what is no key is kept as the document promises, and never verifies anything
    return _Accepted(credential_id, public_key if key is None else spki(key), NO_COUNTER)


def _store(panel: Panel, by: By, accepted: _Accepted, device_name: str, visit: Visit) -> None:
    name = device_name.translate(_LIVE).strip() or UNKNOWN_DEVICE

    def act(connection: Connection) -> None:
        _note(panel, connection, by.actor, accepted)
        row = {
            "user_id": by.actor.id,
            "credential_id": canonical(accepted.credential_id),
            "public_key": accepted.public_key,
            "counter": min(max(accepted.counter, 0), LARGEST_PANEL_COUNTER),
            "device_name": name,
            "created_at": panel.clock.now(),
        }
        key = connection.execute(insert(WebauthnCredential).values(**row)).inserted_primary_key
        assert key is not None  # noqa: S101 - the key is the database's
        _refuse_too_many(connection, by.actor)
        challenges.forget(connection, REGISTER, by.actor.id, visit.session)
        by.write_audit(
            panel,
            connection,
            "create",
            "webauthn_credential",
            target_id=key[0],
            target_name=str(row["device_name"]),
            details=f"{by.actor.username} registered a passkey"
            + (" without the browser's proof" if accepted.counter == NO_COUNTER else ""),
        )

    panel.database.transact(act)


def _note(panel: Panel, connection: Connection, actor: Actor, accepted: _Accepted) -> None:
    """Our own row, whose key decides which of two registrations at once is the first."""
    verified_at = 0 if accepted.counter == NO_COUNTER else panel.clock.stamp()
    values = {"user_id": actor.id, "sign_count": accepted.counter, "verified_at": verified_at}
    known = hash_of(accepted.credential_id)
    if not insert_if_absent(connection, Passkey, credential_hash=known, **values):
        _refuse_registered(connection, accepted.credential_id)
        # left behind by a passkey that a PHP panel removed
        connection.execute(update(Passkey).where(Passkey.credential_hash == known).values(**values))


def _refuse_too_many(connection: Connection, actor: Actor) -> None:
    """Whoever may log in as a user waits for the keys of all to be read."""
    own = select(func.count()).select_from(WebauthnCredential).where(WebauthnCredential.user_id == actor.id)
    if (connection.scalar(own) or 0) > MOST_PER_USER:
        raise TooManyPasskeys
