"""A super admin's own mail settings: what is shown of them, changing them, and trying a mail server out.

Which settings apply to whom: :mod:`core.messages.mail.settings`. Source: contract chapter 80, ``get_mail_settings``,
``update_mail_settings``, ``test_mail_connection``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Connection, select, update

from core.access.actors import Actor
from core.access.audit import By
from core.access.permissions import USE_MAIL, require
from core.errors import DatabaseFailed, InvalidInput
from core.messages.mail.first_templates import give_first
from core.messages.mail.message import one_line
from core.messages.mail.settings import (
    DEFAULT_DAYS,
    DEFAULT_PORT,
    MOST_DAYS,
    NONE,
    SSL,
    TLS,
    MailServer,
    has_mail,
    usable_address,
)
from core.messages.mail.smtp import MailSession
from core.panel import Panel
from core.security.quota import Quota
from core.security.sealing import Unreadable
from core.storage.tables import MailSettings
from core.storage.tables.secret_columns import MAIL
from core.storage.writing import insert_and_lock

FLAGS = ("auto_send_new_account", "auto_send_renewal", "auto_send_expiry", "notify_admin", "notify_reseller")
MULTISTAGE, DAYS = "enable_multistage_reminders", "days_before_expiry"
PASSWORD_CHARACTERS, _PASSWORD_BYTES = 128, 300
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
_TESTS_PER_MINUTE = 10


@dataclass(frozen=True, slots=True)
class ServerWish:
    """What was sent of a mail server; None (and an empty text) keeps what is stored. ``port`` None: no usable one."""

    host: str | None = None
    port: int | None = None
    secure: str | None = None
    username: str | None = None
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Change:
    """What was sent; None keeps what is stored, an empty ``from_email`` clears it. ``flags``: those that were sent."""

    server: ServerWish
    flags: Mapping[str, bool]
    from_email: str | None = None
    from_name: str | None = None
    days: int | None = None


@dataclass(frozen=True, slots=True)
class ShownSettings:
    """What a user may see: never the password. ``id`` None: nothing is stored, the rest are defaults; ``flags``: of
    FLAGS."""

    id: int | None
    host: str
    port: int
    secure: str
    username: str
    has_password: bool
    from_email: str
    from_name: str
    flags: Mapping[str, bool]
    days: int
    multistage: bool
    created_at: datetime | None
    updated_at: datetime | None


def tests(panel: Panel) -> Quota:
    """How often a user may have us connect to a mail server."""
    return panel.own(make_tests)


def make_tests(panel: Panel) -> Quota:
    return Quota("mail-test", _TESTS_PER_MINUTE, 60, panel.counters)


def require_mail(panel: Panel) -> None:
    """Raises DatabaseFailed."""
    if not has_mail(panel):
        raise DatabaseFailed("This panel's database has no tables for mail yet; its administrator must upgrade it")


def read_settings(panel: Panel, connection: Connection, actor: Actor) -> ShownSettings:
    """Of the actor's own row, or the defaults."""
    return _shown(panel, _own_row(connection, actor.id))


def default_settings(panel: Panel) -> ShownSettings:
    """Of a database that has no tables for mail."""
    return _shown(panel, {})


def _shown(panel: Panel, row: Mapping[str, Any]) -> ShownSettings:
    return ShownSettings(
        id=row.get("id"),
        host=_host(panel, row),
        port=_port(row),
        secure=_secure(row),
        username=row.get("smtp_username") or "",
        has_password=bool(row.get("smtp_password")),
        from_email=row.get("from_email") or "",
        from_name=row.get("from_name") or panel.config.panel.name,
        flags={name: row.get(name, 1) == 1 for name in FLAGS},
        days=_days(row.get(DAYS)),
        multistage=row.get(MULTISTAGE, 1) != 0,
        created_at=row.get("created_at"),
        updated_at=row.get("updated_at"),
    )


_NEEDS_PASSWORD = "Please enter the smtp_password; the stored one is for the stored server only"  # noqa: S105


def change_settings(panel: Panel, by: By, change: Change) -> None:
    """Store what is given, and with the first row the first templates. Raises NotAllowed, InvalidInput."""
    require(by.actor, USE_MAIL)
    require_mail(panel)
    actor_id, now = by.actor.id, panel.clock.now()
    first = {"smtp_host": panel.config.mail.default_host, "from_name": panel.config.panel.name}

    def act(connection: Connection) -> None:
        insert_and_lock(connection, MailSettings, {"user_id": actor_id}, created_at=now, updated_at=now, **first)
        before = _own_row(connection, actor_id, lock=True)
        values = _values(panel, before, change)
        own = update(MailSettings).where(MailSettings.user_id == actor_id)
        connection.execute(own.values(**values, updated_at=now))
        give_first(panel, connection, actor_id)
        _audit(panel, connection, by, before, values)

    panel.database.transact(act)


def try_connection(panel: Panel, actor: Actor, wish: ServerWish) -> None:
    """Connect and log in, and nothing more. Raises NotAllowed, InvalidInput, TooManyAttempts, UpstreamFailed."""
    require(actor, USE_MAIL)
    require_mail(panel)
    with panel.database.read() as connection:
        row = _own_row(connection, actor.id)
    server = _meant(panel, row, wish)
    tests(panel).take(actor.id, "Too many attempts, please wait a minute and try again")
    with MailSession(server, verify_tls=panel.config.mail.verify_tls) as session:
        session.check()


def _own_row(connection: Connection, user_id: int, *, lock: bool = False) -> dict[str, Any]:
    found = select(*MailSettings.__table__.c).where(MailSettings.user_id == user_id)
    row = connection.execute(found.with_for_update() if lock else found).mappings().first()
    return {} if row is None else dict(row)


def _host(panel: Panel, row: Mapping[str, Any]) -> str:
    return (row.get("smtp_host") or "").strip() or panel.config.mail.default_host


def _port(row: Mapping[str, Any]) -> int:
    port = row.get("smtp_port")
    return port if port is not None and 0 < port < 65536 else DEFAULT_PORT


def _secure(row: Mapping[str, Any]) -> str:
    return row["smtp_secure"] if row.get("smtp_secure") in (TLS, SSL, NONE) else TLS


def _days(value: int | None) -> int:
    return value if value is not None and 1 <= value <= MOST_DAYS else DEFAULT_DAYS


def _merged(panel: Panel, row: Mapping[str, Any], wish: ServerWish) -> tuple[str, int, str]:
    """Host, port and encryption that are meant. Raises InvalidInput."""
    host = (wish.host or "").strip() or _host(panel, row)
    if not _HOST.fullmatch(host):
        raise InvalidInput.of("smtp_host", "expected a host name or an IP address")
    if wish.port is None or not 0 < wish.port < 65536:
        # the stored port stays, and what was sent of the encryption belonged to another one (settled 5)
        return host, _port(row), _secure(row)
    secure = _secure(row) if wish.secure is None else wish.secure if wish.secure in (SSL, NONE) else TLS
    is_same = (host, wish.port) == (_host(panel, row), _port(row))
    if wish.port == 25 and secure == TLS and is_same and _secure(row) == NONE:
        secure = NONE
    return host, wish.port, secure


def _checked_password(text: str) -> str:
    """Raises InvalidInput."""
    if len(text) > PASSWORD_CHARACTERS or len(text.encode()) > _PASSWORD_BYTES:
        raise InvalidInput(f"The smtp_password is too long (more than {PASSWORD_CHARACTERS} characters)")
    return text


def _checked_username(text: str) -> str:
    """Raises InvalidInput."""
    username = text.strip()
    if len(username) > 255 or not username.isprintable():
        raise InvalidInput.of("smtp_username", "at most 255 characters, and no control characters")
    return username


def _values(panel: Panel, row: Mapping[str, Any], change: Change) -> dict[str, Any]:
    """The columns after the change. Raises InvalidInput."""
    host, port, secure = _merged(panel, row, change.server)
    values: dict[str, Any] = {"smtp_host": host, "smtp_port": port, "smtp_secure": secure}
    if change.server.username is not None:
        values["smtp_username"] = _checked_username(change.server.username)
    place, stored = MAIL.place(values), row.get("smtp_password")
    if change.server.password:
        values["smtp_password"] = panel.sealer.sealed(_checked_password(change.server.password), place)
    elif stored:
        _refuse_another_server(panel, row, (host, port, secure))
        values["smtp_password"] = panel.sealer.moved(stored, MAIL.place(row), place)
    if change.from_email is not None:
        email = change.from_email.strip()
        if email and usable_address(email) is None:
            raise InvalidInput.of("from_email", "expected an e-mail address such as name@example.com")
        values["from_email"] = email
    if change.from_name is not None:
        name = one_line(change.from_name)
        if len(name) > 255:
            raise InvalidInput("The from_name is too long (more than 255 characters)")
        values["from_name"] = name or panel.config.panel.name
    if change.days is not None:
        values[DAYS] = _days(change.days)
    return {**values, **{name: int(flag) for name, flag in change.flags.items()}}


def _refuse_another_server(panel: Panel, row: Mapping[str, Any], meant: tuple[str, int, str]) -> None:
    """The stored password goes to no server that it was not entered for, nor unencrypted where it was not.

    Raises InvalidInput.
    """
    host, port, secure = meant
    is_weaker = secure == NONE and _secure(row) != NONE
    is_other = (host.lower(), port) != (_host(panel, row).lower(), _port(row))
    if row.get("smtp_password") and (is_other or is_weaker):
        raise InvalidInput(_NEEDS_PASSWORD)


def _meant(panel: Panel, row: Mapping[str, Any], wish: ServerWish) -> MailServer:
    """The server to try. Raises InvalidInput, Unreadable."""
    host, port, secure = _merged(panel, row, wish)
    username = _checked_username(wish.username or "")
    if not username:
        raise InvalidInput.missing("smtp_username")
    password = _checked_password(wish.password)
    if not password:
        if username != (row.get("smtp_username") or "").strip() or not row.get("smtp_password"):
            raise InvalidInput(_NEEDS_PASSWORD)
        _refuse_another_server(panel, row, (host, port, secure))
        password = panel.sealer.unsealed(row["smtp_password"], MAIL.place(row))
    return MailServer(host, port, secure, username, SecretStr(password))


def _audit(panel: Panel, connection: Connection, by: By, before: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    changed = {name: value for name, value in values.items() if before.get(name) != value}
    is_new_password = changed.pop("smtp_password", None) is not None and not _is_same_password(panel, before, values)
    by.write_audit(
        panel,
        connection,
        "update",
        "settings",
        target_id=by.actor.id,
        target_name="mail",
        old={name: before.get(name) for name in changed},
        new=changed,
        details="Mail settings changed" + (", with the password" if is_new_password else ""),
    )


def _is_same_password(panel: Panel, before: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    stored, new = before.get("smtp_password"), values["smtp_password"]
    try:
        was = panel.sealer.unsealed(stored, MAIL.place(before)) if stored else ""
        return was == panel.sealer.unsealed(new, MAIL.place(values))
    except Unreadable:
        return False
