"""What a column can hold of a text, by its character set and its length: no tables, no statements.

How columns get to know it: :mod:`core.storage.tables.texts`. Source: contract chapter 60 S8.
"""

import codecs
from dataclasses import dataclass
from functools import cache

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# a control character, which no stored text has
_EQUAL_TO_NOTHING = "\x1a"
_LAST_OF_THREE_BYTES = "\uffff"
_UTF8 = "utf-8"
_UTF8MB3 = "utf8mb3"
# MySQL's names for what Python calls otherwise; of a set that neither knows, only ASCII is sure
_CODECS = {
    "utf8mb4": _UTF8,
    "utf8": _UTF8MB3,
    "latin1": "cp1252",
    "latin5": "iso8859_9",
    "latin7": "iso8859_13",
    "latin2": "iso8859_2",
    "greek": "iso8859_7",
    "hebrew": "iso8859_8",
    "gb2312": "gb2312",
    "gbk": "gbk",
    "ujis": "euc_jp",
    "euckr": "euc_kr",
    "tis620": "tis_620",
    "koi8r": "koi8_r",
    "koi8u": "koi8_u",
    "utf16": "utf-16-be",
    "utf32": "utf-32-be",
    "binary": _UTF8,
}


@dataclass(frozen=True, slots=True)
class Holding:
    """What a column can hold: texts of ``codec``, at most so many characters and bytes; None: no limit."""

    codec: str = _UTF8
    characters: int | None = None
    octets: int | None = None
    nul: bool = True

    def foreign(self, text: str) -> str:
        """The characters of ``text`` that the column has no place for."""
        if text.isascii():
            return "" if self.nul or "\0" not in text else "\0"
        try:
            text.encode(self._codec)
        except UnicodeEncodeError:
            pass
        else:
            if self.codec != _UTF8MB3 or max(text) <= _LAST_OF_THREE_BYTES:
                # the rule; looking at each character takes long
                return "" if self.nul or "\0" not in text else "\0"
        return "".join(sign for sign in dict.fromkeys(text) if not self._has(sign))

    def comparable(self, text: str) -> str:
        """``text`` in a form that the column can be compared with, equal to nothing where the column cannot hold it."""
        other = _REPLACEMENT if self.codec in (_UTF8, _UTF8MB3) else _EQUAL_TO_NOTHING
        return self.replaced(text, self.foreign(text), other)

    def replaced(self, text: str, foreign: str, replacement: str = "") -> str:
        """``text`` with another character for each of the ``foreign`` ones."""
        if not foreign:
            return text
        other = replacement or (_REPLACEMENT if self._has(_REPLACEMENT) else "?")
        return text.translate(dict.fromkeys(map(ord, foreign), other))

    def is_too_long(self, text: str) -> bool:
        if self.characters is not None and len(text) > self.characters:
            return True
        return self.octets is not None and len(text) * 4 > self.octets and len(self._encoded(text)) > self.octets

    def cut(self, text: str) -> str:
        """The beginning of ``text`` that is not too long."""
        shorter = text[: self.characters]
        if self.octets is None or not self.is_too_long(shorter):
            return shorter
        return self._encoded(shorter)[: self.octets].decode(self._codec, "ignore")

    @property
    def _codec(self) -> str:
        return _UTF8 if self.codec == _UTF8MB3 else self.codec

    def _encoded(self, text: str) -> bytes:
        return text.encode(self._codec, "replace")

    def _has(self, sign: str) -> bool:
        if self.codec == _UTF8MB3 and sign > _LAST_OF_THREE_BYTES:
            return False
        if sign == "\0":
            return self.nul
        try:
            sign.encode(self._codec)
        except UnicodeEncodeError:
            # also half of a surrogate pair, which no encoding has
            return False
        return True


@cache
def of_model(characters: int | None, *, nul: bool) -> Holding:
    """Of a column that is as our models say; ``nul``: whether texts may have that character."""
    return Holding(characters=characters, nul=nul)


def codec_of(charset: str) -> str:
    """Python's name for a character set of MySQL's."""
    codec = _CODECS.get(charset, charset)
    try:
        return codec if codec == _UTF8MB3 else codecs.lookup(codec).name
    except LookupError:
        return "ascii"
