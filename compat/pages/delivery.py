"""How bytes become a response: type, caching, conditional requests, compression, security headers.

Which files may be delivered, and what stands in them, is not decided here.
"""

import gzip
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from werkzeug.wrappers import Request, Response

from compat.pages.complete_pages import BrokenPage, require_whole

# the pages need inline handlers; what they load and where they send things is theirs alone (contract chapter 05 §8)
DEFAULT_CONTENT_SECURITY_POLICY = (
    "frame-ancestors 'none'; object-src 'none'; base-uri 'self'; connect-src 'self'; form-action 'self'; "
    "img-src 'self' data: blob:; worker-src 'self'; manifest-src 'self'"
)
_COMPRESSED_BYTES = 16 * 1024 * 1024
_REVALIDATE = "no-cache"
_ONE_DAY = "public, max-age=86400"


@dataclass(frozen=True, slots=True)
class Media:
    """What kind of thing is delivered; ``page`` marks documents that a browser shows by themselves."""

    content_type: str
    cache_control: str
    is_text: bool = False
    is_page: bool = False


RENDERED_PAGE = Media("text/html; charset=UTF-8", "no-store", is_text=True, is_page=True)
_STATIC_PAGE = Media("text/html; charset=utf-8", _REVALIDATE, is_text=True, is_page=True)
_BY_EXTENSION = {
    "html": _STATIC_PAGE,
    "js": Media("text/javascript; charset=utf-8", _REVALIDATE, is_text=True),
    "css": Media("text/css; charset=utf-8", _REVALIDATE, is_text=True),
    # The one JSON file of a frontend is its manifest.
    "json": Media("application/manifest+json", _REVALIDATE, is_text=True),
    "svg": Media("image/svg+xml", _ONE_DAY, is_text=True),
    "png": Media("image/png", _ONE_DAY),
    "jpg": Media("image/jpeg", _ONE_DAY),
    "webp": Media("image/webp", _ONE_DAY),
    "ico": Media("image/x-icon", _ONE_DAY),
    "ttf": Media("font/ttf", _ONE_DAY),
    "woff": Media("font/woff", _ONE_DAY),
    "woff2": Media("font/woff2", _ONE_DAY),
}


def media_of(name: str) -> Media:
    """The media of a file name with one of the allowed extensions (KeyError for any other)."""
    return _BY_EXTENSION[name.rpartition(".")[2]]


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes to deliver. Equal ``version`` means equal bytes; ``read`` is called at most once, only when needed."""

    media: Media
    version: Hashable
    read: Callable[[], bytes]
    etag: str | None = None
    modified: datetime | None = None


class CompressedBodies:
    """Gzipped bodies by version, in memory; the least recently used go when ``limit`` bytes are exceeded."""

    def __init__(self, limit: int = _COMPRESSED_BYTES) -> None:
        self._limit = limit
        self._held = 0
        self._bodies: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = Lock()

    def get(self, version: Hashable, read: Callable[[], bytes]) -> bytes:
        """The gzipped form of ``read()``, made only when this version is not held."""
        with self._lock:
            held = self._bodies.get(version)
            if held is not None:
                self._bodies.move_to_end(version)
                return held
        body = gzip.compress(read(), compresslevel=6, mtime=0)
        self._keep(version, body)
        return body

    def _keep(self, version: Hashable, body: bytes) -> None:
        if len(body) > self._limit:
            return
        with self._lock:
            self._held += len(body) - len(self._bodies.pop(version, b""))
            self._bodies[version] = body
            while self._held > self._limit:
                self._held -= len(self._bodies.popitem(last=False)[1])


class Delivery:
    """Turns contents into responses.

    ``hsts``: send Strict-Transport-Security where the request came by HTTPS.
    ``content_security_policy``: sent with pages; empty sends none.
    """

    def __init__(self, *, hsts: bool, content_security_policy: str) -> None:
        self._hsts = hsts
        self._content_security_policy = content_security_policy
        self._compressed = CompressedBodies()

    def respond(self, request: Request, content: Content) -> Response:
        """200 with the content, or 304 (412) where the request's conditions say so.

        Raises BrokenPage for a page that is empty or cut; what is read is looked at, not what is asked for again.
        """
        compress = content.media.is_text and request.accept_encodings.quality("gzip") > 0
        response = Response(content_type=content.media.content_type)
        response.headers["Cache-Control"] = content.media.cache_control
        self._secure(request, response, content.media)
        if content.media.is_text:
            response.headers["Vary"] = "Accept-Encoding"
        if content.etag is not None:
            response.set_etag(content.etag + ("-gz" if compress else ""))
        if content.modified is not None:
            response.last_modified = content.modified
        response.make_conditional(request)
        if response.status_code != 200:
            return response

        def read() -> bytes:
            return require_whole(content.read()) if content.media.is_page else content.read()

        if compress:
            response.headers["Content-Encoding"] = "gzip"
            response.data = self._compressed.get(content.version, read)
        else:
            response.data = read()
        return response

    def refuse(self, request: Request, broken: BrokenPage) -> Response:
        """500 with a text that says what is wrong with the page."""
        text = f"This page cannot be shown: {broken}. The server's log names the file.\n"
        response = Response(text, 500, content_type="text/plain; charset=utf-8")
        response.headers["Cache-Control"] = "no-store"
        self._secure(request, response, RENDERED_PAGE)
        return response

    def _secure(self, request: Request, response: Response, media: Media) -> None:
        headers = response.headers
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "same-origin"
        if media.is_page:
            headers["X-Frame-Options"] = "DENY"
            if self._content_security_policy:
                headers["Content-Security-Policy"] = self._content_security_policy
        if self._hsts and request.is_secure:
            headers["Strict-Transport-Security"] = "max-age=31536000"
