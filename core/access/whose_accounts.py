"""Whose accounts a user sees."""

from core.access.actors import Actor


def whose_accounts(actor: Actor, *, view_all: bool) -> int | None:
    """Whose accounts the actor sees: None is everybody's, a number the reseller's with that id."""
    sees_all = sees_all_always(actor) or (actor.is_reseller_admin and view_all)
    return None if sees_all else actor.id


def sees_all_always(actor: Actor) -> bool:
    """Whether the actor sees everybody's accounts without asking for them."""
    return actor.super_user or actor.is_observer
