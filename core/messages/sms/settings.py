"""Each user's account at the SMS provider: whose applies, what is shown of it, and changing it.

Source: contract chapter 60 S9, ``get_sms_settings`` and ``update_sms_settings``. The token never leaves the server.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy import Connection, select, update

from core.access.actors import Actor
from core.access.audit import By
from core.access.permissions import MESSAGING, require
from core.errors import DatabaseFailed, InvalidInput
from core.messages.sms.provider import DEFAULT_URL, ProviderAccount, checked_address, checked_token
from core.panel import Panel
from core.storage.tables import SmsSettings, User
from core.storage.tables.secret_columns import SMS
from core.storage.writing import insert_and_lock
from core.values.checks import refuse_longer
from core.values.numerals import folded

TEMPLATE_CHARACTERS = 4000
MIN_DAYS, MAX_DAYS = 1, 30
DEFAULT_DAYS = 7
_BULLET = "\N{BULLET}"
_MASK = _BULLET * 8
# of a shorter token the last characters would tell too much
_SHORTEST_SHOWN = 12
_SENDER = re.compile(r"\+?[0-9]+")
_SENDER_CHARACTERS = 20


@dataclass(frozen=True, slots=True)
class Sender:
    """The settings that apply: ``user_id`` is whose they are."""

    user_id: int
    account: ProviderAccount


@dataclass(frozen=True, slots=True)
class ShownSettings:
    """What a user may see; of a user without a row, ``id`` is None and the rest the defaults.

    ``token_mask``, ``sender``, ``base_url``: of the account that applies; ``is_inherited``: it is a super admin's.
    """

    id: int | None = None
    token_mask: str = ""
    sender: str = ""
    base_url: str = DEFAULT_URL
    auto_send: bool = False
    multistage: bool = True
    days: int = DEFAULT_DAYS
    expiry_template: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    is_configured: bool = False
    is_inherited: bool = False


class _Clear:
    """The mark of a text that was sent as JSON null: it is cleared, unlike an absent or empty one."""


CLEAR = _Clear()


@dataclass(frozen=True, slots=True)
class Change:
    """What was sent; None (and an empty text) keeps what is stored."""

    token: str = ""
    sender: str = ""
    base_url: str = ""
    auto_send: bool | None = None
    multistage: bool | None = None
    days: int | None = None
    expiry_template: "str | _Clear" = ""


def has_sms(panel: Panel) -> bool:
    """Whether the database has the tables of SMS; panels before 1.8 had none."""
    return all(panel.layout.has_table(name) for name in ("_sms_settings", "_sms_templates", "_sms_logs"))


def require_sms(panel: Panel) -> None:
    """Raises DatabaseFailed."""
    if not has_sms(panel):
        raise DatabaseFailed("This panel's database has no tables for SMS yet; its administrator must upgrade it")


def sender_of(panel: Panel, connection: Connection, user_id: int | None, *, inherits: bool) -> Sender | None:
    """The user's own settings if they are complete, else with ``inherits`` the first super admin's."""
    own = sa.false() if user_id is None else SmsSettings.user_id == user_id
    rows = connection.execute(
        _ACCOUNTS.where(sa.or_(own, User.super_user == 1) if inherits else own).order_by(
            sa.case((own, 0), else_=1), SmsSettings.user_id
        )
    )
    return next((sender for row in rows if (sender := sender_in(panel, row)) is not None), None)


_ACCOUNTS = select(
    SmsSettings.user_id, SmsSettings.api_token, SmsSettings.sender_number, SmsSettings.base_url
).join_from(SmsSettings, User, User.id == SmsSettings.user_id)


def sender_in(panel: Panel, row: Any) -> Sender | None:
    """The account in a row of settings; None unless it is complete."""
    token, number = panel.unsealed(row.api_token, SMS.place(row._mapping)).strip(), (row.sender_number or "").strip()
    if not token or not number:
        return None
    account = ProviderAccount(SecretStr(token), number, (row.base_url or "").strip() or DEFAULT_URL)
    return Sender(row.user_id, account)


def mask(token: str) -> str:
    """What is shown in place of a token, and comes back when a page saves what it was shown."""
    if not token:
        return ""
    return _MASK + (token[-4:] if len(token) >= _SHORTEST_SHOWN else "")


def read_settings(panel: Panel, connection: Connection, actor: Actor) -> ShownSettings:
    """The user's own row, but where a reseller admin inherits, with the account of the super admin."""
    row = _own_row(panel, connection, actor.id)
    applied = sender_of(panel, connection, actor.id, inherits=actor.is_reseller_admin)
    account = applied.account if applied is not None else _incomplete(row)
    days = row.get("days_before_expiry")
    return ShownSettings(
        id=row.get("id"),
        token_mask=mask(account.token.get_secret_value()),
        sender=account.sender,
        base_url=account.base_url,
        auto_send=row.get("auto_send_enabled") == 1,
        multistage=row.get("enable_multistage_reminders", 1) != 0,
        days=DEFAULT_DAYS if days is None else days,
        expiry_template=row.get("expiry_template") or "",
        created_at=row.get("created_at"),
        updated_at=row.get("updated_at"),
        is_configured=applied is not None,
        is_inherited=applied is not None and applied.user_id != actor.id,
    )


def _incomplete(row: Mapping[str, Any]) -> ProviderAccount:
    """What there is of an account that cannot be used yet."""
    token, sender, url = (row.get(name) or "" for name in ("api_token", "sender_number", "base_url"))
    return ProviderAccount(SecretStr(token), sender, url or DEFAULT_URL)


def change_settings(panel: Panel, by: By, change: Change) -> None:
    """Store what is given. Raises NotAllowed, InvalidInput, DatabaseFailed."""
    require(by.actor, MESSAGING)
    require_sms(panel)
    plain_values = _plain_values(change)
    now = panel.clock.now()
    first = {"created_at": now, "updated_at": now, **_first(panel)}

    def act(connection: Connection) -> None:
        insert_and_lock(connection, SmsSettings, {"user_id": by.actor.id}, **first)
        before = _own_row(panel, connection, by.actor.id)
        values = {**plain_values, **_account_values(panel, connection, by.actor, before, change)}
        if not panel.layout.has_column("_sms_settings", "enable_multistage_reminders"):
            values.pop("enable_multistage_reminders", None)
        stored = {**values, **_sealed(panel, before, values)}
        connection.execute(
            update(SmsSettings).where(SmsSettings.user_id == by.actor.id).values(**stored, updated_at=now)
        )
        _audit(panel, connection, by, before, values)

    panel.database.transact(act)


def _sealed(panel: Panel, before: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The new token as it is to be stored; one that is kept stays as it stands, for its address stays as well."""
    token = values.get("api_token")
    return {"api_token": panel.sealer.sealed(token, SMS.place({**before, **values}))} if token else {}


def _first(panel: Panel) -> dict[str, Any]:
    """A new row without an account."""
    values = {"auto_send_enabled": 0, "days_before_expiry": DEFAULT_DAYS, "base_url": DEFAULT_URL}
    if panel.layout.has_column("_sms_settings", "enable_multistage_reminders"):
        values["enable_multistage_reminders"] = 1
    return values


def _own_row(panel: Panel, connection: Connection, user_id: int) -> dict[str, Any]:
    """The columns that this database has; empty without a row."""
    columns = [c for c in SmsSettings.__table__.c if panel.layout.has_column("_sms_settings", c.name)]
    row = connection.execute(select(*columns).where(SmsSettings.user_id == user_id)).mappings().first()
    if row is None:
        return {}
    stored = dict(row)
    return {**stored, "api_token": panel.unsealed(stored["api_token"], SMS.place(stored))}


def _plain_values(change: Change) -> dict[str, Any]:
    """Columns of what concerns no account. Raises InvalidInput."""
    values: dict[str, Any] = {}
    if change.auto_send is not None:
        values["auto_send_enabled"] = int(change.auto_send)
    if change.multistage is not None:
        values["enable_multistage_reminders"] = int(change.multistage)
    if change.days is not None:
        if not MIN_DAYS <= change.days <= MAX_DAYS:
            raise InvalidInput.of("days_before_expiry", f"expected {MIN_DAYS} to {MAX_DAYS} days")
        values["days_before_expiry"] = change.days
    if isinstance(change.expiry_template, _Clear):
        values["expiry_template"] = None
    elif change.expiry_template:
        refuse_longer(change.expiry_template, "expiry_template", TEMPLATE_CHARACTERS)
        values["expiry_template"] = change.expiry_template
    return values


def _account_values(
    panel: Panel, connection: Connection, actor: Actor, before: Mapping[str, Any], change: Change
) -> dict[str, Any]:
    """Token, sender and address, which belong together. Raises InvalidInput."""
    own_token = (before.get("api_token") or "").strip()
    inherited = sender_of(panel, connection, None, inherits=True) if actor.is_reseller_admin and not own_token else None
    if inherited is not None and inherited.user_id == actor.id:
        inherited = None
    token = _new_token(change.token, inherited.account.token.get_secret_value() if inherited else own_token)
    if token is None and inherited is not None:
        _refuse_other_account(inherited.account, change)
        return {"api_token": None, "sender_number": None}
    values: dict[str, Any] = {}
    if token is not None:
        values["api_token"] = token
    sender = folded(change.sender)
    if sender:
        if len(sender) > _SENDER_CHARACTERS or not _SENDER.fullmatch(sender):
            raise InvalidInput.of("sender_number", "expected up to 20 digits, and a + before them where it has one")
        values["sender_number"] = sender
    current = ((inherited.account.base_url if inherited else before.get("base_url")) or DEFAULT_URL).rstrip("/")
    if change.base_url and change.base_url.rstrip("/") != current:
        address = checked_address(panel.config.sms, change.base_url)
        if token is None:
            raise InvalidInput("Another provider address needs a new API token in the same step")
        values["base_url"] = address
    elif inherited is not None:
        values["base_url"] = current
    return values


def _new_token(text: str, current: str) -> str | None:
    """None keeps the current one. Raises InvalidInput."""
    if not text or (current and text == mask(current)):
        return None
    if _BULLET in text:
        raise InvalidInput("The API token is not complete; enter the whole token")
    return checked_token(text)


def _refuse_other_account(inherited: ProviderAccount, change: Change) -> None:
    """Nobody sends another user's token elsewhere, or under another name."""
    is_same_url = change.base_url.rstrip("/") in ("", inherited.base_url.rstrip("/"))
    if not is_same_url or folded(change.sender) not in ("", inherited.sender):
        raise InvalidInput("Another sender number or provider address needs an API token of your own")


def _audit(
    panel: Panel,
    connection: Connection,
    by: By,
    before: Mapping[str, Any],
    values: Mapping[str, Any],
) -> None:
    changed = {name: value for name, value in values.items() if before.get(name) != value}
    is_new_token = changed.pop("api_token", before.get("api_token")) != before.get("api_token")
    by.write_audit(
        panel,
        connection,
        "update",
        "settings",
        target_id=by.actor.id,
        target_name="sms",
        old={name: before.get(name) for name in changed},
        new=changed,
        details="SMS settings changed" + (", with the API token" if is_new_token else ""),
    )
