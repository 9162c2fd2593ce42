"""Who may do what on the Xtream side: pure rules over a group's flags and the panel's roles; no database.

Default deny: who is neither admin nor reseller may do nothing. Source: contract chapter 95 §3 and §16.2.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from core.access.actors import Actor
from core.access.permissions import Field
from core.errors import NotAllowed

ADMINS_GROUP = 1


@dataclass(frozen=True, slots=True)
class Member:
    """Who acts. ``account_id``: whose lines are the member's own, None: nobody's. ``advanced``: what an admin may
    open, None: everything. The flags are a reseller's."""

    account_id: int | None
    username: str
    is_admin: bool = False
    is_reseller: bool = False
    advanced: frozenset[str] | None = frozenset()
    may_delete: bool = False
    may_toggle: bool = False
    may_lock_isp: bool = False

    def has_advanced(self, name: str) -> bool:
        return self.is_admin and (self.advanced is None or name in self.advanced)


def member_of_group(account_id: int, username: str, group: Any) -> Member | None:
    """A linked account, which acts as its group (a row) and nothing else; None: its group lets it do nothing."""
    if group is None or group.group_id is None or group.is_banned:
        return None
    if group.is_admin:
        return Member(account_id, username, is_admin=True, advanced=advanced_of(group.group_id, group.allowed_pages))
    if not group.is_reseller:
        return None
    return Member(
        account_id,
        username,
        is_reseller=True,
        may_delete=bool(group.delete_users),
        may_toggle=True,
        may_lock_isp=bool(group.edit_isplock),
    )


def member_of_panel(actor: Actor, account_id: int | None) -> Member:
    """What the panel's own role makes of a user without a link."""
    if actor.is_observer:
        return Member(None, actor.username)
    if actor.super_user:
        return Member(account_id, actor.username, is_admin=True, advanced=None)
    return Member(
        account_id,
        actor.username,
        is_reseller=True,
        may_delete=actor.has_permission(Field.DELETE),
        may_toggle=actor.has_permission(Field.TOGGLE_STATUS),
        may_lock_isp=actor.has_permission(Field.CONTROL_STB),
    )


def advanced_of(group_id: int, allowed_pages: str | None) -> frozenset[str] | None:
    """The names of a group's list; None is everything, and so is an empty list, but not one that cannot be read."""
    text = (allowed_pages or "").strip()
    if group_id == ADMINS_GROUP or not text:
        return None
    try:
        names = orjson.loads(text)
    except orjson.JSONDecodeError:
        return frozenset()
    if not isinstance(names, list):
        return frozenset()
    return frozenset(name for name in names if isinstance(name, str)) if names else None


def require_advanced(member: Member, name: str) -> None:
    """Raises NotAllowed unless ``member`` is an admin who may open ``name``."""
    if not member.has_advanced(name):
        raise NotAllowed


def require_reseller_or_advanced(member: Member, name: str) -> None:
    """As :func:`require_advanced`, but for resellers, who may do it with what is their own."""
    if not member.is_reseller:
        require_advanced(member, name)
