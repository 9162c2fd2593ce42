"""What a plan may be: pure functions over values as they were sent. Source: contract chapter 40 §1.6, §1.8, §2.3, §3.2.

A plan is unlimited exactly when it lasts 0 days, costs nothing and is valid in every currency (``*``).
"""

import re
from decimal import ROUND_HALF_UP, Decimal

from core.errors import InvalidInput
from core.values import money
from core.values.checks import clean_text
from core.values.currencies import ANY_CURRENCY, PLAN_CURRENCIES
from core.values.numerals import folded

CATEGORIES = ("new_device", "application", "renew_device")
# some 2,700 years: further on, ends of accounts leave the calendar
MOST_DAYS = 1_000_000

_EXTERNAL_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")


def is_external_id(text: str) -> bool:
    """Whether pages can put it into links and handlers as it is."""
    return text != "0" and _EXTERNAL_ID.fullmatch(text) is not None


def checked_external_id(text: str | None) -> str:
    """Raises InvalidInput."""
    if text in (None, "", "0"):
        raise InvalidInput.missing("plan_id", "the id of a tariff of the portal")
    if not is_external_id(text):
        raise InvalidInput.of("plan_id", "1 to 100 of the characters A-Z a-z 0-9 . _ -")
    return text


def checked_name(text: str) -> str:
    """The name as ledger texts can carry it, which are parsed by their quotation marks. Raises InvalidInput."""
    name = clean_text(re.sub(r"[\t\n]", " ", text), "name").replace('"', "'")
    if not name:
        raise InvalidInput.missing("name", "of the plan")
    return name


def checked_price(text: str | None) -> Decimal:
    """Raises InvalidInput."""
    if not text:
        raise InvalidInput.missing("price", "an amount, 0 or more")
    return money.read_amount(text, "price", least=Decimal(0))


def checked_days(days: int | None) -> int:
    """Raises InvalidInput."""
    if days is None:
        raise InvalidInput.missing("days", "0 is unlimited")
    if not 0 <= days <= MOST_DAYS:
        raise InvalidInput.of("days", f"expected 0 (unlimited) to {MOST_DAYS}")
    return days


def checked_currency(text: str | None) -> str:
    """The code of a new plan's currency, or ``*``. Raises InvalidInput."""
    if not text:
        raise InvalidInput.missing("currency", f"one of {', '.join(PLAN_CURRENCIES)}")
    code = text.upper()
    if code not in (*PLAN_CURRENCIES, ANY_CURRENCY):
        raise InvalidInput.of("currency", f"expected one of {', '.join(PLAN_CURRENCIES)}")
    return code


def is_rounded(text: str | None, price: Decimal | None) -> bool:
    """Whether ``text`` is ``price`` as a page shows it that shows no decimals, and sends back untouched (contract 05
    §10.4); who writes decimals means them."""
    if price is None or price == price.to_integral_value():
        return False
    return folded(text or "") == str(price.to_integral_value(ROUND_HALF_UP))


def whole_terms(currency: str, price: Decimal, days: int) -> tuple[str, Decimal]:
    """Currency and price of a plan of ``days``, so that what is unlimited is so in full. Raises InvalidInput."""
    if days == 0:
        return ANY_CURRENCY, Decimal(0)
    if currency == ANY_CURRENCY:
        raise InvalidInput(
            "The {field} * is for unlimited plans (0 days) only; create a plan in a currency instead", field="currency"
        )
    return currency, price


def checked_category(text: str) -> str | None:
    """None for an empty one. Raises InvalidInput."""
    if text and text not in CATEGORIES:
        raise InvalidInput.of("category", f"expected one of {', '.join(CATEGORIES)}, or empty")
    return text or None
