"""Plans and currencies (contract chapter 40 §3.1 to §3.5, §3.13 to §3.15); tariffs are in the module beside."""

from decimal import Decimal
from functools import lru_cache
from typing import Annotated, ClassVar

import orjson
from pydantic import AliasChoices, BeforeValidator, Field

from compat import envelope
from compat.endpoints import Answer, Endpoints, Manners
from compat.fields import RequestModel, Text, to_integer, trimmed
from core.access.permissions import MANAGE_PLANS
from core.errors import NotLoggedIn
from core.plans.currencies import add_currency as core_add_currency
from core.plans.currencies import remove_currency as core_remove_currency
from core.plans.edit import PlanFields, Saved, set_price
from core.plans.edit import add_plan as core_add
from core.plans.edit import edit_plan as core_edit
from core.plans.edit import remove_plan as core_remove
from core.plans.plans import KEPT_PLANS, StoredPlan, list_plans
from core.values import money, sinks
from core.values.numerals import folded
from legacy_routes.forms import ViewForm
from legacy_routes.gate import ANYBODY, LOGGED_IN, Call, by, caller, current_identity, having, super_admin
from legacy_routes.warnings import warned

endpoints = Endpoints(chapter="40")


def _told(value: object) -> str | None:
    """Empty text stays, unlike null: it clears a field, or is no name."""
    return None if value is None else trimmed(value)


Told = Annotated[str | None, BeforeValidator(_told)]
Number = Annotated[int | None, BeforeValidator(to_integer)]
DAYS = AliasChoices("days", "expiry_days")
CURRENCY = AliasChoices("currency", "currency_id")
_ID_DIGITS = 19


@endpoints.endpoint("get_plans", "GET", "POST", who=LOGGED_IN, model=ViewForm)
def get_plans(call: Call, form: ViewForm) -> Answer:
    """The plans: all for super admins and observers, else those assigned to the caller."""
    plans = list_plans(call.panel, caller(call), view_all=form.view_all)
    return {"err_msg": "", "message": "", "plans": [_shown(plan) for plan in plans]}


@lru_cache(KEPT_PLANS)
def _shown(plan: StoredPlan) -> orjson.Fragment:
    row = {
        "id": plan.id,
        "plan_id": plan.external_id,
        "external_id": plan.external_id,
        "name": plan.name or plan.external_id,
        "currency": plan.currency,
        "currency_id": plan.currency,
        "price": None if plan.price is None else float(plan.price),
        "expiry_days": plan.days,
        "days": plan.days,
        "category": plan.category or None,
        "timestamp": plan.created_at,
    }
    return orjson.Fragment(orjson.dumps(sinks.shown("plan", row)))


class PlanForm(RequestModel):
    keep_empty: ClassVar[bool] = True
    name: Told = None
    currency: Text = Field("", validation_alias=CURRENCY)
    price: Text = ""
    days: Number = Field(None, validation_alias=DAYS)
    category: Told = None

    def fields(self, *, id: int | None = None, external_id: str | None = None) -> PlanFields:
        return PlanFields(
            id=id,
            external_id=external_id,
            name=self.name,
            currency=self.currency or None,
            price=self.price or None,
            days=self.days,
            category=self.category,
        )


class AddForm(PlanForm):
    plan_id: Told = Field(None, validation_alias=AliasChoices("tariff_id", "plan_id", "plan", "external_id"))


@endpoints.endpoint(
    "add_plan", "GET", "POST", who=having(MANAGE_PLANS), model=AddForm, manners=Manners(get_changes=True)
)
def add_plan(call: Call, form: AddForm) -> Answer:
    """Make a plan, or change the one of the same tariff and currency."""
    saved = core_add(call.panel, by(call), form.fields(external_id=form.plan_id))
    text = "Plan updated successfully" if saved.before else "Plan created successfully"
    return {
        "err_msg": text,
        "message": text,
        "plan_id": saved.after.id,
        "id": saved.after.id,
        **warned(saved.note),
    }


class EditForm(PlanForm):
    plan_id: Text = ""


@endpoints.endpoint(
    "edit_plan", "GET", "POST", who=having(MANAGE_PLANS), model=EditForm, manners=Manners(get_changes=True)
)
def edit_plan(call: Call, form: EditForm) -> Answer:
    """Change name, price, days and category of a plan; 0 days make it unlimited."""
    id, external_id = _row_or_external_id(form.plan_id)
    saved = core_edit(call.panel, by(call), form.fields(id=id, external_id=external_id))
    return _edited(saved)


class RemoveForm(RequestModel):
    plan: Text = ""
    plan_id: Text = ""
    currency: Text = Field("", validation_alias=CURRENCY)


@endpoints.endpoint(
    "remove_plan",
    "GET",
    "POST",
    who=having(MANAGE_PLANS),
    model=RemoveForm,
    manners=Manners(get_changes=True),
)
def remove_plan(call: Call, form: RemoveForm) -> Answer:
    """Delete a plan; accounts that hold it keep its name."""
    id, external_id = (None, form.plan) if form.plan else _row_or_external_id(form.plan_id)
    sent = PlanFields(id=id, external_id=external_id, currency=form.currency or None)
    core_remove(call.panel, by(call), sent)
    text = "Plan deleted successfully"
    return {"err_msg": text, "message": text}


class PriceForm(PlanForm):
    plan_id: Told = Field(None, validation_alias=AliasChoices("id", "plan_id", "external_id"))


@endpoints.endpoint("plan_update", "GET", "POST", who=super_admin(), model=PriceForm, manners=Manners(get_changes=True))
def plan_update(call: Call, form: PriceForm) -> Answer:
    """Change a plan's price, by the plan's external id."""
    return _edited(set_price(call.panel, by(call), form.fields(external_id=form.plan_id)))


class CurrencyForm(RequestModel):
    name: Text = Field("", validation_alias=AliasChoices("name", "currency", "code"))


@endpoints.endpoint(
    "add_currency", "GET", "POST", who=super_admin(), model=CurrencyForm, manners=Manners(get_changes=True)
)
def add_currency(call: Call, form: CurrencyForm) -> Answer:
    """Add a currency by its code."""
    code = core_add_currency(call.panel, by(call), form.name)
    return {"err_msg": "", "message": f"Currency {code} added successfully", "id": code}


class CurrencyIdForm(RequestModel):
    id: Text = ""


@endpoints.endpoint(
    "remove_currency", "GET", "POST", who=super_admin(), model=CurrencyIdForm, manners=Manners(get_changes=True)
)
def remove_currency(call: Call, form: CurrencyIdForm) -> Answer:
    """Remove a currency that nothing uses."""
    core_remove_currency(call.panel, by(call), form.id)
    return {"err_msg": "", "message": "Currency removed successfully"}


@endpoints.endpoint("getcont", "GET", "POST", who=ANYBODY, manners=Manners(as_text=True))
def getcont(call: Call) -> Answer:
    """A leftover of old panels: empty for who is logged in, 0 for who is not."""
    try:
        current_identity(call)
    except NotLoggedIn:
        return envelope.text_response("0")
    return envelope.text_response("")


def _row_or_external_id(text: str) -> tuple[int | None, str | None]:
    """Digits are a row id, anything else is an external id."""
    text = folded(text)
    if not (text.isascii() and text.isdecimal()):
        return None, text or None
    # no row has an id of more digits
    return int(text[:_ID_DIGITS]), None


def _edited(saved: Saved) -> Answer:
    """The frontends show the text: it names a changed price, for a page that rounds prices sends them back rounded."""
    before, after = saved.before, saved.after
    text = "Plan updated successfully" if before else "Plan created successfully"
    kept = ""
    if saved.kept_price and after.price is not None:
        kept = f"The price stays {_amount(after.price)}: what was sent is the same without its decimals"
        text += f". {kept}; send them as well, as in 10.00, to change it"
    elif before and before.price != after.price:
        text += f". Price changed from {_amount(before.price)} to {_amount(after.price)}"
    return {"err_msg": "", "message": text, "plan_id": after.id, "id": after.id, **warned(kept)}


def _amount(price: Decimal | None) -> str:
    return "none" if price is None else f"{money.rounded(price):,}"
