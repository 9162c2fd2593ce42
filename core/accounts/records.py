"""What the record of an operation holds, kind by kind, and what is written from it: rows, ledger, audit, events.

They are written also long after the request, when an operation is finished that was left open. States, money and
who works on a record: :mod:`core.accounts.operations`. Source: contract chapter 20 §1.9 and §1.11.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from decimal import Decimal
from typing import Any, Self

from sqlalchemy import Connection

from core.access.audit import BY_CRON
from core.access.began import Began
from core.accounts import operations, recovery
from core.accounts.events import AccountEvent, AccountRenewed, AccountStatusChanged
from core.accounts.operations import Record
from core.accounts.rows import AccountRow, change_account
from core.jobs.events import announce
from core.ledger import ledger
from core.ledger.ledger import Entry
from core.panel import Panel
from core.storage.tables import Account
from core.storage.tables.texts import fitting

STATUS, AUTO_DISABLE = "status", "auto_disable"
# what a change is announced as, if at all
_EVENTS: Mapping[str, type[AccountEvent]] = {"renewal": AccountRenewed, STATUS: AccountStatusChanged}
AMBIGUOUS = " (several accounts have this user name; the oldest was meant)"


@dataclass(frozen=True, slots=True)
class Creation:
    """An account to be; ``plan`` None: no local plan, ``entry`` None: no ledger row. ``notes`` as of ``Lag``.

    ``adopted``: the servers where it may be made of a box that was there before, a user without login."""

    full_name: str
    email: str | None
    phone: str | None
    reseller: int
    plan: int | None
    plan_name: str | None
    tariff_plan: str
    end_date: date | None
    status: int
    comment: str
    theme: str | None
    entry: Entry | None
    account_number: int = 0
    adopted: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def stored(self) -> dict[str, Any]:
        return {**asdict(self), "end_date": _plain(self.end_date)}

    def row(self) -> Mapping[str, Any]:
        return {"full_name": self.full_name, "email": self.email, "phone_number": self.phone}

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        values = {field.name: stored[field.name] for field in fields(cls) if field.name in stored}
        read = {"end_date": _day(values["end_date"]), "entry": Entry.read(values["entry"])}
        # operations of older versions had none of these
        lists = {name: tuple(stored.get(name, ())) for name in ("adopted", "notes")}
        return cls(**{**values, **read, **lists})


@dataclass(frozen=True, slots=True)
class Change:
    """``what`` as in :class:`core.accounts.change.Planned`; ``columns``: the new values of what changes.

    ``portal``: the portal's fields that go out, ``changed``: those of them that change. ``phone``: what the request
    gave, None for nothing.
    """

    what: str
    columns: Mapping[str, Any]
    portal: Sequence[str]
    changed: Sequence[str]
    entry: Entry | None
    plan_name: str | None
    phone: str | None
    began: Began

    def stored(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "columns": {name: _plain(value) for name, value in self.columns.items()},
            "portal": list(self.portal),
            "changed": list(self.changed),
            "entry": self.entry and self.entry.stored(),
            "plan_name": self.plan_name,
            "phone": self.phone,
            **self.began.stored(),
        }

    def row(self) -> Mapping[str, Any]:
        return {name: value for name, value in self.columns.items() if name in Account.__table__.c}

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        columns = dict(stored["columns"])
        if "end_date" in columns:
            columns["end_date"] = _day(columns["end_date"])
        return cls(
            what=stored["what"],
            columns=columns,
            portal=stored["portal"],
            changed=stored["changed"],
            entry=Entry.read(stored["entry"]),
            plan_name=stored["plan_name"],
            # operations of older versions did not store it
            phone=stored.get("phone"),
            began=Began.read(stored),
        )


@dataclass(frozen=True, slots=True)
class Removal:
    """``old``: the account as audit rows show it; one that only the portal has has no ``reseller_id`` in it."""

    old: Mapping[str, Any]
    is_ambiguous: bool
    began: Began

    @property
    def name(self) -> str:
        return str(self.old["name"])

    @property
    def reseller_id(self) -> int | None:
        found: int | None = self.old.get("reseller_id")
        return found

    def stored(self) -> dict[str, Any]:
        return {"old": dict(self.old), "is_ambiguous": self.is_ambiguous, **self.began.stored()}

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        return cls(stored["old"], stored["is_ambiguous"], Began.read(stored))


def kept_otherwise(connection: Connection, wanted: Creation | Change) -> tuple[str, ...]:
    """Whether ``_accounts`` can hold the texts in some form: found out before money and portals move, not by the
    statement after them; a sentence for each that it keeps in another one. Raises UnstorableText."""
    row = wanted.row()
    kept = fitting(connection.dialect, Account, row)
    return tuple(
        f"This database lacks some characters of the {name.replace('_', ' ')} and keeps it as {kept[name]}"
        for name in row
        if kept[name] != row[name]
    )


def write_change(
    panel: Panel, connection: Connection, record: Record, state: str, before: AccountRow, after: AccountRow
) -> Record:
    """Row, ledger row, audit row and the operation's next state, in the caller's transaction."""
    change = Change.read(record.payload)
    columns = {name: getattr(after, name) for name in change.columns}
    note = {"comment": columns.pop("comment")} if "comment" in columns else {}
    if "reseller" in columns:
        # assigned here: what the portal said before, or never said, does not undo it
        note["portal_reseller_known"] = 1

    moved = operations.move(panel, connection, record, state)
    change_account(panel, connection, before.id, columns, note)
    if change.entry is not None:
        ledger.record(connection, change.entry, panel.clock.stamp(), effect=-(record.amount or Decimal(0)))
    _audit_change(panel, connection, record, change, before, after)
    event = _EVENTS.get(change.what)
    if event is not None:
        announce(panel, connection, _event(event, after, change))
    return moved


def _event(event: type[AccountEvent], after: AccountRow, change: Change) -> AccountEvent:
    return event(
        after.id,
        after.username,
        after.mac,
        after.full_name,
        after.reseller,
        change.began.actor_id,
        change.began.name,
        change.plan_name,
        after.end_date,
        change.phone,
    )


def audit(panel: Panel, connection: Connection, record: Record, action: str, target_type: str, **row: Any) -> None:
    """One row about the account of a change or removal, as its actor; ``row``: old, new and details of ``About``."""
    by = Began.read(record.payload).by(panel, connection)
    by.write_audit(panel, connection, action, target_type, target_id=record.account_id, target_name=record.mac, **row)


def _audit_change(
    panel: Panel, connection: Connection, record: Record, change: Change, before: AccountRow, after: AccountRow
) -> None:
    """One row about what changed, in the words of what it was."""
    if change.what == AUTO_DISABLE:
        _audit_auto_disable(panel, connection, before)
        return
    ambiguous = AMBIGUOUS if before.is_ambiguous else ""
    if change.what == STATUS:
        word = "active" if after.status else "disabled"
        audit(
            panel,
            connection,
            record,
            "update",
            "account_status",
            old={"status": before.status},
            new={"status": after.status},
            details=f"Account {before.username} ({before.mac}) is now {word}{ambiguous}",
        )
        return
    verb = "renewed" if change.what == "renewal" else "updated"
    audit(
        panel,
        connection,
        record,
        "update",
        "account",
        old=_audited(before),
        new={**_audited(after), "plan": change.plan_name},
        details=f"Account {before.username} {verb}{ambiguous}",
    )


def _audit_auto_disable(panel: Panel, connection: Connection, row: AccountRow) -> None:
    BY_CRON.write_audit(
        panel,
        connection,
        AUTO_DISABLE,
        "account",
        target_id=row.mac,
        target_name=row.full_name,
        old={"status": 1},
        new={"status": 0},
        details=f"Account {row.username} ({row.mac}) disabled: it ended on {row.end_date}",
    )


def _audited(row: AccountRow) -> dict[str, Any]:
    return {"name": row.full_name, "expiry": row.end_date and row.end_date.isoformat(), "status": row.status}


def note_lag(panel: Panel, record: Record, text: str) -> None:
    """Server 2 did not follow: the operation stays open, and the audit log says why. The change itself stands."""

    def leave(connection: Connection) -> None:
        operations.leave_in(panel, connection, record, text)
        details = f"Account {record.username}: {text}; tried again later"
        audit(panel, connection, record, "update", "account", details=details)

    with recovery.best_effort(panel, record):
        panel.database.transact(leave)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
