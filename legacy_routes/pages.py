"""The pages: static files of the frontend, the dashboard behind its session gate (contract chapter 10 §6 to §8)."""

from flask import Flask
from werkzeug.wrappers import Response

from compat import envelope
from compat.dispatcher import Dispatcher
from compat.endpoints import ROUTED_METHODS
from compat.pages import Frontend
from compat.sessions import SessionUnavailable
from core.errors import NotLoggedIn
from legacy_routes.gate import Call, Expired, note_activity

LOGIN_PAGE = "index.html"
EXPIRED_PAGE = "index.html?expired=1"
_PAGE_METHODS = ("GET", "HEAD")


def install_pages(app: Flask, dispatcher: Dispatcher, frontend: Frontend) -> None:
    """Everything that is no endpoint: the frontend's files, its dashboard, and 404 with the envelope."""

    def page(path: str = "") -> Response:
        call: Call = dispatcher.call()
        if call.request.method not in _PAGE_METHODS:
            return envelope.failure("Not found", 4, 404)
        found = _dashboard(call, frontend) if path == "dashboard.php" else frontend.file(call.request)
        return found or _counterpart(call, frontend) or envelope.failure("Not found", 4, 404)

    # a doubled slash is no other spelling of a path here, and must not be redirected
    app.url_map.merge_slashes = False
    for rule in ("/", "/<path:path>"):
        app.add_url_rule(rule, "page", page, methods=ROUTED_METHODS, provide_automatic_options=False)


def _dashboard(call: Call, frontend: Frontend) -> Response | None:
    """The rendered dashboard of a session that stands; else the login page.

    Never an error status for a caller who is not logged in: the frontends' service worker fetches this page at
    its installation and gives up on anything but success after redirects.
    """
    if not frontend.has_dashboard:
        return None
    try:
        note_activity(call)
    except Expired:
        return _redirect(EXPIRED_PAGE)
    except (NotLoggedIn, SessionUnavailable):
        return _redirect(LOGIN_PAGE)
    return frontend.dashboard(call.request)


def _counterpart(call: Call, frontend: Frontend) -> Response | None:
    other = frontend.counterpart(call.request.path)
    return None if other is None else _redirect(other)


def _redirect(location: str) -> Response:
    return Response(status=302, headers={"Location": location, **envelope.NO_CACHE})
