"""May this actor do this, to that? The one place that answers: from role, permission string, observer flag and owner.

A :class:`Right` says for each role how far it reaches. What an endpoint declares is one of the rights below, so the
generated table of the docs shows what is enforced. Source: contract chapters 30 A and E, 60 S2, 50 R2.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum

from core.errors import NotAllowed
from core.identity import Actor


class Field(IntEnum):
    """The fields of a permission string."""

    EDIT = 0
    ADD = 1
    RESELLER_ADMIN = 2
    DELETE = 3
    CONTROL_STB = 4
    TOGGLE_STATUS = 5
    MESSAGING = 6
    EDIT_PHONE_NAME = 7


class Scope(Enum):
    """How far a right reaches: nothing, what belongs to the actor, everything."""

    NONE = "no"
    OWN = "own"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Right:
    """``refusal``: what those read who lack it. ``field``: what a reseller needs in the permission string, and with
    ``admins_need_field`` a reseller admin too."""

    refusal: str
    super_admin: Scope = Scope.ALL
    reseller_admin: Scope = Scope.ALL
    reseller: Scope = Scope.OWN
    observer: Scope = Scope.NONE
    field: Field | None = None
    admins_need_field: bool = False


def scope_of(actor: Actor, right: Right) -> Scope:
    """How far ``right`` reaches for ``actor``; an observer who is a super admin too reads as one and writes nothing."""
    if actor.is_observer and (right.observer is Scope.NONE or not actor.super_user):
        return right.observer if right.field is None or actor.has_permission(right.field) else Scope.NONE
    if actor.super_user:
        return right.super_admin
    has_field = right.field is None or actor.has_permission(right.field)
    if actor.is_reseller_admin:
        return right.reseller_admin if has_field or not right.admins_need_field else Scope.NONE
    return right.reseller if has_field else Scope.NONE


def may(actor: Actor, right: Right) -> bool:
    """Whether ``actor`` has ``right`` at all, at least for what belongs to the actor."""
    return scope_of(actor, right) is not Scope.NONE


def may_touch(actor: Actor, right: Right, owner: int | None) -> bool:
    """Whether ``actor`` has ``right`` over what belongs to user ``owner`` (None: to nobody)."""
    scope = scope_of(actor, right)
    return scope is Scope.ALL or (scope is Scope.OWN and owner == actor.id)


def require(actor: Actor, right: Right) -> None:
    """Raises NotAllowed."""
    if not may(actor, right):
        raise NotAllowed(right.refusal)


def require_over(actor: Actor, right: Right, owner: int | None) -> None:
    """As :func:`require`, for what belongs to ``owner``. Raises NotAllowed."""
    require(actor, right)
    if not may_touch(actor, right, owner):
        raise NotAllowed("Permission denied. You can only work on your own accounts.")


def _accounts(field: Field, verb: str) -> Right:
    return Right(f"Permission denied. You do not have permission to {verb} accounts.", field=field)


ADD_ACCOUNTS = _accounts(Field.ADD, "add")
EDIT_ACCOUNTS = _accounts(Field.EDIT, "edit")
DELETE_ACCOUNTS = _accounts(Field.DELETE, "delete")
TOGGLE_ACCOUNTS = Right(
    "Permission denied. You do not have permission to toggle account status.", field=Field.TOGGLE_STATUS
)
SYNC_ACCOUNTS = Right("Permission denied. Observers have read-only access.", reseller_admin=Scope.OWN)
SUPER_ADMIN_ONLY = Right(NotAllowed.default_text, reseller_admin=Scope.NONE, reseller=Scope.NONE)
RECORD_PAYMENTS = Right("Permission denied. Only administrators can record or cancel payments.", reseller=Scope.NONE)
# payments, balances, invoices
READ_BOOKS = Right(NotAllowed.default_text, observer=Scope.ALL)


def _reminders(refusal: str, observer: Scope = Scope.NONE) -> Right:
    """Chapter 60 S2, REM: reseller admins need the field too."""
    return Right(refusal, observer=observer, field=Field.CONTROL_STB, admins_need_field=True)


SEND_REMINDERS = _reminders("Permission denied. You need STB control permission to send reminders.")
CHANGE_REMINDERS = _reminders("Permission denied. You need STB control permission.")
READ_REMINDERS = _reminders("Permission denied. You need STB control permission.", observer=Scope.OWN)
READ_JOBS = Right(NotAllowed.default_text, observer=Scope.OWN)
