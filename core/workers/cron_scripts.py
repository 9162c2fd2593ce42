"""The scripts of the panel that crontabs name: where they lay, and what they have become.

Source: contract chapter 60, "Existing crontabs, unedited".
"""

# script → our job, see core.workers.schedule
JOB_SCRIPTS = {
    "cron_check_expiry_reminders.php": "reminders",
    "cron_check_expired.php": "push-expired",
    "cron_disable_expired_accounts.php": "disable-expired",
    "cron_send_expiry_sms.php": "sms-expiry",
    "cron_multistage_expiry_reminders.php": "sms-stages",
    "cron_send_expiry_mail.php": "mail-expiry",
    "cleanup_old_reminders.php": "cleanup-reminders",
    # ours: no panel had it
    "cron_telegram_daily_report.php": "telegram-report",
}
# one-off set-up, which an upgrade of the database replaces
SETUP_SCRIPTS = (
    "add_reminder_tracking.php",
    "fix_reminder_deduplication.php",
    "create_sms_tables.php",
    "upgrade_multistage_reminders.php",
    "initialize_reseller_sms.php",
    "create_mail_tables.php",
)
# emptied the history of reminders, without asking
RESET_SCRIPT = "reset_messaging_database.php"
PUSH_SCRIPT = "cron_check_expired.php"


def paths(script: str) -> tuple[str, ...]:
    """The places under the panel's root at which a crontab may name the script."""
    if script in SETUP_SCRIPTS or script == RESET_SCRIPT:
        return script, f"scripts/{script}"
    further = {PUSH_SCRIPT: (f"api/{script}",), "cleanup_old_reminders.php": (f"scripts/{script}",)}
    return script, f"cron/{script}", *further.get(script, ())


ALL_SCRIPTS = (*JOB_SCRIPTS, *SETUP_SCRIPTS, RESET_SCRIPT)
