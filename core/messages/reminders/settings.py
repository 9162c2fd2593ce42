"""Each user's settings of the expiry reminders on set-top boxes. Source: contract chapter 60.

Sending is in :mod:`core.messages.reminders.sweep`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from core.access.audit import By
from core.access.permissions import CHANGE_REMINDERS, require
from core.errors import InvalidInput
from core.panel import Panel
from core.storage.tables import ReminderSettings
from core.storage.writing import insert_and_lock

TABLE = ReminderSettings.__tablename__
MIN_DAYS, MAX_DAYS = 1, 90
TEMPLATE_CHARACTERS = 4000
DEFAULT_DAYS = 7
DEFAULT_TEMPLATE = (
    "Dear {name}, your subscription expires in {days} days. Please renew soon to maintain uninterrupted service. "
    "Thank you for choosing us."
)


@dataclass(frozen=True, slots=True)
class Settings:
    """``days``: before the end; ``auto_send``: whether the nightly job sends for this user; ``last_sweep_at``: when
    reminders were last sent for the user, by hand or by the job."""

    days: int = DEFAULT_DAYS
    template: str = DEFAULT_TEMPLATE
    auto_send: bool = False
    last_sweep_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What was sent; None keeps what is stored."""

    days: int | None = None
    template: str | None = None
    auto_send: bool | None = None


def read_settings(panel: Panel, user_id: int) -> Settings:
    """The user's settings, the defaults where nothing is stored; writes nothing."""
    if not panel.layout.has_table(TABLE):
        return Settings()
    with panel.database.read() as connection:
        return _read(connection, user_id)


def change_settings(panel: Panel, by: By, change: Change) -> Settings:
    """Store what is given, and return all as it is then. Raises NotAllowed, InvalidInput."""
    require(by.actor, CHANGE_REMINDERS)
    values = _checked(change)

    def act(connection: Connection) -> Settings:
        before = _read(connection, by.actor.id)
        ensure_row(panel, connection, by.actor.id)
        row = update(ReminderSettings).where(ReminderSettings.user_id == by.actor.id)
        connection.execute(row.values(updated_at=panel.clock.now(), **values))
        after = _read(connection, by.actor.id)
        old, new = _audited(before), _audited(after)
        changed = [name for name in new if new[name] != old[name]]
        by.write_audit(
            panel,
            connection,
            "update",
            "settings",
            target_id=by.actor.id,
            target_name="reminder",
            old={name: old[name] for name in changed},
            new={name: new[name] for name in changed},
        )
        return after

    return panel.database.transact(act)


def ensure_row(panel: Panel, connection: Connection, user_id: int) -> None:
    """A row of defaults unless the user has one."""
    now = panel.clock.now()
    insert_and_lock(
        connection,
        ReminderSettings,
        {"user_id": user_id},
        days_before_expiry=DEFAULT_DAYS,
        message_template=DEFAULT_TEMPLATE,
        auto_send_enabled=0,
        created_at=now,
        updated_at=now,
    )


def automatic(panel: Panel) -> list[tuple[int, Settings]]:
    """User id and settings of everybody who has switched the nightly job on, oldest settings first."""
    if not panel.layout.has_table(TABLE):
        return []
    chosen = _COLUMNS.where(ReminderSettings.auto_send_enabled == 1).order_by(ReminderSettings.id)
    with panel.database.read() as connection:
        return [(row.user_id, _settings(row)) for row in connection.execute(chosen)]


_COLUMNS = select(
    ReminderSettings.user_id,
    ReminderSettings.days_before_expiry,
    ReminderSettings.message_template,
    ReminderSettings.auto_send_enabled,
    ReminderSettings.last_sweep_at,
)


def _read(connection: Connection, user_id: int) -> Settings:
    row = connection.execute(_COLUMNS.where(ReminderSettings.user_id == user_id)).first()
    return Settings() if row is None else _settings(row)


def _settings(row: Any) -> Settings:
    template = (row.message_template or "").strip()
    return Settings(row.days_before_expiry, template or DEFAULT_TEMPLATE, row.auto_send_enabled == 1, row.last_sweep_at)


def _checked(change: Change) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if change.days is not None:
        values["days_before_expiry"] = checked_days(change.days)
    if change.template is not None:
        values["message_template"] = _checked_template(change.template)
    if change.auto_send is not None:
        values["auto_send_enabled"] = int(change.auto_send)
    return values


def checked_days(days: int) -> int:
    """Raises InvalidInput."""
    if not MIN_DAYS <= days <= MAX_DAYS:
        raise InvalidInput.of("days_before_expiry", f"expected {MIN_DAYS} to {MAX_DAYS} days")
    return days


def _checked_template(template: str) -> str:
    template = template.strip()
    if not template:
        raise InvalidInput("The {field} must not be empty", field="message_template")
    if len(template) > TEMPLATE_CHARACTERS:
        raise InvalidInput(
            f"The {{field}} is too long (more than {TEMPLATE_CHARACTERS} characters)", field="message_template"
        )
    return template


def _audited(settings: Settings) -> dict[str, Any]:
    return {
        "days_before_expiry": settings.days,
        "message_template": settings.template,
        "auto_send_enabled": int(settings.auto_send),
    }
