"""Texts and mail addresses as they enter: checked and in their stored form, or InvalidInput. No database.

Numerals, phones, days and amounts: the modules beside.
"""

import re

from core.errors import InvalidInput
from core.values.entry_losses import note_loss
from core.values.escaping import plain, quotable
from core.values.numerals import without_marks

USERNAME_CHARACTERS = 100
TEXT_CHARACTERS = 255
_LOST = "{field} was stored without markup and control characters"
# more than quotation marks, which become others of their kind
_MARKUP = re.compile(r"[<>`\\\x00-\x1f\x7f]")
_EMAIL = re.compile(r"[^@\s<>\"',;:()\[\]\\]+@[^@\s<>\"',;:()\[\]\\]+\.[^@\s<>\"',;:()\[\]\\.]+")


def clean_text(text: str, field: str, limit: int = TEXT_CHARACTERS) -> str:
    """``text`` without markup and control characters. Raises InvalidInput, naming ``field``, when it is too long."""
    cleaned = plain(text).strip()
    refuse_longer(cleaned, field, limit)
    if cleaned != text.strip():
        note_loss(field, _LOST)
    return cleaned


def refuse_longer(text: str, field: str, limit: int) -> None:
    """Raises InvalidInput, naming ``field``."""
    if len(text) > limit:
        raise InvalidInput(f"The {{field}} is too long (more than {limit} characters)", field=field)


def clean_name(text: str, field: str, limit: int = TEXT_CHARACTERS) -> str:
    """``text`` in the form that pages may put into attributes and handlers.

    Raises InvalidInput, naming ``field``, when it is too long, or when nothing is left of it.
    """
    cleaned = quotable(text).strip()
    refuse_longer(cleaned, field, limit)
    if text.strip() and not cleaned:
        raise InvalidInput.of(field, "it has no readable character")
    if _MARKUP.search(text.strip()):
        note_loss(field, _LOST)
    return cleaned


def checked_email(text: str, field: str = "email") -> str | None:
    """The address, None for an empty one. Raises InvalidInput, naming ``field``."""
    if not text:
        return None
    address = without_marks(text).strip()
    if len(address) > TEXT_CHARACTERS or not _EMAIL.fullmatch(address):
        raise InvalidInput.of(field, "expected an e-mail address such as name@example.com")
    return address
