"""Every write endpoint × every way in which what it works with can fail: its answer is true.

``error`` 1: nothing was done; 0: it was; anything between says so in words and ends by itself. Afterwards nothing is
open. Generated from the declarations: a new endpoint joins by itself (:mod:`tests.worlds.deeds`), its steps are those
that it takes where nothing fails, and what it should have done is what it did then. Source: issue "Nothing lost", "It
is done when" 1, lines 3, 10 and 11.
"""

from collections.abc import Callable, Iterator, Sequence

import pytest

from core.accounts import operations, recovery
from core.storage import database as storage
from tests.conftest import MakeWorld
from tests.worlds.breaking import Steps, busy_places, changes, commits, ends
from tests.worlds.deeds import CHAPTERS, Deeds, deeds_of, deeds_world
from tests.worlds.truth import Healthy, standing

SETTINGS = {"SHOWBOX_SESSION_STORE": "sql", "SHOWBOX_JOBS_IN_PROCESS": "no"}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lasts is given up soon: here faults pass at once, or when the answer is there."""
    monkeypatch.setattr(storage, "_PAUSES", (0.002, 0.002))
    monkeypatch.setattr(recovery, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(recovery, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr(operations, "WAIT_SECONDS", 0.1)


# the database fails: where, and how
Places = Callable[[Sequence[str]], Sequence[int]]
DATABASE: dict[str, tuple[Places, Callable[[Steps, int], None]]] = {
    "gone": (ends, Steps.gone_from),
    "refused": (changes, Steps.never_takes),
    "lost": (ends, Steps.lost_once),
    "unanswered": (commits, Steps.unanswered),
}


@pytest.fixture
def deeds(make_world: MakeWorld, kind: str) -> Iterator[Deeds]:
    with deeds_world(make_world, kind, **SETTINGS) as deeds:
        yield deeds


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_database_that_fails_at_any_step(deeds: Deeds, chapter: str) -> None:
    complaints: list[str] = []
    with standing(deeds) as ground:
        for deed in deeds_of(chapter):
            healthy = ground.healthy(deed)
            for name, at, fail in _failures(ground.steps, healthy):
                session = ground.ready(deed)
                fail(ground.steps, at)
                response = deeds.do(deed, session)
                ground.steps.forget()
                if found := ground.complaint(deed, healthy, response):
                    complaints.append(f"{deed.name}, {name} at {at} ({healthy.seen[at][:60]}): {found}")
    assert not complaints, "\n\n".join(complaints)


def _failures(steps: Steps, healthy: Healthy) -> Iterator[tuple[str, int, Callable[[Steps, int], None]]]:
    is_file = steps.driver.says_begin
    for at in busy_places(healthy.seen, says_begin=is_file):
        yield "busy", at, Steps.busy_once
    for name, (places, fail) in DATABASE.items():
        if not (is_file and name in ("lost", "unanswered")):
            for at in places(healthy.seen):
                yield name, at, fail
