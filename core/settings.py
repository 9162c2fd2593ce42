"""Settings that the panel keeps in its database (table ``_app_settings``): the auto-logout timeout.

Settings of the operator's file are in :mod:`core.config`. Source: contract chapter 10 §2.5 and §4.7.
"""

from sqlalchemy import Connection, insert, select, update

from core.errors import DatabaseFailed
from core.models import AppSetting
from core.panel import Panel

AUTO_LOGOUT_KEY = "auto_logout_timeout"
AUTO_LOGOUT_DEFAULT = 5
AUTO_LOGOUT_MAX = 60


def auto_logout_minutes(stored: str | None) -> int:
    """Minutes of the stored text; 0 is off, anything unusable is the default."""
    text = (stored or "").strip()
    if not text.isascii() or not text.isdigit() or int(text) > AUTO_LOGOUT_MAX:
        return AUTO_LOGOUT_DEFAULT
    return int(text)


def read_auto_logout(panel: Panel) -> int:
    if not panel.layout.has_table("_app_settings"):
        return AUTO_LOGOUT_DEFAULT
    with panel.database.read() as connection:
        value = select(AppSetting.setting_value).where(AppSetting.setting_key == AUTO_LOGOUT_KEY)
        return auto_logout_minutes(connection.execute(value).scalar())


def write_auto_logout(panel: Panel, connection: Connection, minutes: int) -> None:
    """Store the timeout, effective for all at once. Raises DatabaseFailed where the table is missing."""
    if not panel.layout.has_table("_app_settings"):
        raise DatabaseFailed("This database has no settings table yet; run the database upgrade first")
    values = {"setting_value": str(minutes), "updated_at": panel.clock.now()}
    found = connection.execute(
        select(AppSetting.id).where(AppSetting.setting_key == AUTO_LOGOUT_KEY).with_for_update()
    ).scalar()
    if found is None:
        connection.execute(insert(AppSetting).values(setting_key=AUTO_LOGOUT_KEY, **values))
    else:
        connection.execute(update(AppSetting).where(AppSetting.id == found).values(**values))
