"""Subscriber accounts (contract chapter 20): the list, adding, changing, deleting and switching them on and off."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import AliasChoices, BeforeValidator, Field

from compat.endpoints import WAITS, Answer, Endpoints, Manners
from compat.fields import RequestModel, Text, trimmed
from core.access.permissions import ADD_ACCOUNTS, DELETE_ACCOUNTS, EDIT_ACCOUNTS, TOGGLE_ACCOUNTS
from core.accounts.add import NewAccount
from core.accounts.add import add_account as core_add
from core.accounts.change import Changed
from core.accounts.edit import Edit, set_status
from core.accounts.edit import edit_account as core_edit
from core.accounts.remove import remove_account as core_remove
from core.accounts.rules import days_extended
from core.values.escaping import plain
from core.values.numerals import folded
from legacy_routes.accounts.encoded_list import encoded_accounts
from legacy_routes.forms import Number, Present, ViewForm
from legacy_routes.gate import LOGGED_IN, Call, by, caller, having
from legacy_routes.server2 import told_of_lag

endpoints = Endpoints(chapter="20")


def _plan(value: object) -> int | str | None:
    """A JSON number stays one: numbers and texts name plans by different rules (chapter 20 §1.6)."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else folded(trimmed(value))


PlanField = Annotated[int | str | None, BeforeValidator(_plan)]
PLAN = AliasChoices("plan", "plan_id")
MAC = AliasChoices("mac", "stb_mac")
RESELLER = AliasChoices("reseller", "reseller_id")
FULL_NAME = {"full_name": ("full_name", "first_name", "last_name", "name")}


@endpoints.endpoint("get_accounts", "GET", "POST", who=LOGGED_IN, model=ViewForm)
def get_accounts(call: Call, form: ViewForm) -> Answer:
    """The list of accounts, newest first: all for super admins and observers, else one's own."""
    return encoded_accounts(call.panel, caller(call), view_all=form.view_all)


class AddForm(RequestModel):
    also_called = FULL_NAME
    username: Text = ""
    password: Text = ""
    mac: Text = Field("", validation_alias=MAC)
    full_name: Text = ""
    first_name: Text = ""
    last_name: Text = ""
    name: Text = ""
    email: Text = ""
    phone: Text = Field("", validation_alias=AliasChoices("phone_number", "phone"))
    plan: PlanField = Field(None, validation_alias=PLAN)
    tariff_plan: Text = ""
    end_date: Text = Field("", validation_alias=AliasChoices("expire_billing_date", "end_date"))
    status: Number = None
    comment: Text = ""
    discount: Number = None
    reseller: Number = Field(None, validation_alias=RESELLER)
    needs_plan: bool = False

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """The form that has no account without a plan is known by its two name fields, also when they are empty."""
        needs_plan = any(values.get(name) is not None for name in ("first_name", "last_name"))
        return super().read({**values, "needs_plan": needs_plan})


@endpoints.endpoint("add_account", "POST", who=having(ADD_ACCOUNTS), model=AddForm, manners=WAITS)
def add_account(call: Call, form: AddForm) -> Answer:
    """Create an account on every portal server and charge its owner."""
    wish = NewAccount(
        username=form.username,
        mac=form.mac,
        password=form.password,
        full_name=_full_name(form.full_name, form.first_name, form.last_name, form.name) or "",
        email=form.email,
        phone=form.phone,
        plan=form.plan,
        tariff_plan=form.tariff_plan,
        end_date=form.end_date,
        status=form.status,
        comment=form.comment,
        discount=form.discount or 0,
        reseller=form.reseller,
        needs_plan=form.needs_plan,
    )
    added = core_add(call.panel, by(call), wish)
    text = "Account created successfully" + (" on both servers" if added.is_dual else "")
    return {
        "err_msg": text,
        "message": text,
        "account_id": added.account_id,
        "stalker_response": {"server_1": "success", "server_2": "success" if added.is_dual else "skipped"},
        "end_date": added.end_date and added.end_date.isoformat(),
        **told_of_lag(added.lag),
    }


class EditForm(RequestModel):
    keep_empty: ClassVar[bool] = True
    target = frozenset({"original_username", "username", "id"})
    also_called = FULL_NAME
    original_username: Text = ""
    username: Text = ""
    id: Text = ""
    password: Text = ""
    full_name: Present = None
    first_name: Present = None
    last_name: Present = None
    name: Present = None
    email: Present = None
    phone: Present = Field(None, validation_alias=AliasChoices("phone", "phone_number"))
    plan: PlanField = Field(None, validation_alias=PLAN)
    status: Number = None
    comment: Text = ""
    discount: Number = None

    def edit(self, **more: Any) -> Edit:
        """What both endpoints take alike; ``more`` is what they do not."""
        return Edit(
            password=self.password,
            full_name=_full_name(self.full_name, self.first_name, self.last_name, self.name),
            email=self.email,
            phone=self.phone,
            comment=self.comment,
            status=self.status,
            plan=self.plan,
            discount=self.discount or 0,
            **more,
        )


@endpoints.endpoint("edit_account", "POST", who=having(EDIT_ACCOUNTS), model=EditForm, manners=WAITS)
def edit_account(call: Call, form: EditForm) -> Answer:
    """Change an account, and renew it when a plan is given."""
    wish = form.edit(
        username=form.original_username or form.username or form.id,
        new_username=form.username if form.original_username else None,
    )
    changed = core_edit(call.panel, by(call), wish)
    text = "Account updated and renewed successfully" if changed.renewed else "Account updated successfully"
    return {"err_msg": "", "message": text, "renewed": changed.renewed, **_dates(changed), **told_of_lag(changed.lag)}


class UpdateForm(EditForm):
    new_username: Text = ""
    mac: Text = Field("", validation_alias=MAC)
    tariff_plan: Text = ""
    end_date: Text = Field("", validation_alias=AliasChoices("end_date", "expire_billing_date"))
    reseller: Number = Field(None, validation_alias=RESELLER)


@endpoints.endpoint("update_account", "POST", who=having(EDIT_ACCOUNTS), model=UpdateForm, manners=WAITS)
def update_account(call: Call, form: UpdateForm) -> Answer:
    """Change only the fields that are sent."""
    wish = form.edit(
        username=form.username or form.id or form.original_username,
        new_username=form.new_username or None,
        partial=True,
        tariff_plan=form.tariff_plan,
        end_date=form.end_date,
        mac=form.mac,
        reseller=form.reseller,
    )
    changed = core_edit(call.panel, by(call), wish)
    text = "Account updated successfully"
    return {"err_msg": text, "message": text, **_dates(changed), **told_of_lag(changed.lag)}


class TargetForm(RequestModel):
    username: Text = Field("", validation_alias=AliasChoices("username", "id", "original_username"))


@endpoints.endpoint("remove_account", "POST", who=having(DELETE_ACCOUNTS), model=TargetForm, manners=WAITS)
def remove_account(call: Call, form: TargetForm) -> Answer:
    """Delete an account from the portals and the panel; its transactions stay."""
    lag = core_remove(call.panel, by(call), form.username)
    text = "Account deleted successfully"
    return {"err_msg": text, "message": text, "transactions_preserved": True, **told_of_lag(lag)}


class StatusForm(TargetForm):
    mac: Text = Field("", validation_alias=MAC)
    status: Number = None


@endpoints.endpoint("change_status", "POST", who=having(TOGGLE_ACCOUNTS), model=StatusForm, manners=WAITS)
def change_status(call: Call, form: StatusForm) -> Answer:
    """Switch an account on or off, by user name or MAC."""
    switched = set_status(call.panel, by(call), form.status, username=form.username, mac=form.mac)
    text = "Status updated successfully"
    return {"err_msg": text, "message": text, **told_of_lag(switched.lag)}


@endpoints.endpoint(
    "toggle_account_status",
    "GET",
    "POST",
    who=having(TOGGLE_ACCOUNTS),
    model=StatusForm,
    manners=Manners(waits=True, get_changes=True),
)
def toggle_account_status(call: Call, form: StatusForm) -> Answer:
    """Set the given status, 1 or 0; it does not flip."""
    switched = set_status(call.panel, by(call), form.status, username=form.username)
    word = "active" if switched.after.status else "disabled"
    text = f"{plain(switched.after.shown_name)} is now {word}"
    return {"err_msg": "", "message": text, **told_of_lag(switched.lag)}


def _full_name(full: str | None, first: str | None, last: str | None, name: str | None) -> str | None:
    """The first of the three spellings that says something; None when none does."""
    return full or " ".join(part for part in (first, last) if part) or name or None


def _dates(changed: Changed) -> dict[str, Any]:
    before, after = changed.before.end_date, changed.after.end_date
    return {
        "previous_end_date": before and before.isoformat(),
        "new_end_date": after and after.isoformat(),
        "days_extended": days_extended(before, after),
    }
