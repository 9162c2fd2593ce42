"""The headers that every answer bears, so that a browser makes nothing else of it than it is.

Those of the pages, which say more, are in :mod:`compat.pages.delivery`.
"""

from flask import Flask, Request, request
from werkzeug.wrappers import Response

# an answer of an endpoint is no page: nothing in it is loaded, run, framed or sent on
_ANSWER_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_ANSWER_TYPES = frozenset({"application/json", "text/html", "text/plain"})
_OF_ALL = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
}
STRICT_TRANSPORT = "max-age=31536000"


def install_security_headers(app: Flask, *, hsts: bool) -> None:
    """``hsts``: send Strict-Transport-Security where the request came by HTTPS."""

    @app.after_request
    def complete(response: Response) -> Response:
        return completed(response, request, hsts=hsts)


def completed(response: Response, request: Request, *, hsts: bool) -> Response:
    headers = response.headers
    # of the pages' files a worker's script takes its own policy over to what it fetches, and so has none
    is_answer = "Referrer-Policy" not in headers and response.mimetype in _ANSWER_TYPES
    if is_answer:
        headers.setdefault("Content-Security-Policy", _ANSWER_POLICY)
        headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    for name, value in _OF_ALL.items():
        headers.setdefault(name, value)
    if hsts and request.is_secure:
        headers.setdefault("Strict-Transport-Security", STRICT_TRANSPORT)
    return response
