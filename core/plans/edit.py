"""Adding, changing and deleting plans, one writer at a time. Source: contract chapter 40 §3.2 to §3.5.

A panel's ``_plans`` has no unique key, so that :data:`PLANS_LOCK` keeps external id and currency unique.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqlalchemy import Connection, delete, insert, update

from core.access.audit import By
from core.errors import AlreadyExists, InvalidInput, NotFound
from core.panel import Panel
from core.plans.plans import StoredPlan, find_by_key, stored_plans
from core.plans.rules import (
    checked_category,
    checked_currency,
    checked_days,
    checked_external_id,
    checked_name,
    checked_price,
    is_rounded,
    whole_terms,
)
from core.plans.sold_plans import replace_key
from core.plans.tariffs import tariff_note
from core.storage.one_at_a_time import serialise
from core.storage.tables import DeletedPlan, Plan, PlanNote
from core.storage.writing import insert_row
from core.values.currencies import ANY_CURRENCY, currency_code

PLANS_LOCK = "plans_lock"
NOT_FOUND = "plan not found"

Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class PlanFields:
    """What was sent: texts are trimmed, None was not sent.

    ``id`` is a row id; ``external_id`` and ``currency`` together are the other way to name a plan.
    """

    id: int | None = None
    external_id: str | None = None
    name: str | None = None
    currency: str | None = None
    price: str | None = None
    days: int | None = None
    category: str | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """A plan after its change; ``before`` is None for a new one.

    ``kept_price``: the price that was sent is the stored one without its decimals, which therefore stays. ``note``:
    what is wrong with the portal's tariff of a new one.
    """

    before: StoredPlan | None
    after: StoredPlan
    kept_price: bool = False
    note: str | None = None


def lock_plans(panel: Panel, connection: Connection) -> None:
    """Until the transaction ends, nobody else of ours changes plans or gives them; its first statement."""
    serialise(panel.database, connection, PLANS_LOCK)


def alone_with_plans(panel: Panel, act: Callable[[Connection, list[StoredPlan]], Done]) -> Done:
    """What ``act`` returns of a transaction in which nobody else of ours changes plans; it is given all of them, oldest
    first."""

    def alone(connection: Connection) -> Done:
        lock_plans(panel, connection)
        return act(connection, stored_plans(panel, connection))

    return panel.database.transact(alone)


def add_plan(panel: Panel, by: By, sent: PlanFields) -> Saved:
    """Make a plan, or change the one with the same external id and currency. Raises InvalidInput."""
    key, values = _new_values(sent)
    note = tariff_note(panel, key[0])

    def act(connection: Connection, plans: list[StoredPlan]) -> Saved:
        saved = _put(panel, connection, plans, key, values)
        _audit(panel, connection, by, saved)
        return replace(saved, note=note)

    return alone_with_plans(panel, act)


def edit_plan(panel: Panel, by: By, sent: PlanFields) -> Saved:
    """Change name, price, days and category of a plan. Accounts that hold it stay as they are.

    Raises InvalidInput, NotFound, AlreadyExists (it would become unlimited, and there is such a one).
    """
    if sent.name is None:
        raise InvalidInput.missing("name", "of the plan")
    values = _told(sent)

    def act(connection: Connection, plans: list[StoredPlan]) -> Saved:
        before = _meant(plans, sent)
        keeps_price = bool(values["days"]) and is_rounded(sent.price, before.price)
        if keeps_price:
            values["price"] = before.price
        values["currency"], values["price"] = whole_terms(before.currency, values["price"], values["days"])
        becomes_unlimited = values["currency"] != before.currency
        if becomes_unlimited and find_by_key(plans, (before.external_id, ANY_CURRENCY)) is not None:
            raise AlreadyExists("There is an unlimited plan of this tariff already")
        saved = Saved(before, _change(panel, connection, before, values), keeps_price)
        if becomes_unlimited and not _has_twin(plans, before):
            replace_key(connection, before.key, f"{before.external_id}-{ANY_CURRENCY}")
        _audit(panel, connection, by, saved)
        return saved

    return alone_with_plans(panel, act)


def set_price(panel: Panel, by: By, sent: PlanFields) -> Saved:
    """Change the price alone; with currency and days a missing plan is made. Raises InvalidInput, NotFound."""
    price = checked_price(sent.price)

    def act(connection: Connection, plans: list[StoredPlan]) -> Saved:
        try:
            before = _meant(plans, sent)
        except NotFound:
            if sent.currency is None or sent.days is None:
                raise
            saved = _put(panel, connection, plans, *_new_values(sent))
        else:
            if before.currency == ANY_CURRENCY and price:
                raise InvalidInput("The {field} of an unlimited plan is 0", field="price")
            saved = Saved(before, _change(panel, connection, before, {"price": price}))
        _audit(panel, connection, by, saved)
        return saved

    return alone_with_plans(panel, act)


def remove_plan(panel: Panel, by: By, sent: PlanFields) -> None:
    """Delete a plan and take it from every reseller's list; its name is kept for the accounts that hold it.

    Raises InvalidInput, NotFound.
    """

    def act(connection: Connection, plans: list[StoredPlan]) -> None:
        plan = _meant(plans, sent)
        connection.execute(delete(DeletedPlan).where(DeletedPlan.id == plan.id))
        connection.execute(
            insert(DeletedPlan).values(
                id=plan.id,
                external_id=plan.external_id,
                currency_id=plan.currency,
                name=plan.name or plan.external_id,
                deleted_at=panel.clock.stamp(),
            )
        )
        connection.execute(delete(PlanNote).where(PlanNote.plan_id == plan.id))
        connection.execute(delete(Plan).where(Plan.id == plan.id))
        resellers = [] if _has_twin(plans, plan) else replace_key(connection, plan.key, None)
        by.write_audit(
            panel,
            connection,
            "delete",
            "plan",
            target_id=plan.id,
            target_name=plan.name,
            old={**audited(plan), "assigned_to": resellers},
        )

    alone_with_plans(panel, act)


def audited(plan: StoredPlan) -> dict[str, Any]:
    """A plan as audit rows show it."""
    return {
        "external_id": plan.external_id,
        "name": plan.name,
        "currency": plan.currency,
        "price": None if plan.price is None else str(plan.price),
        "days": plan.days,
        "category": plan.category,
    }


def _told(sent: PlanFields) -> dict[str, Any]:
    """Price and days, and what else was sent, checked. Raises InvalidInput."""
    values: dict[str, Any] = {} if sent.name is None else {"name": checked_name(sent.name)}
    values["price"] = checked_price(sent.price)
    values["days"] = checked_days(sent.days)
    if sent.category is not None:
        values["category"] = checked_category(sent.category)
    return values


def _new_values(sent: PlanFields) -> tuple[tuple[str, str], dict[str, Any]]:
    """Key and values of a plan to be. Raises InvalidInput."""
    external_id = checked_external_id(sent.external_id)
    currency = checked_currency(sent.currency)
    values = _told(sent)
    currency, values["price"] = whole_terms(currency, values["price"], values["days"])
    return (external_id, currency), values


def _put(
    panel: Panel, connection: Connection, plans: Sequence[StoredPlan], key: tuple[str, str], values: dict[str, Any]
) -> Saved:
    before = find_by_key(plans, key)
    if before is not None:
        return Saved(before, _change(panel, connection, before, values))
    external_id, currency = key
    values = {"name": external_id, **values, "external_id": external_id, "currency": currency}
    id, stamp = insert_row(connection, Plan, _columns(panel, values)), panel.clock.stamp()
    connection.execute(insert(PlanNote).values(plan_id=id, created_at=stamp))
    values.setdefault("category", None)
    return Saved(None, StoredPlan(id=id, stored_currency=currency, created_at=stamp, **values))


def _change(panel: Panel, connection: Connection, before: StoredPlan, values: dict[str, Any]) -> StoredPlan:
    changed = {name: value for name, value in values.items() if value != getattr(before, name)}
    columns = _columns(panel, changed)
    if columns:
        connection.execute(update(Plan).where(Plan.id == before.id).values(**columns))
    return replace(before, **values)


def _columns(panel: Panel, values: dict[str, Any]) -> dict[str, Any]:
    """``values`` under the names of the columns. Raises LacksColumns where this database cannot hold one."""
    columns = {"currency_id" if name == "currency" else name: value for name, value in values.items()}
    return panel.layout.writable(Plan, columns)


def _meant(plans: Sequence[StoredPlan], sent: PlanFields) -> StoredPlan:
    """The plan that a request names. A number is never taken for an external id. Raises InvalidInput, NotFound."""
    if sent.id is not None:
        found = next((plan for plan in plans if plan.id == sent.id), None)
    elif not sent.external_id:
        raise InvalidInput.missing("plan_id")
    elif sent.currency:
        found = find_by_key(plans, (sent.external_id, currency_code(sent.currency)))
    else:
        same = [plan for plan in plans if plan.external_id == sent.external_id]
        if len(same) > 1:
            raise InvalidInput.missing("currency", "there are several plans with this id")
        found = same[0] if same else None
    if found is None:
        raise NotFound(NOT_FOUND)
    return found


def _has_twin(plans: Sequence[StoredPlan], plan: StoredPlan) -> bool:
    """Whether a row that a panel made twice goes on to stand for the plan."""
    return any(other.key == plan.key and other.id != plan.id for other in plans)


def _audit(panel: Panel, connection: Connection, by: By, saved: Saved) -> None:
    by.write_audit(
        panel,
        connection,
        "update" if saved.before else "create",
        "plan",
        target_id=saved.after.id,
        target_name=saved.after.name,
        old=audited(saved.before) if saved.before else None,
        new=audited(saved.after),
    )
