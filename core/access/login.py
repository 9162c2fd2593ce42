"""Logging in by password, and changing one's own password. Source: contract chapter 10 §4.1, §4.4, §4.5.

Sessions are not known here: the caller turns an :class:`~core.access.actors.Actor` into one.
"""

import logging
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update

from core.access.actors import Actor
from core.access.audit import By, Origin, record_login
from core.access.credentials import carry_credential, refuse_common, renew_credential
from core.access.identity import find_user
from core.access.user_rows import actor_of
from core.errors import DatabaseFailed, InvalidInput, NotAllowed, WrongCredentials
from core.panel import Panel
from core.security.passwords import BLANKS, fingerprint
from core.storage.tables import User

log = logging.getLogger(__name__)

# what the login history can hold
NAME_CHARACTERS = 255


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """Who logged in, and the fingerprint of the password that binds the session."""

    actor: Actor
    credential: str


def log_in(panel: Panel, origin: Origin, username: str, password: str) -> LoggedIn:
    """The user of these credentials. Writes the login history, upgrades the stored hash where that is on.

    Raises InvalidInput for a name that nobody can have, WrongCredentials (the same for an unknown user and a wrong
    password) or TooManyAttempts.
    """
    username = username.strip(BLANKS)
    if len(username) > NAME_CHARACTERS:
        raise InvalidInput(f"The {{field}} is too long (more than {NAME_CHARACTERS} characters)", field="username")
    row = find_user(panel, username) if username else None
    with panel.throttle.attempt(origin.counted_as, _counted_user(row, username)):
        if not panel.passwords.verify(row.password if row else None, password) or row is None:
            record_login(panel, origin, row.id if row else 0, username, failure_reason="Invalid credentials")
            raise WrongCredentials
    credential = fingerprint(panel.fingerprint_key, row.password, row.credential_salt or "")
    if panel.passwords.should_upgrade(row.password):
        try:
            credential = _upgrade_hash(panel, row, password) or credential
        except DatabaseFailed as error:
            log.warning("A password could not be stored in its stronger form: %s", type(error.__cause__).__name__)
    record_login(panel, origin, row.id, username)
    return LoggedIn(actor_of(row), credential)


def _counted_user(row: Any, username: str) -> str:
    """The user whom an attempt counts for, in whatever spelling the name came that the database takes for the same."""
    return username if row is None else f"#{row.id}"


def change_own_password(panel: Panel, by: By, old: str, new: str) -> str:
    """Store ``new`` for the actor; all of the user's sessions but the caller's end.

    Returns the new credential fingerprint, for the session that stays. Raises WrongCredentials when ``old`` is
    wrong, InvalidInput when ``new`` is empty or too short, TooManyAttempts.
    """
    # hashing is slow: outside of the transaction
    actor = by.actor
    with panel.throttle.attempt(by.origin.counted_as, f"#{actor.id}"):
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
    refuse_common(new, actor.username, actor.name)
    hashed = panel.passwords.hash(new)
    key = panel.fingerprint_key

    def act(connection: Connection) -> str:
        changed = connection.execute(
            # only over the very hash that was verified: two changes at once must not both succeed
            update(User).where(User.id == actor.id, User.password == stored).values(password=hashed)
        )
        if changed.rowcount != 1:
            raise WrongCredentials("Old password is incorrect")
        credential = renew_credential(connection, key, actor.id, hashed, changed_at=panel.clock.stamp())
        by.write_audit(
            panel,
            connection,
            "update",
            "password",
            target_id=actor.id,
            target_name=actor.username,
            details=f"{actor.username} changed the own password",
        )
        return credential

    return panel.database.transact(act)


def require_own_name(panel: Panel, actor: Actor, username: str) -> None:
    """Raises NotAllowed when ``username`` is another user's; what names nobody does not count (10 §4.5)."""
    named = find_user(panel, username.strip(BLANKS)) if username.strip(BLANKS) else None
    if named is not None and named.id != actor.id:
        raise NotAllowed("You can only change your own password")


def _upgrade_hash(panel: Panel, row: Any, password: str) -> str | None:
    """The new fingerprint; None when somebody else changed the password meanwhile."""
    hashed = panel.passwords.hash(password)
    key = panel.fingerprint_key

    def act(connection: Connection) -> str | None:
        changed = connection.execute(
            update(User).where(User.id == row.id, User.password == row.password).values(password=hashed)
        )
        if changed.rowcount != 1:
            return None
        return carry_credential(connection, key, row.id, row.password, hashed)

    return panel.database.transact(act)
