"""Every table of panel 1.18.2 and our own first ones; on SQLite, triggers that count changes."""

from sqlalchemy import Connection

from core.storage.migrations import additive
from core.storage.tables import Currency
from core.storage.writing import insert_if_absent

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# The names are frozen here, so that later models do not change what this revision adds to a database that has
# data. The types come from the models: a column's type never changes, unless wider, by its own revision.
PROMISED = {
    "_accounts": ("id username mac email phone_number reseller plan timestamp full_name tariff_plan end_date status"),
    "_app_settings": "id setting_key setting_value updated_at",
    "_audit_log": (
        "id timestamp user_id username user_type action target_type target_id target_name old_value new_value "
        "ip_address user_agent details"
    ),
    "_currencies": "id name",
    "_expiry_reminders": (
        "id account_id mac username full_name end_date days_before reminder_date sent_at sent_by message "
        "status error_message"
    ),
    "_iranian_banks": "id code name_fa name_en is_active sort_order",
    "_login_history": ("id user_id username login_time ip_address user_agent login_method status failure_reason"),
    "_mail_logs": (
        "id account_id recipient_email recipient_name cc_emails subject body message_type sent_by status "
        "error_message smtp_response created_at"
    ),
    "_mail_reminder_tracking": "id account_id reminder_stage sent_at",
    "_mail_settings": (
        "id user_id smtp_host smtp_port smtp_secure smtp_username smtp_password from_email from_name "
        "auto_send_new_account auto_send_renewal auto_send_expiry notify_admin notify_reseller "
        "days_before_expiry enable_multistage_reminders created_at updated_at"
    ),
    "_mail_templates": ("id user_id name subject body_html body_plain description is_active created_at updated_at"),
    "_plans": "id external_id name currency_id price days category",
    "_push_expiry_tracking": "id account_id expiry_date notified_at",
    "_push_subscriptions": "id user_id endpoint p256dh auth user_agent created_at updated_at",
    "_reminder_settings": (
        "id user_id days_before_expiry message_template auto_send_enabled last_sweep_at created_at updated_at"
    ),
    "_reseller_payments": (
        "id reseller_id amount currency payment_date bank_name reference_number receipt_path description "
        "recorded_by recorded_by_username created_at updated_at status cancelled_by cancelled_at "
        "cancellation_reason"
    ),
    "_sms_logs": (
        "id account_id mac recipient_name recipient_number message message_type sent_by sent_at status "
        "api_response bulk_id error_message created_at"
    ),
    "_sms_reminder_tracking": "id account_id mac reminder_stage sent_at end_date created_at",
    "_sms_settings": (
        "id user_id api_token sender_number base_url auto_send_enabled enable_multistage_reminders "
        "days_before_expiry expiry_template created_at updated_at"
    ),
    "_sms_templates": "id user_id name template description created_at updated_at",
    "_stalker_settings": "id setting_key setting_value updated_at updated_by",
    "_stb_action_logs": (
        "id user_id username action_type mac_address action_detail full_message status error_message created_at"
    ),
    "_telegram_logs": (
        "id user_id chat_id message message_type related_account_id related_account_mac telegram_message_id "
        "sent_at status error_message created_at"
    ),
    "_telegram_notification_settings": (
        "id user_id notify_new_account notify_renewal notify_expiry notify_expired notify_low_balance "
        "notify_new_payment notify_login notify_daily_report created_at updated_at"
    ),
    "_telegram_settings": "id bot_token bot_username webhook_url webhook_secret created_at updated_at",
    "_telegram_templates": "id name template_key template description is_system created_at updated_at",
    "_transactions": (
        "id creator for_user amount currency type details timestamp correction_amount correction_note "
        "corrected_by corrected_by_username corrected_at status"
    ),
    "_users": (
        "id username password name email balance permissions max_users super_user is_observer currency_id "
        "theme telegram_chat_id telegram_linked_at ip_ranges plans timestamp"
    ),
    "_webauthn_credentials": "id user_id credential_id public_key counter device_name created_at last_used",
    "_sbx_deleted_plans": "id external_id currency_id name deleted_at",
    "_sbx_credentials": "user_id fingerprint same_as changed_at",
    "_sbx_sessions": "id data touched_at",
    "_sbx_state": "name value",
    "_sbx_versions": "name version",
}

# table → the row of _sbx_versions that counts its changes
WATCHED = {"_accounts": "accounts", "_plans": "plans", "_sbx_deleted_plans": "plans", "_users": "users"}

CURRENCIES = ("GBP", "USD", "EUR", "IRR")


def plan(connection: Connection) -> list[additive.Change]:
    return [
        *additive.missing(connection, PROMISED),
        *additive.widened(connection, "_transactions", "correction_amount"),
        *additive.counted(connection, WATCHED),
    ]


def first_rows(connection: Connection) -> list[additive.Change]:
    """The currencies of a database of our own; a panel has its own."""
    if not additive.is_ours(connection):
        return []
    return [additive.Change(f"add the currencies {', '.join(CURRENCIES)}", _add_currencies)]


def _add_currencies(connection: Connection) -> None:
    for code in CURRENCIES:
        insert_if_absent(connection, Currency, id=code, name=code)


def upgrade() -> None:
    additive.run(plan)
    additive.run(first_rows)
