"""Users: who acts or is spoken of, and what is read off the stored permissions string."""

from dataclasses import dataclass
from decimal import Decimal

from core.values.currencies import shown_currency

RESELLER_ADMIN_FIELD = 2


@dataclass(frozen=True, slots=True)
class Actor:
    """A user as the database has it now: on whose behalf a request runs, or whom it is about.

    ``currency_id`` as stored, ``currency_name`` as it is shown.
    """

    id: int
    username: str
    name: str | None
    email: str | None
    balance: Decimal
    permissions: str | None
    max_users: int
    super_user: bool
    is_observer: bool
    currency_id: str | None
    currency_name: str | None
    theme: str | None
    ip_ranges: str | None
    plans: str | None
    timestamp: int | None

    def has_permission(self, index: int) -> bool:
        """Whether field ``index`` (from 0) of the permission string is ``1``; a missing field is off."""
        return has_field(self.permissions, index)

    @property
    def currency(self) -> str | None:
        """The code as every answer spells it."""
        return shown_currency(self.currency_id)

    @property
    def is_reseller_admin(self) -> bool:
        """Field 2 of the permission string, whatever else the user is."""
        return has_field(self.permissions, RESELLER_ADMIN_FIELD)

    @property
    def role(self) -> str:
        """The user type as the audit log writes it; ``system`` for what no user did."""
        if self.id == 0 and not self.super_user:
            return "system"
        if self.super_user:
            return "super_admin"
        if self.is_observer:
            return "observer"
        return "reseller_admin" if self.is_reseller_admin else "reseller"


def bare_actor(user_id: int, username: str, *, super_user: bool = False) -> Actor:
    """Somebody of whom no row is at hand: the command line, or a user who is gone."""
    return Actor(
        id=user_id,
        username=username,
        name=None,
        email=None,
        balance=Decimal(0),
        permissions=None,
        max_users=0,
        super_user=super_user,
        is_observer=False,
        currency_id=None,
        currency_name=None,
        theme=None,
        ip_ranges=None,
        plans=None,
        timestamp=None,
    )


def has_field(permissions: str | None, index: int) -> bool:
    """Whether field ``index`` (from 0) of a permission string is ``1``."""
    fields = (permissions or "").split("|")
    return len(fields) > index and fields[index].strip() == "1"
