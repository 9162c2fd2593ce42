"""What a PHP script sets: constants, variables, arrays and the arguments of its calls, read as data, never executed.

Only fixed texts, numbers, arrays, joining and defaults (``??``, ``?:``) are worked out. Branches are not followed: of
several assignments the last one with a known value counts, of several definitions the first, as in PHP.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias

from core.moving.php_tokens import NAME, NUMBER, OPERATOR, TEXT, VARIABLE, Token, tokens

Value: TypeAlias = "str | int | float | bool | dict[str, Value] | None"

# stands for what is only known when the script runs, also within a text
UNKNOWN = "\0"
_WORDS: Mapping[str, Value] = {"true": True, "false": False, "null": None}
_SAME = ("trim", "strval", "string", "intval", "constant")
_BEFORE_A_VALUE = (
    *("new", "return", "echo", "print", "clone", "else"),
    *("private", "public", "protected", "static", "var", "readonly"),
)
_END = Token(OPERATOR, ";")


def is_known(value: Value) -> bool:
    return not (isinstance(value, str) and UNKNOWN in value)


def as_text(value: Value) -> str:
    """As PHP joins it to a text."""
    if isinstance(value, bool):
        return "1" if value else ""
    if isinstance(value, dict):
        return UNKNOWN
    return "" if value is None else str(value)


@dataclass(slots=True)
class Read:
    """``constants`` and ``variables`` by name, properties among the variables; ``calls``: a function or class in small
    letters, and its arguments; ``texts`` and ``arrays``: all that were made."""

    constants: dict[str, Value] = field(default_factory=dict)
    variables: dict[str, Value] = field(default_factory=dict)
    calls: list[tuple[str, list[Value]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    arrays: list[dict[str, Value]] = field(default_factory=list)


def read_script(source: str, known: Read | None = None) -> Read:
    """What the script sets, where ``known`` was set before it."""
    read = Read()
    if known is not None:
        read.constants.update(known.constants)
        read.variables.update(known.variables)
    # no settings are nested too deep for that
    with suppress(RecursionError):
        _Script(list(tokens(source)), read).run()
    return read


class _Script:
    def __init__(self, found: list[Token], read: Read) -> None:
        self._tokens = found
        self._at = 0
        self._read = read

    def run(self) -> None:
        while self._at < len(self._tokens):
            before, token = self._at, self._look()
            if token.kind == NAME and token.text.lower() == "const":
                self._constants()
            elif token.kind == NAME and token.text.lower() in ("function", "fn"):
                self._skip_parameters()
            elif token.kind != OPERATOR or token.text in ("[", "("):
                self.expression()
            if self._at == before:
                self._at += 1

    # tokens

    def _look(self, ahead: int = 0) -> Token:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else _END

    def _is(self, *operators: str) -> bool:
        token = self._look()
        return token.kind == OPERATOR and token.text in operators

    def _take(self, *operators: str) -> bool:
        if self._is(*operators):
            self._at += 1
            return True
        return False

    # statements

    def _constants(self) -> None:
        self._at += 1
        while self._look().kind == NAME:
            name = self._look().text
            self._at += 1
            if self._take("="):
                self._define(name, self.expression())
                self._take(",")

    def _define(self, name: str, value: Value) -> None:
        if is_known(value):
            self._read.constants.setdefault(name, value)

    def _skip_parameters(self) -> None:
        """Their defaults are nobody's settings."""
        while not self._is("(", "{", ";"):
            self._at += 1
        depth = 0
        while self._at < len(self._tokens):
            depth += self._is("(") - self._is(")")
            self._at += 1
            if depth <= 0:
                return

    # expressions

    def expression(self) -> Value:
        value = self._one()
        while True:
            if self._take("."):
                value = as_text(value) + as_text(self._one())
                self._note(value)
            elif self._take("??", "?:"):
                other = self.expression()
                value = value if is_known(value) and value not in (None, "", False, 0) else other
            elif self._take("?"):
                value = self._choice(value)
            elif self._is("+", "-", "*", "/", "%", "==", "===", "!=", "!==", "<", ">", "&&", "||", "|", "&"):
                self._at += 1
                self._one()
                value = UNKNOWN
            else:
                return value

    def _choice(self, condition: Value) -> Value:
        first = self.expression()
        second = self.expression() if self._take(":") else UNKNOWN
        if not is_known(condition):
            return first if first == second else UNKNOWN
        return first if condition else second

    def _one(self) -> Value:
        token = self._look()
        self._at += 1
        if token.kind == TEXT:
            return self._text(token)
        if token.kind == NUMBER:
            return _number(token.text)
        if token.kind == VARIABLE:
            return self._variable(token.text)
        if token.kind == NAME:
            return self._name(token.text)
        readers: Mapping[str, Callable[[], Value]] = {
            "[": lambda: self._array("]"),
            "(": self._in_brackets,
            "!": self._not,
            "-": self._negative,
            "@": self._one,
            "&": self._one,
        }
        reader = readers.get(token.text)
        if reader is None:
            self._at -= 1
            return UNKNOWN
        return reader()

    def _text(self, token: Token) -> str:
        text = token.text
        for kind, part in token.parts:
            text += part if kind == TEXT else as_text(_Script(list(tokens(f"<?php {part}")), self._read).expression())
        self._note(text)
        return text

    def _note(self, text: str) -> None:
        self._read.texts.append(text)

    def _in_brackets(self) -> Value:
        is_cast = self._look().kind == NAME and self._look(1) == Token(OPERATOR, ")")
        if is_cast and self._look().text.lower() in ("string", "int", "bool", "array", "float"):
            self._at += 2
            return self._one()
        value = self.expression()
        self._take(")")
        return value

    def _not(self) -> Value:
        value = self._one()
        return not value if is_known(value) else UNKNOWN

    def _negative(self) -> Value:
        value = self._one()
        return -value if isinstance(value, int | float) and not isinstance(value, bool) else UNKNOWN

    def _array(self, closing: str) -> dict[str, Value]:
        array: dict[str, Value] = {}
        while not self._take(closing) and self._at < len(self._tokens):
            before, value = self._at, self.expression()
            if self._take("=>"):
                array[as_text(value)] = self.expression()
            else:
                array[str(len(array))] = value
            if self._at == before or not (self._take(",") or self._is(closing)):
                self._at += 1
        self._read.arrays.append(array)
        return array

    def _arguments(self) -> list[Value]:
        """After the opening bracket; arguments may be named."""
        values: list[Value] = []
        while not self._take(")") and self._at < len(self._tokens):
            if self._look().kind == NAME and self._look(1) == Token(OPERATOR, ":"):
                self._at += 2
            before = self._at
            values.append(self.expression())
            if self._at == before or not (self._take(",") or self._is(")")):
                self._at += 1
        return values

    def _variable(self, name: str) -> Value:
        path = [name]
        while True:
            if self._take("["):
                key = UNKNOWN if self._is("]") else as_text(self.expression())
                self._take("]")
                path.append(key)
            elif self._is("->") and self._look(1).kind == NAME:
                path = [self._look(1).text]
                self._at += 2
                if self._take("("):
                    self._read.calls.append((path[0].lower(), self._arguments()))
                    path = [UNKNOWN]
            elif self._is("=", "??="):
                self._at += 1
                value = self.expression()
                _assign(self._read.variables, path, value)
                return value
            else:
                return _look_up(self._read.variables, path)

    def _name(self, name: str) -> Value:
        word = name.rpartition("\\")[2].lower()
        if word in _WORDS:
            return _WORDS[word]
        if self._take("::"):
            token = self._look()
            self._at += 1
            if token.kind == VARIABLE:
                return self._variable(token.text)
            return self._call(token.text.lower()) if self._take("(") else self._constant(token.text)
        if word in _BEFORE_A_VALUE:
            return self._one() if self._look().kind != OPERATOR or self._is("[", "(") else UNKNOWN
        if word == "array" and self._take("("):
            return self._array(")")
        return self._call(word) if self._take("(") else self._constant(name.rpartition("\\")[2])

    def _constant(self, name: str) -> Value:
        return self._read.constants.get(name, UNKNOWN)

    def _call(self, name: str) -> Value:
        arguments = self._arguments()
        self._read.calls.append((name, arguments))
        first = arguments[0] if arguments else UNKNOWN
        if name == "define" and len(arguments) > 1:
            self._define(as_text(first), arguments[1])
        if name in ("rtrim", "ltrim", "trim") and len(arguments) == 2 and is_known(first) and is_known(arguments[1]):
            strip = {"rtrim": str.rstrip, "ltrim": str.lstrip, "trim": str.strip}[name]
            return strip(as_text(first), as_text(arguments[1]))
        if name == "constant":
            return self._constant(as_text(first))
        return first if name in _SAME and len(arguments) == 1 else UNKNOWN


def _number(text: str) -> Value:
    try:
        return int(text.replace("_", ""), 0) if not text.startswith("0") or len(text) < 2 or text[1] in "xX" else text
    except ValueError:
        return float(text.replace("_", ""))


def _assign(variables: dict[str, Value], path: list[str], value: Value) -> None:
    """What is known is not forgotten for what is not."""
    target = variables
    for name in path[:-1]:
        inner = target.get(name)
        if not isinstance(inner, dict):
            inner = target[name] = {}
        target = inner
    if is_known(value) or path[-1] not in target:
        target[path[-1]] = value


def _look_up(variables: dict[str, Value], path: list[str]) -> Value:
    value: Value = variables
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return UNKNOWN
        value = value[name]
    return value
