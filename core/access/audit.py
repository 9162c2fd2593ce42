"""Writing of the audit log and the login history. Source: contract chapters 10 §4.1, §4.5, 20 §1.11 and 70.

Never a password, a hash or a key in any row, and no text that the table cannot hold, which would undo what the row is
about. Reading them: :mod:`core.access.audit_log`, :mod:`core.access.login_history`.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self, TypedDict, Unpack

import orjson
from sqlalchemy import Connection, insert

from core.access.actors import Actor, bare_actor
from core.errors import DatabaseFailed
from core.panel import Panel
from core.storage.tables import AuditEntry, LoginHistory

log = logging.getLogger(__name__)

USER_AGENT_CHARACTERS = 1000
AUDITED_AGENT_CHARACTERS = 500
# left out of the values of a row, at any depth
_SECRETS = {
    *("password", "pass", "token", "secret", "api_key", "smtp_password", "api_token", "bot_token", "webhook_secret"),
    *("api_password", "auth", "p256dh"),
}


@dataclass(frozen=True, slots=True)
class Origin:
    """From where a request came: IP address and user agent, as logs keep them.

    ``limited_as``: whom limits count, where the address is not enough to tell.
    """

    address: str
    user_agent: str
    limited_as: str = ""

    @property
    def counted_as(self) -> str:
        return self.limited_as or self.address

    @property
    def stored_agent(self) -> str | None:
        return self.user_agent[:USER_AGENT_CHARACTERS] or None

    @property
    def stored_address(self) -> str | None:
        return self.address[:45] or None

    def stored(self) -> dict[str, str]:
        """As a job or an operation keeps it."""
        return {"address": self.address, "user_agent": self.stored_agent or ""}

    @classmethod
    def read(cls, stored: Mapping[str, str]) -> Self:
        """What :meth:`stored` gave."""
        return cls(stored["address"], stored["user_agent"])


class About(TypedDict, total=False):
    """What a row is about and what changed; ``old`` and ``new`` become JSON."""

    target_id: object
    target_name: str | None
    old: Mapping[str, object] | None
    new: Mapping[str, object] | None
    details: str | None


@dataclass(frozen=True, slots=True)
class By:
    """Who acts and from where. It writes its own rows of the audit log."""

    actor: Actor
    origin: Origin

    def write_audit(
        self, panel: Panel, connection: Connection, action: str, target_type: str, **about: Unpack[About]
    ) -> None:
        """One row in the transaction of ``connection``; none where the legacy database has no audit log yet."""
        write_audit_rows(panel, connection, [self.audit_row(panel, action, target_type, **about)])

    def audit_row(self, panel: Panel, action: str, target_type: str, **about: Unpack[About]) -> dict[str, Any]:
        """The columns of one row, of now."""
        target_id = about.get("target_id")
        return {
            "timestamp": panel.clock.now(),
            "user_id": self.actor.id,
            "username": self.actor.username,
            "user_type": self.actor.role,
            "action": action,
            "target_type": target_type,
            "target_id": None if target_id is None else str(target_id),
            "target_name": about.get("target_name"),
            "old_value": _json(about.get("old")),
            "new_value": _json(about.get("new")),
            "ip_address": self.origin.stored_address,
            "user_agent": self.origin.user_agent[:AUDITED_AGENT_CHARACTERS] or None,
            "details": about.get("details"),
        }


# what the scheduled jobs do, and as whom where no user asked for it
CRON = Origin("", "cron")
BY_CRON = By(bare_actor(0, "system_cron"), CRON)


def write_audit_rows(panel: Panel, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Many rows of :meth:`By.audit_row` in one statement, otherwise as :meth:`By.write_audit`."""
    if rows and panel.layout.has_table("_audit_log"):
        connection.execute(insert(AuditEntry), list(rows))


def record_login(
    panel: Panel,
    origin: Origin,
    user_id: int,
    username: str,
    *,
    method: str = "password",
    failure_reason: str | None = None,
) -> None:
    """One row of login history in its own transaction; its failure is logged and never breaks a login."""
    try:
        if not panel.layout.has_table("_login_history"):
            return

        def act(connection: Connection) -> None:
            row = {
                "user_id": user_id,
                "username": username[:255],
                "login_time": panel.clock.now(),
                "ip_address": origin.stored_address,
                "user_agent": origin.stored_agent,
                "login_method": method,
                "status": "failed" if failure_reason else "success",
                "failure_reason": failure_reason,
            }
            connection.execute(insert(LoginHistory), row)

        panel.database.transact(act)
    except DatabaseFailed as error:
        log.warning("A login could not be written to the login history: %s", type(error.__cause__).__name__)


def _json(values: Mapping[str, object] | None) -> str | None:
    return None if values is None else orjson.dumps(_open(values), default=_plain).decode()


def _open(value: object) -> object:
    """``value`` without what is secret."""
    if isinstance(value, Mapping):
        return {key: _open(item) for key, item in value.items() if str(key).lower() not in _SECRETS}
    return [_open(item) for item in value] if isinstance(value, list | tuple) else value


def _plain(value: object) -> object:
    """Amounts as numbers, as the panel's rows have them; all else as text."""
    if not isinstance(value, Decimal):
        return str(value)
    return int(value) if value == int(value) else float(value)
