"""Logging in by password, and changing one's own password. Source: contract chapter 10 §4.1, §4.4, §4.5.

Sessions are not known here: the caller turns an :class:`~core.access.actors.Actor` into one.
"""

import logging
from typing import Any

from sqlalchemy import Connection, insert, select, update

from core.access.actors import Actor
from core.access.audit import By, Origin, record_login
from core.access.identity import find_user
from core.access.user_rows import actor_of
from core.errors import DatabaseFailed, InvalidInput, NotAllowed, WrongCredentials
from core.panel import Panel
from core.security.passwords import BLANKS, fingerprint
from core.storage.tables import Credential, User

log = logging.getLogger(__name__)

# how many older forms of an unchanged password are remembered for the sessions that were bound to them
REMEMBERED_FORMS = 8


def log_in(panel: Panel, origin: Origin, username: str, password: str) -> Actor:
    """The user of these credentials. Writes the login history, upgrades the stored hash where that is on.

    Raises WrongCredentials (the same for an unknown user and a wrong password) or TooManyAttempts.
    """
    username = username.strip(BLANKS)
    with panel.throttle.attempt(origin.address, username):
        row = find_user(panel, username) if username else None
        if not panel.passwords.verify(row.password if row else None, password) or row is None:
            record_login(panel, origin, row.id if row else 0, username, failure_reason="Invalid credentials")
            raise WrongCredentials
    if panel.passwords.should_upgrade(row.password):
        try:
            _upgrade_hash(panel, row, password)
        except DatabaseFailed as error:
            log.warning("A password could not be stored in its stronger form: %s", type(error.__cause__).__name__)
    record_login(panel, origin, row.id, username)
    return actor_of(row)


def change_own_password(panel: Panel, by: By, old: str, new: str) -> str:
    """Store ``new`` for the actor; all of the user's sessions but the caller's end.

    Returns the new credential fingerprint, for the session that stays. Raises WrongCredentials when ``old`` is
    wrong, InvalidInput when ``new`` is empty or too short, TooManyAttempts.
    """
    # hashing is slow: outside of the transaction
    actor = by.actor
    with panel.throttle.attempt(by.origin.address, actor.username):
        with panel.database.read() as connection:
            stored = connection.execute(select(User.password).where(User.id == actor.id)).scalar()
        if not panel.passwords.verify(stored, old):
            raise WrongCredentials("Old password is incorrect")
    new = new.strip(BLANKS)
    least = panel.config.security.min_password_length
    if not new:
        raise InvalidInput("The new password must not be empty")
    if len(new) < least:
        raise InvalidInput(f"The new password must have at least {least} characters")
    hashed = panel.passwords.hash(new)
    key = panel.fingerprint_key
    with panel.database.write() as connection:
        changed = connection.execute(
            # only over the very hash that was verified: two changes at once must not both succeed
            update(User).where(User.id == actor.id, User.password == stored).values(password=hashed)
        )
        if changed.rowcount != 1:
            raise WrongCredentials("Old password is incorrect")
        store_credential(connection, actor.id, fingerprint(key, hashed), changed_at=panel.clock.stamp())
        by.write_audit(
            panel,
            connection,
            "update",
            "password",
            target_id=actor.id,
            target_name=actor.username,
            details=f"{actor.username} changed the own password",
        )
    return fingerprint(key, hashed)


def require_own_name(panel: Panel, actor: Actor, username: str) -> None:
    """Raises NotAllowed when ``username`` is another user's; what names nobody does not count (10 §4.5)."""
    named = find_user(panel, username.strip(BLANKS)) if username.strip(BLANKS) else None
    if named is not None and named.id != actor.id:
        raise NotAllowed("You can only change your own password")


def _upgrade_hash(panel: Panel, row: Any, password: str) -> None:
    hashed = panel.passwords.hash(password)
    key = panel.fingerprint_key
    before, after = fingerprint(key, row.password), fingerprint(key, hashed)
    with panel.database.write() as connection:
        changed = connection.execute(
            update(User).where(User.id == row.id, User.password == row.password).values(password=hashed)
        )
        if changed.rowcount == 1:
            store_credential(connection, row.id, after, same_as=before)


def store_credential(
    connection: Connection, user_id: int, credential: str, *, changed_at: int | None = None, same_as: str | None = None
) -> None:
    """Remember what the stored password's fingerprint is now: after a change (``changed_at``, Unix seconds),
    which ends the user's older sessions, or after a mere re-hash of the password known as ``same_as``."""
    known = connection.execute(
        select(Credential.fingerprint, Credential.same_as).where(Credential.user_id == user_id).with_for_update()
    ).first()
    values: dict[str, Any] = {"fingerprint": credential, "same_as": None}
    if changed_at is not None:
        values["changed_at"] = changed_at
    elif same_as is not None:
        older = (known.same_as or "").split() if known and known.fingerprint == same_as else []
        values["same_as"] = " ".join([*older, same_as][-REMEMBERED_FORMS:])
    if known is None:
        connection.execute(insert(Credential).values(user_id=user_id, **values))
    else:
        connection.execute(update(Credential).where(Credential.user_id == user_id).values(**values))
