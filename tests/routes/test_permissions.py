"""Who may call what: every declared endpoint and method for every kind of caller, at both paths."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from core.storage.tables import Account, User
from legacy_routes.app import all_endpoints
from tests.worlds.harness import PREFIXES, Client, World, user_row
from tests.worlds.logged_in import logged_in

# radm has old panels' five fields, radm0 only that of a reseller admin; resb has every field but that one, resa may
# edit, add and control, noname nothing
CALLERS = ("admin", "radm", "radm0", "resa", "resb", "noname", "obs", None)
EVERYBODY = set(CALLERS)
LOGGED_IN = EVERYBODY - {None}
ADMINS = {"admin", "radm", "radm0"}
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
    ("webauthn_register", "GET"): LOGGED_IN,
    ("webauthn_register", "POST"): LOGGED_IN,
    ("webauthn_authenticate", "GET"): EVERYBODY,
    ("webauthn_authenticate", "POST"): EVERYBODY,
    ("webauthn_manage", "GET"): LOGGED_IN,
    ("webauthn_manage", "DELETE"): LOGGED_IN,
    ("get_audit_log", "GET"): LOGGED_IN,
    ("get_accounts", "GET"): LOGGED_IN,
    ("get_accounts", "POST"): LOGGED_IN,
    ("add_account", "POST"): ADMINS | {"resa", "resb"},
    # resellers ask for their own account
    ("edit_account", "POST"): ADMINS | {"resa", "resb"},
    ("update_account", "POST"): ADMINS | {"resa", "resb"},
    ("remove_account", "POST"): ADMINS | {"resb"},
    ("change_status", "POST"): ADMINS | {"resb"},
    ("toggle_account_status", "GET"): ADMINS | {"resb"},
    ("toggle_account_status", "POST"): ADMINS | {"resb"},
    ("get_resellers", "GET"): ADMINS | {"obs"},
    ("get_resellers", "POST"): ADMINS | {"obs"},
    ("add_reseller", "POST"): ADMINS,
    ("update_reseller", "POST"): ADMINS,
    ("remove_reseller", "GET"): ADMINS,
    ("remove_reseller", "POST"): ADMINS,
    ("remove_reseller", "DELETE"): ADMINS,
    ("adjust_credit", "POST"): ADMINS,
    ("assign_plans", "POST"): ADMINS,
    ("assign_reseller", "POST"): ADMINS,
    ("bulk_assign_reseller", "POST"): ADMINS,
    ("get_themes", "GET"): ADMINS,
    ("update_reseller_accounts_theme", "POST"): ADMINS,
    ("update_admin_resellers", "GET"): {"admin"},
    ("update_admin_resellers", "POST"): {"admin"},
    # reseller admins need the field too
    ("send_expiry_reminders", "POST"): {"admin", "radm", "resa", "resb"},
    ("update_reminder_settings", "POST"): {"admin", "radm", "resa", "resb"},
    ("get_reminder_settings", "GET"): LOGGED_IN,
    ("get_reminder_settings", "POST"): LOGGED_IN,
    ("get_reminder_history", "GET"): {"admin", "radm", "resa", "resb"},
    ("get_job_status", "GET"): LOGGED_IN,
    ("get_job_status", "POST"): LOGGED_IN,
    ("get_sms_settings", "GET"): LOGGED_IN,
    ("get_sms_logs", "GET"): LOGGED_IN,
    ("update_sms_settings", "POST"): ADMINS | {"resb"},
    ("send_sms", "POST"): ADMINS | {"resb"},
    ("save_sms_template", "POST"): ADMINS | {"resb"},
    ("delete_sms_template", "POST"): ADMINS | {"resb"},
    ("sync_accounts", "GET"): LOGGED_IN - {"obs"},
    ("sync_accounts", "POST"): LOGGED_IN - {"obs"},
    ("get_transactions", "GET"): LOGGED_IN,
    ("get_transactions", "POST"): LOGGED_IN,
    ("new_transaction", "GET"): {"admin"},
    ("new_transaction", "POST"): {"admin"},
    ("edit_transaction", "POST"): ADMINS,
    ("get_dates_with_data", "GET"): LOGGED_IN,
    ("get_dates_with_data", "POST"): LOGGED_IN,
    ("add_reseller_payment", "POST"): ADMINS,
    ("cancel_reseller_payment", "POST"): ADMINS,
    ("get_reseller_payments", "GET"): LOGGED_IN,
    ("get_reseller_balance", "GET"): LOGGED_IN,
    ("get_monthly_invoice", "GET"): LOGGED_IN,
    ("get_iranian_banks", "GET"): LOGGED_IN,
    ("get_plans", "GET"): LOGGED_IN,
    ("get_plans", "POST"): LOGGED_IN,
    ("add_plan", "GET"): ADMINS,
    ("add_plan", "POST"): ADMINS,
    ("edit_plan", "GET"): ADMINS,
    ("edit_plan", "POST"): ADMINS,
    ("remove_plan", "GET"): ADMINS,
    ("remove_plan", "POST"): ADMINS,
    ("plan_update", "GET"): {"admin"},
    ("plan_update", "POST"): {"admin"},
    ("get_tariffs", "GET"): ADMINS,
    ("get_tariffs", "POST"): ADMINS,
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
    ("send_stb_event", "POST"): {"admin", "radm", "resa", "resb"},
    ("send_stb_message", "POST"): {"admin", "radm", "resa", "resb"},
    ("send_message", "POST"): {"admin", "radm", "resa", "resb"},
    ("send_event", "POST"): ADMINS | {"resa", "resb"},
    ("get_stb_logs", "GET"): LOGGED_IN,
    ("get_vapid_key", "GET"): EVERYBODY,
    ("push_subscribe", "GET"): LOGGED_IN,
    ("push_subscribe", "POST"): LOGGED_IN,
    ("push_subscribe", "DELETE"): LOGGED_IN,
    ("get_mail_settings", "GET"): {"admin"},
    ("update_mail_settings", "POST"): {"admin"},
    ("test_mail_connection", "POST"): {"admin"},
    ("send_mail", "POST"): {"admin"},
    ("get_mail_logs", "GET"): {"admin"},
    ("get_mail_template", "GET"): {"admin"},
    ("save_mail_template", "POST"): {"admin"},
    ("delete_mail_template", "POST"): {"admin"},
    ("telegram/get_settings", "GET"): LOGGED_IN,
    ("telegram/update_settings", "POST"): {"admin"},
    ("telegram/save_bot_settings", "POST"): {"admin"},
    ("telegram/verify_bot", "POST"): {"admin"},
    ("telegram/link_telegram", "POST"): LOGGED_IN,
    ("telegram/update_notification_settings", "POST"): LOGGED_IN,
    ("telegram/send_message", "POST"): ADMINS,
    ("telegram/get_logs", "GET"): ADMINS,
    ("get_stalker_settings", "GET"): {"admin"},
    ("update_stalker_settings", "POST"): {"admin"},
    ("export_database", "GET"): ADMINS,
    ("export_database", "POST"): ADMINS,
    # reseller admins only where the configuration says so
    ("import_database", "POST"): {"admin"},
    # its actions have a matrix of their own
    ("api", "GET"): LOGGED_IN,
    ("api", "POST"): LOGGED_IN,
}
# enough to get past the checks that come before the permission; no portal is configured, so nothing happens
FIELDS = {"username": "acc1", "status": "1", "id": "1"}
OWN = {"resb": "acc5"}
ENDS_THE_SESSION = {"login", "logout"}
NOT_LOGGED_IN, NOT_ALLOWED = "Not logged in", 3
# the plain path and the one below /api, or what stands in its place; a third one, in a folder, is served as these are
PATHS = {endpoint.name: dict(zip(PREFIXES, endpoint.paths, strict=False)) for endpoint in all_endpoints()}
# these speak no JSON, and refuse by the status
TEXTS = {endpoint.name for endpoint in all_endpoints() if endpoint.manners.as_text}


def test_the_matrix_covers_every_declaration() -> None:
    declared = {(endpoint.name, method) for endpoint in all_endpoints() for method in endpoint.methods}
    assert set(MATRIX) == declared


@pytest.fixture
def roles(sqlite_world: World) -> World:
    """Chapter 10's world with the two roles that it lacks; acc1 is resa's, acc5 resb's."""
    more = [
        user_row(6, "resb", permissions="1|1|0|1|1|1|1|1"),
        user_row(7, "radm0", permissions="0|0|1|0|0|0|0|0"),
    ]
    account = {"id": 5, "username": "acc5", "mac": "00:1A:79:00:00:05", "reseller": 6, "status": 1}
    sqlite_world.insert_all([(User, more), (Account, [account])])
    return sqlite_world


@pytest.mark.parametrize("caller", CALLERS, ids=str)
def test_the_gate(roles: World, caller: str | None) -> None:
    """One gate stands before all paths of an endpoint: each caller comes by another than the one before."""
    fields = FIELDS | {"username": OWN.get(caller or "", "acc1")}
    turn = CALLERS.index(caller)
    client = _client(roles, caller)
    for number, ((name, method), allowed) in enumerate(MATRIX.items()):
        path = PATHS[name][PREFIXES[(turn + number) % len(PREFIXES)]]
        if name in ENDS_THE_SESSION:
            refused = _is_refused(_client(roles, caller), name, method, path, fields)
        else:
            refused = _is_refused(client, name, method, path, fields)
        assert refused == (caller not in allowed), (path, method)


@pytest.mark.parametrize("caller", ["resb", "noname"])
@pytest.mark.parametrize(
    "name", ["edit_account", "update_account", "remove_account", "change_status", "toggle_account_status"]
)
def test_other_peoples_accounts(roles: World, caller: str, name: str) -> None:
    assert _is_refused(_client(roles, caller), name, "POST", f"/{name}.php", FIELDS)


def _client(world: World, caller: str | None) -> Client:
    return world.client() if caller is None else logged_in(world, caller)


def _is_refused(client: Client, name: str, method: str, path: str, fields: Mapping[str, str]) -> bool:
    response = client.request(method, path, params=fields, headers={"Accept": "application/json"})
    if name in TEXTS:
        return response.status_code == 403
    # a success may be one line of text
    answer = response.json() if response.headers["Content-Type"] == "application/json" else {"error": 0}
    if answer["error"] == 0:
        return False
    return bool(answer["message"] == NOT_LOGGED_IN or answer["code"] == NOT_ALLOWED)


def test_every_declared_endpoint_has_tests_of_its_own() -> None:
    here = Path(__file__)
    texts = [path.read_text() for path in here.parent.glob("test_*.py") if path != here]
    for endpoint in all_endpoints():
        assert any(f"{endpoint.name}.php" in text or f'"{endpoint.name}"' in text for text in texts), endpoint.name
