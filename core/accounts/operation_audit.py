"""Audit rows of operations on accounts, also of those that are finished long after their request.

Source: contract chapter 20 §1.9 and §1.11.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from core.access.actors import Actor, bare_actor
from core.access.audit import By, Origin
from core.access.user_rows import read_user
from core.accounts import operations
from core.accounts.operations import Record
from core.panel import Panel

AMBIGUOUS = " (several accounts have this user name; the oldest was meant)"


def stored_origin(by: By) -> dict[str, Any]:
    """Who began an operation and from where, for its record."""
    return {
        "by": {"id": by.actor.id, "username": by.actor.username, "name": by.actor.name or by.actor.username},
        "origin": by.origin.stored(),
    }


def audit(panel: Panel, connection: Connection, record: Record, action: str, target_type: str, **row: Any) -> None:
    """One row about the record's account, as its actor; ``row``: old, new and details of its ``About``."""
    By(_actor(panel, connection, record.payload["by"]), Origin.read(record.payload["origin"])).write_audit(
        panel,
        connection,
        action,
        target_type,
        target_id=record.account_id,
        target_name=record.mac,
        **row,
    )


def note_lag(panel: Panel, record: Record, text: str) -> None:
    """Server 2 did not follow: the operation stays open, and the audit log says why. The change itself stands."""
    with operations.best_effort(record):
        operations.leave(panel, record, text)
        with panel.database.write() as connection:
            details = f"Account {record.username}: {text}; tried again later"
            audit(panel, connection, record, "update", "account", details=details)


def _actor(panel: Panel, connection: Connection, by: Mapping[str, Any]) -> Actor:
    """The user as the row is now; if it is gone, no more than id and login."""
    actor = read_user(panel, connection, by["id"])
    if actor is not None:
        return actor
    return bare_actor(by["id"], by["username"])
