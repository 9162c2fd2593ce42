"""The notification that follows a payment: to that reseller alone, of what was stored (chapter 70, payment)."""

from collections.abc import Iterator

import pytest

from core.access.actors import bare_actor
from core.access.audit import By, Origin
from core.errors import InvalidInput
from core.jobs import jobs
from core.payments.payments import NewPayment, record_payment
from core.workers import workers
from simulators.push_service import PushService
from tests.conftest import MakeWorld
from tests.worlds.notices import Notices, notices_world

RES1, RADM = 2, 3


@pytest.fixture
def service() -> Iterator[PushService]:
    with PushService() as service:
        yield service


# other channels hear of payments too
KINDS = {name: kind for name, kind in workers.KINDS.items() if name == "push_payment"}


def _pay(panel: Notices, amount: str) -> int:
    wish = NewPayment(RES1, amount, "", "2025-11-22", "Cash", "", "", b"")
    actor = bare_actor(1, "admin", super_user=True)
    return record_payment(panel.panel, By(actor, Origin("127.0.0.1", "test")), wish).id


def test_the_reseller_is_told_once_and_nobody_else(make_world: MakeWorld, kind: str, service: PushService) -> None:
    with notices_world(make_world, kind, SHOWBOX_JOBS_IN_PROCESS="no") as panel:
        for user_id, name in ((RES1, "res1"), (RADM, "radm")):
            panel.subscribe(user_id, service.subscribe(name))
        payment = _pay(panel, "1234.5")
        assert service.shown == []
        assert jobs.work_off(panel.panel, KINDS) == 1
        [shown] = service.shown
        assert shown.device == "res1"
        assert (shown.payload["title"], shown.payload["tag"]) == ("💰 Payment", f"payment-{payment}")
        assert "1,235 GBP" in shown.payload["body"]
        assert shown.payload["data"] == {
            "type": "payment",
            "amount": "1,235 GBP",
            "date": "2025-11-22",
            "url": "/dashboard.php?tab=accounting",
        }
        assert shown.headers["urgency"] == "high"


def test_a_refused_payment_and_one_without_a_device_tell_nobody(make_world: MakeWorld, service: PushService) -> None:
    with notices_world(make_world, "sqlite", SHOWBOX_JOBS_IN_PROCESS="no") as panel:
        with pytest.raises(InvalidInput):
            _pay(panel, "0")
        assert jobs.work_off(panel.panel, KINDS) == 0
        _pay(panel, "10")
        assert jobs.work_off(panel.panel, KINDS) == 1
        assert service.requests == []
