"""The headers that every answer bears, so that a browser makes nothing else of it than it is.

Those of the pages, which say more, are in :mod:`compat.pages.delivery`.
"""

from flask import Request
from werkzeug.wrappers import Response

from compat.application import Application, JsonResponse

# an answer of an endpoint is no page: nothing in it is loaded, run, framed or sent on
_ANSWER_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_ANSWER_TYPES = frozenset({"application/json", "text/html", "text/plain"})
_OF_ALL = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
}
_OF_ANSWERS = {"Content-Security-Policy": _ANSWER_POLICY, "Cross-Origin-Resource-Policy": "same-origin"}
# what an answer of an endpoint bears
ANSWER_HEADERS = {**_OF_ANSWERS, **_OF_ALL}
STRICT_TRANSPORT = "max-age=31536000"


def install_security_headers(app: Application, *, hsts: bool) -> None:
    """``hsts``: send Strict-Transport-Security where the request came by HTTPS."""

    @app.completes
    def complete(request: Request, response: Response) -> Response:
        return completed(response, request, hsts=hsts)


def completed(response: Response, request: Request, *, hsts: bool) -> Response:
    """``response`` with what it lacks; the envelope's has all but what the connection decides."""
    headers = response.headers
    # of the pages' files a worker's script takes its own policy over to what it fetches, and so has none
    if not isinstance(response, JsonResponse):
        is_answer = "Referrer-Policy" not in headers and response.mimetype in _ANSWER_TYPES
        for name, value in (ANSWER_HEADERS if is_answer else _OF_ALL).items():
            headers.setdefault(name, value)
    if hsts and request.is_secure:
        headers.setdefault("Strict-Transport-Security", STRICT_TRANSPORT)
    return response
