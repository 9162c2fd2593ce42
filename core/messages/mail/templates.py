"""Mail templates: listing, reading, saving and deleting them. Source: contract chapter 80, "save_mail_template.php".

Any super admin may change any of them. How values come into them: :mod:`core.messages.mail.message`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection, delete, insert, select, update

from core.access.actors import Actor
from core.access.audit import By
from core.access.permissions import READ_MAIL, USE_MAIL, require
from core.errors import InvalidInput, NotFound
from core.messages.mail.settings import EXPIRED, EXPIRY, RENEWAL, WELCOME
from core.messages.mail.settings_edit import require_mail
from core.panel import Panel
from core.storage.tables import MailTemplate, User

AUTOMATIC = frozenset({WELCOME, RENEWAL, EXPIRY, EXPIRED})
BODY_BYTES = 60_000
NAME_CHARACTERS, SUBJECT_CHARACTERS, DESCRIPTION_CHARACTERS = 100, 255, 255
_UNFIT = re.compile(r"[<>\"'`\\\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class TemplateWish:
    """A template as sent. ``id`` None: a new one; ``plain`` None keeps what is stored."""

    id: int | None
    name: str
    subject: str
    html: str
    plain: str | None
    description: str
    is_active: bool


@dataclass(frozen=True, slots=True)
class Saved:
    """``warning``: what an automatic mail has lost by it, for people."""

    id: int
    warning: str | None = None


class ListedTemplate(NamedTuple):
    id: int
    name: str
    subject: str
    description: str | None
    is_active: bool
    created_at: datetime | None
    updated_at: datetime | None


class StoredTemplate(NamedTuple):
    """A template whole."""

    id: int
    user_id: int
    name: str
    subject: str
    html: str
    plain: str
    description: str | None
    is_active: bool
    created_at: datetime | None
    updated_at: datetime | None


def list_templates(connection: Connection, user_id: int) -> tuple[list[ListedTemplate], bool]:
    """The user's own by name, else those of the first super admin who has some (then True)."""
    rows = _of_user(connection, user_id)
    if rows:
        return rows, False
    first = select(sa.func.min(MailTemplate.user_id)).join(User, User.id == MailTemplate.user_id)
    owner = connection.scalar(first.where(User.super_user == 1))
    return ([], False) if owner is None else (_of_user(connection, owner), True)


# NULL is what the column's default says
_IS_ACTIVE = sa.func.coalesce(MailTemplate.is_active, 1) != 0


def _of_user(connection: Connection, user_id: int) -> list[ListedTemplate]:
    model = MailTemplate
    columns = (model.id, model.name, model.subject, model.description, _IS_ACTIVE, model.created_at, model.updated_at)
    found = select(*columns).where(model.user_id == user_id).order_by(model.name, model.id)
    return [ListedTemplate._make(row) for row in connection.execute(found)]


def read_template(panel: Panel, actor: Actor, template_id: int | None) -> StoredTemplate:
    """Raises NotAllowed, InvalidInput, NotFound."""
    require(actor, READ_MAIL)
    require_mail(panel)
    with panel.database.read() as connection:
        return _required(connection, template_id)


def save_template(panel: Panel, by: By, wish: TemplateWish) -> Saved:
    """Create or change. Raises NotAllowed, InvalidInput, NotFound."""
    require(by.actor, USE_MAIL)
    require_mail(panel)
    values, now = _checked(wish), panel.clock.now()

    def act(connection: Connection) -> Saved:
        if wish.id is None:
            new = {"user_id": by.actor.id, "created_at": now, "updated_at": now}
            key = connection.execute(insert(MailTemplate).values(**new, **values)).inserted_primary_key
            assert key is not None  # noqa: S101 - one row was inserted
            _audit(panel, connection, by, "create", int(key[0]), None, values)
            return Saved(int(key[0]))
        before = _required(connection, wish.id)
        changed = update(MailTemplate).where(MailTemplate.id == wish.id)
        connection.execute(changed.values(updated_at=now, **values))
        _audit(panel, connection, by, "update", wish.id, before, values)
        return Saved(wish.id, _lost(before, wish))

    return panel.database.transact(act)


def delete_template(panel: Panel, by: By, template_id: int | None) -> str:
    """The name of what was deleted. Raises NotAllowed, InvalidInput, NotFound."""
    require(by.actor, USE_MAIL)
    require_mail(panel)

    def act(connection: Connection) -> str:
        before = _required(connection, template_id)
        connection.execute(delete(MailTemplate).where(MailTemplate.id == before.id))
        _audit(panel, connection, by, "delete", before.id, before, None)
        return before.name

    return panel.database.transact(act)


def _required(connection: Connection, template_id: int | None) -> StoredTemplate:
    """Raises InvalidInput, NotFound."""
    if template_id is None or template_id < 1:
        raise InvalidInput.missing("template_id", "the number of a template")
    model = MailTemplate
    columns = (
        model.id,
        model.user_id,
        model.name,
        model.subject,
        model.body_html,
        sa.func.coalesce(model.body_plain, ""),
        model.description,
        _IS_ACTIVE,
        model.created_at,
        model.updated_at,
    )
    row = connection.execute(select(*columns).where(model.id == template_id)).first()
    if row is None:
        raise NotFound("Template not found")
    return StoredTemplate._make(row)


def _checked(wish: TemplateWish) -> dict[str, Any]:
    """The columns. Raises InvalidInput."""
    name, subject = wish.name.strip(), wish.subject.strip()
    if not name or len(name) > NAME_CHARACTERS or _UNFIT.search(name):
        raise InvalidInput(
            f"The {{field}} may have 1 to {NAME_CHARACTERS} characters, without < > quotation marks, backquotes and \\"
        )
    if not subject or len(subject) > SUBJECT_CHARACTERS or len(subject.splitlines()) > 1:
        raise InvalidInput(f"The subject is one line of 1 to {SUBJECT_CHARACTERS} characters")
    if not wish.html.strip():
        raise InvalidInput.missing("body_html")
    for text, field in ((wish.html, "body_html"), (wish.plain or "", "body_plain")):
        if len(text.encode()) > BODY_BYTES:
            raise InvalidInput(f"The {field} is too long (more than {BODY_BYTES} bytes)")
    description = wish.description.strip()
    if len(description) > DESCRIPTION_CHARACTERS:
        raise InvalidInput(f"The description is too long (more than {DESCRIPTION_CHARACTERS} characters)")
    values = {"name": name, "subject": subject, "body_html": wish.html, "description": description}
    plain = {} if wish.plain is None else {"body_plain": wish.plain}
    return {**values, **plain, "is_active": int(wish.is_active)}


def _lost(before: StoredTemplate, wish: TemplateWish) -> str | None:
    name = before.name
    if name not in AUTOMATIC or (wish.name.strip() == name and (wish.is_active or not before.is_active)):
        return None
    return f"The automatic mail {name} needs an active template of exactly this name; it is no longer sent by this one"


def _audit(
    panel: Panel,
    connection: Connection,
    by: By,
    action: str,
    template_id: int,
    before: StoredTemplate | None,
    after: Mapping[str, Any] | None,
) -> None:
    audited = ("name", "subject", "description", "is_active")
    old = before and {**{name: getattr(before, name) for name in audited}, "is_active": int(before.is_active)}
    new = after and {name: after[name] for name in audited}
    name = (new or old or {})["name"]
    by.write_audit(
        panel,
        connection,
        action,
        "mail_template",
        target_id=template_id,
        target_name=name,
        old=old,
        new=new,
        details=f"Mail template {name}: {action}",
    )
