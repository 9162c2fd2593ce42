"""From a raw request to the portal's answer: web server, routing, Basic auth, envelope, theme script."""

import re
import threading
from dataclasses import replace
from urllib.parse import unquote_to_bytes

from simulators.php import PhpValue, encode_json, parse_form, scalar, url_decode
from simulators.portal.accounts import Accounts, Users
from simulators.portal.boxes import Boxes
from simulators.portal.calls import Action, Resource, ResourceCall
from simulators.portal.columns import text_column
from simulators.portal.errors import PortalRefusal
from simulators.portal.events import Events, Messages
from simulators.portal.resellers import Resellers
from simulators.portal.settings import PortalSettings
from simulators.portal.state import PortalState
from simulators.portal.tariffs import Tariffs
from simulators.recording import basic_credentials
from simulators.wire import Request, Response

ROOT = "/stalker_portal/"
API = f"{ROOT}api/"
THEME_SCRIPT = f"{ROOT}update_account.php"
NOTICE = (
    "<br />\n<b>Warning</b>:  count(): Parameter must be an array or an object that implements Countable in "
    "<b>/var/www/stalker_portal/server/lib/user.class.php</b> on line <b>1</b><br />\n"
)

_ACTIONS = {"GET": "get", "POST": "create", "PUT": "update", "DELETE": "delete"}
# answered even when the API is switched off
_INTERNAL = frozenset({"TvArchive", "StreamRecorder", "MonitoringLinks", "TvTmpLink"})
# exist in every stock portal, but nothing of the panel ever calls them
_NOT_SIMULATED = _INTERNAL | {
    *("StbModules", "StbAuth", "Itv", "ItvSubscription", "ServicesPackage", "AccountSubscription", "Epg"),
}


def ok(results: object) -> Response:
    return _json({"status": "OK", "results": results})


def refusal(text: str) -> Response:
    return _json({"status": "ERROR", "results": None, "error": text})


def unauthorized(realm: str) -> Response:
    answer = _json({"status": "ERROR", "results": "", "error": "401 Unauthorized request"})
    return replace(answer, status=401, headers={"WWW-Authenticate": f'Basic realm="{realm}"'})


def _json(envelope: dict[str, object]) -> Response:
    return Response(encode_json(envelope), content_type="application/json")


def _not_found() -> Response:
    return Response(b"<html><head><title>404 Not Found</title></head><body>404 Not Found</body></html>", 404)


class Portal:
    """The portal as a state machine; requests of several threads are carried out one after the other."""

    def __init__(self, settings: PortalSettings, state: PortalState) -> None:
        self.settings = settings
        self.state = state
        self.lock = threading.RLock()
        self._resources: dict[str, Resource] = {
            "Accounts": Accounts(state, settings),
            "Users": Users(state, settings),
            "Stb": Boxes(state, settings),
            "StbMsg": Messages(state, settings),
            "SendEvent": Events(state, settings),
            "Tariffs": Tariffs(state, settings),
        }
        if settings.is_ministra:
            self._resources["Reseller"] = Resellers(state, settings)

    def describe(self, request: Request) -> str:
        """Method and path below the API, or below the portal's root."""
        path = served_path(request.target)
        below = None if path is None else _below_api(path)
        if below is None:
            below = request.target if path is None else path.removeprefix(ROOT)
        return f"{request.method} {below}"

    def respond(self, request: Request) -> Response:
        path = served_path(request.target)
        if path == THEME_SCRIPT and self.settings.is_panel:
            return self._theme_script(request)
        if path == API.rstrip("/"):
            return Response(b"", 301, headers={"Location": API})
        if path is not None and " " in path:
            return Response(b"<html><body>403 Forbidden</body></html>", 403)
        below = None if path is None else _below_api(path)
        if below is None:
            return _not_found()
        segments = _segments(below)
        name = _capitalised(segments[0]) if segments else ""
        if not self.settings.api_enabled and name not in _INTERNAL:
            return Response(b"API not enabled", 404)
        action = _ACTIONS.get(request.method)
        if action is None:
            return refusal("Not supported method")
        if not segments:
            return refusal("Empty resource")
        identifiers = segments[1].split(",") if len(segments) > 1 else None
        if identifiers is not None and len(identifiers) > self.settings.most_macs:
            return Response(b"<html><body>403 Forbidden</body></html>", 403)
        call = ResourceCall(segments[0], action, identifiers, _fields(request))
        if not self._is_authorized(request):
            return unauthorized(self.settings.realm)
        if name in _NOT_SIMULATED:
            return Response(f"{name} is not simulated".encode(), 501)
        return self._answer(name, call)

    def _is_authorized(self, request: Request) -> bool:
        user, password = self.settings.user, self.settings.password
        return user is None or basic_credentials(request.headers) == (user, password)

    def _answer(self, name: str, call: ResourceCall) -> Response:
        envelope: dict[str, object]
        try:
            with self.lock:
                envelope = {"status": "OK", "results": self._action(name, call)(call)}
        except PortalRefusal as refused:
            envelope = {"status": "ERROR", "results": None, "error": str(refused)}
        if self.settings.noise:
            envelope["output"] = NOTICE
        return replace(_json(envelope), delay=call.delay)

    def _action(self, name: str, call: ResourceCall) -> Action:
        resource = self._resources.get(name)
        if resource is None:
            raise PortalRefusal(f'Class file for "RESTCommand{name}" not found')
        action = resource.actions.get(call.action)
        if action is None:
            raise PortalRefusal(f'Resource "{call.resource}" does not support action "{call.action}"')
        return action

    def _theme_script(self, request: Request) -> Response:
        """Only the answer ``OK`` is known of the real script; its failures are worded here."""
        is_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        fields = parse_form(request.body) if request.method == "POST" and is_form else {}
        if scalar(fields, "key") != self.settings.theme_key:
            return Response(b"Access denied")
        with self.lock:
            users = self.state.find_users("login", [scalar(fields, "login")])
            if not users:
                return Response(b"Account not found")
            try:
                theme = text_column(self.settings, "theme", scalar(fields, "theme"))
            except PortalRefusal as refused:
                return Response(str(refused).encode())
            for user in users:
                self.state.change_user(user, theme=theme)
        return Response(b"OK")


def served_path(target: str) -> str | None:
    """The path as the web server matches it: decoded, dot segments resolved; None if it refuses to."""
    raw = re.sub(r"^https?://[^/]*", "", target).partition("?")[0]
    if not raw.startswith("/") or "%2f" in raw.lower():
        return None
    path = unquote_to_bytes(raw.encode("latin-1")).decode("utf-8", "surrogateescape")
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == ".." and len(kept) > 1:
            kept.pop()
        elif segment not in (".", ".."):
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/".join(kept)


def _below_api(path: str) -> str | None:
    """The path below the API's base, as it survives the way through a query string; None if it is elsewhere."""
    if not f"{path}/".startswith(API):
        return None
    below = path[len(API) :]
    if below == "v1" or below.startswith("v1/"):
        below = below[3:]
    survived = re.split("[&#]", below, maxsplit=1)[0]
    return url_decode(survived.encode("utf-8", "surrogateescape"))


def _segments(below: str) -> list[str]:
    segments = below.split("/")
    if segments[-1] in ("", "0"):
        segments.pop()
    return segments


def _capitalised(resource: str) -> str:
    """In whatever case it was written."""
    return "".join(part[:1].upper() + part[1:].lower() for part in resource.split("_"))


def _fields(request: Request) -> dict[str, PhpValue]:
    """The body as a form, whatever its content type says."""
    # PHP consumes a multipart POST itself, so that the portal finds its raw body empty
    if request.method == "POST" and request.headers.get("content-type", "").startswith("multipart/form-data"):
        return {}
    return parse_form(request.body)
