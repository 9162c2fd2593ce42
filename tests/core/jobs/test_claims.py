"""The one lease: who may take over what, and that of two who take over one thing only one gets it."""

import os
import subprocess
import sys
from dataclasses import dataclass

import pytest
import sqlalchemy as sa

from core.jobs import claims
from core.storage.tables import Claim
from tests.conftest import MakeWorld

NOW = 1_000


@dataclass
class _Row:
    owner: str | None
    lease_until: int


def _of_a_dead_process() -> str:
    source = "from core.jobs.claims import new_owner; print(new_owner())"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, env=os.environ)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("owner", "until", "free"),
    [
        (None, NOW + 1, True),
        ("elsewhere:1:2:3", NOW + 1, False),
        ("elsewhere:1:2:3", NOW, True),
        ("not even an owner", NOW + 1, False),
    ],
)
def test_free_is_what_was_let_go_or_ran_out(owner: str | None, until: int, free: bool) -> None:
    assert claims.is_free(_Row(owner, until), NOW) is free


def test_free_is_what_a_dead_process_holds_and_not_what_a_live_one_does() -> None:
    assert claims.is_free(_Row(_of_a_dead_process(), NOW + 1), NOW)
    assert not claims.is_free(_Row(claims.new_owner(), NOW + 1), NOW)


@pytest.mark.parametrize("owner", ["dead", None])
def test_of_two_that_take_over_one_thing_one_gets_it(make_world: MakeWorld, kind: str, owner: str | None) -> None:
    world = make_world(kind)
    row = {"channel": "sms", "owner": owner, "lease_until": 1, "claimed_at": 1}
    world.insert(Claim, [{"name": "x", **row}, {"name": "y", **row}])
    its = {"channel": "sms", "name": "x"}
    with world.panel.database.write() as connection:
        taken = [claims.change_held(connection, Claim, its, owner, claims.new_lease(NOW, 60)) for _ in range(2)]
    assert taken == [True, False]
    leases = world.rows(sa.select(Claim.name, Claim.lease_until).order_by(Claim.name))
    assert leases == [{"name": "x", "lease_until": NOW + 60}, {"name": "y", "lease_until": 1}]
