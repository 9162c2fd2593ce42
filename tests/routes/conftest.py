"""The synthetic data of the contract's golden cases."""

from collections.abc import Iterator

import pytest

from core.storage.tables import Account, User
from tests.conftest import MakeWorld
from tests.worlds.harness import World, user_row
from tests.worlds.plans import Plans, plans_world
from tests.worlds.resellers import Resellers, resellers_world
from tests.worlds.stb import Boxes, boxes_world


def fill_chapter_10(world: World) -> World:
    """admin, resa (2 of 4 accounts), obs, a reseller admin and a user without a name."""
    users = [
        user_row(
            1,
            "admin",
            name="Administrator",
            email="admin@example.com",
            super_user=1,
            balance=1000,
            permissions="1|1|1|1|1|1|1",
        ),
        user_row(2, "resa", name="Res A", email="a@example.com", permissions="1|1|0|0|1|0|0", balance="12.50"),
        user_row(3, "obs", is_observer=1, permissions=None),
        user_row(4, "radm", permissions="1|1|1|1|1"),
        user_row(5, "noname", name=None),
    ]
    accounts = [
        {"id": n, "username": f"acc{n}", "mac": f"00:1A:79:00:00:0{n}", "reseller": 2 if n < 3 else 1, "status": 1}
        for n in range(1, 5)
    ]
    world.insert_all([(User, users), (Account, accounts)])
    return world


@pytest.fixture
def world(make_world: MakeWorld, kind: str) -> World:
    """Chapter 10's world on each database, its sessions in PHP files."""
    return fill_chapter_10(make_world(kind))


@pytest.fixture
def sqlite_world(make_world: MakeWorld) -> World:
    """Chapter 10's world on SQLite, for what no database can change."""
    return fill_chapter_10(make_world("sqlite"))


@pytest.fixture
def boxes(make_world: MakeWorld, kind: str) -> Iterator[Boxes]:
    """Chapter 50's world on each database, with one portal server in use."""
    with boxes_world(make_world, kind) as boxes:
        yield boxes


@pytest.fixture
def dual_boxes(make_world: MakeWorld, kind: str) -> Iterator[Boxes]:
    """The same in dual-server mode."""
    with boxes_world(make_world, kind, dual=True) as boxes:
        yield boxes


@pytest.fixture
def light_boxes(make_world: MakeWorld) -> Iterator[Boxes]:
    """The same on SQLite only, for what no database can change."""
    with boxes_world(make_world, "sqlite") as boxes:
        yield boxes


@pytest.fixture
def resellers(make_world: MakeWorld, kind: str) -> Iterator[Resellers]:
    """Chapter 30's world on each database, with its portal."""
    with resellers_world(make_world, kind) as resellers:
        yield resellers


@pytest.fixture
def light_resellers(make_world: MakeWorld) -> Iterator[Resellers]:
    """The same on SQLite, for what no database can change; a portal call may take a second."""
    with resellers_world(make_world, "sqlite", seconds=1.0) as resellers:
        yield resellers


@pytest.fixture
def plans(make_world: MakeWorld, kind: str) -> Iterator[Plans]:
    """Chapter 40's world of plans on each database."""
    with plans_world(make_world, kind) as plans:
        yield plans


@pytest.fixture
def sqlite_plans(make_world: MakeWorld) -> Iterator[Plans]:
    """Chapter 40's world of plans on SQLite, for what no database can change."""
    with plans_world(make_world, "sqlite") as plans:
        yield plans
