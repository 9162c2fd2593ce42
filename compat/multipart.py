"""Bodies of the type multipart/form-data, read as PHP reads them, also where their sender was careless.

A last boundary that is missing, and a part that does not say of which field it is, keep nobody's form from being read.
Source: contract README, "unreadable bodies".
"""

import io
import re
from typing import IO, Any

from werkzeug.datastructures import FileStorage, ImmutableMultiDict, MultiDict
from werkzeug.formparser import default_stream_factory
from werkzeug.wrappers import Request

UNREADABLE = "The request body cannot be read"
# up to here a body is held in memory, so that it can be read a second time; a larger one is a file, and must be whole
HELD_BYTES = 8 * 1024 * 1024
_HEADERS_END = re.compile(rb"\r?\n\r?\n")
_DISPOSITION = re.compile(rb"^content-disposition:.*", re.IGNORECASE | re.MULTILINE)

Fields = tuple[MultiDict[str, str], MultiDict[str, FileStorage]]


class BadParameters(Exception):
    """The request's parameters cannot be read; ``text`` says why in one sentence."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)


def read(request: Request) -> Fields:
    """The fields and files of a body. Raises BadParameters, RequestEntityTooLarge."""
    # where the request looks for them when it closes its files
    form, files = _read(request)
    request.form, request.files = ImmutableMultiDict(form), ImmutableMultiDict(files)
    return form, files


def _read(request: Request) -> Fields:
    length = request.content_length
    if length is None or length > HELD_BYTES:
        try:
            return _parsed(request, request.stream, length)
        except ValueError:
            raise BadParameters(UNREADABLE) from None
    body = request.get_data(cache=True, parse_form_data=False)
    try:
        return _parsed(request, io.BytesIO(body), len(body))
    except ValueError:
        pass
    try:
        body = _mended(body, request.mimetype_params.get("boundary", "").encode("ascii"))
        return _parsed(request, io.BytesIO(body), len(body))
    except ValueError:
        raise BadParameters(UNREADABLE) from None


def _parsed(request: Request, stream: IO[bytes], length: int | None) -> Fields:
    """Raises ValueError for what does not follow the rules."""
    opened: list[IO[bytes]] = []

    def opening(*how: Any, **more: Any) -> IO[bytes]:
        opened.append(default_stream_factory(*how, **more))
        return opened[-1]

    parser = request.make_form_data_parser()
    parser.silent, parser.stream_factory = False, opening
    try:
        _, form, files = parser.parse(stream, request.mimetype, length, request.mimetype_params)
    except Exception:
        for file in opened:
            file.close()
        raise
    return form, files


def _mended(body: bytes, boundary: bytes) -> bytes:
    """``body`` without the parts that name no field, and with its end. Raises BadParameters."""
    marker = b"--" + boundary
    if not boundary or marker not in body:
        raise BadParameters(UNREADABLE)
    _, *parts = re.split(rb"(?:\A|\r?\n)" + re.escape(marker), _without_half_an_end(body, b"\r\n" + marker + b"--"))
    end = next((number for number, part in enumerate(parts) if part.startswith(b"--")), None)
    whole = parts[:end]
    if end is None and whole and b"filename" in _disposition(whole[-1]):
        raise BadParameters("The uploaded file is not complete; nothing was stored")
    kept = [part for part in whole if _disposition(part)]
    return b"".join(b"\r\n" + marker + part for part in kept) + b"\r\n" + marker + b"--\r\n"


def _disposition(part: bytes) -> bytes:
    headers = _HEADERS_END.split(part, maxsplit=1)[0]
    found = _DISPOSITION.search(headers)
    return found.group() if found else b""


def _without_half_an_end(body: bytes, end: bytes) -> bytes:
    """Without a piece of the last boundary, which would else be taken for the end of the last value."""
    cut = next((length for length in range(len(end) - 1, 0, -1) if body.endswith(end[:length])), 0)
    return body[: len(body) - cut] if cut else body
