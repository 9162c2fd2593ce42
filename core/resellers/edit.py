"""Changing a reseller's user row; what is not sent stays. Source: contract chapter 30 D, ``update_reseller.php``.

The portal themes that may follow are in :mod:`core.resellers.themes`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError

from core.access.actors import Actor
from core.access.audit import By
from core.access.credentials import credential_of, refuse_common, renew_credential
from core.access.permissions import Field
from core.access.user_rows import require_reseller
from core.errors import AlreadyExists, NotAllowed, WrongCredentials
from core.jobs import jobs
from core.jobs.jobs import Record
from core.panel import Panel
from core.plans.currencies import lock_currencies
from core.resellers import rules, themes
from core.resellers.resellers import (
    USERNAME_TAKEN,
    refuse_taken_username,
    stored_currencies,
)
from core.security.passwords import BLANKS
from core.storage.tables import User
from core.values.escaping import key, quotable

OLD_PASSWORD_WRONG = "Changing your own password needs the old one, which is wrong or missing"  # noqa: S105 - a sentence


@dataclass(frozen=True, slots=True)
class ResellerEdit:
    """What was asked for, as texts of the request; None: not sent, so it stays. An empty password stays as well.

    ``old_password``: needed by who changes the own password.
    """

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    old_password: str | None = field(default=None, repr=False)
    name: str | None = None
    email: str | None = None
    max_users: str | None = None
    currency: str | None = None
    theme: str | None = None
    permissions: str | None = None
    is_observer: bool | None = None
    ip_ranges: str | None = None


@dataclass(frozen=True, slots=True)
class Edited:
    """A reseller after the change. ``theme``: the new portal theme, None when it did not change or is none;
    ``propagation``: the job that gives it to the reseller's accounts, if there are any.

    ``credential``: fingerprint of the password as it is now, for a session that is to go on.
    """

    username: str
    permissions: str | None
    theme: str | None
    propagation: Record | None
    credential: str


def edit_reseller(panel: Panel, by: By, reseller_id: int, wish: ResellerEdit) -> Edited:
    """Raises NotFound, NotAllowed, InvalidInput, AlreadyExists."""
    password = (wish.password or "").strip(BLANKS)
    if reseller_id == by.actor.id:
        # as the length, a rule of one's own choice: the API document gives resellers such passwords
        refuse_common(password, by.actor.username, wish.username, wish.name)
    hashed = panel.passwords.hash(password) if password else None
    fingerprint_key = panel.fingerprint_key
    verified = _own_old_password(panel, by, wish) if password and reseller_id == by.actor.id else None

    def act(connection: Connection) -> tuple[str, dict[str, Any], Actor, Record | None, Any]:
        if wish.currency:
            # one that is being removed is not given
            lock_currencies(panel, connection)
        old = require_reseller(panel, connection, reseller_id, lock=True)
        new = _changes(old, wish, lambda: stored_currencies(connection))
        if old.id == by.actor.id:
            _refuse_own_demotion(new)
        if "username" in new:
            refuse_taken_username(panel, connection, new["username"], but=old.id)
        if verified is not None and verified != _stored_hash(connection, old.id):
            raise WrongCredentials(OLD_PASSWORD_WRONG)
        stored = _store(panel, connection, old.id, new, hashed)
        if hashed or "username" in new:
            # sessions without our mark, and those of an earlier user of the new name, are older than this
            now = panel.clock.stamp()
            credential = renew_credential(connection, fingerprint_key, old.id, stored, changed_at=now)
        else:
            credential = credential_of(connection, fingerprint_key, old.id, stored)
        if new or hashed:
            _audit(panel, connection, by, old, new, password_changed=hashed is not None)
        theme = new.get("theme") or None
        propagation = themes.reserve(panel, connection, by.actor, old.id, theme) if theme else None
        return credential, new, old, propagation, theme

    credential, new, old, propagation, theme = panel.database.transact(
        act, is_stored=lambda made: jobs.is_stored(panel, made[3])
    )
    username, permissions = new.get("username", old.username), new.get("permissions", old.permissions)
    return Edited(username, permissions, theme, propagation, credential)


def theme_would_change(panel: Panel, reseller_id: int, theme: str | None) -> bool:
    """Whether storing ``theme`` would send all of the reseller's accounts another one. Raises NotFound."""
    with panel.database.read() as connection:
        old = require_reseller(panel, connection, reseller_id)
    return bool(theme) and theme != old.theme


def _changes(old: Actor, wish: ResellerEdit, currencies: Callable[[], list[str]]) -> dict[str, Any]:
    """Column → new value, of what differs.

    What the edit form sends back as it was shown is no change, even where old panels stored what we would refuse.
    """
    new: dict[str, Any] = {}

    def put(column: str, sent: str | None, shown: tuple[str | None, ...], check: Callable[[str], Any]) -> None:
        if sent is None or sent in shown:
            return
        value = check(sent)
        if value != getattr(old, column):
            new[column] = value

    put("username", wish.username, (old.username, quotable(old.username)), rules.checked_username)
    put("name", wish.name, (old.name or None, rules.shown_name(old.name, old.username)), rules.checked_name)
    put("email", wish.email, (old.email, quotable(old.email or "")), rules.reseller_email)
    put("max_users", wish.max_users, (str(old.max_users),), rules.checked_max_users)
    put("theme", wish.theme, (old.theme,), rules.checked_theme)
    put("ip_ranges", wish.ip_ranges, (old.ip_ranges, key(old.ip_ranges or "")), rules.checked_ip_ranges)
    put("permissions", wish.permissions, (old.permissions,), rules.checked_permissions)
    if wish.currency and not rules.same_currency(wish.currency, old.currency_id):
        put("currency_id", wish.currency, (), lambda text: rules.checked_currency(text, currencies()))
    is_observer = old.is_observer if wish.is_observer is None else wish.is_observer
    if is_observer != old.is_observer:
        new["is_observer"] = int(is_observer)
    if is_observer:
        permissions = rules.without_permissions(new.get("permissions", old.permissions))
        new.pop("permissions", None)
        if permissions != old.permissions:
            new["permissions"] = permissions
    return new


def _refuse_own_demotion(new: dict[str, Any]) -> None:
    fields = new.get("permissions", "").split("|") if "permissions" in new else None
    lost = fields is not None and (len(fields) <= Field.RESELLER_ADMIN or fields[Field.RESELLER_ADMIN] != "1")
    if lost or new.get("is_observer"):
        raise NotAllowed("You cannot remove your own admin permission")


def _store(panel: Panel, connection: Connection, user_id: int, new: dict[str, Any], hashed: str | None) -> str:
    """Write the changes, and return the stored hash of the password."""
    values = panel.layout.writable(User, new) | ({"password": hashed} if hashed else {})
    if values:
        try:
            connection.execute(update(User).where(User.id == user_id).values(**values))
        except IntegrityError:
            # somebody else took the name after we looked
            raise AlreadyExists(USERNAME_TAKEN) from None
    return hashed or _stored_hash(connection, user_id)


def _stored_hash(connection: Connection, user_id: int) -> str:
    return str(connection.scalar(select(User.password).where(User.id == user_id)) or "")


def _own_old_password(panel: Panel, by: By, wish: ResellerEdit) -> str:
    """The stored hash that the old password was verified against: without it, who finds a session open could take it
    over for good. Raises WrongCredentials, TooManyAttempts."""
    with panel.throttle.attempt(by.origin.counted_as, f"#{by.actor.id}"):
        with panel.database.read() as connection:
            stored = _stored_hash(connection, by.actor.id)
        if not wish.old_password or not panel.passwords.verify(stored, wish.old_password):
            raise WrongCredentials(OLD_PASSWORD_WRONG)
    return stored


def _audit(
    panel: Panel,
    connection: Connection,
    by: By,
    old: Actor,
    new: dict[str, Any],
    *,
    password_changed: bool,
) -> None:
    def row(target_type: str, columns: list[str], **more: Any) -> None:
        by.write_audit(
            panel,
            connection,
            "update",
            target_type,
            target_id=old.id,
            target_name=new.get("username", old.username),
            old={column: _plain(getattr(old, column)) for column in columns},
            new={column: new[column] for column in columns} | more,
        )

    row("user", list(new), password_changed=password_changed)
    if "permissions" in new:
        row("permissions", ["permissions"])
    if password_changed:
        row("password", [])


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value
