"""The text of a dump as tokens: MySQL's lexical rules over a window that slides along a file of any size.

What tokens mean together: :mod:`core.backup.statements`. Versioned comments (``/*!40101 … */``, ``/*M! … */``) are
replaced by their content. Source: contract chapter 70, "parse, never execute" and "Settled after a review".
"""

import codecs
import re
from collections.abc import Iterator
from enum import Enum
from typing import BinaryIO, NamedTuple

from core.errors import InvalidInput

CHUNK_BYTES = 256 * 1024
# longer than any value of a panel, short enough for memory
LONGEST_CHARACTERS = 8 * 1024 * 1024


class Unreadable(InvalidInput):
    """The file is no dump that we read; the text names the line and repeats nothing of the file."""

    default_text = "The file cannot be read as a database dump; nothing was changed"


class Kind(Enum):
    """``NAME``: quoted by backticks; ``NUMBER``: without sign; ``BYTES``: hexadecimal or bits."""

    WORD = "word"
    NAME = "name"
    TEXT = "text"
    NUMBER = "number"
    BYTES = "bytes"
    SIGN = "sign"
    END = "end"


# a literal as it stands in the file: numbers by their digits, hexadecimal literals as bytes
Value = str | bytes | None


class Token(NamedTuple):
    """``text``: words as they stand, names and texts without quotes and escapes."""

    kind: Kind
    text: str = ""
    content: bytes = b""

    def is_sign(self, sign: str) -> bool:
        return self.kind is Kind.SIGN and self.text == sign

    def is_word(self, *words: str) -> bool:
        return self.kind is Kind.WORD and self.text.upper() in words


# what is told of a statement that we do not understand
FOREIGN = "a statement that does not belong into a dump"
# comments that say what a file is
OURS, REDACTED, COMPLETED = "ShowBox Billing Panel dump", "Redacted: yes", "Dump completed"
BY_MYSQL, BY_MARIADB = "MySQL dump", "MariaDB dump"
_REMARKS = (OURS, REDACTED, COMPLETED, BY_MYSQL, BY_MARIADB)

_INSIDE = r"(?:[^'\\]++|\\.|'')*+"
_TOKEN = re.compile(
    rf"""(?P<blank>\s+)
    |(?P<remark>--(?=\s|\Z)|\#)
    |(?P<versioned>/\*M?!\d{{0,6}})
    |(?P<comment>/\*)
    |(?P<close>\*/)
    |`(?P<name>(?:[^`]++|``)*+)`
    |'(?P<text>{_INSIDE})'
    |"(?P<double>(?:[^"\\]++|\\.|"")*+)"
    |(?P<hex>0x[0-9A-Fa-f]+|[xX]'[0-9A-Fa-f]*')
    |(?P<bits>0b[01]+|[bB]'[01]*')
    |(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<word>@@?[\w.]+|(?![xXbB]')\w+)
    |(?P<sign>[(),;=.+*/:<>!%&|~^?@$\[\]{{}}-])""",
    re.VERBOSE | re.DOTALL,
)
# characters behind a token that may still change what it is
_LOOKAHEAD = 16
# one value of a row with what follows it, as nearly all are
_PLAIN = re.compile(rf"\s*+(?:'({_INSIDE})'|(-?\d+(?:\.\d+)?)|(NULL))\s*+([,)])", re.DOTALL)
_SANDBOX = re.compile(r"\s*/\*M?!999999\\-[^\n]*?\*/")
_TOOL = re.compile(r"[^\s:'\"`;(]*(?:mysqldump|mariadb-dump)(?:\.exe)?: ", re.IGNORECASE)
_TOOL_CHARACTERS = 500
_MAY_BE_OPEN = ("'", '"', "`", "x'", "X'", "b'", "B'")
_ESCAPED = {quote: re.compile(rf"\\(.)|{quote}{quote}", re.DOTALL) for quote in "'\""}
# as MySQL has it, \% and \_ keep their backslash
_ESCAPES = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a", "%": "\\%", "_": "\\_"}


class Tokens:
    """The tokens of ``file``. ``remarks``: those of its comments that say what it is; ``read_bytes``: how far it is."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("strict")
        self._window = ""
        self._position = 0
        self._line = 1
        self._at_end = False
        # of versioned comments
        self._depth = 0
        self._held: Token | None = None
        self.remarks: set[str] = set()
        self.read_bytes = 0
        self._grow()
        self._skip_blanks()
        sandbox = _SANDBOX.match(self._window)
        if sandbox:
            self._position = sandbox.end()

    @property
    def line(self) -> int:
        """The number of the line that is being read."""
        return self._line + self._window.count("\n", 0, self._position)

    def fault(self, what: str) -> Unreadable:
        return Unreadable(f"Line {self.line}: {what}; nothing was changed")

    def cut_off(self) -> Unreadable:
        return self.fault("the file ends in the middle of a statement")

    def expect(self, sign: str) -> None:
        """Raises Unreadable when another token stands here."""
        token = self.take()
        if token.kind is Kind.END:
            raise self.cut_off()
        if not token.is_sign(sign):
            raise self.fault(FOREIGN)

    def peek(self) -> Token:
        if self._held is None:
            self._held = self._next()
        return self._held

    def take(self) -> Token:
        held, self._held = self._held, None
        return held if held is not None else self._next()

    def plain_value(self) -> tuple[Value, str] | None:
        """The next value of a row and the ``,`` or ``)`` behind it; None when it is not of the usual form."""
        found = _PLAIN.match(self._window, self._position)
        if found is None or self._held is not None:
            return None
        self._position = found.end()
        text, number, _, sign = found.groups()
        return (number if text is None else unescaped(text)), sign

    def tool_message(self) -> bool:
        """Drop a line of the dump program's own, such as a warning; False if there is none here."""
        if self._held is not None:
            return False
        self._skip_blanks()
        if not _TOOL.match(self._window, self._position):
            return False
        self._position = self._find("\n")
        return True

    def rest_of_line(self) -> str:
        """What stands between here and the end of the line: the argument of the client's command DELIMITER."""
        end = self._find("\n")
        text, self._position = self._window[self._position : end], end
        return text.strip()

    def until(self, delimiter: str) -> Iterator[Token]:
        """The tokens up to ``delimiter``, wherever it stands between two of them. Raises Unreadable without one."""
        while not self._window.startswith(delimiter, self._position):
            token = self._step()
            if token is not None and token.kind is Kind.END:
                raise self.cut_off()
            if token is not None:
                yield token
        self._position += len(delimiter)

    # the window

    def _grow(self) -> None:
        """Read on; what was consumed leaves the window."""
        self._line += self._window.count("\n", 0, self._position)
        self._window, self._position = self._window[self._position :], 0
        if len(self._window) > LONGEST_CHARACTERS:
            raise self.fault("a value is too long")
        # as much again as is there, so that a long value is not looked at again and again
        chunk = self._file.read(max(CHUNK_BYTES, len(self._window)))
        self.read_bytes += len(chunk)
        self._at_end = not chunk
        try:
            self._window += self._decoder.decode(chunk, final=self._at_end)
        except UnicodeDecodeError:
            raise Unreadable("The file is not UTF-8 text; nothing was changed") from None

    def _find(self, mark: str) -> int:
        """Where ``mark`` begins in the window, reading on as needed; the end of the file if it does not come."""
        while True:
            found = self._window.find(mark, self._position)
            if found >= 0 or self._at_end:
                return found if found >= 0 else len(self._window)
            # nothing of a long comment is kept but what the mark may begin with
            self._position = max(self._position, len(self._window) - len(mark) + 1)
            self._grow()

    def _skip_blanks(self) -> None:
        while True:
            while self._position < len(self._window) and self._window[self._position].isspace():
                self._position += 1
            if self._at_end or len(self._window) - self._position >= _TOOL_CHARACTERS:
                return
            self._grow()

    # tokens

    def _next(self) -> Token:
        while True:
            token = self._step()
            if token is not None:
                return token

    def _step(self) -> Token | None:
        """The next token; None for what stands between tokens, which is passed."""
        while True:
            found = _TOKEN.match(self._window, self._position)
            if self._at_end or (found is not None and found.end() + _LOOKAHEAD <= len(self._window)):
                break
            if found is None and self._is_foreign():
                break
            self._grow()
        if found is not None:
            return self._token(found)
        if self._position < len(self._window):
            foreign = self._is_foreign()
            raise self.fault(
                "a character that does not belong there" if foreign else "the file ends in the middle of a value"
            )
        if self._depth:
            raise self.cut_off()
        return Token(Kind.END)

    def _is_foreign(self) -> bool:
        rest = self._window[self._position : self._position + 2]
        return bool(rest) and not rest.startswith(_MAY_BE_OPEN)

    def _token(self, found: "re.Match[str]") -> Token | None:
        group, self._position = str(found.lastgroup), found.end()
        text = found[group]
        if group in ("blank", "remark", "versioned", "comment", "close"):
            self._pass(group)
            return None
        if group in ("hex", "bits"):
            return _bytes(text)
        if group == "name":
            return Token(Kind.NAME, text.replace("``", "`"))
        if group == "double":
            return Token(Kind.TEXT, unescaped(text, '"'))
        return Token(Kind(group), unescaped(text) if group == "text" else text)

    def _pass(self, group: str) -> None:
        if group == "remark":
            if len(self._window) - self._position < _TOOL_CHARACTERS and not self._at_end:
                self._grow()
            rest = self._window[self._position : self._position + _TOOL_CHARACTERS].lstrip(" \t")
            self.remarks.update(known for known in _REMARKS if rest.startswith(known))
            self._position = self._find("\n")
        elif group == "versioned":
            self._depth += 1
        elif group == "comment":
            end = self._find("*/")
            if not self._window.startswith("*/", end):
                raise self.fault("the file ends in the middle of a comment")
            self._position = end + 2
        elif group == "close":
            if not self._depth:
                raise self.fault("a comment ends that was not begun")
            self._depth -= 1


def unescaped(text: str, quote: str = "'") -> str:
    """The value of what stands between quotes."""
    if "\\" not in text and quote not in text:
        return text
    return _ESCAPED[quote].sub(lambda found: _ESCAPES.get(found[1], found[1]) if found[1] else quote, text)


def _bytes(literal: str) -> Token:
    digits = literal[2:].rstrip("'")
    if "b" in literal[:2].lower() and "x" not in literal[:2].lower():
        content = int(digits or "0", 2).to_bytes(max(1, (len(digits) + 7) // 8), "big")
    else:
        content = bytes.fromhex(digits.zfill(len(digits) + len(digits) % 2))
    return Token(Kind.BYTES, literal, content)
