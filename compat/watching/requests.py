"""The id of each request, in its answer and its log lines, and the access line: what was asked, answered, how fast.

An access line has no query, no body and no header: passwords and keys may stand there.
"""

import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any

from flask import Request
from werkzeug.wrappers import Response

from compat.application import Application
from compat.client import ClientResolver
from compat.watching.log_lines import ACCESS_FIELDS, request_id

access = logging.getLogger("showbox.access")

BEGAN = "showbox.began"
ID_HEADER = "X-Request-ID"
# of a proxy that is trusted; anything else could forge lines
_TAKEN = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_DELIVERED = frozenset({200, 206, 304})
WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]


def with_request_ids(app: WsgiApp, clients: ClientResolver) -> WsgiApp:
    """``app``, each of whose requests has an id: that of a trusted proxy, or a new one."""

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ[BEGAN] = time.perf_counter()
        said = clients.forwarded(environ, "HTTP_X_REQUEST_ID")
        request_id.set(said if _TAKEN.fullmatch(said) else secrets.token_hex(8))
        return app(environ, start_response)

    return call


def install_access_log(app: Application, clients: ClientResolver, *, lines: bool) -> None:
    """Answers bear the id of their request. ``lines``: one is written for each."""

    @app.completes
    def note(request: Request, response: Response) -> Response:
        response.headers.add(ID_HEADER, request_id.get())
        if lines:
            fields = {
                "method": request.method if request.method.isalpha() else "?",
                "path": place(request, response),
                "status": response.status_code,
                "milliseconds": round(1000 * seconds_since_begin(request), 1),
                "bytes": response.calculate_content_length() or 0,
                "address": clients.address(request.environ) or "-",
            }
            access.info("%s %s %s %s ms %s bytes from %s", *fields.values(), extra={ACCESS_FIELDS: fields})
        return response


def place(request: Request, response: Response) -> str:
    """Where the request went: its endpoint's path, or that of a file that was delivered; of others only "-"."""
    rule = request.url_rule
    if rule is None:
        return "-"
    if "<" not in rule.rule:
        return rule.rule
    return ascii(request.path)[1:-1] if response.status_code in _DELIVERED else rule.rule


def seconds_since_begin(request: Request) -> float:
    return time.perf_counter() - float(request.environ.get(BEGAN, time.perf_counter()))
