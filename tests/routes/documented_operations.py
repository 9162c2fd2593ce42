"""Every operation of the ShowBox API document (version 1.11.66): where, how, and what its answer holds.

Data only. ``sent`` is the document's own sample where it works as printed (a MAC with letters X is none); names in
braces stand for what an earlier answer gave. ``keys`` are those of the document's samples, ``[]`` the first of a list.
Run by :mod:`tests.routes.test_documented_operations`.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Operation:
    name: str
    method: str
    keys: str
    sent: dict[str, Any] = field(default_factory=dict)
    status: int = 200

    @property
    def id(self) -> str:
        return f"{self.method} {self.name}"


MAC = "00:1A:79:12:34:56"
OPERATIONS = (
    # Authentication
    Operation(
        "login",
        "POST",
        "error err_msg user.id user.username user.full_name user.email user.super_user user.currency user.balance",
        {"username": "admin", "password": "admin123"},
    ),
    Operation(
        "get_user_info",
        "GET",
        "error user.id user.username user.full_name user.email user.super_user user.currency user.balance "
        "user.max_users",
    ),
    # WebAuthn / Biometric Authentication
    Operation(
        "webauthn_register",
        "GET",
        "error challenge rp.name rp.id user.id user.name user.displayName pubKeyCredParams[].type "
        "pubKeyCredParams[].alg authenticatorSelection.authenticatorAttachment "
        "authenticatorSelection.userVerification authenticatorSelection.residentKey timeout attestation",
    ),
    Operation(
        "webauthn_register",
        "POST",
        "error message",
        {"credential_id": "{credential_id}", "public_key": "{public_key}", "device_name": "iPhone 15 Pro"},
    ),
    Operation(
        "webauthn_authenticate",
        "GET",
        "error biometric_available challenge rpId allowCredentials[].type allowCredentials[].id "
        "allowCredentials[].transports[] timeout userVerification",
        {"username": "admin"},
    ),
    Operation(
        "webauthn_authenticate",
        "POST",
        "error message",
        {
            "credential_id": "{credential_id}",
            "authenticator_data": "{authenticator_data}",
            "client_data_json": "{client_data_json}",
            "signature": "{signature}",
            "counter": 1,
        },
    ),
    Operation(
        "webauthn_manage",
        "GET",
        "error credentials[].id credentials[].device_name credentials[].created_at credentials[].last_used count",
    ),
    Operation("webauthn_manage", "DELETE", "error message", {"credential_id": "{passkey}"}),
    # Session Management
    Operation("auto_logout_settings", "GET", "error auto_logout_timeout timeout_seconds"),
    Operation("auto_logout_settings", "POST", "error message auto_logout_timeout timeout_seconds", {"timeout": 10}),
    Operation("session_heartbeat", "GET", "error expired timeout_minutes time_remaining_seconds last_activity"),
    Operation("session_heartbeat", "POST", "error expired message last_activity"),
    # Account Management
    Operation(
        "add_account",
        "POST",
        "error err_msg account_id stalker_response.server_1 stalker_response.server_2",
        {
            "username": "premium_user_001",
            "password": "password123",
            "mac": MAC,
            "full_name": "John Doe",
            "email": "user@example.com",
            "phone": "+447712345678",
            "tariff_plan": "1 Month Plan",
            "end_date": "{in_a_week}",
            "status": 1,
            "plan": 1,
        },
    ),
    Operation(
        "get_accounts",
        "GET",
        "error accounts[].id accounts[].username accounts[].email accounts[].phone_number accounts[].mac "
        "accounts[].full_name accounts[].tariff_plan accounts[].end_date accounts[].status accounts[].reseller "
        "accounts[].reseller_name accounts[].plan_name accounts[].timestamp",
        {"viewAllAccounts": "true"},
    ),
    Operation(
        "update_account",
        "POST",
        "error err_msg previous_end_date new_end_date days_extended",
        {
            "username": "premium_user_001",
            "full_name": "John Smith",
            "email": "john@example.com",
            "tariff_plan": "3 Month Plan",
            "end_date": "{in_a_week}",
            "status": 1,
        },
    ),
    Operation("change_status", "POST", "error err_msg", {"username": "premium_user_001", "status": 0}),
    Operation("toggle_account_status", "GET", "error err_msg message", {"username": "premium_user_001", "status": 1}),
    Operation("sync_accounts", "POST", "error err_msg synced skipped total_accounts sync_time"),
    # Reseller Management
    Operation(
        "add_reseller",
        "POST",
        "error err_msg reseller_id",
        {
            "username": "documented1",
            "password": "password123",
            "full_name": "Reseller One",
            "email": "reseller@example.com",
            "max_users": 100,
            "currency": "GBP",
            "theme": "cappuccino",
            "initial_balance": 500.00,
        },
    ),
    Operation(
        "get_resellers",
        "GET",
        "error resellers[].id resellers[].username resellers[].full_name resellers[].email resellers[].max_users "
        "resellers[].currency resellers[].theme resellers[].super_user resellers[].balance resellers[].timestamp",
    ),
    Operation(
        "update_reseller",
        "POST",
        "error err_msg",
        {
            "id": "{reseller_id}",
            "username": "documented1",
            "password": "newpass123",
            "name": "Reseller One Updated",
            "email": "new@example.com",
            "max_users": "200",
            "theme": "HenSoft-TV Realistic-Dark",
            "currency": "GBP",
            "permissions": "1|1|0|0|1|1|1",
            "is_observer": 0,
        },
    ),
    Operation(
        "adjust_credit",
        "POST",
        "error err_msg new_balance",
        {"reseller_id": "{reseller_id}", "amount": 100.00, "type": "credit", "description": "Top-up payment"},
    ),
    # Plan Management
    Operation(
        "add_plan",
        "POST",
        "error err_msg plan_id",
        {"plan_id": "12", "currency": "EUR", "price": 10.00, "expiry_days": 30},
    ),
    Operation(
        "get_plans",
        "GET",
        "error plans[].id plans[].plan_id plans[].currency plans[].price plans[].expiry_days plans[].timestamp",
    ),
    Operation("remove_plan", "POST", "error err_msg", {"plan_id": "{plan_id}"}),
    # Transaction Management
    Operation(
        "new_transaction",
        "POST",
        "error err_msg transaction_id",
        {"user_id": "{reseller_id}", "amount": 50.00, "type": "debit", "description": "Account creation charge"},
    ),
    Operation(
        "get_transactions",
        "GET",
        "error transactions[].id transactions[].user_id transactions[].amount transactions[].type "
        "transactions[].description transactions[].timestamp transactions[].date",
    ),
    # Stalker Portal Integration
    Operation(
        "send_message",
        "POST",
        "error err_msg",
        {"mac": MAC, "message": "Your subscription will expire soon", "ttl": 86400},
    ),
    Operation("send_event", "POST", "error err_msg", {"mac": MAC, "event": "reload_portal"}),
    # STB Device Control
    Operation("send_stb_event", "POST", "error message", {"mac": MAC, "event": "play_channel", "channel_id": "123"}),
    Operation(
        "send_stb_message",
        "POST",
        "error message",
        {"mac": MAC, "message": "Your subscription will expire soon. Please renew."},
    ),
    Operation(
        "assign_reseller",
        "POST",
        "error message",
        {"username": "premium_user_001", "reseller_id": "{reseller_id}"},
    ),
    Operation(
        "get_tariffs",
        "GET",
        "error tariffs[].id tariffs[].name tariffs[].days tariffs[].description count",
    ),
    # Theme Management
    Operation("get_themes", "GET", "error themes[].id themes[].name themes[].is_default"),
    Operation(
        "update_reseller_accounts_theme",
        "POST",
        "error err_msg details.total details.updated details.failed",
        {"reseller_id": "{reseller_id}", "theme": "digital"},
    ),
    # Push Notifications
    Operation("get_vapid_key", "GET", "error publicKey"),
    Operation(
        "push_subscribe",
        "POST",
        "error message",
        {
            "endpoint": "https://web.push.apple.com/...",
            "keys": {"p256dh": "BCUMMfFN9hJhT-OHBzsECLWdkHhhL9...", "auth": "Bq6Z4f648pjawdPm6QoQ"},
        },
    ),
    Operation("push_subscribe", "GET", "error subscribed count"),
    Operation("push_subscribe", "DELETE", "error message", {"endpoint": "https://web.push.apple.com/..."}),
    # Expiry Reminder System
    Operation(
        "update_reminder_settings",
        "POST",
        "error message settings.days_before_expiry settings.message_template settings.auto_send_enabled",
        {
            "days_before_expiry": 7,
            "message_template": "Dear {name}, your subscription expires in {days} days.",
            "auto_send_enabled": 0,
        },
    ),
    Operation(
        "send_expiry_reminders",
        "POST",
        "error sent skipped failed total days_before target_date results[].account results[].full_name results[].mac "
        "results[].expiry_date results[].status results[].message",
    ),
    Operation(
        "get_reminder_settings",
        "GET",
        "error settings.days_before_expiry settings.message_template settings.auto_send_enabled settings.last_sweep_at",
    ),
    Operation(
        "get_reminder_history",
        "GET",
        "error date total sent failed reminders[].id reminders[].account_id reminders[].mac reminders[].username "
        "reminders[].full_name reminders[].end_date reminders[].days_before reminders[].reminder_date "
        "reminders[].sent_at reminders[].sent_by reminders[].message reminders[].status reminders[].error_message "
        "reminders[].reseller",
    ),
    # what ends: the account, the reseller, the password, the session
    Operation("assign_reseller", "POST", "error message", {"username": "premium_user_001", "reseller_id": ""}),
    Operation("remove_account", "POST", "error err_msg", {"username": "premium_user_001"}),
    Operation("remove_reseller", "POST", "error err_msg", {"reseller_id": "{reseller_id}"}),
    Operation(
        "update_password",
        "POST",
        "error err_msg",
        {
            "old_password": "admin123",
            "new_password": "new_secure_password",
            "confirm_password": "new_secure_password",
        },
    ),
    Operation("logout", "GET", "error", status=302),
)
