"""The envelope: what every answer of an endpoint looks like on the wire. Source: contract chapter 00, "Responses".

Knows status, headers and spelling; what an answer says is the endpoint's business.
"""

import gzip
import html
from collections.abc import Mapping
from typing import Any, Protocol

import orjson
from werkzeug.wrappers import Request, Response

from compat.application import JsonResponse
from compat.guards.security_headers import ANSWER_HEADERS

NO_CACHE = {
    "Expires": "Thu, 19 Nov 1981 08:52:00 GMT",
    "Cache-Control": "no-store, no-cache, must-revalidate",
    "Pragma": "no-cache",
}
_HEADERS = [("Content-Type", "application/json"), *NO_CACHE.items(), *ANSWER_HEADERS.items()]
# below this size the header and the work cost more than the bytes saved
GZIP_FROM = 4096
# the document's codes for "not logged in" and "not allowed"
_REFUSALS = (2, 3)
_FILE_STATUS = {2: 401, 3: 403, 4: 404}


class Failure(Protocol):
    """What an exception must carry to become an envelope (core's PanelError does)."""

    @property
    def text(self) -> str: ...

    @property
    def code(self) -> int: ...

    @property
    def status(self) -> int: ...

    @property
    def retry_after(self) -> int | None: ...

    @property
    def goes_on(self) -> bool: ...


class FailedWith(Exception):
    """A :class:`Failure` whose answer has further ``keys``: raised by routes, since they shape the answers."""

    def __init__(self, failure: Failure, keys: Mapping[str, object]) -> None:
        super().__init__(failure.text)
        self.failure = failure
        self.keys = keys


class Encoded(Protocol):
    """A success body that is already JSON bytes, and the same gzipped: for long lists that are kept encoded."""

    @property
    def body(self) -> bytes: ...

    @property
    def gzipped(self) -> bytes: ...


def success_body(payload: Mapping[str, Any]) -> bytes:
    """``error`` 0 first, then ``payload`` in its own order."""
    return orjson.dumps({"error": 0, **payload})


def success(payload: Mapping[str, Any], request: Request) -> Response:
    """See :func:`success_body`; gzipped when long and accepted."""
    body = success_body(payload)
    if len(body) < GZIP_FROM or not accepts_gzip(request):
        return json_response(body)
    return _gzipped(gzipped(body))


def gzipped(body: bytes, level: int = 1) -> bytes:
    """``body`` as answers that many ask for are packed; the same bytes at any time."""
    return gzip.compress(body, compresslevel=level, mtime=0)


def encoded_success(encoded: Encoded, request: Request) -> Response:
    if accepts_gzip(request):
        return _gzipped(encoded.gzipped)
    response = json_response(encoded.body)
    response.headers["Vary"] = "Accept-Encoding"
    return response


def _gzipped(body: bytes) -> Response:
    response = json_response(body)
    response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    return response


def failure(text: str, code: int, status: int = 200, keys: Mapping[str, object] | None = None) -> Response:
    """``error`` is only ever 0 or 1; the text stands in both keys, the document's code in its own."""
    body = {"error": 1, **(keys or {}), "err_msg": text, "message": text, "code": code}
    return json_response(orjson.dumps(body), status)


def failure_of(error: Failure, keys: Mapping[str, object] | None = None) -> Response:
    """``keys``: what the answer has beside the failure."""
    if error.goes_on:
        return json_response(success_body(still_going_on(error.text)))
    response = failure(error.text, error.code, error.status, keys)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def instead_of_a_file(error: Any) -> Response:
    """A :class:`Failure` where a file was asked for: service workers keep whatever comes with status 200."""
    status = _FILE_STATUS.get(error.code, 503) if error.status == 200 else error.status
    return failure(error.text, error.code, status)


def still_going_on(text: str) -> dict[str, object]:
    """Content of the answer to what is done in part and ends by itself: no failure, for who repeats that doubles it."""
    return {"err_msg": text, "message": text, "pending": 1, "warning": 1, "warning_text": text}


def kept_by_browser(response: Response, seconds: int) -> Response:
    """``response``, which the browser that asked may show again for so long, as long as its cookies stay; 0: never."""
    if seconds:
        for name in ("Expires", "Pragma"):
            response.headers.pop(name, None)
        response.headers["Cache-Control"] = f"private, max-age={seconds}"
        response.vary.add("Cookie")
    return response


def text_response(text: str, status: int = 200) -> Response:
    """The text of an endpoint that speaks no JSON, under the content type that PHP gives to such texts."""
    headers = {**NO_CACHE, "X-Content-Type-Options": "nosniff"}
    return Response(text, status, content_type="text/html; charset=UTF-8", headers=headers)


def as_text(failed: Response) -> Response:
    """A failure's envelope as one line of text; a refusal has status 403, for a text has no other way to say so."""
    content = orjson.loads(failed.get_data())
    is_refusal = failed.status_code == 200 and content["code"] in _REFUSALS
    return text_response(html.escape(content["message"]) + "\n", 403 if is_refusal else failed.status_code)


def json_response(body: bytes, status: int = 200) -> Response:
    return JsonResponse(body, status, _HEADERS)


def accepts_gzip(request: Request) -> bool:
    header = request.environ.get("HTTP_ACCEPT_ENCODING")
    return header is not None and "gzip" in header and request.accept_encodings["gzip"] > 0
