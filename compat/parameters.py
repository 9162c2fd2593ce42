"""One merged parameter set per request, read as PHP would read it: names, nesting, JSON bodies, limits.

Types and aliases of single fields are the business of :mod:`compat.fields`. Source: contract chapter 00, "Requests".
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Request

from compat import multipart
from compat.multipart import UNREADABLE, BadParameters

MAX_NESTING = 64
_BOM = b"\xef\xbb\xbf"
_NAME_BYTES = str.maketrans({".": "_", " ": "_"})


@dataclass(frozen=True)
class Limits:
    """Upper bounds of a request: fields by count, one uploaded file by bytes (the whole body: Flask's own limit)."""

    fields: int = 1000
    file_bytes: int = 2 * 1024 * 1024


@dataclass
class Parameters:
    """``values``: name → text, list, map or JSON scalar, body over query string; ``files``: name → upload."""

    values: dict[str, Any] = field(default_factory=dict)
    files: dict[str, FileStorage] = field(default_factory=dict)


def read_parameters(request: Request, limits: Limits) -> Parameters:
    """Merge query string and body of ``request``. Raises BadParameters, or RequestEntityTooLarge (413)."""
    result = Parameters()
    query = request.environ.get("QUERY_STRING", "")
    if query:
        result.values = _php_array(_pairs(query.encode("latin-1"), limits))
    if request.content_length or "HTTP_TRANSFER_ENCODING" in request.environ:
        _read_body(request, limits, result)
    return result


def _read_body(request: Request, limits: Limits, result: Parameters) -> None:
    kind = request.mimetype
    if kind == "multipart/form-data":
        _read_multipart(request, limits, result)
        return
    body = request.get_data(cache=True, parse_form_data=False).removeprefix(_BOM)
    start = body.lstrip()[:1]
    if not start:
        return
    # curl and old scripts send JSON under any content type
    if kind == "application/json" or kind.endswith("+json") or start == b"{":
        _read_json(body, result)
        return
    is_form = kind == "application/x-www-form-urlencoded" and not _is_markup_or_list(body, start)
    fields = _php_array(_pairs(body, limits)) if is_form else {}
    if not fields:
        raise BadParameters(UNREADABLE)
    result.values |= fields


def _is_markup_or_list(body: bytes, start: bytes) -> bool:
    """What curl calls a form when nothing else is said."""
    if start != b"[":
        return start == b"<"
    try:
        return isinstance(orjson.loads(body), list)
    except orjson.JSONDecodeError:
        return False


def _read_json(body: bytes, result: Parameters) -> None:
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadParameters(f"{UNREADABLE}: it is not valid JSON") from None
    if not isinstance(data, dict):
        raise BadParameters(f"{UNREADABLE}: it must be a JSON object")
    if b"\\u0000" in body:
        _refuse_nul(data)
    result.values |= data


def _refuse_nul(data: object) -> None:
    pending = [data]  # a stack, for JSON may nest deeper than Python recurses
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            _clean_text(value)
        elif isinstance(value, dict):
            pending += [*value, *value.values()]
        elif isinstance(value, list):
            pending += value


def _read_multipart(request: Request, limits: Limits, result: Parameters) -> None:
    form, files = multipart.read(request)
    pairs = list(form.items(multi=True))
    for name, value in pairs:
        # the form parser has already decoded, replacing what was not UTF-8
        if "\ufffd" in name or "\ufffd" in value:
            raise BadParameters("The request contains text that is not valid UTF-8")
        _clean_text(value)
    if len(pairs) > limits.fields:
        raise RequestEntityTooLarge
    result.values |= _php_array(pairs)
    for name, upload in files.items(multi=True):
        size = upload.stream.seek(0, 2)
        upload.stream.seek(0)
        if size > limits.file_bytes:
            raise RequestEntityTooLarge
        result.files[name] = upload


def _pairs(raw: bytes, limits: Limits) -> Iterable[tuple[str, str]]:
    parts = [part for part in raw.split(b"&") if part]
    if len(parts) > limits.fields:
        raise RequestEntityTooLarge
    for part in parts:
        name, _, value = part.partition(b"=")
        yield _decode(name), _decode(value)


def _decode(raw: bytes) -> str:
    try:
        return _clean_text(unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8"))
    except UnicodeDecodeError:
        raise BadParameters("The request contains text that is not valid UTF-8") from None


def _clean_text(text: str) -> str:
    if "\0" in text:
        raise BadParameters("The request contains a NUL character")
    return text


def _php_array(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """PHP's naming rules: ``a[]`` appends, ``a[k]`` nests, dots and blanks of the name become underscores."""
    result: dict[Any, Any] = {}
    for raw_name, value in pairs:
        path = _path(raw_name)
        if path is None:
            continue
        target = result
        for key in path[:-1]:
            key = _next_key(target) if key is None else key
            child = target.get(key)
            if not isinstance(child, dict):
                child = target[key] = {}
            target = child
        last = path[-1]
        target[_next_key(target) if last is None else last] = value
    return {str(name): _as_list(item) for name, item in result.items()}


def _path(raw_name: str) -> list[Any] | None:
    """``a[b][]`` → ["a", "b", None]; None for a name that PHP drops."""
    name = raw_name.lstrip(" ")
    bracket = name.find("[")
    if not name or bracket == 0:
        return None if not name else [name.replace("[", "_", 1).translate(_NAME_BYTES)]
    if bracket < 0:
        return [name.translate(_NAME_BYTES)]
    base, rest = name[:bracket].translate(_NAME_BYTES), name[bracket:]
    keys = re.match(r"(?:\[[^\]]*\])+", rest)
    if keys is None:  # an opening bracket that is never closed is an underscore
        return [base + "_" + rest[1:].translate(_NAME_BYTES)]
    path: list[Any] = [base]
    for key in re.findall(r"\[([^\]]*)\]", keys.group()):
        path.append(None if key == "" else int(key) if re.fullmatch(r"0|-?[1-9]\d{0,17}", key) else key)
    if len(path) > MAX_NESTING:
        raise BadParameters("The request nests its fields too deeply")
    return path


def _next_key(array: Mapping[Any, Any]) -> int:
    return max((key for key in array if isinstance(key, int) and key >= 0), default=-1) + 1


def _as_list(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    items = {key: _as_list(item) for key, item in value.items()}
    if list(items) == list(range(len(items))):
        return list(items.values())
    return {str(key): item for key, item in items.items()}
