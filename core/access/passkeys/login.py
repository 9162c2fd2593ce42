"""Logging in with a passkey: which passkeys a name has, and whether what the browser signed is theirs.

Nothing that the client says is believed but what the stored key verifies; a counter only rises, or stays 0 where the
authenticator has none. Source: contract chapter 10 §5.2, §5.4, §5.6 and §5.7. By password: :mod:`core.access.login`.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from core.access.actors import Actor
from core.access.audit import Origin, record_login
from core.access.identity import find_user
from core.access.passkeys import challenges
from core.access.passkeys.challenges import LOG_IN, Challenge, NoChallenge, Visit
from core.access.passkeys.keys import decoded, hash_of, stored_key
from core.access.passkeys.proofs import (
    GET,
    Assertion,
    ClientData,
    ProofFailed,
    read_client_data,
    refuse_foreign,
    verify_assertion,
)
from core.access.passkeys.registration import LARGEST_PANEL_COUNTER
from core.access.user_rows import read_user
from core.errors import WrongCredentials
from core.panel import Panel
from core.security.passwords import BLANKS
from core.storage.database import same_text
from core.storage.tables import Passkey, User, WebauthnCredential
from core.storage.writing import insert_if_absent

log = logging.getLogger(__name__)

# a login page asks with each pause in typing, and several people sit behind one address
CHALLENGES_PER_MINUTE = 120
METHOD = "biometric"


class InvalidPasskey(WrongCredentials):
    default_text = "Invalid credentials"


@dataclass(frozen=True, slots=True)
class Offer:
    """``credential_ids``: as they are stored, those that can verify something."""

    challenge: bytes
    rp_id: str
    credential_ids: list[str]


@dataclass(frozen=True, slots=True)
class SentLogin:
    """A login as it was sent, all in base64."""

    credential_id: str
    authenticator_data: str
    client_data: str
    signature: str


@dataclass(frozen=True, slots=True)
class _Stored:
    """A row of the panel's table; ``text``: the id as it is stored there."""

    id: int
    user_id: int
    text: str
    credential_id: bytes
    public_key: str


def offer_login(panel: Panel, origin: Origin, username: str, visit: Visit) -> Offer | None:
    """A challenge for the passkeys of ``username``; None for a name without any, and for one that nobody has.

    Raises TooManyAttempts.
    """
    panel.throttle.count("passkey-challenges", origin.counted_as, CHALLENGES_PER_MINUTE)
    usable = [row for row in _rows_of(panel, username) if stored_key(row.public_key, row.credential_id) is not None]
    if not usable:
        return None
    raw = challenges.issue(panel, LOG_IN, usable[0].user_id, visit.party.id, visit.session)
    return Offer(raw, visit.party.id, [row.text for row in usable])


def log_in_by_passkey(panel: Panel, origin: Origin, sent: SentLogin, visit: Visit) -> Actor:
    """The user who signed. Writes the login history, of failures too, and uses the challenge up in any case.

    Raises InvalidPasskey, NoChallenge, TooManyAttempts.
    """
    said, challenge, actor = _whose(panel, origin, sent, visit)
    with panel.throttle.attempt(origin.counted_as, f"#{actor.id}"):
        try:
            _verify(panel, actor, sent, said, challenge, visit)
        except ProofFailed as error:
            log.warning("A passkey login of user %d was refused: %s", actor.id, error)
            record_login(
                panel, origin, actor.id, actor.username, method=METHOD, failure_reason=InvalidPasskey.default_text
            )
            raise InvalidPasskey from None
    record_login(panel, origin, actor.id, actor.username, method=METHOD)
    return actor


def _whose(panel: Panel, origin: Origin, sent: SentLogin, visit: Visit) -> tuple[ClientData, Challenge, Actor]:
    """What the browser says, the outstanding challenge that it names, used up now, and whom that was given out for."""
    # no name is known yet, so that a guess counts for the address alone
    with panel.throttle.attempt(origin.counted_as, origin.counted_as):
        try:
            said = read_client_data(decoded(sent.client_data) or b"")
        except ProofFailed:
            raise InvalidPasskey from None
        challenge = _take_challenge(panel, said.challenge, visit)
        with panel.database.read() as connection:
            actor = read_user(panel, connection, challenge.user_id)
        if actor is None:
            raise NoChallenge
        return said, challenge, actor


def _take_challenge(panel: Panel, raw: bytes, visit: Visit) -> Challenge:
    found = challenges.find(panel, LOG_IN, raw)
    if found is not None:
        challenges.take(panel, found)
        return found
    of_php = visit.of_php
    if of_php is None or not of_php.is_fresh or of_php.challenge != raw:
        raise NoChallenge
    user = find_user(panel, of_php.username.strip(BLANKS))
    if user is None:
        raise NoChallenge
    challenge = Challenge(raw, user.id, visit.party.id)
    challenges.take_of_php(panel, LOG_IN, challenge)
    return challenge


def _verify(panel: Panel, actor: Actor, sent: SentLogin, said: ClientData, challenge: Challenge, visit: Visit) -> None:
    """Raises ProofFailed."""
    refuse_foreign(said, GET, visit.party)
    credential_id = decoded(sent.credential_id)
    row = next((row for row in _rows_of(panel, actor.username) if row.credential_id == credential_id), None)
    if row is None or row.user_id != actor.id:
        raise ProofFailed("no such passkey of this user")
    key = stored_key(row.public_key, row.credential_id)
    if key is None:
        raise ProofFailed("the stored key is none")
    assertion = Assertion(
        row.credential_id,
        decoded(sent.authenticator_data) or b"",
        decoded(sent.client_data) or b"",
        decoded(sent.signature) or b"",
    )
    counter = verify_assertion(assertion, key, challenge.rp_id)

    def act(connection: Connection) -> None:
        _count(panel, connection, row, counter)
        challenges.forget(connection, LOG_IN, actor.id, visit.session)

    panel.database.transact(act)


def _rows_of(panel: Panel, username: str) -> list[_Stored]:
    """The passkeys of a name that may be used here, as far as their ids can be read."""
    name = username.strip(BLANKS)
    if not name or not panel.layout.has_table("_webauthn_credentials"):
        return []
    with panel.database.read() as connection:
        rows = connection.execute(_BY_NAME[panel.database.dialect], {"username": name}).all()
        known = _known(connection, rows)
    found = []
    for row in rows:
        credential_id = decoded(row.credential_id or "")
        if credential_id and (panel.config.security.php_passkeys or hash_of(credential_id) in known):
            found.append(_Stored(row.id, row.user_id, row.credential_id, credential_id, row.public_key))
    return found


def _known(connection: Connection, rows: Sequence[Any]) -> frozenset[str]:
    if not rows:
        return frozenset()
    own = select(Passkey.credential_hash).where(Passkey.user_id == rows[0].user_id)
    return frozenset(connection.scalars(own))


_BY_NAME = {
    dialect: select(
        WebauthnCredential.id,
        WebauthnCredential.user_id,
        WebauthnCredential.credential_id,
        WebauthnCredential.public_key,
    )
    .join(User, User.id == WebauthnCredential.user_id)
    .where(same_text(User.username, bindparam("username"), dialect))
    .order_by(WebauthnCredential.id)
    for dialect in ("sqlite", "mysql", "postgresql")
}


def _count(panel: Panel, connection: Connection, row: _Stored, counter: int) -> None:
    """Store the authenticator's counter where it has risen, is 0 as ever, or was never seen. Raises ProofFailed."""
    own = Passkey.credential_hash == hash_of(row.credential_id)
    values = {"sign_count": counter, "verified_at": panel.clock.stamp()}
    known = connection.execute(select(Passkey.sign_count).where(own)).scalar()
    if known is None:
        # a panel's own counter came from the client, unverified: it tells nothing
        taken = insert_if_absent(
            connection, Passkey, credential_hash=hash_of(row.credential_id), user_id=row.user_id, **values
        )
    else:
        if counter <= known and (counter, known) != (0, 0):
            raise ProofFailed("its counter did not rise: perhaps somebody has a copy")
        taken = (
            connection.execute(update(Passkey).where(own, Passkey.sign_count == known).values(**values)).rowcount == 1
        )
    shown = {"counter": min(counter, LARGEST_PANEL_COUNTER), "last_used": panel.clock.now()}
    stored = connection.execute(update(WebauthnCredential).where(WebauthnCredential.id == row.id).values(**shown))
    if not taken or stored.rowcount != 1:
        raise ProofFailed("another login or a removal came first")
