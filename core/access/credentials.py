"""What a stored password is known as to sessions: renewed at each change, carried over by a mere re-hash.

Why sessions end by it is said in :mod:`core.access.identity`. Source: contract chapter 10 §2.4.
"""

import secrets
from typing import Any

from sqlalchemy import Connection, insert, select, update

from core.errors import InvalidInput
from core.panel import Panel
from core.security.passwords import fingerprint, is_common
from core.storage.tables import Credential, User

# how many older forms of an unchanged password are remembered for the sessions that were bound to them
REMEMBERED_FORMS = 8
TOO_COMMON = "This password is too easy to guess: it is one of the commonest, or the user's own name"


def refuse_common(password: str, *names: str | None) -> None:
    """Raises InvalidInput for a new password that is among the first to be guessed."""
    if is_common(password, *names):
        raise InvalidInput(TOO_COMMON)


def renew_credential(connection: Connection, key: str, user_id: int, hashed: str, *, changed_at: int) -> str:
    """After a change, which ends all sessions bound before it (``changed_at``: Unix seconds); the new fingerprint."""
    salt = secrets.token_hex(16)
    credential = fingerprint(key, hashed, salt)
    _store(connection, user_id, {"fingerprint": credential, "same_as": None, "salt": salt, "changed_at": changed_at})
    return credential


def carry_credential(connection: Connection, key: str, user_id: int, before: str, after: str) -> str:
    """After a re-hash of the same password, which ends nothing; the new fingerprint."""
    known = connection.execute(
        select(Credential.fingerprint, Credential.same_as, Credential.salt)
        .where(Credential.user_id == user_id)
        .with_for_update()
    ).first()
    salt = (known.salt if known else None) or ""
    old, new = fingerprint(key, before, salt), fingerprint(key, after, salt)
    older = (known.same_as or "").split() if known and known.fingerprint == old else []
    _store(connection, user_id, {"fingerprint": new, "same_as": " ".join([*older, old][-REMEMBERED_FORMS:])})
    return new


def credential_of(connection: Connection, key: str, user_id: int, hashed: str) -> str:
    """The fingerprint of a password that did not change."""
    salt = connection.scalar(select(Credential.salt).where(Credential.user_id == user_id))
    return fingerprint(key, hashed, salt or "")


def stored_credential(panel: Panel, user_id: int) -> str:
    """The fingerprint of the user's password as it is now, for a login without it."""
    key = panel.fingerprint_key
    with panel.database.read() as connection:
        hashed = connection.scalar(select(User.password).where(User.id == user_id))
        return credential_of(connection, key, user_id, str(hashed or ""))


def _store(connection: Connection, user_id: int, values: dict[str, Any]) -> None:
    changed = connection.execute(update(Credential).where(Credential.user_id == user_id).values(**values))
    if changed.rowcount == 0 and not connection.scalar(select(Credential.user_id).where(Credential.user_id == user_id)):
        connection.execute(insert(Credential).values(user_id=user_id, **values))
