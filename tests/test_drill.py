"""The kill drill runs, counts, and can tell a difference (``python -m drill``, two rounds on SQLite)."""

from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from core.accounts.remove import DOUBTFUL
from core.errors import CommitUncertain
from drill import ground
from drill.__main__ import main
from drill.clients import Client, Expected, _is_unsure
from drill.proof import _against_portal, _balances, _promises
from tests.worlds.started import start_warm


def test_two_rounds_of_kills_on_sqlite_leave_no_difference(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start_warm(monkeypatch, ground)
    code = main(["--databases", "sqlite", "--rounds", "2", "--calls", "1", "--seed", "7"])
    told = capsys.readouterr().out
    assert code == 0, told
    assert "sqlite: 2 rounds" in told
    assert "sqlite: 0 differences" in told
    assert "killed: " in told


def test_what_says_that_it_may_have_been_done_is_no_promise() -> None:
    for text in (CommitUncertain.default_text, f"The account could not be deleted; {DOUBTFUL}"):
        assert _is_unsure({"error": 1, "message": text})
    assert not _is_unsure({"error": 1, "message": "The account could not be deleted"})
    assert _is_unsure({"error": 0, "pending": 1})
    assert _is_unsure(None)


def _row(**values: Any) -> SimpleNamespace:
    return SimpleNamespace(**values)


def test_the_drill_tells_what_differs() -> None:
    account = _row(status=1, end_date="2027-01-01")
    portal = {"there": {"status": "0", "end_date": "2027-01-02"}, "stray": {"status": "1", "end_date": ""}}
    assert _against_portal({"there": account, "gone": account}, portal) == [
        "stray: only on the portal",
        "gone: not on the portal",
        "there: status 1, on the portal 0",
        "there: ends 2027-01-01, on the portal 2027-01-02",
    ]
    users = {f"seller{number}": _row(id=number, balance=1_000_000) for number in range(1, 5)}
    sale = _row(for_user=1, amount=-10, type=0, details='Plan "Month" assigned for c1n0 ,c1n0 , 00:1A')
    assert _balances(users, [sale]) == ["seller1: balance 1000000, by the ledger 999990"]
    client = Client(1, "seller1", [], Random(1), {"c1n0": Expected("", exists=True, sales=2)})
    assert _promises(client, {}, [sale]) == [
        "c1n0: is not there, against what was answered",
        "c1n0: 1 paid, answered were 2 (+0)",
    ]
