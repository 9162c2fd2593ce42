"""Which plan a request means, and what it costs: pure functions over the rows of ``_plans``.

Source: contract chapter 20 §1.6 and §1.8, contract README "combined plan keys".
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, select

from core.access.actors import Actor
from core.errors import InvalidInput, NotAllowed, NotEnoughCredit, NotFound, PanelError
from core.portal import Tariff
from core.storage.tables import Plan
from core.values import money
from core.values.currencies import ANY_CURRENCY, currency_code

NOT_FOUND = "Plan not found, or not usable for this reseller"

_ID_DIGITS = 18

# what a request says: a JSON number, a text, or nothing
PlanWish = int | str | None
# external id and currency, by which resellers' lists name a plan
PlanKey = tuple[str, str]


class PlanIncomplete(PanelError):
    """The row of the plan lacks what a purchase needs to know."""

    default_text = "The plan has no price or no number of days"


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A plan; ``currency`` is a code in capitals (``IRT`` read as ``IRR``) or ``*``, ``days`` 0 is unlimited.

    ``price`` and ``days`` None: the database does not say, which is not 0.
    """

    id: int
    external_id: str
    name: str
    currency: str
    price: Decimal | None
    days: int | None

    @property
    def key(self) -> PlanKey:
        return self.external_id, self.currency

    @property
    def cost(self) -> Decimal:
        """What is paid for it. Raises PlanIncomplete."""
        if self.price is None:
            raise PlanIncomplete(f'The plan "{self.shown_name()}" has no price; it can be sold once it has one')
        return self.price

    @property
    def length(self) -> int:
        """For how many days it is bought, 0 for ever. Raises PlanIncomplete."""
        if self.days is None:
            raise PlanIncomplete(f'The plan "{self.shown_name()}" has no number of days; it cannot be used until then')
        return self.days

    def fits(self, currency: str | None) -> bool:
        """Whether somebody with ``currency`` can pay this plan."""
        return self.currency in (ANY_CURRENCY, currency_code(currency))

    def shown_name(self) -> str:
        """The name as ledger texts carry it, which are parsed by their quotation marks."""
        return (self.name or f"Plan #{self.id}").replace('"', "'")


def read_plans(connection: Connection) -> list[PlanRow]:
    """All plans, oldest first."""
    rows = connection.execute(
        select(Plan.id, Plan.external_id, Plan.name, Plan.currency_id, Plan.price, Plan.days).order_by(Plan.id)
    )
    return [PlanRow(**plan_values(row)) for row in rows]


def plan_values(row: Any) -> dict[str, Any]:
    """The fields of a :class:`PlanRow` of a row of ``_plans``, where a panel leaves any of them NULL."""
    return {
        "id": row.id,
        "external_id": (row.external_id or "").strip(),
        "name": row.name or "",
        "currency": currency_code(row.currency_id),
        "price": None if row.price is None else money.stored(row.price),
        "days": row.days,
    }


def is_no_plan(wish: PlanWish) -> bool:
    return wish in (None, "", 0, "0")


def plan_for_add(plans: Sequence[PlanRow], wish: PlanWish, currency: str | None) -> PlanRow | None:
    """The plan that ``wish`` means when adding, for an owner with ``currency``: ``<external id>-<currency>``, an
    external id, or an id. None if there is none."""
    if isinstance(wish, int):
        return _by_id(plans, wish) or _by_external_id(plans, str(wish), currency)
    text = wish or ""
    return _by_key(plans, text) or _by_external_id(plans, text, currency) or _by_id(plans, text)


def plan_for_edit(plans: Sequence[PlanRow], wish: PlanWish, currency: str | None) -> PlanRow | None:
    """As :func:`plan_for_add`, but digits are an id first, as the edit dialogs send it."""
    found = _by_id(plans, wish)
    if found is not None or isinstance(wish, int):
        return found
    text = wish or ""
    return _by_key(plans, text) or _by_external_id(plans, text, currency)


def plan_for_tariff(
    plans: Sequence[PlanRow], name: str, currency: str | None, tariffs: Iterable[Tariff]
) -> PlanRow | None:
    """The plan that a tariff's name means: a plan of that name, of that external id, or of the portal's tariff."""
    usable = [plan for plan in plans if plan.fits(currency)]
    wanted = name.casefold()

    def first(holds: Callable[[PlanRow], bool]) -> PlanRow | None:
        return next((plan for plan in usable if holds(plan)), None)

    found = first(lambda plan: plan.name.casefold() == wanted) or first(lambda plan: plan.external_id == name)
    tariff = find_tariff(tariffs, name)
    if found is None and tariff is not None:
        found = first(lambda plan: plan.external_id == tariff.id)
    return found


def find_tariff(tariffs: Iterable[Tariff], name: str) -> Tariff | None:
    """The portal's tariff with this name or external id."""
    wanted = name.casefold()
    return next(
        (tariff for tariff in tariffs if wanted in (tariff.name.casefold(), tariff.external_id.casefold())), None
    )


def require_usable(plan: PlanRow, reseller: Actor) -> None:
    """Whether a plain reseller may use ``plan``: assigned or unlimited, and in the own currency. Raises NotFound."""
    if plan.currency == ANY_CURRENCY:
        return
    keys = assigned_keys(reseller)
    is_assigned = plan.external_id in keys or plan.key in map(normal_key, keys)
    if not plan.fits(reseller.currency) or not is_assigned:
        raise NotFound(NOT_FOUND)


def assigned_keys(reseller: Actor) -> list[str]:
    """What stands in a reseller's list of plans: ``<external id>-<currency>``, or an external id alone, which means
    the plan in the reseller's own currency."""
    return [key.strip() for key in (reseller.plans or "").split(",") if key.strip()]


def normal_key(key: str) -> PlanKey:
    """External id and currency of ``<external id>-<currency>``; the external id may have hyphens itself."""
    external_id, _, currency = key.strip().rpartition("-")
    return external_id, currency_code(currency)


def net_price(plan: PlanRow, discount: int) -> Decimal:
    """The price without the discount; of a plan without price 0, for those who do not pay. Raises InvalidInput when
    the discount is negative or larger than the price."""
    price = plan.price or Decimal(0)
    if discount < 0:
        raise InvalidInput.of("discount", "expected 0 or more")
    if discount > price:
        raise InvalidInput(f"The {{field}} is larger than the price ({price})", field="discount")
    return price - discount


def require_balance(balance: Decimal, price: Decimal) -> None:
    """Raises NotEnoughCredit."""
    if balance < price:
        raise NotEnoughCredit


def refuse_currency(plan: PlanRow, owner: Actor) -> None:
    """A reseller with balance pays in the own currency only. Raises NotAllowed."""
    if not plan.fits(owner.currency):
        raise NotAllowed("The plan's currency differs from the reseller's currency")


def _by_id(plans: Iterable[PlanRow], wish: PlanWish) -> PlanRow | None:
    text = str(wish)
    if not (text.isascii() and text.isdecimal() and len(text) <= _ID_DIGITS):
        return None
    return next((plan for plan in plans if plan.id == int(text)), None)


def _by_key(plans: Iterable[PlanRow], text: str) -> PlanRow | None:
    if "-" not in text:
        return None
    wanted = normal_key(text)
    return next((plan for plan in plans if plan.key == wanted), None)


def _by_external_id(plans: Iterable[PlanRow], text: str, currency: str | None) -> PlanRow | None:
    same = [plan for plan in plans if plan.external_id == text]
    wanted = currency_code(currency)
    return next((plan for plan in same if plan.currency == wanted), None) or next(
        (plan for plan in same if plan.currency == ANY_CURRENCY), None
    )
