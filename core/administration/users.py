"""Making users and setting their passwords from the command line. Source: contract chapters 01 and 10 §3.

Resellers' own management through the panel is another room.
"""

from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, literal, select, update

from core.access.credentials import refuse_common, renew_credential
from core.errors import AlreadyExists, InvalidInput, NotFound
from core.messages.sms.first_templates import initialise_reseller, initialise_super_admin
from core.panel import Panel
from core.security.passwords import BLANKS
from core.storage.database import same_text
from core.storage.tables import User
from core.storage.writing import insert_row
from core.values.escaping import plain

ALL_PERMISSIONS = "1|1|1|1|1|1|1|1"
RESELLER_PERMISSIONS = "1|1|0|1|1|1|1|0"


def add_user(
    panel: Panel,
    username: str,
    password: str,
    *,
    name: str | None = None,
    email: str | None = None,
    super_user: bool = False,
    is_observer: bool = False,
    permissions: str | None = None,
    balance: Decimal = Decimal(0),
    currency: str = "GBP",
    is_example: bool = False,
) -> int:
    """Store a user and return the id. Raises InvalidInput or AlreadyExists.

    ``is_example``: of the demo, whose passwords everybody knows.
    """
    username = _checked_name(username)
    if not is_example:
        _check_password(panel, password, username, name)
    panel.layout  # noqa: B018 - before anything is written: a database that we may not touch is refused
    hashed = panel.passwords.hash(password)

    def act(connection: Connection) -> int:
        if connection.execute(select(User.id).where(_named(panel, username))).first():
            raise AlreadyExists(f"There is a user named {username} already")
        values = {
            "username": username,
            "password": hashed,
            "name": plain(name or username),
            "email": email,
            "balance": balance,
            "permissions": permissions or (ALL_PERMISSIONS if super_user else RESELLER_PERMISSIONS),
            "super_user": int(super_user),
            "is_observer": int(is_observer),
            "currency_id": currency,
        }
        user_id = insert_row(connection, User, {**_blank(panel), **values})
        (initialise_super_admin if super_user else initialise_reseller)(panel, connection, user_id)
        return user_id

    return panel.database.transact(act)


def _checked_name(username: str) -> str:
    username = username.strip(BLANKS)
    if not username or len(username) > 100:
        raise InvalidInput("The user name must have 1 to 100 characters")
    if plain(username) != username:
        raise InvalidInput("The user name must not hold markup or control characters")
    return username


def _blank(panel: Panel) -> dict[str, Any]:
    """What is the same for every new user."""
    theme = panel.config.panel.default_theme[:50]
    return {"max_users": 0, "theme": theme, "ip_ranges": "", "plans": "", "timestamp": panel.clock.stamp()}


def set_password(panel: Panel, username: str, password: str, *, is_example: bool = False) -> None:
    """Give a user a new password, which ends the user's sessions. Raises InvalidInput or NotFound."""
    if not is_example:
        _check_password(panel, password, username)
    panel.layout  # noqa: B018 - before anything is written: a database that we may not touch is refused
    hashed, key = panel.passwords.hash(password), panel.fingerprint_key

    def act(connection: Connection) -> None:
        named = select(User.id).where(_named(panel, username.strip(BLANKS))).order_by(User.id)
        found = connection.execute(named).scalar()
        if found is None:
            raise NotFound(f"There is no user named {username}")
        connection.execute(update(User).where(User.id == found).values(password=hashed))
        renew_credential(connection, key, found, hashed, changed_at=panel.clock.stamp())

    panel.database.transact(act)


def _named(panel: Panel, username: str) -> ColumnElement[bool]:
    return same_text(User.username, literal(username), panel.database.dialect)


def _check_password(panel: Panel, password: str, *names: str | None) -> None:
    least = panel.config.security.min_password_length
    if len(password.strip(BLANKS)) < least:
        raise InvalidInput(f"The password must have at least {least} characters")
    refuse_common(password, *names)
