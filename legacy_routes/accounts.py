"""Subscriber accounts (contract chapter 20): the list."""

from compat.endpoints import Answer, Endpoints
from core.accounts import list_accounts, scope_of
from legacy_routes.forms import ViewForm
from legacy_routes.gate import LOGGED_IN, Call, caller

CHAPTER = "20"
endpoints = Endpoints()


@endpoints.endpoint("get_accounts", "GET", "POST", who=LOGGED_IN, model=ViewForm, chapter=CHAPTER)
def get_accounts(call: Call, form: ViewForm) -> Answer:
    """The list of accounts, newest first: all for super admins and observers, else one's own."""
    return list_accounts(call.panel, scope_of(caller(call), view_all=form.view_all))
