"""The auto-logout timeout of all sessions: reading and setting it. Source: contract chapter 10 §4.7."""

from sqlalchemy import Connection, insert, select, update

from core.access.audit import By
from core.access.idle_timeout import AUTO_LOGOUT_DEFAULT, AUTO_LOGOUT_KEY, auto_logout_minutes
from core.errors import DatabaseFailed
from core.panel import Panel
from core.storage.tables import AppSetting


def read_auto_logout(panel: Panel) -> int:
    if not panel.layout.has_table("_app_settings"):
        return AUTO_LOGOUT_DEFAULT
    with panel.database.read() as connection:
        value = select(AppSetting.setting_value).where(AppSetting.setting_key == AUTO_LOGOUT_KEY)
        return auto_logout_minutes(connection.execute(value).scalar())


def set_auto_logout(panel: Panel, by: By, minutes: int) -> None:
    """Store the timeout, effective for all at once. Raises DatabaseFailed where the table is missing."""
    if not panel.layout.has_table("_app_settings"):
        raise DatabaseFailed("This database has no settings table yet; run the database upgrade first")
    values = {"setting_value": str(minutes), "updated_at": panel.clock.now()}
    stored = AppSetting.setting_key == AUTO_LOGOUT_KEY

    def act(connection: Connection) -> None:
        found = connection.execute(
            select(AppSetting.id, AppSetting.setting_value).where(stored).with_for_update()
        ).first()
        if found is None:
            connection.execute(insert(AppSetting).values(setting_key=AUTO_LOGOUT_KEY, **values))
        else:
            connection.execute(update(AppSetting).where(AppSetting.id == found.id).values(**values))
        by.write_audit(
            panel,
            connection,
            "update",
            "settings",
            target_name="auto_logout",
            old={"timeout": auto_logout_minutes(found.setting_value if found else None)},
            new={"timeout": minutes},
        )

    panel.database.transact(act)
