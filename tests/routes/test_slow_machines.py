"""One caller holds not all threads while another machine is slow, whatever asks it (issue "no way in", line 6)."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from legacy_routes.app import all_endpoints
from simulators.faults import Hang
from tests.conftest import MakeWorld
from tests.worlds.accounts import MAC, Accounts, accounts_world, add_subscriber
from tests.worlds.logged_in import logged_in
from tests.worlds.waiting import until

CALLERS = 12
# of the caller with that number
CALLS: dict[str, tuple[str, dict[str, str]]] = {
    "change_status": ("/change_status.php", {"username": "slow{0}", "status": "0"}),
    "toggle_account_status": ("/toggle_account_status.php", {"username": "slow{0}", "status": "0"}),
    "edit_account": ("/edit_account.php", {"original_username": "slow{0}", "plan": "2"}),
    "send_stb_event": ("/send_stb_event.php", {"mac": MAC("7{0}"), "event": "reboot"}),
    "send_stb_message": ("/send_stb_message.php", {"mac": MAC("7{0}"), "message": "Hello"}),
    "remove_account": ("/remove_account.php", {"id": "slow{0}"}),
    "add_account": (
        "/add_account.php",
        {
            "username": "new{0}",
            "password": "box-pass",
            "mac": MAC("8{0}"),
            "full_name": "New",
            "plan": "2",
            "status": "1",
        },
    ),
    "get_tariffs": ("/get_tariffs.php", {}),
}


@pytest.fixture
def accounts(make_world: MakeWorld) -> Iterator[Accounts]:
    # longer than the test: those who hold a place go on holding it
    with accounts_world(make_world, "sqlite", seconds=30.0) as made:
        yield made


@pytest.mark.one_process("each process has places of its own")
@pytest.mark.parametrize("name", CALLS)
def test_6_a_slow_portal_leaves_threads_for_others(accounts: Accounts, name: str) -> None:
    path, fields = CALLS[name]
    for number in range(CALLERS):
        add_subscriber(accounts, f"slow{number:x}", MAC(f"7{number:x}"))
    who = "admin" if name in ("get_tariffs", "add_account") else "reseller1"
    clients = [logged_in(accounts.world, who) for _ in range(CALLERS)]
    accounts.portal.fail("*", Hang(), times=None)
    answers: list[Any] = []

    def ask(number: int) -> None:
        mine = {name: text.format(f"{number:x}") for name, text in fields.items()}
        answers.append(clients[number].post(path, mine))

    callers = [threading.Thread(target=ask, args=(number,)) for number in range(CALLERS)]
    for caller in callers:
        caller.start()
    # those who find no place hear of it while the others still wait
    until(lambda: len(answers) >= CALLERS - 7, "those without a place are answered")
    probe = accounts.world.client().get("/session_heartbeat.php")
    still = sum(caller.is_alive() for caller in callers)
    accounts.portal.clear_faults()
    accounts.portal.stop_listening()
    for caller in callers:
        caller.join(60)
    assert probe.json()["code"] == 2
    assert still > 0, "nobody was waiting when the probe was answered"
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused, answers[0].json()
    assert {answer.json()["code"] for answer in refused} == {8}
    assert all("nothing was done" in answer.json()["err_msg"] for answer in refused)


def test_6_what_asks_other_machines_has_few_places() -> None:
    """Endpoints that call out within the request; what runs as a job waits in core.jobs.waiting_places."""
    waiting = {endpoint.name for endpoint in all_endpoints() if endpoint.manners.waits}
    assert waiting >= {*CALLS, "update_account", "update_stalker_settings", "assign_reseller", "import_database", "api"}
    assert waiting >= {"sync_plans", "sync_plans_web", "test_mail_connection", "telegram/link_telegram"}
    assert waiting >= {"telegram/verify_bot", "telegram/update_settings", "telegram/save_bot_settings"}
    assert not waiting & {"login", "session_heartbeat", "get_user_info", "get_accounts", "logout", "sync_accounts"}
