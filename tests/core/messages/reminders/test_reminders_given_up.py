"""A sweep before a portal that is away ends soon, and the next one sends what it could not (chapter 60 S7)."""

from collections.abc import Iterator

import pytest

from core.storage.tables import Account
from simulators.faults import Answer, Fault, Refuse
from simulators.wire import Response
from tests.conftest import MakeWorld
from tests.worlds.reminders import MAC, Reminders, reminders_world

HOW_MANY = 8
IDS = range(101, 101 + HOW_MANY)
FAULTS: dict[str, tuple[Fault, int]] = {
    "away": (Refuse(), 3),
    "another password": (Answer(Response(status=401, body=b"")), 3),
    # of one message: the next may be taken
    "refused": (Answer(Response(body=b'{"status":"ERROR","results":null,"error":"Not here"}')), HOW_MANY),
}


@pytest.fixture
def panel(make_world: MakeWorld) -> Iterator[Reminders]:
    with reminders_world(make_world, "sqlite") as panel:
        day = panel.account(11)["end_date"]
        panel.world.execute("DELETE FROM _accounts")
        accounts = [
            {"id": n, "username": f"u{n}", "mac": MAC(n), "full_name": f"N{n}", "end_date": day, "status": 1}
            for n in IDS
        ]
        for n in IDS:
            panel.portal.add_user(f"u{n}", MAC(n))
        panel.world.insert(Account, accounts)
        panel.settings(1)
        yield panel


@pytest.mark.parametrize("fault", FAULTS)
def test_three_hopeless_messages_and_the_rest_waits_for_the_next_sweep(panel: Reminders, fault: str) -> None:
    what, calls = FAULTS[fault]
    panel.portal.fail("POST stb_msg", what, times=None)
    _, text = panel.job("reminders")
    assert f"Total failed: {HOW_MANY}" in text
    assert text.count("Not tried: ") == HOW_MANY - calls
    tried = [row for row in panel.reminders if not row["error_message"].startswith("Not tried: ")]
    assert len(tried) == calls
    assert {row["status"] for row in panel.reminders} == {"failed"}
    panel.portal.clear_faults()
    panel.portal.forget_requests()
    _, text = panel.job("reminders")
    assert f"Total sent: {HOW_MANY}" in text
    assert sorted(mac for mac, _ in panel.texts) == [MAC(n) for n in IDS]
