"""Which tariff of the portal a plan means, as tables of values (90 §13 M7 and M15)."""

from dataclasses import dataclass
from decimal import Decimal

import pytest

from core.plans.choice import PlanRow
from core.plans.plan_tariff import NOT_ASKED, Resolved, Tariffs, tariff_by_name, tariff_of_plan
from core.portal import Tariff

LISTED = Tariffs(
    [
        Tariff("3", "12M Full", "Year", 365),
        Tariff("4", "", "Nameless", 30),
        Tariff("5", "shared", "First", 30),
        Tariff("6", "shared", "Second", 30),
        Tariff("7", "78", "Month", 30),
        Tariff("78", "other", "Other", 30),
    ]
)


@dataclass(frozen=True)
class Case:
    carried: str
    external_id: str
    said: str = ""
    is_known: bool = True


CASES = {
    "the row id of a tariff": Case("3", "12M Full"),
    "its external id": Case("12m full", "12M Full"),
    "a row id counts before an external id": Case("78", "other"),
    "a tariff without external id is never sent by its row id": Case("4", "", "no external id", is_known=False),
    "of two with one external id the portal gives the first": Case("6", "shared", "First and Second"),
    "the first of these": Case("5", "shared"),
    "none of the portal's": Case("99", "99", "no tariff 99", is_known=False),
}


def _plan(carried: str) -> PlanRow:
    return PlanRow(1, carried, "Premium", "GBP", Decimal(1), 30)


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_the_tariff_of_a_plan(case: Case) -> None:
    found = tariff_of_plan(_plan(case.carried), LISTED)
    assert (found.external_id, found.is_known) == (case.external_id, case.is_known)
    assert case.said in (found.note or "")
    assert bool(found.note) == bool(case.said)


def test_without_a_list_a_plan_stands_as_it_is() -> None:
    assert tariff_of_plan(_plan("4"), NOT_ASKED) == Resolved("4")


@pytest.mark.parametrize(
    ("name", "external_id", "is_known"),
    [("year", "12M Full", True), ("Nameless", "", False), ("Second", "shared", True), ("Gold", "", False)],
)
def test_a_tariff_by_name(name: str, external_id: str, is_known: bool) -> None:
    found = tariff_by_name(name, LISTED)
    assert (found.external_id, found.is_known) == (external_id, is_known)
