"""How many accounts somebody sees, counted beside the row of the user. Whose: :mod:`core.access.whose_accounts`.

On MariaDB, where reading all of an index costs more than all the rest of a request, the number is kept as long as the
table's time of change proves that it is right (:mod:`core.storage.caching.freshness`).
"""

from dataclasses import dataclass
from typing import Any, Self

import sqlalchemy as sa

from core.access.actors import Actor
from core.access.whose_accounts import whose_accounts
from core.panel import Panel
from core.storage.caching.freshness import SERVER_NOW, Stamp, changed_at, kept
from core.storage.caching.open_transactions import OpenTransactions
from core.storage.schema import Layout
from core.storage.tables import Account, User

_COUNT_ALL = sa.select(sa.func.count().label("accounts")).select_from(Account)
_COUNT_OWN = _COUNT_ALL.where(Account.reseller == sa.bindparam("reseller"))


def count_accounts(panel: Panel, scope: int | None) -> int:
    """How many accounts are in ``scope`` (see :func:`core.access.whose_accounts.whose_accounts`)."""
    if scope is None:
        return int(panel.database.first(_COUNT_ALL).accounts)
    return int(panel.database.first(_COUNT_OWN, reseller=scope).accounts)


def seen_accounts(panel: Panel, actor: Actor, row: Any) -> int | None:
    """How many ``actor`` sees without asking for everybody's, by a row with the columns of :class:`Counting`; None for
    one without them."""
    counted: int | None = getattr(row, "accounts_seen", None)
    if not hasattr(row, "accounts_changed"):
        return counted
    # also of what was counted: it may find that the next time nothing has to be
    stamp = Stamp.of(panel.database, (row.accounts_changed,), row.server_now)
    if counted is not None:
        return counted
    scope = whose_accounts(actor, view_all=False)
    return kept(panel.database, (count_accounts, scope), stamp, lambda: count_accounts(panel, scope))


@dataclass(frozen=True)
class Counting:
    """``settled_after``: seconds without a change after which nothing is counted, only when the last change was; None
    where that is not known."""

    settled_after: int | None

    @classmethod
    def of(cls, panel: Panel) -> Self:
        return cls(panel.database.longest_transaction if panel.database.is_mariadb else None)

    def parameters(self, panel: Panel) -> dict[str, int]:
        """Of a statement with :meth:`columns`."""
        if self.settled_after is None:
            return {}
        horizon = OpenTransactions.of(panel.database).horizon
        return {"horizon": horizon.second, "horizon_seen_at": horizon.seen_at}

    def columns(self, layout: Layout) -> tuple[sa.ColumnElement[Any], ...]:
        """SQL beside a row of ``_users``, for :func:`seen_accounts`."""
        everybodys = sa.select(sa.func.count()).select_from(Account)
        own = everybodys.where(Account.reseller == User.id).correlate(User)
        sees_all = sa.or_(User.super_user == 1, layout.column(User.is_observer) == 1)
        seen = sa.case((sees_all, everybodys.scalar_subquery()), else_=own.scalar_subquery())
        if self.settled_after is None:
            return (seen.label("accounts_seen"),)
        changed = changed_at(Account.__tablename__)
        # named once: the server looks it up as often as it is
        horizon = sa.case((sa.bindparam("horizon_seen_at") <= SERVER_NOW, sa.bindparam("horizon")), else_=0)
        settled = changed < sa.func.greatest(SERVER_NOW - self.settled_after, horizon)
        return (
            sa.case((settled, None), else_=seen).label("accounts_seen"),
            changed.label("accounts_changed"),
            SERVER_NOW.label("server_now"),
        )
