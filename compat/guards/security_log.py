"""The log of refusals, off by default: who was refused what, from where, and no value of any request.

Its logger is ``showbox.security``, so that a log keeper can send it elsewhere.
"""

import logging

import orjson
from flask import Request, session
from werkzeug.wrappers import Response

from compat.application import Application
from compat.client import ClientResolver
from compat.sessions import SessionUnavailable

log = logging.getLogger("showbox.security")

_STATUSES = frozenset({400, 401, 403, 405, 413, 429})
# of the document's codes: not logged in or wrong credentials, not allowed
_CODES = frozenset({2, 3})
_FAILED = b'{"error":1'
_MOST_BYTES = 4096


def install_security_log(app: Application, clients: ClientResolver) -> None:
    @app.completes
    def note(request: Request, response: Response) -> Response:
        code = _code(response)
        if response.status_code in _STATUSES or code in _CODES:
            rule = request.url_rule.rule if request.url_rule is not None else "no endpoint"
            log.warning(
                "refused %s %s: status %d, code %s, user %s, from %s",
                *(request.method, rule, response.status_code, code if code is not None else "-"),
                *(_who(), clients.address(request.environ) or "-"),
            )
        return response


def _code(response: Response) -> int | None:
    if response.direct_passthrough or response.mimetype != "application/json":
        return None
    body = response.get_data()
    if not body.startswith(_FAILED) or len(body) > _MOST_BYTES:
        return None
    code = orjson.loads(body).get("code")
    return code if isinstance(code, int) else None


def _who() -> str:
    """The user of the session, whatever becomes of it; quoted, for a name may hold anything."""
    try:
        name = session.get("username")
    except SessionUnavailable:
        return "unknown"
    return ascii(name) if isinstance(name, str) else "nobody"
