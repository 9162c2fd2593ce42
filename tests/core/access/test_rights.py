"""The permission question: role, permission string, observer flag, ownership (contract chapters 30 A and E, README)."""

from dataclasses import replace

import pytest

from core.access.actors import Actor, bare_actor
from core.access.permissions import (
    ADD_ACCOUNTS,
    EDIT_ACCOUNTS,
    READ_BOOKS,
    READ_PORTAL_SETTINGS,
    RECORD_PAYMENTS,
    SUPER_ADMIN_ONLY,
    Field,
    Right,
    Scope,
    may,
    may_touch,
    require_over,
    scope_of,
)
from core.errors import NotAllowed

CONTROL = Right("no", reseller_admin=Scope.OWN, field=Field.CONTROL_STB, admins_need_field=True)

EITHER = replace(CONTROL, or_field=Field.ADD)


def _actor(permissions: str | None, *, super_user: bool = False, is_observer: bool = False) -> Actor:
    actor = bare_actor(2, "somebody", super_user=super_user)
    return replace(actor, permissions=permissions, is_observer=is_observer)


@pytest.mark.parametrize(
    ("actor", "right", "scope"),
    [
        (_actor("0|1"), ADD_ACCOUNTS, Scope.OWN),
        (_actor("1|0"), ADD_ACCOUNTS, Scope.NONE),
        (_actor("0|0|1"), ADD_ACCOUNTS, Scope.ALL),
        (_actor(None), ADD_ACCOUNTS, Scope.NONE),
        (_actor(None, super_user=True), ADD_ACCOUNTS, Scope.ALL),
        (_actor("1|1|1|1|1|1|1", is_observer=True), ADD_ACCOUNTS, Scope.NONE),
        (_actor("1|1|1|1|1|1|1", is_observer=True, super_user=True), ADD_ACCOUNTS, Scope.NONE),
        (_actor("1|1|1|1|1|1|1|1"), SUPER_ADMIN_ONLY, Scope.NONE),
        (_actor("0|0|1"), CONTROL, Scope.NONE),
        (_actor("0|0|1|0|1"), CONTROL, Scope.OWN),
        (_actor("0|0|0|0|1"), CONTROL, Scope.OWN),
        (_actor("0|1"), EITHER, Scope.OWN),
        (_actor("0|0|0|0|1"), EITHER, Scope.OWN),
        (_actor("1|0|1|1|0|1"), EITHER, Scope.NONE),
        (_actor("0|1", is_observer=True), EITHER, Scope.NONE),
        (_actor(None, super_user=True), EITHER, Scope.ALL),
        (_actor(None, is_observer=True), READ_PORTAL_SETTINGS, Scope.NONE),
        (_actor(None, is_observer=True, super_user=True), READ_PORTAL_SETTINGS, Scope.ALL),
        (_actor("1|1|1|1|1|1|1|1"), READ_PORTAL_SETTINGS, Scope.NONE),
        (_actor(None), READ_BOOKS, Scope.OWN),
        (_actor("1|1|0|1|1|1|1|1"), RECORD_PAYMENTS, Scope.NONE),
        (_actor("0|0|1"), RECORD_PAYMENTS, Scope.ALL),
        (_actor("0|0|1", is_observer=True), RECORD_PAYMENTS, Scope.NONE),
        (_actor(None, is_observer=True), READ_BOOKS, Scope.ALL),
        (_actor(None, is_observer=True, super_user=True), READ_BOOKS, Scope.ALL),
    ],
)
def test_how_far_a_right_reaches(actor: Actor, right: Right, scope: Scope) -> None:
    assert scope_of(actor, right) is scope
    assert may(actor, right) is (scope is not Scope.NONE)


@pytest.mark.parametrize(
    ("actor", "owner", "expected"),
    [
        (_actor("1"), 2, True),
        (_actor("0|1"), 2, False),
        (_actor("1"), 4, False),
        (_actor("1"), None, False),
        (_actor("0|0|1"), 4, True),
        (_actor(None, super_user=True), None, True),
        (_actor("1", is_observer=True), 2, False),
    ],
)
def test_what_belongs_to_whom(actor: Actor, owner: int | None, expected: bool) -> None:
    assert may_touch(actor, EDIT_ACCOUNTS, owner) is expected
    if expected:
        require_over(actor, EDIT_ACCOUNTS, owner)
        return
    with pytest.raises(NotAllowed):
        require_over(actor, EDIT_ACCOUNTS, owner)
