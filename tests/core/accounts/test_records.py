"""What operations store is read back as it was, also what older versions stored."""

from dataclasses import replace
from datetime import date
from typing import Any

import orjson
import pytest

from core.access.audit import Origin
from core.access.began import Began
from core.accounts.operations import Payload
from core.accounts.records import AUTO_DISABLE, Change, Creation, Removal
from core.ledger import ledger

BEGAN = Began(7, "resa", "Res A", Origin("192.0.2.1", "curl/8"))
ENTRY = ledger.Entry(
    creator="system",
    for_user=7,
    amount="-10.50",
    currency="GBP",
    type=ledger.DEBIT,
    details='Plan "One" assigned for acc1',
    note=ledger.Note(ledger.SALE, username="acc1", mac="00:1A:79:00:00:01", plan_id=3, discount=2),
)
CREATION = Creation(
    full_name="A. Person",
    email=None,
    phone="+441234567890",
    reseller=7,
    plan=3,
    plan_name="One",
    tariff_plan="78",
    end_date=date(2026, 2, 28),
    status=1,
    comment="",
    theme="emerald",
    entry=ENTRY,
    account_number=10_000_001,
)
CHANGE = Change(
    what="renewal",
    columns={"end_date": date(2026, 3, 28), "plan": 3, "email": None},
    portal=["end_date", "email"],
    changed=["end_date"],
    entry=replace(ENTRY, type=ledger.CREDIT),
    plan_name="One",
    phone=None,
    began=BEGAN,
)
REMOVAL = Removal({"mac": "00:1A:79:00:00:01", "username": "acc1", "name": "A", "reseller_id": 7}, True, BEGAN)
PAYLOADS: dict[str, Payload] = {
    "creation": CREATION,
    "creation without plan": replace(CREATION, plan=None, plan_name=None, end_date=None, entry=None),
    "change": CHANGE,
    "change to unlimited": replace(CHANGE, columns={"end_date": None}, what=AUTO_DISABLE, entry=None),
    "removal": REMOVAL,
    "removal from the portal alone": replace(REMOVAL, old={"mac": "m", "username": "x", "name": ""}),
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=list(PAYLOADS))
def test_what_is_stored_is_read_back(payload: Any) -> None:
    stored = orjson.loads(orjson.dumps(payload.stored()))
    # the record's own words lie beside them
    assert type(payload).read({**stored, "new_username": None, "reseller": stored.get("reseller")}) == payload


def test_a_change_of_an_older_version_gave_no_phone() -> None:
    stored = CHANGE.stored()
    del stored["phone"]
    assert Change.read(stored) == CHANGE


def test_an_account_of_the_portal_alone_has_no_owner() -> None:
    assert replace(REMOVAL, old={"mac": "m", "username": "x", "name": ""}).reseller_id is None
