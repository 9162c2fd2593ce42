"""A database whose clock runs in another zone than the panel (issue 11, line 21)."""

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from commands.database import database_command
from core.administration.database_clock import zone_warnings
from core.values.clock import Clock
from tests.conftest import MakeWorld
from tests.worlds.harness import World


@pytest.fixture
def in_zone(make_world: MakeWorld) -> Iterator[Callable[[str], World]]:
    world = make_world("mariadb")
    with world.panel.database.read() as connection:
        minutes = connection.scalar(sa.text("SELECT TIMESTAMPDIFF(MINUTE, UTC_TIMESTAMP(), NOW())"))
    assert minutes == 0, "the tests' MariaDB is expected to run in UTC"

    def change(zone: str) -> World:
        world.panel.clock = Clock(zone)
        return world

    original = world.panel.clock
    yield change
    world.panel.clock = original


def test_a_database_in_utc_below_a_panel_elsewhere_is_told_by_db_check(in_zone: Callable[[str], World]) -> None:
    world = in_zone("Asia/Tehran")
    [warning] = zone_warnings(world.panel)
    assert "runs at UTC+00:00, the panel's zone Asia/Tehran at UTC+03:30" in warning
    printed = CliRunner().invoke(database_command(world.panel), ["check"]).output
    assert f"Warning: {warning}" in printed


@pytest.mark.parametrize("zone", ["UTC", "Africa/Abidjan"])
def test_one_clock_needs_no_warning(in_zone: Callable[[str], World], zone: str) -> None:
    assert zone_warnings(in_zone(zone).panel) == []


def test_databases_that_no_php_panel_runs_on_have_no_say(make_world: MakeWorld) -> None:
    world = make_world("sqlite")
    assert world.panel.clock.zone.key == "Asia/Tehran"
    assert zone_warnings(world.panel) == []
