"""The resellers: listing them, and finding the one that a request means. Source: contract chapter 30 A and D.

Changing them: :mod:`core.resellers.add`, :mod:`core.resellers.edit`, :mod:`core.resellers.remove`.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, select

from core.access.actors import RESELLER_ADMIN_FIELD
from core.errors import AlreadyExists, DatabaseFailed, InvalidInput, NotFound
from core.panel import Panel
from core.storage.database import same_text
from core.storage.tables import Account, Currency, User
from core.values import money

NOT_FOUND = "Reseller not found"
USERNAME_TAKEN = "Username already exists"
# columns of _users that the oldest panels lack, with what stands in their place
_OPTIONAL = {"is_observer": sa.literal(0), "theme": sa.null()}


@dataclass(frozen=True, slots=True)
class Reseller:
    """A user who is no super admin, as stored; ``currency_name`` None: the currency has no row."""

    id: int
    username: str
    name: str | None
    email: str | None
    balance: Decimal
    permissions: str | None
    max_users: int
    is_observer: bool
    currency_id: str | None
    currency_name: str | None
    theme: str | None
    ip_ranges: str | None
    plans: str | None
    timestamp: int | None

    @property
    def is_reseller_admin(self) -> bool:
        fields = (self.permissions or "").split("|")
        return len(fields) > RESELLER_ADMIN_FIELD and fields[RESELLER_ADMIN_FIELD].strip() == "1"


def list_resellers(panel: Panel) -> list[tuple[Reseller, int]]:
    """All resellers with their numbers of accounts, the newest first."""
    owned = select(Account.reseller, sa.func.count().label("accounts")).group_by(Account.reseller).subquery()
    wanted = (
        _rows(panel)
        .add_columns(sa.func.coalesce(owned.c.accounts, 0).label("accounts"))
        .outerjoin(owned, owned.c.reseller == User.id)
        .order_by(User.id.desc())
    )
    with panel.database.read() as connection:
        return [(_reseller(row), int(row.accounts)) for row in connection.execute(wanted)]


def find_reseller(panel: Panel, connection: Connection, user_id: int, *, lock: bool = False) -> Reseller | None:
    """The user with that id, unless it is a super admin.

    ``lock``: nobody else changes the row meanwhile; to be the first statement of its transaction, so that what is read
    is as new as the lock.
    """
    if lock:
        # by itself: not every database locks one side of an outer join
        connection.execute(select(User.id).where(User.id == user_id).with_for_update())
    row = connection.execute(_rows(panel).where(User.id == user_id)).first()
    return None if row is None else _reseller(row)


def require_reseller(panel: Panel, connection: Connection, user_id: int, *, lock: bool = False) -> Reseller:
    """As :func:`find_reseller`; raises NotFound."""
    found = find_reseller(panel, connection, user_id, lock=lock)
    if found is None:
        raise NotFound(NOT_FOUND)
    return found


def required_id(user_id: int | None, missing: str = "Missing field: reseller_id") -> int:
    """The id of a request, which may lack it. Raises InvalidInput with ``missing``."""
    if user_id is None or user_id <= 0:
        raise InvalidInput(missing)
    return user_id


def refuse_taken_username(panel: Panel, connection: Connection, username: str, *, but: int = 0) -> None:
    """Raises AlreadyExists when a user other than ``but`` has that name."""
    same = same_text(User.username, sa.literal(username), panel.database.dialect)
    if connection.execute(select(User.id).where(same, User.id != but)).first() is not None:
        raise AlreadyExists(USERNAME_TAKEN)


def stored_currencies(connection: Connection) -> list[str]:
    """The codes of ``_currencies``."""
    return list(connection.scalars(select(Currency.id)))


def writable(panel: Panel, values: dict[str, Any]) -> dict[str, Any]:
    """``values`` without columns that this database lacks. Raises DatabaseFailed where that would lose something."""
    lacking = [name for name in _OPTIONAL if name in values and not panel.layout.has_column("_users", name)]
    if any(values[name] for name in lacking):
        raise DatabaseFailed("This database lacks some columns of resellers yet; run the database upgrade first")
    return {name: value for name, value in values.items() if name not in lacking}


def _rows(panel: Panel) -> sa.Select[Any]:
    def column(name: str) -> Any:
        if name in _OPTIONAL and not panel.layout.has_column("_users", name):
            return _OPTIONAL[name].label(name)
        return getattr(User, name)

    names = [name for name in Reseller.__dataclass_fields__ if name != "currency_name"]
    return (
        select(*map(column, names), Currency.name.label("currency_name"))
        .select_from(User)
        .outerjoin(Currency, Currency.id == User.currency_id)
        # NULL too is no super admin
        .where(sa.func.coalesce(User.super_user, 0) != 1)
    )


def _reseller(row: Any) -> Reseller:
    return Reseller(
        id=row.id,
        username=row.username,
        name=row.name,
        email=row.email,
        balance=money.stored(row.balance),
        permissions=row.permissions,
        max_users=row.max_users or 0,
        is_observer=row.is_observer == 1,
        currency_id=row.currency_id,
        currency_name=row.currency_name,
        theme=row.theme,
        ip_ranges=row.ip_ranges,
        plans=row.plans,
        timestamp=row.timestamp,
    )
