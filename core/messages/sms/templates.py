"""Users' own message templates: reading them, saving and deleting one. Source: contract chapter 60.

Jobs and notices look theirs up by name. What users start with is in :mod:`core.messages.sms.first_templates`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection, delete, select, update

from core.access.actors import Actor
from core.access.audit import By
from core.access.permissions import MESSAGING, require
from core.errors import AlreadyExists, InvalidInput, NotFound
from core.messages.sms.first_templates import STAGES, note_stages_given
from core.messages.sms.settings import TEMPLATE_CHARACTERS, require_sms
from core.panel import Panel
from core.storage.tables import SmsTemplate, User
from core.storage.tables.texts import compared
from core.storage.writing import insert_row
from core.values.checks import clean_text

NAME_CHARACTERS = 200
DESCRIPTION_CHARACTERS = 500
_NOT_FOUND = "Template not found"


@dataclass(frozen=True, slots=True)
class TemplateWish:
    """A template as sent; ``id`` None: a new one."""

    id: int | None
    name: str
    text: str
    description: str


class StoredTemplate(NamedTuple):
    id: int
    name: str
    text: str
    description: str | None


def find_template(connection: Connection, user_id: int, name: str) -> str | None:
    """The text of the user's own template of that name, the oldest if there are several; None when it is missing or
    blank."""
    return find_templates(connection, user_id, (name,)).get(name)


def find_templates(connection: Connection, user_id: int, names: tuple[str, ...]) -> dict[str, str]:
    """As :func:`find_template`, of several names at once."""
    rows = connection.execute(
        select(SmsTemplate.name, SmsTemplate.template)
        .where(SmsTemplate.user_id == user_id, SmsTemplate.name.in_(names))
        .order_by(SmsTemplate.id.desc())
    )
    found = {row.name: row.template for row in rows}
    return {name: found[name] for name in names if (found.get(name) or "").strip()}


def list_templates(connection: Connection, actor: Actor) -> Sequence[StoredTemplate]:
    """The user's templates by name; a reseller admin without any is shown those of the first super admin with some."""
    rows = _of_user(connection, actor.id)
    if not rows and actor.is_reseller_admin:
        first = select(sa.func.min(SmsTemplate.user_id)).join(User, User.id == SmsTemplate.user_id)
        owner = connection.scalar(first.where(User.super_user == 1))
        rows = [] if owner is None else _of_user(connection, owner)
    return rows


_ROWS = select(SmsTemplate.id, SmsTemplate.name, SmsTemplate.template, SmsTemplate.description)


def _of_user(connection: Connection, user_id: int) -> list[StoredTemplate]:
    rows = connection.execute(_ROWS.where(SmsTemplate.user_id == user_id).order_by(SmsTemplate.name, SmsTemplate.id))
    return [StoredTemplate._make(row) for row in rows]


def save_template(panel: Panel, by: By, wish: TemplateWish) -> int:
    """Create or change, and return the id. Raises NotAllowed, InvalidInput, NotFound, AlreadyExists."""
    require(by.actor, MESSAGING)
    require_sms(panel)
    values = _checked(wish)
    now = panel.clock.now()

    def act(connection: Connection) -> int:
        # one at a time for each user, so that two requests cannot make two templates of one name
        connection.execute(select(User.id).where(User.id == by.actor.id).with_for_update())
        before = _own(connection, by.actor.id, wish.id) if wish.id is not None else None
        _refuse_taken(connection, by.actor.id, values["name"], wish.id)
        if before is None:
            new = {"user_id": by.actor.id, "created_at": now, "updated_at": now}
            template_id = insert_row(connection, SmsTemplate, {**new, **values})
        else:
            template_id = before.id
            connection.execute(
                update(SmsTemplate).where(SmsTemplate.id == template_id).values(updated_at=now, **values)
            )
        _audit(panel, connection, by, template_id, before, values)
        return template_id

    return panel.database.transact(act)


def delete_template(panel: Panel, by: By, template_id: int | None) -> None:
    """Raises NotAllowed, InvalidInput, NotFound."""
    require(by.actor, MESSAGING)
    if template_id is None or template_id < 1:
        raise InvalidInput.missing("template_id", "the number of a template")
    require_sms(panel)

    def act(connection: Connection) -> None:
        before = _own(connection, by.actor.id, template_id)
        if before.name in STAGES:
            note_stages_given(panel, connection, by.actor.id)
        connection.execute(delete(SmsTemplate).where(SmsTemplate.id == template_id))
        _audit(panel, connection, by, template_id, before, None)

    panel.database.transact(act)


def _checked(wish: TemplateWish) -> dict[str, Any]:
    name = clean_text(wish.name, "name", NAME_CHARACTERS)
    if not name:
        raise InvalidInput.missing("name")
    text = clean_text(wish.text, "template", TEMPLATE_CHARACTERS)
    if not text:
        raise InvalidInput.missing("template", "the text")
    description = clean_text(wish.description, "description", DESCRIPTION_CHARACTERS)
    return {"name": name, "template": text, "description": description or None}


def _own(connection: Connection, user_id: int, template_id: int) -> StoredTemplate:
    row = connection.execute(_ROWS.where(SmsTemplate.id == template_id, SmsTemplate.user_id == user_id)).first()
    if row is None:
        raise NotFound(_NOT_FOUND)
    return StoredTemplate._make(row)


def _refuse_taken(connection: Connection, user_id: int, name: str, own_id: int | None) -> None:
    taken = select(SmsTemplate.id).where(
        SmsTemplate.user_id == user_id,
        sa.func.lower(SmsTemplate.name) == compared(SmsTemplate.name, sa.literal(name.lower())),
        SmsTemplate.id != (own_id or 0),
    )
    if connection.execute(taken).first() is not None:
        raise AlreadyExists("You already have a template of this name")


def _audit(
    panel: Panel,
    connection: Connection,
    by: By,
    template_id: int,
    before: StoredTemplate | None,
    after: dict[str, Any] | None,
) -> None:
    action = "create" if before is None else "delete" if after is None else "update"
    old = before and {"name": before.name, "template": before.text, "description": before.description}
    name = (after or old or {})["name"]
    by.write_audit(
        panel,
        connection,
        action,
        "sms_template",
        target_id=template_id,
        target_name=name,
        old=old,
        new=after,
        details=f"SMS template {name}: {action}",
    )
