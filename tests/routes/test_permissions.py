"""Who may call what: every declared endpoint and method for every kind of caller, at both paths."""

from pathlib import Path

import pytest

from legacy_routes import all_endpoints
from tests.harness import PREFIXES, World

CALLERS = ("admin", "radm", "resa", "obs", None)
EVERYBODY = set(CALLERS)
LOGGED_IN = EVERYBODY - {None}
# (endpoint, method) → who gets past the gate; what an endpoint then refuses is its own tests' business
MATRIX: dict[tuple[str, str], set[str | None]] = {
    ("login", "POST"): EVERYBODY,
    ("logout", "GET"): EVERYBODY,
    ("logout", "POST"): EVERYBODY,
    ("get_user_info", "GET"): LOGGED_IN,
    ("get_user_info", "POST"): LOGGED_IN,
    ("update_password", "POST"): LOGGED_IN,
    ("change_password", "POST"): LOGGED_IN,
    ("get_login_history", "GET"): LOGGED_IN,
    ("auto_logout_settings", "GET"): EVERYBODY,
    ("auto_logout_settings", "POST"): {"admin"},
    ("session_heartbeat", "GET"): LOGGED_IN,
    ("session_heartbeat", "POST"): LOGGED_IN,
    ("get_accounts", "GET"): LOGGED_IN,
    ("get_accounts", "POST"): LOGGED_IN,
    ("add_account", "POST"): LOGGED_IN - {"obs"},
    # acc1 is resa's, who may edit but neither delete nor switch
    ("edit_account", "POST"): LOGGED_IN - {"obs"},
    ("update_account", "POST"): LOGGED_IN - {"obs"},
    ("remove_account", "POST"): {"admin", "radm"},
    ("change_status", "POST"): {"admin", "radm"},
    ("toggle_account_status", "GET"): {"admin", "radm"},
    ("toggle_account_status", "POST"): {"admin", "radm"},
    # radm has the field, resa has it too
    ("send_expiry_reminders", "POST"): {"admin", "radm", "resa"},
    ("update_reminder_settings", "POST"): {"admin", "radm", "resa"},
    ("get_reminder_settings", "GET"): LOGGED_IN,
    ("get_reminder_settings", "POST"): LOGGED_IN,
    ("get_reminder_history", "GET"): {"admin", "radm", "resa"},
    ("get_job_status", "GET"): LOGGED_IN,
    ("get_job_status", "POST"): LOGGED_IN,
    ("sync_accounts", "GET"): LOGGED_IN - {"obs"},
    ("sync_accounts", "POST"): LOGGED_IN - {"obs"},
    ("add_reseller_payment", "POST"): {"admin", "radm"},
    ("cancel_reseller_payment", "POST"): {"admin", "radm"},
    ("get_reseller_payments", "GET"): LOGGED_IN,
    ("get_reseller_balance", "GET"): LOGGED_IN,
    ("get_monthly_invoice", "GET"): LOGGED_IN,
    ("get_iranian_banks", "GET"): LOGGED_IN,
}
# enough to get past the checks that come before the permission; no portal is configured, so nothing happens
FIELDS = {"username": "acc1", "status": "1", "id": "1"}
NOT_LOGGED_IN, NOT_ALLOWED = "Not logged in", 3


def test_the_matrix_covers_every_declaration() -> None:
    declared = {(endpoint.name, method) for endpoint in all_endpoints() for method in endpoint.methods}
    assert set(MATRIX) == declared


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("caller", CALLERS, ids=str)
def test_the_gate(sqlite_world: World, caller: str | None, prefix: str) -> None:
    for (name, method), allowed in MATRIX.items():
        client = sqlite_world.client() if caller is None else sqlite_world.php_login(caller)
        response = client.request(method, f"{prefix}{name}.php", params=FIELDS, headers={"Accept": "application/json"})
        answer = response.json()
        refused = answer["error"] == 1 and (answer["message"] == NOT_LOGGED_IN or answer["code"] == NOT_ALLOWED)
        assert refused == (caller not in allowed), (name, method, answer)
        if refused and caller is None:
            assert answer["message"] == NOT_LOGGED_IN


def test_every_declared_endpoint_has_tests_of_its_own() -> None:
    here = Path(__file__)
    texts = [path.read_text() for path in here.parent.glob("test_*.py") if path != here]
    for endpoint in all_endpoints():
        assert any(f"{endpoint.name}.php" in text or f'"{endpoint.name}"' in text for text in texts), endpoint.name
