"""Outstanding challenges: given out by the hundred, used once, within five minutes.

A login page asks several times and signs any of the answers, also from a browser that has no session yet; therefore a
challenge is looked up by itself, in a table that all processes share, and not in the session. One for a registration
counts only in the session that asked.

    outstanding  → used     by the first attempt that names it, whatever comes of the attempt
    outstanding  → forgotten  five minutes later, or when its ceremony succeeded with another one
    of a panel   → used     one that only the session holds, since PHP gave it out (:class:`OfPhp`)

Source: contract chapter 10 §5.4 and §5.9.
"""

import secrets
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from core.access.passkeys.keys import canonical, decoded
from core.access.passkeys.relying_party import RelyingParty
from core.errors import WrongCredentials
from core.panel import Panel
from core.storage.tables import PasskeyChallenge
from core.storage.writing import insert_if_absent

REGISTER, LOG_IN = "register", "login"
LIFETIME_SECONDS = 300
_BYTES = 32
_FORGOTTEN_AT_ONCE = 100


class NoChallenge(WrongCredentials):
    default_text = "This attempt has expired, please try again"


@dataclass(frozen=True, slots=True)
class OfPhp:
    """What a PHP panel left in the session: its challenge, and for a login the user name it was given out for.

    ``age``: seconds since the session was used before this request.
    """

    challenge: bytes
    username: str
    age: int

    @property
    def is_fresh(self) -> bool:
        return self.age < LIFETIME_SECONDS


@dataclass(frozen=True, slots=True)
class Visit:
    """Where a ceremony is done: for which host, in which session ("" without one), and what PHP left in that."""

    party: RelyingParty
    session: str
    of_php: OfPhp | None = None


@dataclass(frozen=True, slots=True)
class Challenge:
    """One that is outstanding. ``user_id``: for whom."""

    raw: bytes
    user_id: int
    rp_id: str


def issue(panel: Panel, purpose: str, user_id: int, rp_id: str, session: str) -> bytes:
    """A new challenge. ``session``: the id of the session that asks, or "". Those that are too old are forgotten."""
    raw, now = secrets.token_bytes(_BYTES), panel.clock.stamp()

    def act(connection: Connection) -> None:
        _forget_expired(connection, now)
        connection.execute(insert(PasskeyChallenge).values(**_row(raw, purpose, user_id, rp_id, session, now)))

    panel.database.transact(act)
    return raw


def find(panel: Panel, purpose: str, raw: bytes) -> Challenge | None:
    """An outstanding challenge, whoever asked for it."""
    return _first(panel, PasskeyChallenge.challenge == canonical(raw), PasskeyChallenge.purpose == purpose)


def find_of_session(panel: Panel, user_id: int, session: str, raw: bytes | None) -> Challenge | None:
    """An outstanding challenge of this user and session for a registration; without ``raw`` the latest."""
    conditions = [
        PasskeyChallenge.purpose == REGISTER,
        PasskeyChallenge.user_id == user_id,
        PasskeyChallenge.session == _hashed(session),
    ]
    return _first(panel, *conditions, *([] if raw is None else [PasskeyChallenge.challenge == canonical(raw)]))


def take(panel: Panel, challenge: Challenge) -> None:
    """Use it up. Raises NoChallenge when another attempt was faster."""

    def act(connection: Connection) -> bool:
        unused = (PasskeyChallenge.challenge == canonical(challenge.raw), PasskeyChallenge.used == 0)
        return connection.execute(update(PasskeyChallenge).where(*unused).values(used=1)).rowcount == 1

    if not panel.database.transact(act):
        raise NoChallenge


def take_of_php(panel: Panel, purpose: str, challenge: Challenge) -> None:
    """Use up a challenge that we did not give out. Raises NoChallenge when it was used before."""
    panel.layout  # noqa: B018 - creates our tables where they are missing
    row = _row(challenge.raw, purpose, challenge.user_id, challenge.rp_id, "", panel.clock.stamp())

    def act(connection: Connection) -> bool:
        return insert_if_absent(connection, PasskeyChallenge, **{**row, "used": 1})

    if not panel.database.transact(act):
        raise NoChallenge


def forget(connection: Connection, purpose: str, user_id: int, session: str) -> None:
    """After a success: the unused challenges of the same session."""
    if session:
        connection.execute(
            delete(PasskeyChallenge).where(
                PasskeyChallenge.user_id == user_id,
                PasskeyChallenge.purpose == purpose,
                PasskeyChallenge.session == _hashed(session),
                PasskeyChallenge.used == 0,
            )
        )


def _first(panel: Panel, *conditions: ColumnElement[bool]) -> Challenge | None:
    columns = (PasskeyChallenge.challenge, PasskeyChallenge.user_id, PasskeyChallenge.rp_id)
    outstanding = (PasskeyChallenge.used == 0, PasskeyChallenge.expires_at > panel.clock.stamp())
    panel.layout  # noqa: B018 - creates our tables where they are missing
    with panel.database.read() as connection:
        row = connection.execute(
            select(*columns).where(*outstanding, *conditions).order_by(PasskeyChallenge.issued_at.desc()).limit(1)
        ).first()
    return None if row is None else Challenge(decoded(row.challenge) or b"", row.user_id, row.rp_id)


def _forget_expired(connection: Connection, now: int) -> None:
    """By their keys: a delete over a range would lock out those who give out others at the same moment."""
    expired = select(PasskeyChallenge.challenge).where(PasskeyChallenge.expires_at <= now).limit(_FORGOTTEN_AT_ONCE)
    found = connection.scalars(expired).all()
    if found:
        connection.execute(delete(PasskeyChallenge).where(PasskeyChallenge.challenge.in_(found)))


def _row(raw: bytes, purpose: str, user_id: int, rp_id: str, session: str, now: int) -> dict[str, object]:
    return {
        "challenge": canonical(raw),
        "purpose": purpose,
        "user_id": user_id,
        "session": _hashed(session),
        "rp_id": rp_id,
        "issued_at": now,
        "expires_at": now + LIFETIME_SECONDS,
        "used": 0,
    }


def _hashed(session: str) -> str:
    """Session ids themselves are not for the database's readers."""
    return sha256(session.encode()).hexdigest() if session else ""
