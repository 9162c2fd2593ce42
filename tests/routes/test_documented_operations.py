"""Nothing of the ShowBox API document is missing: each operation is served at both paths, with every documented key."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from legacy_routes.app import all_endpoints
from tests.conftest import MakeWorld
from tests.routes.documented_operations import OPERATIONS, Operation
from tests.worlds.accounts import Accounts, accounts_world
from tests.worlds.authenticators import Authenticator, at_host
from tests.worlds.harness import PREFIXES, Client


@pytest.fixture
def accounts(make_world: MakeWorld) -> Iterator[Accounts]:
    """Chapter 20's panel with its two portals, which can be asked for tariffs, and no pauses between messages."""
    with accounts_world(make_world, "sqlite", dual=True, SHOWBOX_JOBS_MESSAGE_PAUSE_MS="0") as accounts:
        yield accounts


def missing(answer: Any, path: str) -> bool:
    """Whether ``answer`` lacks what ``path`` names: keys parted by dots, ``[]`` for the first of a list."""
    for part in path.replace("[]", ".[]").split("."):
        if part == "[]":
            if not isinstance(answer, list) or not answer:
                return True
            answer = answer[0]
        elif not isinstance(answer, dict) or part not in answer:
            return True
        else:
            answer = answer[part]
    return False


class Script:
    """A client that goes through the document from top to bottom, as a reader would who tries it out."""

    def __init__(self, accounts: Accounts, prefix: str) -> None:
        self.prefix = prefix
        self.client: Client = at_host(accounts.world.client())
        self.device = Authenticator()
        week = accounts.panel.clock.today() + timedelta(days=7)
        self.known: dict[str, Any] = {"in_a_week": week.isoformat()}

    def run(self, operation: Operation) -> dict[str, Any]:
        sent = {name: self._filled(value) for name, value in operation.sent.items()}
        path = f"{self.prefix}{operation.name}.php"
        how = {"params": sent} if operation.method == "GET" else {"json": sent}
        response = self.client.request(operation.method, path, **how)
        assert response.status_code == operation.status, (operation.id, response.status_code, response.text)
        answer: dict[str, Any] = response.json()
        assert answer["error"] == 0, (operation.id, answer)
        self._learn(operation, answer)
        return answer

    def _filled(self, value: Any) -> Any:
        is_name = isinstance(value, str) and value.startswith("{") and value.endswith("}")
        return self.known[value[1:-1]] if is_name else value

    def _learn(self, operation: Operation, answer: dict[str, Any]) -> None:
        if operation.id == "GET webauthn_register":
            self.known |= self.device.registers(answer)
        elif operation.id == "GET webauthn_authenticate":
            self.known |= self.device.signs(answer)
        elif operation.id == "GET webauthn_manage":
            self.known["passkey"] = answer["credentials"][0]["id"]
        for name in ("reseller_id", "plan_id"):
            if name in answer:
                self.known[name] = answer[name]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_document_from_top_to_bottom(accounts: Accounts, prefix: str) -> None:
    script = Script(accounts, prefix)
    lacking = {}
    for operation in OPERATIONS:
        answer = script.run(operation)
        if absent := [key for key in operation.keys.split() if missing(answer, key)]:
            lacking[operation.id] = (absent, answer)
    assert lacking == {}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_each_is_declared(operation: Operation) -> None:
    [endpoint] = [endpoint for endpoint in all_endpoints() if endpoint.name == operation.name]
    assert operation.method in endpoint.methods
    assert set(endpoint.paths) == {f"{prefix}{operation.name}.php" for prefix in PREFIXES}


def test_the_documents_refusals(accounts: Accounts) -> None:
    """Its error samples have their text in ``err_msg`` or in ``message``; ours have it in both."""
    for operation in OPERATIONS:
        if operation.name in ("login", "logout", "auto_logout_settings", "webauthn_authenticate", "get_vapid_key"):
            continue
        answer = accounts.world.client().request(operation.method, f"/{operation.name}.php").json()
        assert (answer["error"], answer["message"], answer["err_msg"]) == (1, "Not logged in", "Not logged in")


@pytest.mark.parametrize("key", ["a.b", "a.c[]", "a.d[].e", "x", "a.c[].x"])
def test_a_missing_key_is_found(key: str) -> None:
    answer = {"a": {"c": [], "d": [{"f": 1}]}}
    assert missing(answer, key)
    assert not missing({"a": {"b": None, "c": [{"x": 0}], "d": [{"e": ""}]}, "x": False}, key)
