"""Reads the path of a request and refuses every spelling that is not plain. Which paths exist is not known here.

Contract chapter 10, section 8, "path safety".
"""

import re
from urllib.parse import unquote_to_bytes
from wsgiref.types import WSGIEnvironment

# Control characters, the separators and stream marks of other systems, and what would be left of a double encoding.
_REFUSED_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f\\:%]")
_ENCODED_SEPARATOR = re.compile(r"%(?:2f|5c)", re.IGNORECASE)
_ABSOLUTE_FORM = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#]*", re.IGNORECASE)


def requested_path(environ: WSGIEnvironment) -> str | None:
    """The decoded path of a request, ``/`` first; None when it is not a plain one.

    Servers tidy the path on the way to PATH_INFO (waitress merges leading slashes and drops tabs), so
    the request target is held to the same rules wherever the server passes it on.
    """
    target = _request_target(environ)
    if target is not None and not _plain_target(target):
        return None
    return _plain_path(environ.get("PATH_INFO", "").encode("latin-1") or b"/")


def _request_target(environ: WSGIEnvironment) -> str | None:
    """The path as it stood in the request line, still encoded; not part of WSGI, hence optional."""
    target: str | None = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if target is None:
        return None
    path = _ABSOLUTE_FORM.sub("", target, count=1) if _ABSOLUTE_FORM.match(target) else target
    return re.split(r"[?#]", path, maxsplit=1)[0] or "/"


def _plain_target(target: str) -> bool:
    if _ENCODED_SEPARATOR.search(target):
        return False
    return _plain_path(unquote_to_bytes(target.encode("latin-1"))) is not None


def _plain_path(encoded: bytes) -> str | None:
    try:
        path = encoded.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if path == "/":
        return path
    if not path.startswith("/") or _REFUSED_CHARACTER.search(path):
        return None
    return path if all(map(_plain_segment, path[1:].split("/"))) else None


def _plain_segment(segment: str) -> bool:
    return bool(segment) and not segment.startswith(".") and not segment.endswith((".", " "))
