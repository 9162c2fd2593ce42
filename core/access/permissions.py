"""May this actor do this, to that? The one place that answers: from role, permission string, observer flag and owner.

A :class:`Right` says for each role how far it reaches. What an endpoint declares is one of the rights below, so the
generated table of the docs shows what is enforced. Source: contract chapters 30 A and E, 60 S2, 50 R2.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum

from core.access.actors import Actor
from core.errors import NotAllowed


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
    """``refusal``: what those read who lack it, observers ``observer_refusal`` where it differs. ``field``: what a
    reseller needs in the permission string, and with ``admins_need_field`` a reseller admin too; ``or_field`` serves as
    well. ``reads``: nothing is changed, so that a super admin who is an observer too has it even if observers have
    not."""

    refusal: str
    super_admin: Scope = Scope.ALL
    reseller_admin: Scope = Scope.ALL
    reseller: Scope = Scope.OWN
    observer: Scope = Scope.NONE
    field: Field | None = None
    admins_need_field: bool = False
    observer_refusal: str | None = None
    or_field: Field | None = None
    reads: bool = False


def scope_of(actor: Actor, right: Right) -> Scope:
    """How far ``right`` reaches for ``actor``; an observer who is a super admin too reads as one and writes nothing."""
    fields = [field for field in (right.field, right.or_field) if field is not None]
    has_field = not fields or any(actor.has_permission(field) for field in fields)
    writes = right.observer is Scope.NONE and not right.reads
    if actor.is_observer and (writes or not actor.super_user):
        return right.observer if has_field else Scope.NONE
    if actor.super_user:
        return right.super_admin
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
        raise NotAllowed((actor.is_observer and right.observer_refusal) or right.refusal)


def require_over(actor: Actor, right: Right, owner: int | None) -> None:
    """As :func:`require`, for what belongs to ``owner``. Raises NotAllowed."""
    require(actor, right)
    if not may_touch(actor, right, owner):
        raise NotAllowed("Permission denied. You can only work on your own accounts.")


def _accounts(field: Field, verb: str) -> Right:
    return Right(f"Permission denied. You do not have permission to {verb} accounts.", field=field)


def _devices(what: str, or_field: Field | None = None) -> Right:
    return Right(
        f"Permission denied. Only administrators can send STB {what}.",
        reseller_admin=Scope.OWN,
        field=Field.CONTROL_STB,
        admins_need_field=True,
        or_field=or_field,
    )


ADD_ACCOUNTS = _accounts(Field.ADD, "add")
EDIT_ACCOUNTS = _accounts(Field.EDIT, "edit")
DELETE_ACCOUNTS = _accounts(Field.DELETE, "delete")
TOGGLE_ACCOUNTS = Right(
    "Permission denied. You do not have permission to toggle account status.", field=Field.TOGGLE_STATUS
)
SYNC_ACCOUNTS = Right("Permission denied. Observers have read-only access.", reseller_admin=Scope.OWN)
SUPER_ADMIN_ONLY = Right(
    "Permission denied. Only super admins may do this.", reseller_admin=Scope.NONE, reseller=Scope.NONE
)
CORRECT_TRANSACTIONS = Right(
    "Permission denied. Only admins and reseller admins can correct transactions.",
    reseller=Scope.NONE,
    observer_refusal="Permission denied. Your account is read-only.",
)
# whose dates the calendars of the frontends mark
READ_LEDGER_DATES = Right(NotAllowed.default_text, observer=Scope.ALL)
READ_MESSAGE_DATES = Right(NotAllowed.default_text, observer=Scope.OWN)
READ_AUDIT_DATES = Right(
    "Permission denied. Only super admins can see the audit log.",
    reseller_admin=Scope.NONE,
    reseller=Scope.NONE,
    reads=True,
)
READ_RESELLERS = Right(
    "Permission denied. Only administrators and reseller admins can see the resellers.",
    reseller=Scope.NONE,
    observer=Scope.ALL,
)
MANAGE_RESELLERS = Right(
    "Permission denied. Only administrators and reseller admins can manage resellers.", reseller=Scope.NONE
)
ADJUST_CREDIT = Right(
    "Permission denied. Only administrators and reseller admins can adjust credit.", reseller=Scope.NONE
)
ASSIGN_ACCOUNTS = Right("Only administrators can assign accounts to resellers", reseller=Scope.NONE)
USE_THEMES = Right("Permission denied. Only super admins can access themes.", reseller=Scope.NONE)


def _reminders(refusal: str, observer: Scope = Scope.NONE) -> Right:
    """Chapter 60 S2, REM: reseller admins need the field too."""
    return Right(refusal, observer=observer, field=Field.CONTROL_STB, admins_need_field=True)


SEND_REMINDERS = _reminders("Permission denied. You need STB control permission to send reminders.")
CHANGE_REMINDERS = _reminders("Permission denied. You need STB control permission.")
READ_REMINDERS = _reminders("Permission denied. You need STB control permission.", observer=Scope.OWN)
RECORD_PAYMENTS = Right("Permission denied. Only administrators can record or cancel payments.", reseller=Scope.NONE)
# payments, balances, invoices
READ_BOOKS = Right(NotAllowed.default_text, observer=Scope.ALL)
MANAGE_PLANS = Right("Permission denied. Only administrators can manage plans.", reseller=Scope.NONE)
READ_TARIFFS = Right("Permission denied. Only administrators can read the portal's tariffs.", reseller=Scope.NONE)
MESSAGING = Right("Permission denied. You do not have permission to send messages.", field=Field.MESSAGING)
READ_SMS = Right(NotAllowed.default_text, observer=Scope.OWN)
READ_JOBS = Right(NotAllowed.default_text, observer=Scope.OWN)
SEND_EVENTS = _devices("events")
SEND_MESSAGES = _devices("messages")
# the older endpoints, which the panel opened to those who may add accounts, and to reseller admins
SEND_EVENTS_AS_BEFORE = _devices("events", or_field=Field.RESELLER_ADMIN)
SEND_MESSAGES_AS_BEFORE = _devices("messages", or_field=Field.ADD)
READ_STB_LOG = Right(NotAllowed.default_text, observer=Scope.OWN)
READ_PORTAL_SETTINGS = Right(
    "Permission denied. Only super admins can see the portal settings.",
    reseller_admin=Scope.NONE,
    reseller=Scope.NONE,
    reads=True,
)
CHANGE_PORTAL_SETTINGS = Right(
    "Permission denied. Only super admins can change the portal settings.",
    reseller_admin=Scope.NONE,
    reseller=Scope.NONE,
)
EXPORT_DATABASE = Right("Permission denied. Only administrators can back up the database.", reseller=Scope.NONE)
# reseller admins only where the configuration says so
IMPORT_DATABASE = Right("Permission denied. Only super admins can restore the database.", reseller=Scope.NONE)
_MAIL_REFUSAL = "Permission denied. Only super admins can use mail."
READ_MAIL = Right(_MAIL_REFUSAL, reseller_admin=Scope.NONE, reseller=Scope.NONE, reads=True)
USE_MAIL = Right(_MAIL_REFUSAL, reseller_admin=Scope.NONE, reseller=Scope.NONE)
CHANGE_BOT = Right(
    "Permission denied. Only super admins can set up the Telegram bot.",
    reseller_admin=Scope.NONE,
    reseller=Scope.NONE,
)
SEE_BOT = Right(
    "Permission denied. Only super admins can see the Telegram bot.",
    reseller_admin=Scope.NONE,
    reseller=Scope.NONE,
    reads=True,
)
SEND_TELEGRAM = Right(
    "Permission denied. Only administrators and reseller admins can send Telegram messages.", reseller=Scope.NONE
)
READ_TELEGRAM = Right(
    "Permission denied. Only administrators and reseller admins can see the Telegram messages.",
    reseller=Scope.NONE,
    reads=True,
)


def is_unpaid(actor: Actor) -> bool:
    """Whether the user buys without balance: super admins and reseller admins."""
    return actor.super_user or actor.is_reseller_admin
