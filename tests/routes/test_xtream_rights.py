"""Who may do what through the Xtream API: every action and sub-action for every kind of caller, in each family.

Source: contract chapter 95 §3 and §16.2.
"""

from collections.abc import Iterator

import pytest

from core.storage.tables import User
from core.storage.tables.xtream import XtreamMember
from core.xtream.permissions import advanced_of
from legacy_routes.xtream.api import ACTIONS
from tests.conftest import MakeWorld
from tests.worlds.harness import legacy_hash, user_row
from tests.worlds.xtream import NEW, OLD, Xtream, no, xtream_world

DENIED, NOT_LOGGED_IN = no(3, "Permission denied"), no(2, "Not logged in")
CALLERS = ("root", "vodop", "resa", "resb", "suba", "watcher", "disabled", None)
OWNERS = {"root", "resa"}
# (action, sub) → query without them, and who may; line 101 and its connection are resa's
MATRIX: dict[tuple[str, str | None], tuple[str, set[str]]] = {
    ("user_activity", "kill"): ("pid=4242&server_id=1", OWNERS),
    ("stream", "start"): ("stream_id=5&server_id=1", {"root"}),
    ("stream", "stop"): ("stream_id=5&server_id=1", {"root"}),
    ("stream", "restart"): ("stream_id=5&server_id=1", {"root"}),
    ("stream", "delete"): ("stream_id=5&server_id=1", {"root"}),
    ("movie", "start"): ("stream_id=6&server_id=1", {"root", "vodop"}),
    ("movie", "stop"): ("stream_id=6&server_id=1", {"root", "vodop"}),
    ("movie", "delete"): ("stream_id=6&server_id=1", {"root", "vodop"}),
    ("episode", "start"): ("stream_id=8&server_id=2", {"root", "vodop"}),
    ("episode", "stop"): ("stream_id=8&server_id=2", {"root", "vodop"}),
    ("episode", "delete"): ("stream_id=8&server_id=2", {"root", "vodop"}),
    ("user", "enable"): ("user_id=101", OWNERS),
    ("user", "disable"): ("user_id=101", OWNERS),
    ("user", "ban"): ("user_id=101", {"root"}),
    ("user", "unban"): ("user_id=101", {"root"}),
    ("user", "resetispuser"): ("user_id=101", {"root"}),
    ("user", "lockk"): ("user_id=101", {"root"}),
    ("user", "unlockk"): ("user_id=101", {"root"}),
    ("user", "kill"): ("user_id=101", OWNERS),
    ("user", "delete"): ("user_id=101", {"root"}),
    ("process", None): ("server=1&pid=777", {"root"}),
}


def test_the_matrix_covers_everything() -> None:
    declared = {(name, sub) for name, action in ACTIONS.items() for sub in action.subs or (None,)}
    assert set(MATRIX) == declared


@pytest.fixture(params=["own sqlite", NEW, OLD])
def xtream(request: pytest.FixtureRequest, make_world: MakeWorld) -> Iterator[Xtream]:
    with xtream_world(make_world, request.param) as xtream:
        yield xtream


@pytest.mark.parametrize("caller", CALLERS, ids=str)
def test_every_action_and_sub(xtream: Xtream, caller: str | None) -> None:
    name = caller
    if caller == "disabled":
        name = "root"
        xtream.switch_off("root")
    before = xtream.rows("lines")
    for (action, sub), (fields, allowed) in MATRIX.items():
        query = f"action={action}&{fields}" + (f"&sub={sub}" if sub else "")
        expected = True if caller in allowed else NOT_LOGGED_IN if caller in (None, "disabled") else DENIED
        assert xtream.answer(name, query) == expected, (action, sub)
    if caller not in OWNERS:
        assert xtream.rows("lines") == before
    if caller in (None, "disabled", "watcher", "suba", "resb"):
        assert xtream.a.calls == xtream.b.calls == []


def test_a_reseller_with_the_rights_of_group_5(xtream: Xtream) -> None:
    for sub in ("disable", "enable", "lockk", "unlockk", "resetispuser", "kill"):
        assert xtream.answer("resb", f"action=user&sub={sub}&user_id=104") is True, sub
    for sub in ("ban", "unban"):
        assert xtream.answer("resb", f"action=user&sub={sub}&user_id=104") == DENIED, sub
    if xtream.is_bound:
        xtream.update("admin_settings", {"type": "reseller_can_isplock"}, value="0")
        assert xtream.answer("resb", "action=user&sub=lockk&user_id=104") == DENIED
        assert xtream.answer("resb", "action=user&sub=resetispuser&user_id=104") is True
    assert xtream.answer("resb", "action=user&sub=delete&user_id=104") is True


def test_missing_groups_and_links_let_nobody_in(xtream: Xtream) -> None:
    xtream.world.execute("DELETE FROM _sbx_xt_groups WHERE group_id = 5")
    if xtream.is_bound:
        xtream.update("accounts", {"id": 20}, member_group_id=77)
        xtream.update("accounts", {"id": 1}, id=900)
        assert xtream.answer("root", "action=process&server=1&pid=777") == NOT_LOGGED_IN
    assert xtream.answer("resb", "action=user&sub=kill&user_id=104") == NOT_LOGGED_IN


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        (None, None),
        ("", None),
        (" ", None),
        ("[]", None),
        ('["edit_user"]', {"edit_user"}),
        ("{", set()),
        ('"edit_user"', set()),
        ("[1]", set()),
    ],
)
def test_lists_of_advanced_names(pages: str | None, expected: set[str] | None) -> None:
    assert advanced_of(6, pages) == expected
    assert advanced_of(1, pages) is None


# without a link: the panel's own roles


@pytest.fixture
def panel_roles(make_world: MakeWorld) -> Iterator[Xtream]:
    """Line 101 of ``full``, 102 of ``bare``, 103 of nobody, 104 of a user that ``radm`` owns."""
    with xtream_world(make_world, "own sqlite") as xtream:
        users = [
            ("boss", "0|0|0|0|0", 1),
            ("full", "0|0|0|1|1|1", 0),
            ("bare", "0|0|0|0|0|0", 0),
            ("radm", "0|0|1|0|0", 0),
        ]
        rows = [
            user_row(100 + number, "admin")
            | {"username": name, "password": legacy_hash("x"), "permissions": permissions, "super_user": super_user}
            for number, (name, permissions, super_user) in enumerate(users)
        ]
        link = {"user_id": 200, "member_group_id": 4, "owner_id": 103}
        xtream.world.insert_all([(User, rows), (XtreamMember, [link])])
        for line, owner in ((101, 101), (102, 102), (103, None), (104, 200)):
            xtream.update("lines", {"id": line}, member_id=owner)
        yield xtream


def _as_user(xtream: Xtream, name: str, query: str) -> object:
    return xtream.world.php_login(name).get(f"/api.php?{query}").json()["result"]


def test_panel_roles(panel_roles: Xtream) -> None:
    expected = {
        "boss": {101: True, 102: True, 103: True, 104: True},
        "full": {101: True, 102: False, 103: False, 104: False},
        "bare": {101: False, 102: False, 103: False, 104: False},
    }
    for name, lines in expected.items():
        for line, allowed in lines.items():
            answer = _as_user(panel_roles, name, f"action=user&sub=disable&user_id={line}")
            assert answer is allowed, (name, line)
    assert _as_user(panel_roles, "bare", "action=user&sub=kill&user_id=102") is True, "kill needs no bit"
    assert _as_user(panel_roles, "radm", "action=user&sub=kill&user_id=104") is True, "of an account that it owns"
    assert _as_user(panel_roles, "radm", "action=user&sub=kill&user_id=103") is False
    for sub in ("lockk", "delete"):
        assert _as_user(panel_roles, "bare", f"action=user&sub={sub}&user_id=102") is False
        assert _as_user(panel_roles, "full", f"action=user&sub={sub}&user_id=101") is True
    assert _as_user(panel_roles, "boss", "action=process&server=1&pid=777") is True
    assert _as_user(panel_roles, "full", "action=process&server=1&pid=777") is False
