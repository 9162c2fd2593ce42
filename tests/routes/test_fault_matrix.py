"""Every write endpoint × every way in which what it works with can fail: its answer is true.

``error`` 1: nothing was done; 0: it was; anything between says so in words and ends by itself. Afterwards nothing is
open. Generated from the declarations: a new endpoint joins by itself (:mod:`tests.worlds.deeds`), its steps are those
that it takes where nothing fails, and what it should have done is what it did then. Source: issue "Nothing lost", "It
is done when" 1, lines 3, 10 and 11.
"""

from collections.abc import Iterator
from contextlib import suppress

import pytest
import requests

from core.accounts import operations, recovery
from core.backup import backups
from core.messages import delivery
from core.storage import database as storage
from tests.conftest import MakeWorld
from tests.worlds.deeds import CHAPTERS, Deed, Deeds, deeds_of, deeds_world
from tests.worlds.failing import Case, Cases, NeverCame
from tests.worlds.truth import Ground, read, standing

SETTINGS = {"SHOWBOX_SESSION_STORE": "sql", "SHOWBOX_JOBS_IN_PROCESS": "no"}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lasts is given up soon: here faults pass at once, or when the answer is there."""
    monkeypatch.setattr(storage, "_PAUSES", (0.002, 0.002))
    monkeypatch.setattr(recovery, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(recovery, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr(operations, "WAIT_SECONDS", 0.1)
    monkeypatch.setattr(backups, "_WAIT_SECONDS", 0.1)
    monkeypatch.setattr(delivery, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(delivery, "_POLL_SECONDS", 0.01)


@pytest.fixture
def deeds(make_world: MakeWorld, kind: str) -> Iterator[Deeds]:
    with deeds_world(make_world, kind, **SETTINGS) as deeds:
        yield deeds


@pytest.mark.every_kind
@pytest.mark.one_process("what fails is the database of one process, and that one is killed")
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_its_answer_is_true_whatever_fails(deeds: Deeds, chapter: str) -> None:
    complaints: list[str] = []
    with standing(deeds) as ground:
        for deed in deeds_of(chapter):
            healthy = ground.healthy(deed)
            for case in Cases(ground, deed, healthy):
                response = _done(ground, deed, case)
                found = ground.complaint(deed, healthy, response, kept=case.kept, believes=case.believes)
                if case.must_work and response is not None and read(response)["error"] != 0:
                    found = f"it does not work: {response.text}"
                if found:
                    complaints.append(f"{deed.name}, {case.name}: {found}")
    assert not complaints, "\n\n".join(complaints)


def _done(ground: Ground, deed: Deed, case: Case) -> requests.Response | None:
    """The answer while it fails. What a process asks by the clock can make one step more or less: then once again."""
    with suppress(NeverCame):
        return case.do(ground.ready(deed))
    return case.do(ground.ready(deed))


@pytest.mark.one_process("the steps of one process are seen")
def test_an_untrue_answer_is_complained_of(make_world: MakeWorld) -> None:
    with deeds_world(make_world, "sqlite", **SETTINGS) as deeds, standing(deeds) as ground:
        [deed] = [deed for deed in deeds_of("40") if deed.name == "remove_plan"]
        healthy = ground.healthy(deed)
        good = deeds.do(deed, ground.ready(deed))
        assert ground.complaint(deed, healthy, good) is None
        refused = deeds.do(deed, deeds.session(deed))
        assert "changed gone _plans" in str(ground.complaint(deed, healthy, refused))
        ground.undo()
        assert "changed nothing" in str(ground.complaint(deed, healthy, good))
        # half of it, which nobody tells of
        deeds.world.execute("DELETE FROM _plans WHERE id = 12")
        assert "_audit_log" in str(ground.complaint(deed, healthy, good))
        assert "_audit_log" in str(ground.complaint(deed, healthy, None))
