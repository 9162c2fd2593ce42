"""Telephone numbers as the SMS provider takes them. Source: contract chapter 60 S5, "numbers", and the README."""

from core.errors import InvalidInput
from core.values.phones import normal_phone


def provider_number(text: str | None, country_code: str) -> str | None:
    """The number in its one form (:mod:`core.values.phones`), which may be a national one as it is where no
    ``country_code`` is known; None: not usable."""
    try:
        return normal_phone(text or "", country_code)
    except InvalidInput:
        return None
