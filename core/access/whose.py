"""Whose accounts a user sees."""

from typing import Any

import sqlalchemy as sa

from core.access.actors import Actor
from core.storage.schema import Layout
from core.storage.tables import Account, User


def whose_accounts(actor: Actor, *, view_all: bool) -> int | None:
    """Whose accounts the actor sees: None is everybody's, a number the reseller's with that id."""
    sees_all = sees_all_always(actor) or (actor.is_reseller_admin and view_all)
    return None if sees_all else actor.id


def sees_all_always(actor: Actor) -> bool:
    """Whether the actor sees everybody's accounts without asking for them."""
    return actor.super_user or actor.is_observer


def count_seen(layout: Layout) -> sa.ColumnElement[Any]:
    """How many accounts the user of a row of ``_users`` sees without asking for everybody's, as SQL beside that row."""
    everybodys = sa.select(sa.func.count()).select_from(Account)
    own = everybodys.where(Account.reseller == User.id).correlate(User)
    sees_all = sa.or_(User.super_user == 1, layout.column(User.is_observer) == 1)
    return sa.case((sees_all, everybodys.scalar_subquery()), else_=own.scalar_subquery())
