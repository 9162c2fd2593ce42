"""PHP source cut into tokens, for reading settings out of it as data. Nothing is executed; what stands in expressions:
:mod:`core.moving.php_source`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

NAME, VARIABLE, TEXT, NUMBER, OPERATOR, HTML = "name", "variable", "text", "number", "operator", "html"

_OPEN = re.compile(r"<\?(?:php\b|=)", re.IGNORECASE)
_SKIPPED = re.compile(r"\s+|//.*?(?=\n|\?>|\Z)|#(?!\[).*?(?=\n|\?>|\Z)|/\*.*?(?:\*/|\Z)", re.DOTALL)
_WORD = re.compile(r"\\?[A-Za-z_\x80-\U0010ffff][\w\\]*")
_VARIABLE = re.compile(r"\$[A-Za-z_\x80-\U0010ffff]\w*")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F_]+|[0-9][0-9_]*(?:\.[0-9_]+)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+")
_OPERATOR = re.compile(r"=>|\?\?=|\?\?|\?:|===|!==|==|!=|::|->|\.=|&&|\|\||[-+*/%.=<>!?:;,(){}\[\]&|@^~$`\\#]")
_SINGLE = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_HEREDOC = re.compile(r"<<<[ \t]*(['\"]?)([A-Za-z_]\w*)\1\r?\n(.*?)(?:\r?\n)?^([ \t]*)\2\b", re.DOTALL | re.MULTILINE)
_ESCAPE = re.compile(r"\\(?:([nrtvef\\$\"])|x([0-9A-Fa-f]{1,2})|u\{([0-9A-Fa-f]+)\}|([0-7]{1,3}))")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "v": "\v", "e": "\x1b", "f": "\f", "\\": "\\", "$": "$", '"': '"'}
# within a double quoted text
_INSERTED = re.compile(
    r"\\.|\{\$(?P<braced>[^{}]+)\}|\$\{(?P<old>\w+)\}|\$(?P<bare>[A-Za-z_]\w*)(?P<index>\[[^\[\]]*\]|->\w+)?", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Token:
    """``text``: of a name or variable without ``$``, of an operator itself, of a text its value where it is fixed.

    ``parts``: of a text that other values are put into: fixed pieces, and the source of what comes between.
    """

    kind: str
    text: str
    parts: tuple[tuple[str, str], ...] = ()


def tokens(source: str) -> Iterator[Token]:
    """What cannot be understood is left out, character by character: settings around it can still be read."""
    position = 0
    while (opening := _OPEN.search(source, position)) is not None:
        position = opening.end()
        while position < len(source) and not source.startswith("?>", position):
            token, position = _next(source, position)
            if token is not None:
                yield token
        yield Token(OPERATOR, ";")
        position += 2


def _next(source: str, position: int) -> tuple[Token | None, int]:
    if found := _SKIPPED.match(source, position):
        return None, found.end()
    if found := _SINGLE.match(source, position):
        return Token(TEXT, re.sub(r"\\([\\'])", r"\1", found[1])), found.end()
    if found := _DOUBLE.match(source, position):
        return _inserted(found[1]), found.end()
    if found := _HEREDOC.match(source, position):
        body = re.sub(rf"^{found[4]}", "", found[3], flags=re.MULTILINE) if found[4] else found[3]
        return Token(TEXT, body) if found[1] == "'" else _inserted(body), found.end()
    for kind, pattern in ((VARIABLE, _VARIABLE), (NAME, _WORD), (NUMBER, _NUMBER), (OPERATOR, _OPERATOR)):
        if found := pattern.match(source, position):
            return Token(kind, found[0].removeprefix("$") if kind == VARIABLE else found[0]), found.end()
    return None, position + 1


def _inserted(raw: str) -> Token:
    parts: list[tuple[str, str]] = []
    fixed, position = "", 0
    for found in _INSERTED.finditer(raw):
        fixed += raw[position : found.start()]
        position = found.end()
        if found[0].startswith("\\"):
            fixed += _unescaped(found, raw)
            position = max(position, found.start() + len(_escape(found, raw)))
            continue
        parts.append((TEXT, fixed))
        fixed = ""
        parts.append((VARIABLE, _expression(found)))
    fixed += raw[position:]
    return Token(TEXT, fixed) if not parts else Token(TEXT, "", (*parts, (TEXT, fixed)))


def _escape(found: re.Match[str], raw: str) -> str:
    escape = _ESCAPE.match(raw, found.start())
    return escape[0] if escape else found[0]


def _unescaped(found: re.Match[str], raw: str) -> str:
    escape = _ESCAPE.match(raw, found.start())
    if escape is None:
        return found[0]
    letter, hexadecimal, unicode, octal = escape.groups()
    if letter:
        return _ESCAPED[letter]
    if unicode:
        return chr(min(int(unicode, 16), 0x10FFFF))
    return chr(int(hexadecimal, 16) if hexadecimal else int(octal, 8) & 0xFF)


def _expression(found: re.Match[str]) -> str:
    """As it would be written outside of a text."""
    if found["braced"]:
        return f"${found['braced']}"
    if found["old"]:
        return f"${found['old']}"
    index = found["index"] or ""
    if index.startswith("[") and re.fullmatch(r"\[[A-Za-z_]\w*\]", index):
        index = f"['{index[1:-1]}']"
    return f"${found['bare']}{index}"
