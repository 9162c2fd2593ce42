"""Request models: typed fields with PHP's leniency, and the clear sentences for what cannot be read.

Source: contract chapter 00, "Scalars". Names, aliases and rules of each field stand at the endpoint that declares them.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

PHP_BLANKS = " \t\n\r\0\x0b"
_TRUE = frozenset({"1", "true", "on", "yes"})
_FALSE = frozenset({"0", "false", "off", "no", ""})
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_INT64 = 2**63


class BadField(Exception):
    """A field of a request is missing or unreadable; ``text`` is one sentence that names it."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)


class RequestModel(BaseModel):
    """Base of all request models. Empty text and null count as absent unless ``keep_empty`` says otherwise."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
    keep_empty: ClassVar[bool] = False

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """The model of ``values``. Raises BadField."""
        if not cls.keep_empty:
            values = {name: value for name, value in values.items() if value is not None and value != ""}
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise BadField(_sentence(error)) from None


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "request"
    if first["type"] == "missing":
        return f"Missing field: {name}"
    return f"Invalid value for {name}: {first['msg']}"


def _refuse(text: str) -> PydanticCustomError:
    return PydanticCustomError("php_value", "{text}", {"text": text})


def to_text(value: object) -> str:
    """Text as PHP makes it of a scalar: numbers by their digits, true as "1", false and null as ""."""
    if isinstance(value, str):
        return value
    if value is None or value is False:
        return ""
    if value is True:
        return "1"
    if isinstance(value, int | float):
        return str(value).removesuffix(".0")
    raise _refuse("expected text")


def trimmed(value: object) -> str:
    """:func:`to_text` without PHP's blanks at both ends."""
    return to_text(value).strip(PHP_BLANKS)


def to_integer(value: object) -> int | None:
    """5, "5", " 5", 5.0 and true are whole numbers; empty is None. Raises for anything else."""
    if value is None or isinstance(value, int):
        return None if value is None else _in_range(int(value))
    if isinstance(value, float) and value.is_integer() and abs(value) < _INT64:
        return int(value)
    if isinstance(value, str):
        text = value.strip(PHP_BLANKS)
        if not text:
            return None
        if _INTEGER.fullmatch(text):
            return _in_range(int(text))
    raise _refuse("expected a whole number")


def _in_range(number: int) -> int:
    if not -_INT64 <= number < _INT64:
        raise _refuse("the number is too large")
    return number


def to_flag(value: object) -> bool:
    """true/false, 1/0, their texts, "on" and empty. Raises for anything else."""
    text = to_text(value).strip(PHP_BLANKS).lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise _refuse("expected 1 or 0")


Text = Annotated[str, BeforeValidator(trimmed)]
RawText = Annotated[str, BeforeValidator(to_text)]
Integer = Annotated[int, BeforeValidator(to_integer)]
Flag = Annotated[bool, BeforeValidator(to_flag)]
