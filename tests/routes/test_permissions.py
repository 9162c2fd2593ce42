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
    ("get_resellers", "GET"): {"admin", "radm", "obs"},
    ("get_resellers", "POST"): {"admin", "radm", "obs"},
    ("add_reseller", "POST"): {"admin", "radm"},
    ("update_reseller", "POST"): {"admin", "radm"},
    ("remove_reseller", "GET"): {"admin", "radm"},
    ("remove_reseller", "POST"): {"admin", "radm"},
    ("remove_reseller", "DELETE"): {"admin", "radm"},
    ("adjust_credit", "POST"): {"admin", "radm"},
    ("assign_plans", "POST"): {"admin", "radm"},
    ("assign_reseller", "POST"): {"admin", "radm"},
    ("bulk_assign_reseller", "POST"): {"admin", "radm"},
    ("get_themes", "GET"): {"admin", "radm"},
    ("update_reseller_accounts_theme", "POST"): {"admin", "radm"},
    ("update_admin_resellers", "GET"): {"admin"},
    ("update_admin_resellers", "POST"): {"admin"},
    # radm has the field, resa has it too
    ("send_expiry_reminders", "POST"): {"admin", "radm", "resa"},
    ("update_reminder_settings", "POST"): {"admin", "radm", "resa"},
    ("get_reminder_settings", "GET"): LOGGED_IN,
    ("get_reminder_settings", "POST"): LOGGED_IN,
    ("get_reminder_history", "GET"): {"admin", "radm", "resa"},
    ("get_job_status", "GET"): LOGGED_IN,
    ("get_job_status", "POST"): LOGGED_IN,
    ("get_sms_settings", "GET"): LOGGED_IN,
    ("get_sms_logs", "GET"): LOGGED_IN,
    # of the resellers nobody has the field
    ("update_sms_settings", "POST"): {"admin", "radm"},
    ("send_sms", "POST"): {"admin", "radm"},
    ("save_sms_template", "POST"): {"admin", "radm"},
    ("delete_sms_template", "POST"): {"admin", "radm"},
    ("sync_accounts", "GET"): LOGGED_IN - {"obs"},
    ("sync_accounts", "POST"): LOGGED_IN - {"obs"},
    ("add_reseller_payment", "POST"): {"admin", "radm"},
    ("cancel_reseller_payment", "POST"): {"admin", "radm"},
    ("get_reseller_payments", "GET"): LOGGED_IN,
    ("get_reseller_balance", "GET"): LOGGED_IN,
    ("get_monthly_invoice", "GET"): LOGGED_IN,
    ("get_iranian_banks", "GET"): LOGGED_IN,
    ("get_plans", "GET"): LOGGED_IN,
    ("get_plans", "POST"): LOGGED_IN,
    ("add_plan", "GET"): {"admin", "radm"},
    ("add_plan", "POST"): {"admin", "radm"},
    ("edit_plan", "GET"): {"admin", "radm"},
    ("edit_plan", "POST"): {"admin", "radm"},
    ("remove_plan", "GET"): {"admin", "radm"},
    ("remove_plan", "POST"): {"admin", "radm"},
    ("plan_update", "GET"): {"admin"},
    ("plan_update", "POST"): {"admin"},
    ("get_tariffs", "GET"): {"admin", "radm"},
    ("get_tariffs", "POST"): {"admin", "radm"},
    ("sync_plans", "GET"): {"admin"},
    ("sync_plans", "POST"): {"admin"},
    ("sync_plans_web", "GET"): {"admin"},
    ("sync_plans_web", "POST"): {"admin"},
    ("add_currency", "GET"): {"admin"},
    ("add_currency", "POST"): {"admin"},
    ("remove_currency", "GET"): {"admin"},
    ("remove_currency", "POST"): {"admin"},
    ("getcont", "GET"): EVERYBODY,
    ("getcont", "POST"): EVERYBODY,
    ("send_stb_event", "POST"): LOGGED_IN - {"obs"},
    ("send_stb_message", "POST"): LOGGED_IN - {"obs"},
    ("send_message", "POST"): LOGGED_IN - {"obs"},
    ("send_event", "POST"): LOGGED_IN - {"obs"},
    ("get_stb_logs", "GET"): LOGGED_IN,
    ("get_stalker_settings", "GET"): {"admin"},
    ("update_stalker_settings", "POST"): {"admin"},
}
# enough to get past the checks that come before the permission; no portal is configured, so nothing happens
FIELDS = {"username": "acc1", "status": "1", "id": "1"}
NOT_LOGGED_IN, NOT_ALLOWED = "Not logged in", 3
# these speak no JSON, and refuse by the status
TEXTS = {endpoint.name for endpoint in all_endpoints() if endpoint.as_text}


def test_the_matrix_covers_every_declaration() -> None:
    declared = {(endpoint.name, method) for endpoint in all_endpoints() for method in endpoint.methods}
    assert set(MATRIX) == declared


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("caller", CALLERS, ids=str)
def test_the_gate(sqlite_world: World, caller: str | None, prefix: str) -> None:
    for (name, method), allowed in MATRIX.items():
        client = sqlite_world.client() if caller is None else sqlite_world.php_login(caller)
        response = client.request(method, f"{prefix}{name}.php", params=FIELDS, headers={"Accept": "application/json"})
        if name in TEXTS:
            assert (response.status_code == 403) == (caller not in allowed), (name, method)
            continue
        # a success may be one line of text
        answer = response.json() if response.headers["Content-Type"] == "application/json" else {"error": 0}
        refused = answer["error"] == 1 and (answer["message"] == NOT_LOGGED_IN or answer["code"] == NOT_ALLOWED)
        assert refused == (caller not in allowed), (name, method, answer)
        if refused and caller is None:
            assert answer["message"] == NOT_LOGGED_IN


def test_every_declared_endpoint_has_tests_of_its_own() -> None:
    here = Path(__file__)
    texts = [path.read_text() for path in here.parent.glob("test_*.py") if path != here]
    for endpoint in all_endpoints():
        assert any(f"{endpoint.name}.php" in text or f'"{endpoint.name}"' in text for text in texts), endpoint.name
