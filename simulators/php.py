"""How PHP reads a form body and writes JSON; knows no HTTP and no portal."""

import json
import re
from collections.abc import Mapping
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

PhpValue: TypeAlias = "str | list[PhpValue] | dict[str, PhpValue]"

MAX_VARIABLES = 1000

_INDEXES = re.compile(r"(?:\[[^\]]*\])+")
_INTEGER = re.compile(r"\s*([+-]?\d+)")


def url_decode(raw: bytes) -> str:
    """PHP's ``urldecode``; bytes that are not UTF-8 become lone surrogates (see :func:`encode_json`)."""
    return unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8", "surrogateescape")


def parse_form(body: bytes) -> dict[str, PhpValue]:
    """PHP's ``parse_str``: last duplicate wins, ``x[]`` gives a list, ``c[k]`` a map, dots and spaces become ``_``."""
    fields: dict[str, PhpValue] = {}
    for pair in [pair for pair in body.split(b"&") if pair][:MAX_VARIABLES]:
        name, _, value = pair.partition(b"=")
        _assign(fields, url_decode(name), url_decode(value))
    return {name: _with_lists(value) for name, value in fields.items()}


def _assign(fields: dict[str, PhpValue], name: str, value: str) -> None:
    key, indexes = _split_name(name.lstrip(" ").partition("\0")[0])
    if not key:
        return
    target = fields
    for index in indexes:
        inner = target.get(key)
        if not isinstance(inner, dict):
            inner = target[key] = {}
        key = index or str(max((int(used) for used in inner if used.isdecimal()), default=-1) + 1)
        target = inner
    target[key] = value


def _split_name(name: str) -> tuple[str, list[str]]:
    start = name.find("[")
    indexes = _INDEXES.match(name, start) if start >= 0 else None
    if indexes is None:
        return re.sub(r"[ .\[]", "_", name), []
    return re.sub(r"[ .]", "_", name[:start]), indexes.group()[1:-1].split("][")


def _with_lists(value: PhpValue) -> PhpValue:
    if not isinstance(value, dict):
        return value
    items = {key: _with_lists(item) for key, item in value.items()}
    return list(items.values()) if list(items) == [str(index) for index in range(len(items))] else items


def scalar(fields: Mapping[str, PhpValue], name: str, default: str = "") -> str:
    """The field as text; a list or map turns into the word that PHP makes of it."""
    value = fields.get(name, default)
    return value if isinstance(value, str) else "Array"


def truthy(text: str) -> bool:
    return text not in ("", "0")


def to_int(text: str) -> int:
    """PHP's ``intval`` of a text: leading digits count, anything else is 0."""
    match = _INTEGER.match(text)
    return int(match[1]) if match else 0


def encode_json(value: object) -> bytes:
    r"""PHP's ``json_encode``: compact, ``/`` as ``\/``, non-ASCII as ``\uXXXX``; nothing at all for invalid UTF-8."""
    text = json.dumps(value, separators=(",", ":"))
    if "\\udc" in text and not _is_utf8(value):
        return b""
    return text.replace("/", "\\/").encode("ascii")


def _is_utf8(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
