"""The audit log as the super admin's page shows it, and everybody's own part of it (contract chapter 70)."""

from typing import Annotated, Any

import orjson
from pydantic import BeforeValidator

from compat.endpoints import Answer, Endpoints, Manners
from compat.fields import RequestModel, Text, trimmed
from core.access.audit_log import Choices, Entry, Wanted, read_audit_log
from core.errors import InvalidInput
from core.values import sinks
from core.values.clock import shown
from core.values.days import checked_date
from legacy_routes.forms import PageNumber
from legacy_routes.gate import LOGGED_IN, Call, caller
from legacy_routes.paging import pagination

endpoints = Endpoints(chapter="70")
endpoint = endpoints.endpoint

_READ_ONLY = Manners(other_methods="The audit log is read-only")
_NOTICE = "The entries of the audit log are permanent: they cannot be changed or deleted."


def _day(value: object) -> Any:
    try:
        return checked_date(trimmed(value))
    except InvalidInput as error:
        raise ValueError(error.text) from None


Day = Annotated[Any, BeforeValidator(_day)]


class AuditForm(RequestModel):
    page: PageNumber = 1
    per_page: PageNumber = 50
    user_id: Text = ""
    action: Text = ""
    target_type: Text = ""
    date_from: Day = None
    date_to: Day = None
    search: Text = ""


@endpoint("get_audit_log", "GET", who=LOGGED_IN, model=AuditForm, manners=_READ_ONLY)
def get_audit_log(call: Call, form: AuditForm) -> Answer:
    """A page of the audit log: super admins see all of it, others what they did themselves. Read-only."""
    actor = caller(call)
    wanted = Wanted(
        page=form.page,
        per_page=form.per_page,
        user_id=form.user_id,
        action=form.action,
        target_type=form.target_type,
        first_day=form.date_from,
        last_day=form.date_to,
        search=form.search,
    )
    page = read_audit_log(call.panel, actor, wanted)
    rows = [_row(entry) for entry in page.entries]
    missing = "This database has no audit log yet; run the database upgrade first"
    return {
        **({"message": missing} if page.is_missing else {}),
        "data": rows,
        "logs": rows,
        "pagination": pagination(page),
        "filter_options": page.choices and _options(page.choices),
        "is_super_admin": actor.super_user,
        "security_notice": _NOTICE,
    }


def _row(entry: Entry) -> dict[str, Any]:
    moment = shown(entry.timestamp)
    texts = {
        "id": entry.id,
        "timestamp": moment,
        "created_at": moment,
        "user_id": entry.user_id,
        "username": entry.username,
        "user_type": entry.user_type,
        "action": entry.action,
        "target_type": entry.target_type,
        "target_id": entry.target_id,
        "target_name": entry.target_name,
        "ip_address": entry.ip_address,
        "details": entry.details,
        "user_display_name": entry.display_name,
    }
    # the page shows the values as plain text, or not at all
    values = {"old_value": _decoded(entry.old_value), "new_value": _decoded(entry.new_value)}
    return sinks.shown("audit", texts) | values


def _decoded(text: str | None) -> Any:
    """The value of a JSON text; a text that is none stays as it is."""
    if text is None:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _options(choices: Choices) -> dict[str, Any]:
    """Plain text to the page, which makes its options of them."""
    return {
        "actions": choices.actions,
        "target_types": choices.target_types,
        "users": [{"user_id": id, "username": username, "name": name} for id, username, name in choices.users],
    }
