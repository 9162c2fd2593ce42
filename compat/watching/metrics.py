"""Metrics of all requests in Prometheus' format: how many, how they ended, how long they took.

Each process counts its own. Where $PROMETHEUS_MULTIPROC_DIR names a directory, all processes count in files there, and
each tells the sum.
"""

import os
from functools import cache

from flask import Request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess, process_collector
from prometheus_client import exposition as formats
from werkzeug.wrappers import Response

from compat.application import Application
from compat.watching.requests import seconds_since_begin

CONTENT_TYPE = formats.CONTENT_TYPE_LATEST
DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
_OWN = CollectorRegistry()
_REQUESTS = Counter(
    "showbox_requests", "Requests by path, method and status.", ["path", "method", "status"], registry=_OWN
)
_SECONDS = Histogram(
    "showbox_request_seconds",
    "Seconds from the arrival of a request until its answer is ready.",
    ["path"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    registry=_OWN,
)
process_collector.ProcessCollector(registry=_OWN)


@cache
def _counter(path: str, method: str, status: int) -> Counter:
    return _REQUESTS.labels(path, method, status)


@cache
def _histogram(path: str) -> Histogram:
    return _SECONDS.labels(path)


def install_metrics(app: Application) -> None:
    @app.completes
    def count(request: Request, response: Response) -> Response:
        # of declared paths there are few; what else is asked for may be anything
        path = request.url_rule.rule if request.url_rule is not None else "other"
        method = request.method if request.method in _METHODS else "other"
        _counter(path, method, response.status_code).inc()
        _histogram(path).observe(seconds_since_begin(request))
        return response


def exposition(**gauges: tuple[str, str, dict[str, float]]) -> bytes:
    """All metrics as text. ``gauges``: by name the text that says what it is, its label, and its values."""
    registry = CollectorRegistry()
    if os.environ.get(DIRECTORY_VARIABLE):
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(_OWN)
    told = b""
    for name, (text, label, values) in gauges.items():
        # read now, from what all processes share: kept in no file
        lines = [f"# HELP showbox_{name} {text}", f"# TYPE showbox_{name} gauge"]
        lines += [f'showbox_{name}{{{label}="{value}"}} {number:g}' for value, number in sorted(values.items())]
        told += "\n".join([*lines, ""]).encode()
    return generate_latest(registry) + told
