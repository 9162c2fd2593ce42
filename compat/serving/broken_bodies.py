"""A body that breaks off, or is no body, where the server hands it on as it comes (gunicorn, uWSGI, granian).

Our own server reads bodies whole before anybody is asked, and refuses these itself.
"""

from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.exceptions import ClientDisconnected

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]


def with_readable_bodies(app: WsgiApp) -> WsgiApp:
    """``app``, for which a body that cannot be read is the client's fault (400) and none of ours."""

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get("CONTENT_LENGTH") or "HTTP_TRANSFER_ENCODING" in environ:
            environ["wsgi.input"] = _Body(environ["wsgi.input"])
        return app(environ, start_response)

    return call


class _Body:
    """The input of a request, whose faults of reading are named."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, *size: int) -> bytes:
        return self._named(self._stream.read, *size)

    def readline(self, *size: int) -> bytes:
        return self._named(self._stream.readline, *size)

    def _named(self, read: Callable[..., bytes], *size: int) -> bytes:
        try:
            return read(*size)
        except Exception:
            # each server has classes of its own for it
            raise ClientDisconnected from None
