"""Session data as bytes and back: JSON for our own stores, PHP's two serialise handlers for PHP's files.

Where the bytes are kept is the stores' matter; single values of PHP: :mod:`compat.sessions.php_values`. Nothing here
instantiates classes (contract chapter 10, 2.3).
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson
import phpserialize
from flask_session.base import Serializer

from compat.sessions.php_values import Entry, Foreign, Unreadable, read_entry, renumbered, value_of
from compat.sessions.session import Changes

_CANONICAL_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")
_JSON_OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS


class JsonSerializer(Serializer):  # type: ignore[misc]  # Flask-Session has no types
    """Takes the place of Flask-Session's serializer, which would fall back to pickle."""

    def encode(self, session: Mapping[str, Any]) -> bytes:
        """Raises TypeError for a value that JSON does not hold."""
        return orjson.dumps(dict(session), option=_JSON_OPTIONS)

    def decode(self, serialized_data: bytes | str) -> dict[str, Any]:
        """Raises Unreadable."""
        try:
            data = orjson.loads(serialized_data)
        except orjson.JSONDecodeError as error:
            raise Unreadable("no JSON") from error
        if type(data) is not dict:
            raise Unreadable("no JSON object")
        return data

    def merge(self, serialized_data: bytes | str, changes: Changes) -> bytes:
        """The data with the changes applied, everything else as it was. Raises Unreadable."""
        return self.encode(changes.apply(self.decode(serialized_data)))


class PhpHandler(ABC):
    """One of PHP's ``session.serialize_handler`` formats.

    Values are None, bool, int, float, str, list and dict; a PHP array with the keys 0 to n-1 in order is
    a list (so an empty one is ``[]``), any other a dict with int and str keys. Text is UTF-8; other bytes
    survive as surrogate escapes. What only PHP can read is a :class:`~compat.sessions.php_values.Foreign`.
    """

    #: the number of the first value of a session
    base = 1

    def decode(self, raw: bytes) -> dict[str, Any]:
        """Raises Unreadable, and nothing else, whatever the bytes."""
        entries = list(self._entries(raw))
        return {entry.key: value_of(entry, entries) for entry in entries}

    def encode(self, data: Mapping[str, Any]) -> bytes:
        """Raises TypeError or ValueError for what PHP could not read back."""
        foreign = next((value for value in data.values() if isinstance(value, Foreign)), None)
        known = {} if foreign is None else {entry.key: entry for entry in foreign.entries}
        return self._join(renumbered([self._entry(key, value, known) for key, value in data.items()], self.base))

    def merge(self, raw: bytes, changes: Changes) -> bytes:
        """``raw`` with the changes applied; all other entries keep their very bytes, but for the numbers of references
        to what has moved. Raises Unreadable."""
        known = {entry.key: entry for entry in self._entries(raw)}
        assigned = {key: self._entry(key, value, known) for key, value in changes.assigned.items()}
        return self._join(renumbered(list(Changes(assigned, changes.removed).apply(known).values()), self.base))

    def _entry(self, key: str, value: Any, known: Mapping[str, Entry]) -> Entry:
        head, before = self._head(key), known.get(key)
        if isinstance(value, Foreign):
            return replace(value.entry, key=key, head=head)
        return read_entry(key, head, _write_value(value), 0, before.first if before else 0)

    @abstractmethod
    def _entries(self, raw: bytes) -> Iterator[Entry]: ...

    @abstractmethod
    def _head(self, key: str) -> bytes: ...

    @abstractmethod
    def _join(self, entries: Collection[bytes]) -> bytes: ...


class _Php(PhpHandler):
    """``key|value`` after ``key|value``, without separator."""

    def _entries(self, raw: bytes) -> Iterator[Entry]:
        start, slot = 0, self.base
        while start < len(raw):
            bar = raw.find(b"|", start)
            if bar < 0:
                raise Unreadable("a key without value")
            key, head = raw[start:bar].decode("utf-8", "surrogateescape"), raw[start : bar + 1]
            entry = read_entry(key, head, raw, bar + 1, slot)
            yield entry
            start, slot = bar + 1 + len(entry.body), slot + entry.slots

    def _head(self, key: str) -> bytes:
        if "|" in key:
            raise ValueError("PHP's session format has no key that contains '|'")
        return key.encode("utf-8", "surrogateescape") + b"|"

    def _join(self, entries: Collection[bytes]) -> bytes:
        return b"".join(entries)


class _PhpSerialize(PhpHandler):
    """The whole session as one serialised array, which is its first value."""

    base = 2
    _opening = re.compile(rb"a:([0-9]{1,9}):\{")

    def _entries(self, raw: bytes) -> Iterator[Entry]:
        if not raw:
            return
        opening = self._opening.match(raw)
        if opening is None:
            raise Unreadable("no array")
        start, slot = opening.end(), self.base
        for _ in range(int(opening[1])):
            key = read_entry("", b"", raw, start, 0)
            name, begin = value_of(key, ()), start + len(key.body)
            if type(name) not in (int, str):
                raise Unreadable("an array key of a wrong type")
            entry = read_entry(str(name), key.body, raw, begin, slot)
            yield entry
            start, slot = begin + len(entry.body), slot + entry.slots
        if raw[start:] != b"}":
            raise Unreadable("the array does not end")

    def _head(self, key: str) -> bytes:
        return _write_key(key)

    def _join(self, entries: Collection[bytes]) -> bytes:
        return _array(entries, len(entries))


_HANDLERS: dict[str, Callable[[], PhpHandler]] = {"php": _Php, "php_serialize": _PhpSerialize}


def php_handler(name: str) -> PhpHandler:
    """The handler of that ``session.serialize_handler`` name. Raises ValueError for an unknown one."""
    if name not in _HANDLERS:
        raise ValueError(f"unknown session handler '{name}'; use php or php_serialize")
    return _HANDLERS[name]()


def _write_value(value: Any) -> bytes:
    if isinstance(value, float):
        return _write_float(value)
    if isinstance(value, list | tuple):
        return _array([_write_key(i) + _write_value(item) for i, item in enumerate(value)], len(value))
    if isinstance(value, dict):
        return _array([_write_key(key) + _write_value(item) for key, item in value.items()], len(value))
    if value is not None and not isinstance(value, bool | int | str):
        raise TypeError(f"a session cannot hold a {type(value).__name__}")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("a session cannot hold an integer of more than 64 bits")
    return phpserialize.dumps(value)  # type: ignore[no-any-return]


def _write_key(key: int | str) -> bytes:
    """PHP knows no array key "5": a text that is a decimal integer is the integer."""
    if type(key) not in (int, str):
        raise TypeError(f"a session array cannot have a key of type {type(key).__name__}")
    if isinstance(key, str) and _CANONICAL_INTEGER.fullmatch(key) and -(2**63) <= int(key) < 2**63:
        return _write_value(int(key))
    return _write_value(key)


def _write_float(value: float) -> bytes:
    """``d:0.5;``, ``d:1;``, ``d:1.0E+25;``, ``d:-INF;``: phpserialize's own spelling ``inf`` is none to PHP."""
    mantissa, exponent_mark, exponent = repr(value).upper().partition("E")
    if exponent_mark and "." not in mantissa:
        mantissa += ".0"
    elif not exponent_mark:
        mantissa = mantissa.removesuffix(".0")
    return f"d:{mantissa}{exponent_mark}{exponent};".encode("ascii")


def _array(entries: Collection[bytes], count: int) -> bytes:
    return b"a:%d:{%b}" % (count, b"".join(entries))
