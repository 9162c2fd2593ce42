"""Making a reseller: the user, the first credit with its ledger row, and what the SMS of the new reseller say.

Source: contract chapter 30 D, ``add_reseller.php``.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from core.access.audit import By
from core.access.credentials import renew_credential
from core.errors import AlreadyExists, InvalidInput
from core.messages.sms.first_templates import initialise_reseller
from core.panel import Panel
from core.plans.currencies import lock_currencies
from core.plans.edit import lock_plans
from core.resellers import rules
from core.resellers.credit import ADD, book
from core.resellers.plans import checked_plans
from core.resellers.resellers import USERNAME_TAKEN, refuse_taken_username, stored_currencies
from core.security.passwords import BLANKS
from core.storage.tables import User
from core.storage.undoable import refuse_money_without_undo
from core.storage.writing import insert_row
from core.values import money
from core.values.currencies import shown_currency


@dataclass(frozen=True, slots=True)
class NewReseller:
    """What was asked for, as texts of the request; ``theme`` and ``permissions`` None: the defaults."""

    username: str
    password: str
    name: str
    email: str = ""
    max_users: str = ""
    currency: str = ""
    balance: str = ""
    theme: str | None = None
    plans: str = ""
    permissions: str | None = None
    is_observer: bool = False
    ip_ranges: str = ""


def add_reseller(panel: Panel, by: By, wish: NewReseller) -> int:
    """The new user's id. Raises InvalidInput, AlreadyExists."""
    if not wish.username or not wish.password.strip(BLANKS) or not wish.name:
        raise InvalidInput(rules.MISSING)
    values = _checked(panel, wish)
    balance = money.read_amount(wish.balance or "0", "balance", least=Decimal(0))
    hashed, key = panel.passwords.hash(wish.password), panel.fingerprint_key

    def act(connection: Connection) -> int:
        # what is being removed is not given
        lock_plans(panel, connection)
        lock_currencies(panel, connection)
        if balance:
            refuse_money_without_undo(connection)
        known = stored_currencies(connection)
        values["currency_id"] = rules.checked_currency(wish.currency or rules.FIRST_CURRENCY, known)
        values["plans"] = checked_plans(connection, wish.plans, values["currency_id"])
        refuse_taken_username(panel, connection, wish.username)
        user_id = _insert(panel, connection, {**values, "password": hashed})
        # a session of an earlier user of this name must not become this one's
        renew_credential(connection, key, user_id, hashed, changed_at=panel.clock.stamp())
        if balance:
            book(panel, connection, by.actor, user_id, ADD, balance, currency=shown_currency(values["currency_id"]))
        initialise_reseller(panel, connection, user_id)
        shown = ("name", "email", "max_users", "is_observer", "permissions", "currency_id")
        by.write_audit(
            panel,
            connection,
            "create",
            "user",
            target_id=user_id,
            target_name=wish.username,
            new={name: values[name] for name in shown} | {"balance": balance},
            details=f"{by.actor.username} created {wish.username}",
        )
        return user_id

    return panel.database.transact(act)


def _checked(panel: Panel, wish: NewReseller) -> dict[str, Any]:
    permissions = rules.FIRST_PERMISSIONS
    if wish.permissions is not None:
        permissions = rules.checked_permissions(wish.permissions)
    theme = panel.config.panel.default_theme[:50] if wish.theme is None else rules.checked_theme(wish.theme)
    return {
        "username": rules.checked_username(wish.username),
        "name": rules.checked_name(wish.name),
        "email": rules.reseller_email(wish.email),
        "max_users": rules.checked_max_users(wish.max_users),
        "theme": theme,
        "permissions": rules.without_permissions(permissions) if wish.is_observer else permissions,
        "is_observer": int(wish.is_observer),
        "ip_ranges": rules.checked_ip_ranges(wish.ip_ranges),
        "super_user": 0,
        "timestamp": panel.clock.stamp(),
    }


def _insert(panel: Panel, connection: Connection, values: dict[str, Any]) -> int:
    try:
        return insert_row(connection, User, {"balance": 0, **panel.layout.writable(User, values)})
    except IntegrityError:
        # somebody else took the name after we looked
        raise AlreadyExists(USERNAME_TAKEN) from None
