"""The synthetic data of the contract's golden cases."""

import pytest

from core.models import Account, User
from tests.conftest import MakeWorld
from tests.harness import World, user_row


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
