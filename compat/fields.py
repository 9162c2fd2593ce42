"""Request models: typed fields with PHP's leniency, and the clear sentences for what cannot be read.

Source: contract chapter 00, "Scalars". Names, aliases and rules of each field stand at the endpoint that declares them.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Self

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

PHP_BLANKS = " \t\n\r\0\x0b"
TRUE_WORDS = frozenset({"1", "true", "on", "yes"})
_FALSE = frozenset({"0", "false", "off", "no", ""})
# also Persian and Arabic digits, which Python reads as well
_INTEGER = re.compile("[+-]?[0-9۰-۹٠-٩]{1,19}")
_MOST_NAMED = 12
_INT64 = 2**63


class BadField(Exception):
    """A field of a request is missing or unreadable; ``text`` is one sentence that names it."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)


class RequestModel(BaseModel):
    """Base of all request models. Empty text and null count as absent unless ``keep_empty`` says otherwise.

    ``target``: of a request that changes what it names and keeps the rest, the fields that only say what is meant. One
    that names nothing else, but something that we do not know, was misspelt: to call it done would be untrue.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
    keep_empty: ClassVar[bool] = False
    target: ClassVar[frozenset[str] | None] = None
    # what the business calls by one name, and a form by several
    also_called: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """The model of ``values``. Raises BadField."""
        known = values
        if not cls.keep_empty:
            known = {name: value for name, value in values.items() if value is not None and value != ""}
        try:
            model = cls.model_validate(known)
        except ValidationError as error:
            raise BadField(_sentence(error)) from None
        if cls.target is not None and model.model_fields_set <= cls.target:
            cls._refuse_misspelt(values)
        return model

    @classmethod
    def name_of(cls, field: str, values: Mapping[str, Any]) -> str:
        """How ``values`` call ``field``, which is its own name where they do not hold it."""
        sent = [name for name in cls.also_called.get(field) or cls._names(field) if name in values]
        return next((name for name in sent if values[name] not in (None, "")), sent[0] if sent else field)

    @classmethod
    def _names(cls, field: str) -> tuple[str, ...]:
        info = cls.model_fields.get(field)
        alias = info.validation_alias if info is not None else None
        if isinstance(alias, AliasChoices):
            return tuple(name for name in alias.choices if isinstance(name, str))
        return (alias if isinstance(alias, str) else field,)

    @classmethod
    def _refuse_misspelt(cls, values: Mapping[str, Any]) -> None:
        known = [name for field in cls.model_fields for name in cls._names(field)]
        unknown = sorted(name for name in values if name not in known)
        if not unknown:
            return
        changing = [name for field in cls.model_fields if field not in (cls.target or ()) for name in cls._names(field)]
        meant = get_close_matches(unknown[0], changing, 1)
        hint = f"did you mean {meant[0]}?" if meant else f"possible are {_listed(changing)}"
        raise BadField(f"Nothing was changed: this request has no field {_shown_name(unknown[0])}; {hint}")


def _listed(names: Iterable[str]) -> str:
    some = list(dict.fromkeys(names))
    return ", ".join(some[:_MOST_NAMED]) + (", …" if len(some) > _MOST_NAMED else "")


def _shown_name(name: str) -> str:
    """A name that somebody sent, as pages may insert it."""
    return re.sub(r"[^\w.\-\[\]]", "", name)[:50] or "of that name"


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "request"
    if first["type"] == "missing":
        return f"Missing field: {name}"
    reason = first.get("ctx", {}).get("error") if first["type"] == "value_error" else None
    return f"Invalid value for {name}: {first['msg'] if reason is None else reason}"


def _refuse(text: str) -> PydanticCustomError:
    return PydanticCustomError("php_value", "{text}", {"text": text})


def to_text(value: object) -> str:
    """Text as PHP makes it of a scalar: numbers by their digits, null as "". Raises for anything else; true and false
    are no texts, for what would be made of them (1 credit, plan 1, a reboot) nobody meant."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        raise _refuse("expected text or a number, not true or false")
    if isinstance(value, int | float):
        return str(value).removesuffix(".0")
    raise _refuse(f"expected text, not {'a list' if isinstance(value, list) else 'an object'}")


def trimmed(value: object) -> str:
    """:func:`to_text` without PHP's blanks at both ends."""
    return to_text(value).strip(PHP_BLANKS)


def without_marks(text: str) -> str:
    """``text`` without the marks that nobody sees, such as those that turn the direction of writing."""
    return text if text.isascii() else "".join(sign for sign in text if unicodedata.category(sign) != "Cf")


def to_integer(value: object) -> int | None:
    """5, "5", " 5", "۵" and 5.0 are whole numbers; empty is None. Raises for anything else."""
    if isinstance(value, bool):
        raise _refuse("expected a whole number, not true or false")
    if value is None or isinstance(value, int):
        return None if value is None else _in_range(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < _INT64:
        return int(value)
    if isinstance(value, str):
        text = without_marks(value).strip(PHP_BLANKS)
        if not text:
            return None
        if _INTEGER.fullmatch(text):
            return _in_range(int(text))
    raise _refuse("expected a whole number")


def _in_range(number: int) -> int:
    if not -_INT64 <= number < _INT64:
        raise _refuse("the number is too large")
    return number


def flag_word(value: object) -> str:
    """What a flag says, as one small word: true is "1", false and null are "". Raises for lists and objects."""
    if isinstance(value, bool):
        return "1" if value else ""
    word = without_marks(to_text(value)).strip(PHP_BLANKS).lower()
    return str(unicodedata.decimal(word)) if len(word) == 1 and word.isdecimal() else word


def to_flag(value: object) -> bool:
    """true/false, 1/0, their texts, "on" and empty. Raises for anything else."""
    word = flag_word(value)
    if word in TRUE_WORDS:
        return True
    if word in _FALSE:
        return False
    raise _refuse("expected 1 or 0 (or true, false, on, off, yes, no)")


Text = Annotated[str, BeforeValidator(trimmed)]
RawText = Annotated[str, BeforeValidator(to_text)]
Integer = Annotated[int, BeforeValidator(to_integer)]
Flag = Annotated[bool, BeforeValidator(to_flag)]
