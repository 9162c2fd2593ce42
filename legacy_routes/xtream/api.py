"""The Xtream Codes admin API, ``/api.php?action=…&sub=…``: reading the call and the order of its checks.

The order tells nothing to who may not know: session, action, role, sub-action, parameters, ownership, target. What the
actions do is in :mod:`core.xtream`. Source: contract chapter 95 §1, §2, §4, §5 and §16.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

import orjson
from flask import Flask
from werkzeug.wrappers import Request, Response

from compat import envelope
from compat.endpoints import Answer, Endpoints, Manners
from compat.envelope import FailedWith
from compat.fields import PHP_BLANKS, RequestModel
from core.access.actors import Actor
from core.access.identity import STARTED_MARK, is_too_old, says_logged_in
from core.errors import DatabaseFailed, InvalidInput, NotLoggedIn
from core.panel import Panel
from core.xtream import connections, members, removal, streams, users
from core.xtream.command_log import Caller
from core.xtream.nodes import CommandsFailed, deadline
from core.xtream.permissions import Member, require_advanced, require_reseller_or_advanced
from legacy_routes.gate import XTREAM_SESSION, Call, current_identity

endpoints = Endpoints(chapter="95")
endpoint = endpoints.endpoint

UNKNOWN_ACTION, UNKNOWN_SUB = "Unknown action", "Unknown sub-action"
NOT_BUILT = "This action is not available in this version"
# their pages go on asking each second after any answer with status 200
_POLLED = ("stats", "chart_stats")
_SUCCESS = orjson.dumps({"result": True, "error": 0, "err_msg": ""})
_INTEGER = re.compile(r"[+-]?\d{1,10}")
_LARGEST = 2**31 - 1


class ApiForm(RequestModel):
    """Whatever was sent: each action says what it needs, and in which order that is looked at."""

    action: Any = None
    sub: Any = None
    stream_id: Any = None
    server_id: Any = None
    user_id: Any = None
    pid: Any = None
    activity_id: Any = None
    server: Any = None


@dataclass(frozen=True)
class Action:
    """``require`` and ``require_sub`` raise NotAllowed; ``subs`` None: the action itself is the command."""

    require: Callable[[Member], None]
    subs: Collection[str] | None
    run: Callable[[Panel, Caller, str, ApiForm, float], None]
    require_sub: Callable[[Member, str], None] = lambda _member, _sub: None


def _streams(kind: streams.Kind) -> Action:
    def run(panel: Panel, caller: Caller, sub: str, form: ApiForm, until: float) -> None:
        stream_id = _id(form.stream_id, "stream_id")
        server_id = _integer(form.server_id, "server_id", least=streams.ALL_SERVERS, absent=streams.NO_SERVER)
        if sub == "delete":
            removal.remove(panel, caller, kind, stream_id, server_id, until)
        else:
            streams.control(panel, caller, kind, sub, stream_id, server_id, until)

    return Action(lambda member: require_advanced(member, kind.advanced), kind.subs, run)


def _user(panel: Panel, caller: Caller, sub: str, form: ApiForm, until: float) -> None:
    line_id = _id(form.user_id, "user_id")
    if sub == "delete":
        users.delete_line(panel, caller, line_id, until)
    elif sub == "kill":
        users.kill_line(panel, caller, line_id, until)
    else:
        users.change_line(panel, caller, sub, line_id)


def _user_activity(panel: Panel, caller: Caller, _sub: str, form: ApiForm, until: float) -> None:
    by_activity = form.activity_id is not None
    connections.kill_connection(
        panel,
        caller,
        pid=None if by_activity and form.pid is None else _pid(form.pid),
        server_id=None if form.server_id is None else _id(form.server_id, "server_id"),
        activity_id=_id(form.activity_id, "activity_id") if by_activity else None,
        until=until,
    )


def _process(panel: Panel, caller: Caller, _sub: str, form: ApiForm, until: float) -> None:
    server_id = _id(form.server_id if form.server is None else form.server, "server")
    connections.kill_process(panel, caller, server_id, _pid(form.pid), until)


ACTIONS: Mapping[str, Action] = {
    **{name: _streams(kind) for name, kind in streams.KINDS.items()},
    "user": Action(
        lambda member: require_reseller_or_advanced(member, users.ADVANCED), users.SUBS, _user, users.require_user_sub
    ),
    "user_activity": Action(
        lambda member: require_reseller_or_advanced(member, connections.LOGS), ("kill",), _user_activity
    ),
    "process": Action(lambda member: require_advanced(member, connections.PROCESSES), None, _process),
}


def with_result(panel: Panel, response: Response) -> Response:
    """Every answer begins with ``result``, a JSON boolean; with [xtream] plain_result it ends there."""
    if response.mimetype != "application/json":
        return response
    body, is_plain = response.get_data(), panel.config.xtream.plain_result
    if body == _SUCCESS and not is_plain:
        return response
    content = orjson.loads(body)
    result = content.pop("result", content.get("error") == 0)
    spelled = {"result": result}
    if not is_plain:
        first = ("error", "err_msg", "message", "code")
        spelled |= {name: content.pop(name) for name in first if name in content} | content
    response.set_data(orjson.dumps(spelled))
    return response


@endpoint(
    "api",
    "GET",
    "POST",
    who=XTREAM_SESSION,
    model=ApiForm,
    # commands under way are joined (core.xtream.nodes); one that is asked for again later is meant
    manners=Manners(
        waits=True,
        get_changes=True,
        limited=False,
        once=False,
        only_at=("/api.php", "/api"),
        head=False,
        reshape=with_result,
    ),
)
def api(call: Call, form: ApiForm) -> Answer:
    """The Xtream Codes admin API: streams, movies, episodes, lines, connections and processes."""
    until = deadline()
    form = _without_repeated(call.request, form)
    name = form.action if isinstance(form.action, str) else ""
    action = ACTIONS.get(name)
    # pages poll; only commands keep a session alive
    call.session.counts = action is not None
    try:
        caller = Caller(_member(call), call.address)
    except NotLoggedIn as error:
        if name not in _POLLED:
            raise
        return envelope.failure(error.text, error.code, 401)
    if action is None:
        return envelope.failure(NOT_BUILT, 4, 404) if name in _POLLED else envelope.failure(UNKNOWN_ACTION, 6)
    action.require(caller.member)
    sub = form.sub if isinstance(form.sub, str) else ""
    if action.subs is not None:
        if sub not in action.subs:
            raise InvalidInput(UNKNOWN_SUB)
        action.require_sub(caller.member, sub)
    try:
        action.run(call.panel, caller, sub, form, until)
    except CommandsFailed as error:
        raise FailedWith(error, {"failed_servers": list(error.servers)}) from error
    return envelope.json_response(_SUCCESS)


def _member(call: Call) -> Member:
    """Who the session is; nothing of the request itself says so. Raises NotLoggedIn."""
    session, panel = call.session, call.panel
    if says_logged_in(session):
        return members.member_of(panel, current_identity(call).actor)
    known = session.get(members.HASH_KEY)
    if not isinstance(known, str) or not known:
        raise NotLoggedIn
    settings, now = panel.config.session, panel.clock.stamp()
    if session.idle_seconds > 60 * settings.lifetime_minutes or is_too_old(session, settings.absolute_days, now):
        session.destroy()
        raise NotLoggedIn
    if session.counts:
        # when the Xtream panel began it, nobody knows
        session.setdefault(STARTED_MARK, now)
    try:
        return members.member_of_hash(panel, known, session.get(members.ADDRESS_KEY), call.address)
    except members.AddressChanged:
        session.destroy()
        raise


def xtream_marks(panel: Panel, actor: Actor, address: str) -> Mapping[str, str]:
    """See :func:`core.xtream.members.session_marks`; nobody is kept from logging in by an Xtream database's absence."""
    try:
        return members.session_marks(panel, actor, address)
    except DatabaseFailed:
        return {}


def _without_repeated(request: Request, form: ApiForm) -> ApiForm:
    """A field that one source gives twice has no value that could be meant."""
    query = [unquote_plus(part.partition("=")[0]) for part in request.environ.get("QUERY_STRING", "").split("&")]
    names = _repeated(query)
    if request.content_length:
        names |= _repeated([name for name, _ in request.form.items(multi=True)])
    names &= set(ApiForm.model_fields)
    return form.model_copy(update={name: [] for name in names}) if names else form


def _repeated(names: Sequence[str]) -> set[str]:
    return {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()


def _id(value: object, name: str) -> int:
    return _integer(value, name, least=1)


def _pid(value: object) -> int:
    return _integer(value, "pid", least=connections.LEAST_PID)


def _integer(value: object, name: str, *, least: int, absent: int | None = None) -> int:
    """Optional blanks and sign, and digits, within 32 bits. Raises InvalidInput, naming the field."""
    if value is None and absent is not None:
        return absent
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and _INTEGER.fullmatch(text := text.strip(PHP_BLANKS)):
        number = int(text)
        if least <= number <= _LARGEST:
            return number
    raise InvalidInput(f"Invalid {name}")


def install_redirect(app: Flask) -> None:
    """The page that Xtream's own login leads resellers to (§16.14)."""
    headers = {"Location": "/dashboard.php", **envelope.NO_CACHE}
    app.add_url_rule("/reseller.php", "reseller-page", lambda: Response(status=302, headers=headers), methods=["GET"])
