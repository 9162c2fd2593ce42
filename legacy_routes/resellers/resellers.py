"""Resellers (contract chapter 30): the list, adding, changing and deleting them, their credit and their plans."""

from typing import Annotated, Any, ClassVar

from pydantic import AliasChoices, BeforeValidator, Field

from compat.endpoints import Answer, Endpoints, Manners
from compat.fields import RequestModel, Text, flag_word, to_text
from compat.guards.loop_guard import LoopGuard
from core.access.actors import Actor
from core.access.audit import By
from core.access.identity import CREDENTIAL_MARK
from core.access.permissions import ADJUST_CREDIT, MANAGE_RESELLERS, READ_RESELLERS
from core.errors import InvalidInput, TooManyAttempts
from core.resellers.add import NewReseller
from core.resellers.add import add_reseller as core_add
from core.resellers.credit import Adjustment
from core.resellers.credit import adjust_credit as core_adjust
from core.resellers.edit import ResellerEdit, edit_reseller, theme_would_change
from core.resellers.plans import assign_plans as core_assign_plans
from core.resellers.remove import remove_reseller as core_remove
from core.resellers.resellers import list_resellers, required_id
from core.resellers.rules import MISSING, shown_plans
from core.resellers.themes import carry_out, refuse_while_running
from core.values.currencies import shown_currency
from core.values.sinks import shown
from legacy_routes.forms import Number, Present
from legacy_routes.gate import Call, by, caller, having, origin_of
from legacy_routes.resellers.themes import edit_outcome
from legacy_routes.warnings import floored

endpoints = Endpoints(chapter="30")
endpoint = endpoints.endpoint

# a page of panel 1.18.2 asks again at once as long as there are no resellers
_empty_lists = LoopGuard(10, 5.0)


def _truth(value: object) -> bool | None:
    """As PHP sees it: any text but 0 and nothing; the words for no as well."""
    return None if value is None else flag_word(value) not in ("", "0", "false", "off", "no")


def _joined(value: object) -> str | None:
    """Plan keys as a text, or as a list of texts."""
    if isinstance(value, list):
        return ",".join(to_text(item) for item in value)
    return None if value is None else to_text(value)


Truth = Annotated[bool | None, BeforeValidator(_truth)]
Keys = Annotated[str | None, BeforeValidator(_joined)]
ID = AliasChoices("id", "reseller_id")
NAME = AliasChoices("name", "full_name")


@endpoint("get_resellers", "GET", "POST", who=having(READ_RESELLERS))
def get_resellers(call: Call) -> Answer:
    """All resellers, observers among them, with their numbers of accounts; the newest first."""
    resellers = [_shown(reseller, accounts) for reseller, accounts in list_resellers(call.panel)]
    if not resellers and _empty_lists.is_looping(call.session.sid or ""):
        raise TooManyAttempts(
            "There are no resellers; please wait before asking again", retry_after=int(_empty_lists.seconds)
        )
    return {"resellers": resellers}


def _shown(reseller: Actor, accounts: int) -> dict[str, Any]:
    currency = shown_currency(reseller.currency_id)
    name = reseller.name or reseller.username
    row = {
        "id": reseller.id,
        "username": reseller.username,
        "full_name": name,
        "name": name,
        "email": reseller.email,
        "max_users": reseller.max_users,
        "currency": currency,
        "currency_id": currency,
        "currency_name": shown_currency(reseller.currency_name) or currency,
        "theme": reseller.theme,
        "super_user": 0,
        "is_observer": int(reseller.is_observer),
        "permissions": reseller.permissions or "",
        "balance": float(reseller.balance),
        "plans": shown_plans(reseller.plans),
        "account_count": accounts,
        "ip_ranges": reseller.ip_ranges or "",
        "timestamp": reseller.timestamp or 0,
    }
    return shown("reseller", row)


class AddForm(RequestModel):
    keep_empty: ClassVar[bool] = True
    username: Text = ""
    password: Text = ""
    name: Text = Field("", validation_alias=NAME)
    email: Text = ""
    max_users: Text = ""
    currency: Text = ""
    balance: Text = Field("", validation_alias=AliasChoices("balance", "initial_balance"))
    theme: Present = None
    plans: Keys = None
    permissions: Present = None
    is_observer: Truth = None
    ip_ranges: Text = Field("", validation_alias="use_ip_ranges")


@endpoint("add_reseller", "POST", who=having(MANAGE_RESELLERS), model=AddForm, manners=Manners(hashes=True))
def add_reseller(call: Call, form: AddForm) -> Answer:
    """Make a reseller, with a first credit and the templates of messages."""
    wish = NewReseller(
        username=form.username,
        password=form.password,
        name=form.name,
        email=form.email,
        max_users=form.max_users,
        currency=form.currency,
        balance=form.balance,
        theme=form.theme,
        plans=form.plans or "",
        permissions=form.permissions or None,
        is_observer=bool(form.is_observer),
        ip_ranges=form.ip_ranges,
    )
    reseller_id = core_add(call.panel, by(call), wish)
    return {"err_msg": "Reseller created successfully", "reseller_id": reseller_id}


class UpdateForm(RequestModel):
    keep_empty: ClassVar[bool] = True
    target = frozenset({"id"})
    id: Number = Field(None, validation_alias=ID)
    username: Present = None
    password: Present = None
    old_password: Present = Field(None, validation_alias=AliasChoices("old_password", "old_pass", "current_password"))
    name: Present = Field(None, validation_alias=NAME)
    email: Present = None
    max_users: Present = None
    currency: Present = None
    theme: Present = None
    permissions: Present = None
    is_observer: Truth = None
    ip_ranges: Present = Field(None, validation_alias="use_ip_ranges")


@endpoint("update_reseller", "POST", who=having(MANAGE_RESELLERS), model=UpdateForm, manners=Manners(hashes=True))
def update_reseller(call: Call, form: UpdateForm) -> Answer:
    """Change what is sent of a reseller; a new theme goes to all of the reseller's accounts."""
    panel, actor = call.panel, caller(call)
    reseller_id = required_id(form.id, missing=MISSING)
    if theme_would_change(panel, reseller_id, form.theme):
        refuse_while_running(panel, reseller_id)
    wish = ResellerEdit(
        username=form.username,
        password=form.password,
        old_password=form.old_password,
        name=form.name,
        email=form.email,
        max_users=form.max_users,
        currency=form.currency,
        theme=form.theme,
        permissions=form.permissions or None,
        is_observer=form.is_observer,
        ip_ranges=form.ip_ranges,
    )
    edited = edit_reseller(panel, By(actor, origin_of(call)), reseller_id, wish)
    if reseller_id == actor.id:
        # the caller's own session goes on under the new name and password, all others of that user end
        call.session["username"] = edited.username
        call.session["permissions"] = edited.permissions or ""
        call.session[CREDENTIAL_MARK] = edited.credential
    if edited.theme is None:
        return {"err_msg": ""}
    return edit_outcome(carry_out(panel, edited.propagation))


class TargetForm(RequestModel):
    id: Number = Field(None, validation_alias=ID)


@endpoint(
    "remove_reseller",
    "GET",
    "POST",
    "DELETE",
    who=having(MANAGE_RESELLERS),
    model=TargetForm,
    manners=Manners(get_changes=True),
)
def remove_reseller(call: Call, form: TargetForm) -> Answer:
    """Delete a reseller who has no accounts; payments are archived, transactions stay."""
    core_remove(call.panel, by(call), required_id(form.id, "id"))
    return {"err_msg": "Reseller deleted successfully"}


class CreditForm(RequestModel):
    reseller_id: Number = Field(None, validation_alias=AliasChoices("reseller_id", "id"))
    amount: Text = ""
    action: Text = ""
    type: Text = ""
    description: Text = ""


@endpoint("adjust_credit", "POST", who=having(ADJUST_CREDIT), model=CreditForm)
def adjust_credit(call: Call, form: CreditForm) -> Answer:
    """Add to a reseller's credit, take from it, or set it; with a row in the ledger."""
    wish = Adjustment(form.amount, form.action, form.type, form.description)
    adjusted = core_adjust(call.panel, by(call), required_id(form.reseller_id), wish)
    text = "Credit adjusted successfully"
    return {"err_msg": text, "new_balance": float(adjusted.balance), **floored(text, adjusted.taken)}


class PlansForm(RequestModel):
    keep_empty: ClassVar[bool] = True
    reseller_id: Number = Field(None, validation_alias=AliasChoices("reseller_id", "id"))
    plans: Keys = None


@endpoint("assign_plans", "POST", who=having(MANAGE_RESELLERS), model=PlansForm)
def assign_plans(call: Call, form: PlansForm) -> Answer:
    """Replace the list of plans that a reseller may sell."""
    reseller_id = required_id(form.reseller_id)
    if form.plans is None:
        raise InvalidInput.missing("plans")
    plans = core_assign_plans(call.panel, by(call), reseller_id, form.plans)
    return {"err_msg": "", "plans": plans}
