"""Every write endpoint × every way in which what it works with can fail: its answer is true.

``error`` 1: nothing was done; 0: it was; anything between says so in words and ends by itself. Afterwards nothing is
open. Generated from the declarations: a new endpoint joins by itself (:mod:`tests.worlds.deeds`), its steps are those
that it takes where nothing fails, and what it should have done is what it did then. Source: issue "Nothing lost", "It
is done when" 1, lines 3, 10 and 11.
"""

from collections.abc import Iterator, Sequence

import pytest

from core.accounts import operations, recovery
from core.storage import database as storage
from simulators.faults import Cut, Fault, Refuse
from tests.conftest import MakeWorld
from tests.worlds.breaking import Steps, breakable_sqlite, changes, ends, transactions
from tests.worlds.deeds import CHAPTERS, DEEDS, Deed, Deeds, deeds_of, deeds_world
from tests.worlds.harness import Client
from tests.worlds.truth import Ground, standing

SETTINGS = {"SHOWBOX_SESSION_STORE": "sql", "SHOWBOX_JOBS_IN_PROCESS": "no"}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lasts is given up soon: here faults pass at once, or when the answer is there."""
    monkeypatch.setattr(storage, "_PAUSES", (0.002, 0.002))
    monkeypatch.setattr(recovery, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(operations, "WAIT_SECONDS", 0.1)


# the database fails: where, and how
DATABASE = {
    "busy": (transactions, Steps.busy_once),
    "gone": (ends, Steps.gone_from),
    "refused": (changes, Steps.never_takes),
}


@pytest.fixture
def deeds(make_world: MakeWorld) -> Iterator[Deeds]:
    with deeds_world(make_world, "sqlite", **SETTINGS) as deeds:
        yield deeds


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_database_that_fails_at_any_step(deeds: Deeds, chapter: str) -> None:
    with breakable_sqlite(deeds.panel) as steps, standing(deeds) as ground:
        complaints: list[str] = []
        for deed in deeds_of(chapter):
            healthy = ground.healthy(deed)
            seen = _steps(ground, deed, steps)
            assert transactions(seen), (deed, "it writes nothing, also not that its session was used")
            for name, (places, fail) in DATABASE.items():
                for at in places(seen):
                    session = _ready(ground, deed)
                    fail(steps, at)
                    response = deeds.do(deed, session)
                    steps.forget()
                    if found := ground.complaint(deed, healthy, response):
                        complaints.append(f"{deed.name}, {name} at {at} ({seen[at][:60]}): {found}")
    assert not complaints, "\n\n".join(complaints)


def _steps(ground: Ground, deed: Deed, steps: Steps) -> Sequence[str]:
    """What the deed asks of the database."""
    session = _ready(ground, deed)
    steps.forget()
    ground.deeds.do(deed, session)
    return list(steps.seen)


def _ready(ground: Ground, deed: Deed) -> Client:
    """A session for the deed, nothing of which is done yet."""
    ground.undo()
    return ground.deeds.session(deed)


# the portal fails


# that is late, or says what is not so: tests.core.accounts.test_operations
PORTAL: dict[str, Fault] = {"down": Refuse(), "half": Cut()}
# what could not be sent is logged, and its job is done
_LOGGED = frozenset({"_stb_action_logs", "_sbx_jobs"})


@pytest.mark.parametrize("fault", PORTAL)
def test_a_portal_that_fails_at_any_call(deeds: Deeds, fault: str) -> None:
    complaints: list[str] = []
    with standing(deeds) as ground:
        for deed in DEEDS:
            healthy = ground.healthy(deed)
            calls = list(deeds.portal.calls)
            for at, call in enumerate(calls):
                # what a box was sent cannot be looked up: then the portal's word is all that is known
                if fault != "down" and "accounts/" not in call:
                    continue
                session = _ready(ground, deed)
                deeds.portal.fail("*", PORTAL[fault], after=at)
                response = deeds.do(deed, session)
                deeds.portal.clear_faults()
                if found := ground.complaint(deed, healthy, response, kept=_LOGGED):
                    complaints.append(f"{deed.name}, {fault} at {call}: {found}")
    assert not complaints, "\n\n".join(complaints)
