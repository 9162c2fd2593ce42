"""Currency codes: which there are, how they are read, and how they are shown."""

ANY_CURRENCY = "*"


def currency_code(code: str | None) -> str:
    """``code`` in capitals, the legacy ``IRT`` as ``IRR``."""
    return shown_currency((code or "").strip().upper()) or ""


def shown_currency(code: str | None) -> str | None:
    """The code as every answer spells it: the legacy ``IRT`` is ``IRR``."""
    return "IRR" if code is not None and code.upper() == "IRT" else code


# those that a new plan may have (contract chapter 40 §1.6)
PLAN_CURRENCIES = ("GBP", "USD", "EUR", "IRR")


# as old test scripts send them
CURRENCY_NUMBERS = {"1": "GBP", "2": "USD", "3": "EUR", "4": "IRR"}
