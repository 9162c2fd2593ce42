"""Rows of users, read inside a transaction: anybody by id, and the reseller that a request means.

Who is calling: :mod:`core.access.identity`.
"""

from decimal import Decimal
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, bindparam, select

from core.access.actors import Actor
from core.errors import InvalidInput, NotFound
from core.panel import Panel
from core.storage.lookups import AnySelect
from core.storage.schema import Layout
from core.storage.tables import Currency, User
from core.values.currencies import shown_currency

# of how many databases a process keeps the statements; a database changes its layout once in its life
LAYOUTS = 8


def read_user(panel: Panel, connection: Connection, user_id: int) -> Actor | None:
    """The user with that id as the transaction of ``connection`` sees it."""
    row = connection.execute(_user_by_id(panel.layout), {"user_id": user_id}).first()
    return None if row is None else actor_of(row)


@lru_cache(LAYOUTS)
def _user_by_id(layout: Layout) -> AnySelect:
    return (
        select(*user_columns(layout))
        .select_from(User)
        .outerjoin(Currency, Currency.id == User.currency_id)
        .where(User.id == bindparam("user_id", type_=sa.BigInteger))
    )


def require_reseller(panel: Panel, connection: Connection, user_id: int, *, lock: bool = False) -> Actor:
    """The user with that id, unless it is a super admin. Raises NotFound.

    ``lock``: nobody else changes the row meanwhile; to be the first statement of its transaction, so that what is read
    is as new as the lock.
    """
    if lock:
        # by itself: not every database locks one side of an outer join
        connection.execute(select(User.id).where(User.id == user_id).with_for_update())
    found = read_user(panel, connection, user_id)
    if found is None or found.super_user:
        raise NotFound("Reseller not found")
    return found


def refuse_observer(owner: Actor) -> None:
    """Raises InvalidInput: who only looks on could never do anything with an account."""
    if owner.is_observer:
        raise InvalidInput("An observer cannot own accounts")


def user_columns(layout: Layout) -> tuple[Any, ...]:
    """What :func:`actor_of` needs of a user, joined with its currency, as far as this database has it."""
    return (
        User.id,
        User.username,
        User.name,
        User.email,
        User.balance,
        User.permissions,
        User.max_users,
        User.super_user,
        layout.column(User.is_observer),
        User.currency_id,
        layout.column(User.theme),
        User.ip_ranges,
        User.plans,
        User.timestamp,
        Currency.name.label("currency_name"),
    )


def actor_of(row: Any) -> Actor:
    """The actor of a row of :func:`user_columns`."""
    return Actor(
        id=row.id,
        username=row.username,
        name=row.name,
        email=row.email,
        # SQLite keeps decimals as floating numbers, whose shortest text is the decimal that was stored
        balance=Decimal(str(row.balance or 0)),
        permissions=row.permissions,
        max_users=row.max_users or 0,
        super_user=row.super_user == 1,
        is_observer=row.is_observer == 1,
        currency_id=row.currency_id,
        currency_name=shown_currency(row.currency_name or row.currency_id),
        theme=row.theme,
        ip_ranges=row.ip_ranges,
        plans=row.plans,
        timestamp=row.timestamp,
    )
