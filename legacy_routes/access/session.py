"""Login, logout, the user's own data and password, login history, auto-logout and heartbeat (contract chapter 10)."""

from typing import Annotated, Any, ClassVar

from pydantic import AliasChoices, BeforeValidator, Field

from compat import envelope
from compat.endpoints import Answer, Endpoints, Manners
from compat.envelope import FailedWith
from compat.fields import PHP_BLANKS, RawText, RequestModel, Text, to_integer, to_text
from core.access import login as core_login
from core.access.actors import Actor
from core.access.audit import By
from core.access.auto_logout import read_auto_logout, set_auto_logout
from core.access.identity import CREDENTIAL_MARK
from core.access.idle_timeout import AUTO_LOGOUT_MAX
from core.access.login_history import read_login_history
from core.access.seen_accounts import count_accounts
from core.access.whose_accounts import sees_all_always, whose_accounts
from core.errors import InvalidInput, NotLoggedIn
from core.messages.telegram.logins import note_login
from core.values import sinks
from core.values.clock import shown
from legacy_routes.forms import PageNumber, ViewForm
from legacy_routes.gate import (
    ANYBODY,
    LOGGED_IN,
    LOGGED_IN_AND_COUNTED,
    Call,
    Expired,
    begin_session,
    by,
    caller,
    note_activity,
    origin_of,
    super_admin,
)
from legacy_routes.paging import pagination
from legacy_routes.xtream.api import xtream_marks

endpoints = Endpoints(chapter="10")
endpoint = endpoints.endpoint


class LoginForm(RequestModel):
    username: RawText = ""
    password: RawText = ""


@endpoint("login", "POST", who=ANYBODY, model=LoginForm, manners=Manners(once=False, hashes=True))
def login(call: Call, form: LoginForm) -> Answer:
    """Start a session for a user name and password; a session that was there is replaced."""
    entry = core_login.log_in(call.panel, origin_of(call), form.username, form.password)
    actor = entry.actor
    begin_session(call, actor, entry.credential)
    call.session.update(xtream_marks(call.panel, actor, call.address))
    note_login(call.panel, By(actor, origin_of(call)))
    user = {
        "id": actor.id,
        "username": actor.username,
        "full_name": actor.name or actor.username,
        "email": actor.email,
        "super_user": int(actor.super_user),
        "currency": actor.currency,
        "balance": float(actor.balance),
    }
    return {"err_msg": "", "message": "Logged in", "user": sinks.shown("user", user)}


@endpoint("logout", "GET", "POST", who=ANYBODY, manners=Manners(get_changes=True, navigable=True, once=False))
def logout(call: Call) -> Answer:
    """End the session; redirects to the login page, or answers JSON to those who ask for it."""
    call.session.destroy()
    response = envelope.success({"err_msg": "", "message": "Logged out"}, call.request)
    # the document promises a redirect; scripts that ask for JSON by name get the bare answer
    if "application/json" not in call.request.headers.get("Accept", ""):
        response.status_code = 302
        response.headers["Location"] = "/index.html"
    return response


@endpoint("get_user_info", "GET", "POST", who=LOGGED_IN_AND_COUNTED, model=ViewForm)
def get_user_info(call: Call, form: ViewForm) -> Answer:
    """The caller's own data and number of accounts."""
    actor = caller(call)
    scope, total = whose_accounts(actor, view_all=form.view_all), call.beside
    # what was read along is what the caller sees without asking for everybody's
    if total is None or (scope is None and not sees_all_always(actor)):
        total = count_accounts(call.panel, scope)
    return {"err_msg": "", "message": "", "user": sinks.shown("user", _facts(actor)), "total_accounts": total}


def _facts(actor: Actor) -> dict[str, Any]:
    name = actor.name or actor.username
    return {
        "id": actor.id,
        "username": actor.username,
        "full_name": name,
        "name": name,
        "email": actor.email,
        "super_user": int(actor.super_user),
        "is_observer": int(actor.is_observer),
        "is_reseller_admin": actor.is_reseller_admin,
        "permissions": actor.permissions,
        "currency": actor.currency,
        "currency_id": actor.currency,
        "currency_name": actor.currency_name,
        "balance": float(actor.balance),
        "max_users": actor.max_users,
        "theme": actor.theme,
        "ip_ranges": actor.ip_ranges,
        "plans": actor.plans,
        "timestamp": actor.timestamp,
    }


def _present_text(value: object) -> str | None:
    return None if value is None else to_text(value)


class PasswordForm(RequestModel):
    keep_empty: ClassVar[bool] = True
    old: RawText = Field("", validation_alias=AliasChoices("old_password", "old_pass", "current_password"))
    new: RawText = Field("", validation_alias=AliasChoices("new_password", "new_pass"))
    repeated: Annotated[str | None, BeforeValidator(_present_text)] = Field(
        None, validation_alias=AliasChoices("confirm_password", "renew_pass")
    )
    username: RawText = ""


@endpoint("update_password", "POST", who=LOGGED_IN, model=PasswordForm, manners=Manners(hashes=True))
def update_password(call: Call, form: PasswordForm) -> Answer:
    """Change one's own password; all other sessions of the user end."""
    _change_password(call, form)
    text = "Password updated successfully"
    return {"err_msg": text, "message": text}


@endpoint("change_password", "POST", who=LOGGED_IN, model=PasswordForm)
def change_password(call: Call, form: PasswordForm) -> Answer:
    """The same under the names of the mobile dialog."""
    # the frontends send what an empty browser storage gives, the text "null"
    core_login.require_own_name(call.panel, caller(call), form.username)
    _change_password(call, form)
    return {"err_msg": "", "message": "Password changed successfully"}


def _change_password(call: Call, form: PasswordForm) -> None:
    if not form.old or not form.new:
        raise InvalidInput("Please fill in the old and the new password")
    if form.repeated is not None and form.repeated.strip(PHP_BLANKS) != form.new.strip(PHP_BLANKS):
        raise InvalidInput("The new password and its repetition differ")
    credential = core_login.change_own_password(call.panel, by(call), form.old, form.new)
    # the id stays: scripts send a fixed cookie, and it was new at the login
    call.session[CREDENTIAL_MARK] = credential


class HistoryForm(RequestModel):
    page: PageNumber = 1
    per_page: PageNumber = 20
    user_id: Text = ""


@endpoint("get_login_history", "GET", who=LOGGED_IN, model=HistoryForm)
def get_login_history(call: Call, form: HistoryForm) -> Answer:
    """A page of logins, one's own or, for super admins, anybody's."""
    page = read_login_history(call.panel, caller(call), form.user_id, form.page, form.per_page)
    rows = [sinks.shown("login", {**row._asdict(), "login_time": shown(row.login_time)}) for row in page.rows]
    return {
        "err_msg": "",
        "message": "",
        "data": rows,
        "history": rows,
        "pagination": pagination(page),
        "target_user": page.target and sinks.shown("login", page.target._asdict()),
        "is_own_history": page.is_own,
        "view_all_users": page.is_everybody,
    }


class TimeoutForm(RequestModel):
    timeout: Any = None


@endpoint(
    "auto_logout_settings",
    "GET",
    "POST",
    who={"POST": super_admin("Only super admin can change this setting")},
    model=TimeoutForm,
)
def auto_logout_settings(call: Call, form: TimeoutForm) -> Answer:
    """The idle timeout of all sessions, in minutes: read it, or set it (0 = never)."""
    if call.method == "GET":
        minutes = read_auto_logout(call.panel)
        return {"err_msg": "", "auto_logout_timeout": minutes, "timeout_seconds": minutes * 60}
    minutes = _timeout_of(form)
    set_auto_logout(call.panel, by(call), minutes)
    return {
        "err_msg": "",
        "message": f"Auto-logout set to {minutes} minutes" if minutes else "Auto-logout disabled",
        "auto_logout_timeout": minutes,
        "timeout_seconds": minutes * 60,
    }


def _timeout_of(form: TimeoutForm) -> int:
    if form.timeout is None:
        raise InvalidInput.missing("timeout", f"minutes, 0 to {AUTO_LOGOUT_MAX}")
    try:
        minutes = to_integer(form.timeout)
    except ValueError:
        minutes = None
    if minutes is None or not 0 <= minutes <= AUTO_LOGOUT_MAX:
        raise InvalidInput(
            f"The {{field}} must be a whole number from 0 to {AUTO_LOGOUT_MAX} minutes (0 = disabled)", field="timeout"
        )
    return minutes


@endpoint(
    "session_heartbeat",
    "GET",
    "POST",
    who=ANYBODY,
    manners=Manners(get_changes=True, limited=False, plain_faults=True, once=False),
)
def session_heartbeat(call: Call) -> Answer:
    """Tell whether the session still stands, and count as activity."""
    try:
        activity = note_activity(call)
    except Expired:
        return {"expired": True, "message": "Session expired due to inactivity"}
    except NotLoggedIn:
        raise FailedWith(NotLoggedIn(), {"expired": True}) from None
    now, timeout = call.session["last_activity"], activity.timeout_minutes
    if call.method == "POST":
        return {"err_msg": "", "expired": False, "message": "Activity recorded", "last_activity": now}
    return {
        "err_msg": "",
        "expired": False,
        "timeout_minutes": timeout,
        "time_remaining_seconds": max(timeout * 60 - (now - activity.previous), 0) if timeout else 0,
        "last_activity": activity.previous,
    }
