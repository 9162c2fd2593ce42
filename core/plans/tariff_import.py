"""Making plans of the portal's tariffs. Source: contract chapter 40 §3.7 and §3.8.

The portal is asked before the transaction begins; plans whose tariff is gone stay as they are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, literal, select, update

from core.access.audit import By
from core.panel import Panel
from core.plans.edit import alone_with_plans
from core.plans.plans import StoredPlan, find_by_key
from core.plans.rules import MOST_DAYS, checked_name, is_external_id
from core.plans.tariffs import OfferedTariff, portal_tariffs
from core.storage.tables import Plan, PlanNote
from core.values.currencies import ANY_CURRENCY

_NAME_CHARACTERS = 255


@dataclass(frozen=True, slots=True)
class TariffPlan:
    """What one tariff means as a plan in one currency; ``before`` is the plan that is there already."""

    external_id: str
    currency: str
    name: str
    days: int
    price: Decimal
    before: StoredPlan | None

    @property
    def differs(self) -> bool:
        """Whether name or length of the plan that is there are others."""
        return self.before is not None and (self.before.name, self.before.days) != (self.name, self.days)


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of an import: the tariffs that were handled, and one line for each of them and each currency."""

    tariffs: Sequence[OfferedTariff]
    lines: Sequence[TariffPlan]

    @property
    def inserted(self) -> list[TariffPlan]:
        return [line for line in self.lines if line.before is None]

    @property
    def present(self) -> list[TariffPlan]:
        return [line for line in self.lines if line.before is not None]


def import_tariffs(panel: Panel, by: By, *, renew: bool) -> Imported:
    """Make the plans that are missing, at the configured first prices; with ``renew``, plans that are there get the
    tariff's name and length, and keep their price. Raises UpstreamFailed, nothing done."""
    offered = portal_tariffs(panel, fresh=True)
    # a list may name a tariff twice
    tariffs = list({item.id: item for item in offered if _is_usable(item)}.values())

    def act(connection: Connection, plans: list[StoredPlan]) -> Imported:
        imported = Imported(tariffs, list(_lines(tariffs, plans, panel.config.panel.tariff_prices)))
        renewed = [line for line in imported.present if renew and line.differs]
        _insert(connection, imported.inserted, panel.clock.stamp())
        _renew(connection, renewed)
        _audit(panel, connection, by, imported.inserted, renewed)
        return imported

    return alone_with_plans(panel, act)


def _is_usable(tariff: OfferedTariff) -> bool:
    return is_external_id(tariff.id) and tariff.days <= MOST_DAYS


def _lines(
    tariffs: Sequence[OfferedTariff], plans: Sequence[StoredPlan], prices: Mapping[str, Decimal]
) -> Iterator[TariffPlan]:
    for tariff in tariffs:
        name = checked_name(tariff.name[:_NAME_CHARACTERS])
        for currency, price in prices.items() if tariff.days else [(ANY_CURRENCY, Decimal(0))]:
            before = find_by_key(plans, (tariff.id, currency))
            # a guess never takes the place of a length that somebody has set
            known = before.days if before is not None and tariff.is_guess else None
            days = tariff.days if known is None else known
            yield TariffPlan(tariff.id, currency, name, days, price, before)


def _insert(connection: Connection, lines: Sequence[TariffPlan], stamp: int) -> None:
    if not lines:
        return
    newest = connection.scalar(select(func.max(Plan.id))) or 0
    connection.execute(
        insert(Plan),
        [
            {
                "external_id": line.external_id,
                "currency_id": line.currency,
                "name": line.name,
                "days": line.days,
                "price": line.price,
            }
            for line in lines
        ],
    )
    made = select(Plan.id, literal(stamp)).where(Plan.id > newest, Plan.id.not_in(select(PlanNote.plan_id)))
    connection.execute(insert(PlanNote).from_select(["plan_id", "created_at"], made))


def _renew(connection: Connection, lines: Sequence[TariffPlan]) -> None:
    changes = [{"plan": line.before.id, "as": line.name, "for": line.days} for line in lines if line.before]
    if changes:
        statement = update(Plan).where(Plan.id == bindparam("plan"))
        connection.execute(statement.values(name=bindparam("as"), days=bindparam("for")), changes)


def _audit(
    panel: Panel,
    connection: Connection,
    by: By,
    inserted: Sequence[TariffPlan],
    renewed: Sequence[TariffPlan],
) -> None:
    """One row for the whole import, none when nothing changed."""
    if not inserted and not renewed:
        return
    old: dict[str, Any] = {_key(line): [line.before.name, line.before.days] for line in renewed if line.before}
    new: dict[str, Any] = {_key(line): [line.name, line.days] for line in (*inserted, *renewed)}
    details = f"Portal tariffs: {len(inserted)} plans added, {len(renewed)} changed"
    by.write_audit(panel, connection, "import", "plan", old=old or None, new=new, details=details)


def _key(line: TariffPlan) -> str:
    return f"{line.external_id}-{line.currency}"
