"""The import file: all or nothing, errors that name their place, what a second import does. Source: chapter 95 §15."""

import copy
from typing import Any

import pytest
import sqlalchemy as sa

from core.errors import InvalidInput
from core.storage.tables import User
from core.xtream.catalogue.exporting import export_file
from core.xtream.catalogue.file_format import read_data, read_file
from core.xtream.catalogue.importing import NotOwn, import_file
from core.xtream.families import OWN
from tests.conftest import MakeWorld
from tests.worlds.harness import World, user_row

WHOLE: dict[str, list[dict[str, Any]]] = {
    "servers": [
        {"id": 1, "name": "A", "host": "127.0.0.1", "secret": "env:S1", "is_main": True},
        {
            "id": 2,
            "name": "B",
            "host": "10.0.0.2",
            "port": 443,
            "scheme": "https",
            "dialect": "xc_old",
            "enabled": False,
        },
    ],
    "groups": [{"id": 6, "name": "VOD", "is_admin": True, "advanced": ["edit_movie"]}],
    "members": [{"username": "resa", "group": 6, "owner": "admin"}],
    "streams": [
        {"id": 5, "name": "News", "kind": "live", "servers": [1, 2]},
        {"id": 8, "name": "Episode", "kind": "episode", "servers": [2]},
        {"id": 9, "name": "Movie", "kind": "movie"},
    ],
    "series_episodes": [{"id": 1, "series": 3, "season": 1, "sort": 2, "stream": 8}],
    "bouquets": [{"id": 1, "name": "All", "channels": [5], "movies": [9], "series": [3]}],
    "lines": [{"id": 101, "username": "l", "member": "resa", "password": "env:P", "exp_date": 1900000000, "isp": "X"}],
    "devices": [{"line": 101, "kind": "mag", "mac": "00:1A:79:00:00:01"}, {"line": 101, "kind": "enigma2", "mac": "x"}],
    "connections": [{"id": 7, "line": 101, "stream": 5, "server": 1, "pid": 4242, "container": "ts"}],
}
ENVIRONMENT = {"S1": "secret-1", "P": "pw"}


@pytest.fixture
def world(make_world: MakeWorld, kind: str) -> World:
    world = make_world(kind)
    world.insert(User, [user_row(1, "admin", super_user=1), user_row(2, "resa")])
    return world


def _import(world: World, data: dict[str, Any], *, replace: bool = False) -> dict[str, int]:
    return import_file(world.panel, read_data(copy.deepcopy(data), ENVIRONMENT), replace=replace)


def _count(world: World, table: sa.Table) -> int:
    return int(world.rows(sa.select(sa.func.count().label("n")).select_from(table))[0]["n"])


def test_a_whole_file_comes_out_as_it_went_in_but_for_secrets(world: World) -> None:
    assert _import(world, WHOLE) == {key: len(items) for key, items in WHOLE.items()}
    exported = export_file(world.panel)
    again = read_data(copy.deepcopy(exported), {})
    for key, item in (("servers", "secret"), ("lines", "password")):
        assert all(item not in one for one in exported[key])
    assert [server.name for server in again.servers or []] == ["A", "B"]
    assert exported["streams"][2] == {
        "id": 9, "name": "Movie", "kind": "movie", "servers": [], "direct": False, "container": "mp4",
    }  # fmt: skip
    assert {group["id"] for group in exported["groups"]} == {1, 4, 6}, "the stock groups are there"
    before = world.rows(sa.text("SELECT * FROM _sbx_xt_server_control ORDER BY server_id"))
    assert "secret-1" not in repr(before)
    import_file(world.panel, again, replace=True)
    assert export_file(world.panel) == exported
    assert world.rows(sa.text("SELECT * FROM _sbx_xt_server_control ORDER BY server_id")) == before


def test_a_second_import_changes_by_id_and_deletes_nothing(world: World) -> None:
    _import(world, WHOLE)
    _import(world, {"streams": [{"id": 5, "name": "News 2", "kind": "live", "servers": [1]}], "lines": []})
    exported = export_file(world.panel)
    assert exported["streams"][0]["name"] == "News 2"
    assert exported["streams"][0]["servers"] == [1, 2]
    assert len(exported["lines"]) == 1


def test_replacing_makes_the_tables_what_the_file_says(world: World) -> None:
    _import(world, WHOLE)
    _import(world, {"streams": [{"id": 5, "name": "News", "kind": "live", "servers": [1]}], "lines": []}, replace=True)
    exported = export_file(world.panel)
    assert [(one["id"], one["servers"]) for one in exported["streams"]] == [(5, [1])]
    assert exported["lines"] == exported["devices"] == exported["connections"] == exported["series_episodes"] == []
    assert len(exported["servers"]) == 2, "a key that is not in the file is left alone"


BROKEN: dict[str, tuple[str, Any]] = {
    "unknown key": ("files", {"files": []}),
    "unknown field": ("servers[0].hots", {"servers": [{"id": 1, "name": "A", "host": "h", "hots": 1}]}),
    "wrong type": ("streams[0].id", {"streams": [{"id": "5", "name": "x", "kind": "live"}]}),
    "a flag is no number": ("streams[0].direct", {"streams": [{"id": 5, "name": "x", "kind": "live", "direct": 1}]}),
    "not a list": ("lines", {"lines": {}}),
    "missing field": ("lines[0].username", {"lines": [{"id": 1}]}),
    "unknown server": (
        "streams[1].servers[0]",
        {"streams": [{"id": 1, "name": "x", "kind": "live"}, {"id": 2, "name": "y", "kind": "live", "servers": [9]}]},
    ),
    "unknown user": ("lines[0].member", {"lines": [{"id": 1, "username": "x", "member": "nobody"}]}),
    "unknown group": ("members[0].group", {"members": [{"username": "resa", "group": 77}]}),
    "no episode": (
        "series_episodes[0].stream",
        {
            "streams": [{"id": 1, "name": "x", "kind": "live"}],
            "series_episodes": [{"id": 1, "series": 1, "season": 1, "sort": 1, "stream": 1}],
        },
    ),
    "twice": ("lines[1].id", {"lines": [{"id": 1, "username": "x"}, {"id": 1, "username": "y"}]}),
    "no such variable": ("servers[0].secret", {"servers": [{"id": 1, "name": "A", "host": "h", "secret": "env:NONE"}]}),
    "a host that is an address": ("servers[0].host", {"servers": [{"id": 1, "name": "A", "host": "http://h/"}]}),
}


@pytest.mark.parametrize(("place", "data"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_refused_as_a_whole(make_world: MakeWorld, place: str, data: Any) -> None:
    world = make_world("sqlite")
    world.insert(User, [user_row(2, "resa")])
    good = {"groups": [{"id": 9, "name": "x"}]}
    with pytest.raises(InvalidInput) as raised:
        _import(world, {**good, **data})
    assert raised.value.text.startswith(f"{place}: ")
    assert "http" not in raised.value.text
    assert _count(world, OWN.groups) == 0


def test_files_that_are_none() -> None:
    for content, text in ((b"[", "not valid JSON"), (b"[]", "one JSON object")):
        with pytest.raises(InvalidInput, match=text):
            read_file(content, {})


def test_a_bound_database_is_not_imported_into(make_world: MakeWorld, tmp_path: Any) -> None:
    (tmp_path / "x.db").touch()
    world = make_world("sqlite", SHOWBOX_XTREAM_DATABASE_URL=f"sqlite:///{tmp_path}/x.db")
    with pytest.raises(NotOwn):
        _import(world, {"groups": []})
