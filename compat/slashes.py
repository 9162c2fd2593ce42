"""Doubled slashes in a request's path count as one, as for the web servers that panels run behind, without a redirect.

Source: field case 8 (``/api//login.php``).
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

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
