"""The plans: the list that a user may see, and the rows that the changing of plans works with.

Which plan a purchase means is decided in :mod:`core.plans.choice`, changing is in :mod:`core.plans.edit`.
Source: contract chapter 40 §1.6, §1.8, §2.2, §3.1.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, select

from core.access.actors import Actor
from core.access.user_rows import LAYOUTS
from core.access.whose_accounts import whose_accounts
from core.panel import Panel
from core.plans.choice import PlanKey, PlanRow, assigned_keys, normal_key, plan_values
from core.storage.lookups import AnySelect
from core.storage.schema import Layout
from core.storage.tables import Plan, PlanNote
from core.values.currencies import ANY_CURRENCY, currency_code

# of which what is read and shown is kept: plans change seldom, and are asked for all day
KEPT_PLANS = 2000


@dataclass(frozen=True, slots=True)
class StoredPlan(PlanRow):
    """A plan as the row has it; ``stored_currency`` in its own spelling, ``created_at`` Unix seconds, 0 if unknown."""

    stored_currency: str
    category: str | None
    created_at: int


def list_plans(panel: Panel, actor: Actor, *, view_all: bool) -> list[StoredPlan]:
    """The plans that ``actor`` sees: all, newest first, or those assigned in their order."""
    statement = _all_plans(panel.layout)
    plans = [_read_once(row) for row in panel.database.rows(statement)]
    return plans[::-1] if whose_accounts(actor, view_all=view_all) is None else _assigned(plans, actor)


def stored_plans(panel: Panel, connection: Connection) -> list[StoredPlan]:
    """All plans, oldest first."""
    return [_stored_plan(row) for row in connection.execute(_all_plans(panel.layout))]


@lru_cache(LAYOUTS)
def _all_plans(layout: Layout) -> AnySelect:
    return (
        select(
            Plan.id,
            Plan.external_id,
            Plan.name,
            Plan.currency_id,
            Plan.price,
            Plan.days,
            layout.column(Plan.category),
            PlanNote.created_at,
        )
        .outerjoin(PlanNote, PlanNote.plan_id == Plan.id)
        .order_by(Plan.id)
    )


def _stored_plan(row: Any) -> StoredPlan:
    return StoredPlan(
        **plan_values(row),
        stored_currency=row.currency_id or "",
        category=row.category or None,
        created_at=row.created_at or 0,
    )


_read_once = lru_cache(KEPT_PLANS)(_stored_plan)


def find_by_key(plans: Iterable[StoredPlan], key: PlanKey) -> StoredPlan | None:
    """The plan of ``key``: of several the oldest, and one that is spelled so before one with the legacy ``IRT``."""
    same = [plan for plan in plans if plan.key == key]
    return min(same, key=lambda plan: (plan.stored_currency != plan.currency, plan.id), default=None)


def _assigned(plans: Sequence[StoredPlan], actor: Actor) -> list[StoredPlan]:
    """The plans of the actor's list in its order, then what is valid in every currency; keys of no plan are skipped."""
    by_key: dict[PlanKey, StoredPlan] = {}
    for plan in plans:
        by_key.setdefault(plan.key, plan)
    own = currency_code(actor.currency)
    wanted = (by_key.get(normal_key(key)) or by_key.get((key, own)) for key in assigned_keys(actor))
    unlimited = (plan for plan in plans if plan.currency == ANY_CURRENCY)
    return list({plan.id: plan for plan in (*wanted, *unlimited) if plan is not None}.values())
