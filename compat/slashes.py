"""Paths on their way in and out: doubled slashes count as one, and redirects lead below the path that a proxy adds.

Source: field case 8 (``/api//login.php``), for the web servers that panels run behind do the first without a redirect.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.wrappers import Request, Response

from compat.application import Application

_DOUBLED = re.compile("//+")
WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]


def with_single_slashes(app: WsgiApp) -> WsgiApp:
    """``app``, which sees each path with single slashes."""

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if "//" in path:
            environ["PATH_INFO"] = _DOUBLED.sub("/", path)
        return app(environ, start_response)

    return call


def install_prefixed_redirects(app: Application) -> None:
    """Redirects to a path of ours name it as the browser sees it, below the path that the panel lies under for it."""

    @app.completes
    def prefixed(request: Request, response: Response) -> Response:
        if not request.environ.get("SCRIPT_NAME"):
            return response
        location = response.headers.get("Location", "")
        if request.script_root and location.startswith("/") and not location.startswith("//"):
            response.headers["Location"] = request.script_root + location
        return response
