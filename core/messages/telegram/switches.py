"""What each user wants to be told of by Telegram: eight switches. Source: contract chapter 80, "Who is told"."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, update

from core.access.actors import Actor
from core.messages.telegram.settings import require_telegram
from core.panel import Panel
from core.storage.tables import TelegramNotificationSettings
from core.storage.writing import insert_and_lock

# and what counts for a user without a row
DEFAULTS: Mapping[str, int] = {
    "notify_new_account": 1,
    "notify_renewal": 1,
    "notify_expiry": 1,
    "notify_expired": 1,
    "notify_low_balance": 1,
    "notify_new_payment": 1,
    "notify_login": 0,
    "notify_daily_report": 0,
}
NAMES = tuple(DEFAULTS)
# of the others a user is told only by a stored row: the panel never sent them
WITHOUT_A_ROW = frozenset({"notify_new_account", "notify_renewal"})


class Switches(NamedTuple):
    """``on``: by name; ``id`` None: nothing is stored, these are the defaults."""

    on: Mapping[str, int] = DEFAULTS
    id: int | None = None


def read_switches(connection: Connection, user_id: int) -> Switches:
    model = TelegramNotificationSettings
    row = connection.execute(select(*model.__table__.c).where(model.user_id == user_id)).mappings().first()
    return Switches() if row is None else Switches({name: int(row[name] == 1) for name in NAMES}, row["id"])


def give_row(panel: Panel, connection: Connection, user_id: int) -> None:
    """A row with the defaults, for a user without one."""
    now = panel.clock.now()
    insert_and_lock(
        connection, TelegramNotificationSettings, {"user_id": user_id}, created_at=now, updated_at=now, **DEFAULTS
    )


def change_switches(panel: Panel, actor: Actor, switches: Mapping[str, bool]) -> None:
    """All eight of the actor's own. Raises DatabaseFailed."""
    require_telegram(panel)
    model = TelegramNotificationSettings
    values: dict[str, Any] = {name: int(switches[name]) for name in NAMES}

    def act(connection: Connection) -> None:
        give_row(panel, connection, actor.id)
        change = update(model).where(model.user_id == actor.id)
        connection.execute(change.values(**values, updated_at=panel.clock.now()))

    panel.database.transact(act)
