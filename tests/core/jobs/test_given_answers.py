"""Which of two askers makes an answer (contract README, "double clicks"); how they wait is in tests/compat."""

import time

import pytest

from core.jobs.given_answers import GivenAnswers, Nothing
from tests.conftest import MakeWorld
from tests.worlds.moments import after_first_look


@pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
def test_what_was_asked_before_and_now_comes_twice_is_made_once(make_world: MakeWorld, kind: str) -> None:
    panel = make_world(kind).panel
    answers = GivenAnswers(panel, kept_ms=1)
    with pytest.raises(Nothing):
        answers.begin("a session", "a renewal")
    answers.end("a session", "a renewal", b"first", keep=True)
    time.sleep(0.01)

    def click() -> None:
        with pytest.raises(Nothing):
            answers.begin("a session", "a renewal")

    with after_first_look(panel, click, "_sbx_given_answers"):
        assert answers.begin("a session", "a renewal") is None
    answers.end("a session", "a renewal", b"second", keep=True)
    assert answers.look("a session", "a renewal") == b"second"
