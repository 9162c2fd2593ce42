"""Requests of every kind to every endpoint, as everybody, in every encoding: no fault, no answer without envelope, no
secret (issue "no way in", "done when" 3).

A seeded sample here; ``make fuzz`` sends 20,000.
"""

import os

from core.access.identity import find_user
from tests.conftest import MakeWorld
from tests.worlds.fuzzing import SETTINGS, fuzz

REQUESTS = int(os.environ.get("FUZZ_REQUESTS") or 400)
SEED = int(os.environ.get("FUZZ_SEED") or 0)


def test_no_request_makes_a_fault_leaves_the_envelope_or_shows_a_secret(make_world: MakeWorld) -> None:
    world = make_world("sqlite", **SETTINGS)
    faults = fuzz(world, REQUESTS, SEED)
    assert find_user(world.panel, "admin") is not None
    assert not faults, "\n".join(faults)
