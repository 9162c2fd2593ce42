"""Whose accounts they are (contract chapter 30): assigning one or many to a reseller, and taking them from admins."""

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator
from werkzeug.wrappers import Response

from compat.endpoints import WAITS, Answer, Endpoints, Manners
from compat.envelope import NO_CACHE
from compat.fields import RequestModel, Text
from core.access.permissions import ASSIGN_ACCOUNTS
from core.errors import InvalidInput
from core.resellers.assigning import assign_many, unassign_super_admins
from core.resellers.assigning import assign_reseller as core_assign
from legacy_routes.forms import Number
from legacy_routes.gate import Call, by, having, super_admin

endpoints = Endpoints(chapter="30")

_ABSENT: Any = object()


def _names(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise InvalidInput.of("usernames", "expected a list of user names")
    return [name for name in value if name]


class _OwnerForm(RequestModel):
    """``reseller_id`` empty or null is nobody, but it must be there."""

    keep_empty: ClassVar[bool] = True
    reseller_id: Number = None

    @property
    def owner(self) -> int | None:
        if "reseller_id" not in self.model_fields_set:
            raise InvalidInput.missing("reseller_id", "empty for nobody")
        return self.reseller_id or None


class AssignForm(_OwnerForm):
    username: Text = ""


@endpoints.endpoint("assign_reseller", "POST", who=having(ASSIGN_ACCOUNTS), model=AssignForm, manners=WAITS)
def assign_reseller(call: Call, form: AssignForm) -> Answer:
    """Give an account to a reseller, or to nobody."""
    core_assign(call.panel, by(call), form.username, form.owner)
    return {"message": "Reseller assigned successfully", "err_msg": ""}


class BulkForm(_OwnerForm):
    usernames: Annotated[list[str], BeforeValidator(_names)] = _ABSENT


@endpoints.endpoint("bulk_assign_reseller", "POST", who=having(ASSIGN_ACCOUNTS), model=BulkForm)
def bulk_assign_reseller(call: Call, form: BulkForm) -> Answer:
    """Give many accounts to a reseller, or to nobody; unknown names are skipped."""
    if form.usernames is _ABSENT:
        raise InvalidInput.missing("usernames", "a list of user names")
    assigned = assign_many(call.panel, by(call), form.usernames, form.owner)
    text = f"{assigned.changed} accounts assigned to {assigned.reseller_name}"
    return {
        "message": text,
        "err_msg": "",
        "updated_count": assigned.changed,
        "reseller_name": assigned.reseller_name,
    }


@endpoints.endpoint("update_admin_resellers", "GET", "POST", who=super_admin(), manners=Manners(get_changes=True))
def update_admin_resellers(call: Call) -> Answer:
    """Accounts that belong to super admins belong to nobody from now on; answers one line of text."""
    count = unassign_super_admins(call.panel, by(call))
    text = f"Updated {count} accounts: those of super admins are not assigned to anybody now\n"
    return Response(text, content_type="text/plain; charset=utf-8", headers=NO_CACHE)
