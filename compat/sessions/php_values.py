"""Serialised PHP values as bytes: where one ends, what of it we can read, and the rest kept as it is.

Objects, references and whatever else only PHP can make something of are :class:`Foreign`: nothing is instantiated.
PHP numbers the values of a whole session through ("slots") and refers back to them by number, so that what stands
before a reference may not change its count unnoticed: see :func:`renumbered`. The two formats that sessions of such
values come in: :mod:`compat.sessions.codec`.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import phpserialize

# as PHP's own unserialize_max_depth
_DEEPEST = 4096
_PLAIN = re.compile(rb"N;|b:[01];|i:[+-]?[0-9]{1,20};|d:(?:NAN|-?INF|[+-]?[0-9.]{1,400}(?:[eE][+-]?[0-9]{1,4})?);")
_TEXT = re.compile(rb's:([0-9]{1,10}):"')
_ARRAY = re.compile(rb"a:([0-9]{1,9}):\{")
_OBJECT = re.compile(rb'O:([0-9]{1,5}):"([^"]*)":([0-9]{1,9}):\{')
_CUSTOM = re.compile(rb'C:([0-9]{1,5}):"([^"]*)":([0-9]{1,10}):\{')
_ENUM = re.compile(rb'E:([0-9]{1,5}):"([^"]*)";')
_REFERENCE = re.compile(rb"([Rr]):([0-9]{1,10});")


class Unreadable(ValueError):
    """The bytes are no session data; such a session counts as not existing and is never repaired."""


@dataclass(frozen=True, slots=True)
class Reference:
    """``start`` and ``end`` of the number within the bytes of its value; the ``slot`` that it names."""

    start: int
    end: int
    slot: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a session with its value, as it stands in the bytes: ``head`` is the key, ``body`` the value, which
    takes ``slots`` from ``first`` on."""

    key: str
    head: bytes
    body: bytes
    first: int
    slots: int
    is_plain: bool = True
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class Foreign:
    """A value that we keep for PHP and do not read. ``entries``: the whole session that it came from."""

    entry: Entry
    entries: Sequence[Entry] = field(repr=False, compare=False)


class _Scan:
    """Reads one value from ``start`` on, without recursion."""

    def __init__(self, raw: bytes, start: int) -> None:
        self.raw, self.start, self.end = raw, start, start
        self.slots = 0
        self.is_plain = True
        self.references: list[Reference] = []
        # of each array or object that is open: how many keys and values are still to come
        self._open: list[int] = []
        self._read()

    def _read(self) -> None:
        while True:
            while self._open and self._open[-1] == 0:
                self._open.pop()
                if self.raw[self.end : self.end + 1] != b"}":
                    raise Unreadable("an array does not end")
                self.end += 1
                if not self._open:
                    return
            is_key = bool(self._open) and self._open[-1] % 2 == 0
            if self._open:
                self._open[-1] -= 1
            self._one(is_key)
            if not self._open:
                return

    def _one(self, is_key: bool) -> None:
        kind = self.raw[self.end : self.end + 1]
        if is_key and kind not in (b"i", b"s"):
            raise Unreadable("an array key of a wrong type")
        if not is_key and kind != b"R":
            self.slots += 1
        readers: Mapping[bytes, Callable[[], None]] = {
            b"s": self._text,
            b"a": self._array,
            b"O": self._object,
            b"C": self._custom,
            b"E": self._enum,
            b"R": self._reference,
            b"r": self._reference,
        }
        readers.get(kind, self._scalar)()

    def _match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        found = pattern.match(self.raw, self.end)
        if found is None:
            raise Unreadable("no serialised value")
        self.end = found.end()
        return found

    def _scalar(self) -> None:
        self._match(_PLAIN)

    def _text(self) -> None:
        self._skip(int(self._match(_TEXT)[1]), b'";')

    def _array(self) -> None:
        self._begin(int(self._match(_ARRAY)[1]))

    def _object(self) -> None:
        found = self._match(_OBJECT)
        self._named(found)
        self._begin(int(found[3]))

    def _custom(self) -> None:
        found = self._match(_CUSTOM)
        self._named(found)
        self._skip(int(found[3]), b"}")

    def _enum(self) -> None:
        self._named(self._match(_ENUM))

    def _reference(self) -> None:
        found = self._match(_REFERENCE)
        self.is_plain = False
        self.references.append(Reference(found.start(2) - self.start, found.end(2) - self.start, int(found[2])))

    def _named(self, found: re.Match[bytes]) -> None:
        self.is_plain = False
        if len(found[2]) != int(found[1]):
            raise Unreadable("a name of a wrong length")

    def _begin(self, items: int) -> None:
        if len(self._open) >= _DEEPEST or items > len(self.raw):
            raise Unreadable("nested too deep")
        self._open.append(2 * items)

    def _skip(self, length: int, closing: bytes) -> None:
        end = self.end + length
        if self.raw[end : end + len(closing)] != closing:
            raise Unreadable("a value of a wrong length")
        self.end = end + len(closing)


def read_entry(key: str, head: bytes, raw: bytes, start: int, first: int) -> Entry:
    """The entry whose value begins at ``start``. Raises Unreadable."""
    scan = _Scan(raw, start)
    return Entry(key, head, raw[start : scan.end], first, scan.slots, scan.is_plain, tuple(scan.references))


def value_of(entry: Entry, entries: Sequence[Entry]) -> Any:
    """None, bool, int, float, str, list and dict; Foreign for what holds anything else."""
    if not entry.is_plain:
        return Foreign(entry, entries)
    try:
        return phpserialize.load(BytesIO(entry.body), decode_strings=True, array_hook=_as_list_or_dict)
    # what the library cannot do with a value that is one: forms of numbers, nesting beyond its recursion
    except (ValueError, TypeError, OverflowError, RecursionError, MemoryError):
        return Foreign(entry, entries)


def renumbered(entries: Sequence[Entry], base: int) -> list[bytes]:
    """The bytes of ``entries``, which will be numbered from ``base`` on: references in them follow their targets.

    Each entry's ``first`` and references are those of the session that it came from; 0 for a new one. Raises
    Unreadable where a target is not there any more.
    """
    moved = _Moved(entries, base)
    return [_with_numbers(entry, moved) if entry.references else entry.head + entry.body for entry in entries]


class _Moved:
    """Where each value of the old numbering stands in the new one."""

    def __init__(self, entries: Sequence[Entry], base: int) -> None:
        self._base = base
        slot, found = base, []
        for entry in entries:
            if entry.first:
                found.append((entry.first, entry.first + entry.slots, slot))
            slot += entry.slots
        self._ranges = sorted(found)
        self._firsts = [first for first, _, _ in self._ranges]

    def __call__(self, slot: int) -> int:
        if slot < self._base:
            return slot
        index = bisect_right(self._firsts, slot) - 1
        if index < 0 or slot >= self._ranges[index][1]:
            raise Unreadable("a reference to what was removed")
        return self._ranges[index][2] + slot - self._ranges[index][0]


def _with_numbers(entry: Entry, moved: Callable[[int], int]) -> bytes:
    parts, done = [entry.head], 0
    for reference in entry.references:
        parts += [entry.body[done : reference.start], b"%d" % moved(reference.slot)]
        done = reference.end
    return b"".join([*parts, entry.body[done:]])


def _as_list_or_dict(pairs: list[tuple[Any, Any]]) -> list[Any] | dict[int | str, Any]:
    array = dict(pairs)
    if list(array) == list(range(len(array))):
        return list(array.values())
    return array
