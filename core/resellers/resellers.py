"""The resellers: listing them, and what a request says of one. Source: contract chapter 30 A and D.

Finding one: :mod:`core.access.user_rows`. Changing them: :mod:`core.resellers.add`, :mod:`core.resellers.edit`,
:mod:`core.resellers.remove`.
"""

import sqlalchemy as sa
from sqlalchemy import Connection, select

from core.access.actors import Actor
from core.access.user_rows import actor_of, user_columns
from core.errors import AlreadyExists, InvalidInput
from core.panel import Panel
from core.storage.database import same_text
from core.storage.tables import Account, Currency, User

USERNAME_TAKEN = "Username already exists"


def list_resellers(panel: Panel) -> list[tuple[Actor, int]]:
    """All resellers with their numbers of accounts, the newest first."""
    owned = select(Account.reseller, sa.func.count().label("accounts")).group_by(Account.reseller).subquery()
    wanted = (
        select(*user_columns(panel.layout), sa.func.coalesce(owned.c.accounts, 0).label("accounts"))
        .select_from(User)
        .outerjoin(Currency, Currency.id == User.currency_id)
        .outerjoin(owned, owned.c.reseller == User.id)
        # NULL too is no super admin
        .where(sa.func.coalesce(User.super_user, 0) != 1)
        .order_by(User.id.desc())
    )
    with panel.database.read() as connection:
        return [(actor_of(row), int(row.accounts)) for row in connection.execute(wanted)]


def required_id(user_id: int | None, field: str = "reseller_id", *, missing: str = "") -> int:
    """The id of a request, which may lack it. Raises InvalidInput, naming ``field``, or with the text ``missing``."""
    if user_id is None or user_id <= 0:
        raise InvalidInput(missing) if missing else InvalidInput.missing(field)
    return user_id


def refuse_taken_username(panel: Panel, connection: Connection, username: str, *, but: int = 0) -> None:
    """Raises AlreadyExists when a user other than ``but`` has that name."""
    same = same_text(User.username, sa.literal(username), panel.database.dialect)
    if connection.execute(select(User.id).where(same, User.id != but)).first() is not None:
        raise AlreadyExists(USERNAME_TAKEN)


def stored_currencies(connection: Connection) -> list[str]:
    """The codes of ``_currencies``."""
    return list(connection.scalars(select(Currency.id)))
