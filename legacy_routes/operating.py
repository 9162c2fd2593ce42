"""Asked by what watches the server: ``/_health`` of load balancers, ``/_metrics`` of Prometheus (ours alone).

Both are outside of the panel's paths, need no session and leave none.
"""

import hmac
import ipaddress

from flask import Flask
from werkzeug.wrappers import Response

from compat import envelope
from compat.client import FORWARDING_HEADERS
from compat.dispatcher import Dispatcher
from compat.endpoints import ROUTED_METHODS
from compat.watching import metrics
from core.administration.health import can_work, jobs_by_state
from core.errors import PanelError
from legacy_routes.gate import Call

_READING = ("GET", "HEAD")


def install_operating(app: Flask, dispatcher: Dispatcher) -> None:
    def health() -> Response:
        call: Call = dispatcher.call()
        if call.request.method not in _READING:
            return _only_read()
        fine = can_work(call.panel)
        return envelope.text_response("ok\n" if fine else "not available\n", 200 if fine else 503)

    def told() -> Response:
        call: Call = dispatcher.call()
        if not _may_read_metrics(call):
            # as any path that there is not
            return envelope.failure("Not found", 4, 404)
        if call.request.method not in _READING:
            return _only_read()
        try:
            jobs = jobs_by_state(call.panel)
        except PanelError:
            # the database is away, which is when the rest is looked at
            jobs = {}
        body = metrics.exposition(jobs=("Jobs in the queue's table, by state.", "state", jobs))
        return Response(body, content_type=metrics.CONTENT_TYPE, headers=envelope.NO_CACHE)

    for path, view in (("/_health", health), ("/_metrics", told)):
        app.add_url_rule(path, path, view, methods=ROUTED_METHODS, provide_automatic_options=False)


def _only_read() -> Response:
    response = envelope.failure("Only GET is answered here", 6, 405)
    response.headers["Allow"] = ", ".join(_READING)
    return response


def _may_read_metrics(call: Call) -> bool:
    """With the key, where one is configured; else from this machine itself, not through a proxy on it."""
    key = call.panel.config.security.metrics_key.get_secret_value()
    headers = call.request.headers
    if key:
        said = headers.get("Authorization", "").removeprefix("Bearer ").strip() or headers.get("X-Metrics-Key", "")
        return hmac.compare_digest(said.encode(), key.encode())
    environ = call.request.environ
    is_forwarded = any(name in environ for name in FORWARDING_HEADERS)
    return not is_forwarded and _is_here(environ.get("REMOTE_ADDR")) and _is_here(call.request.host)


def _is_here(host: str | None) -> bool:
    """Whether an address, or a host with its port, is this machine's own."""
    name = (host or "").strip()
    name = (
        name[1:].partition("]")[0] if name.startswith("[") else name if name.count(":") > 1 else name.partition(":")[0]
    )
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
