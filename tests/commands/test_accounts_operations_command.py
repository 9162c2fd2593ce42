"""``flask --app wsgi operations``: what is open is shown, finished, or closed by hand."""

from collections.abc import Iterator

import pytest
from flask import Flask

import commands
from simulators.faults import Answer
from simulators.wire import Response
from tests.conftest import MakeWorld
from tests.worlds.accounts import Accounts, accounts_world


@pytest.fixture
def dual(make_world: MakeWorld, kind: str) -> Iterator[Accounts]:
    with accounts_world(make_world, kind, dual=True) as accounts:
        yield accounts


def _run(accounts: Accounts, *arguments: str) -> tuple[int, str]:
    app = Flask("commands")
    commands.register(app, accounts.panel)
    result = app.test_cli_runner().invoke(args=["operations", *arguments])
    return result.exit_code, result.output


def test_open_operations_are_listed_and_finished(dual: Accounts) -> None:
    assert _run(dual) == (0, "No open operations.\n")
    dual.portals[1].fail("PUT accounts", Answer(Response(b"<html>")), times=2)
    assert dual.post("admin", "edit_account", original_username="user001", name="Other")["warning"] == 1
    code, listed = _run(dual)
    assert code == 0
    assert "change user001 00:1A:79:00:00:01: confirming" in listed
    assert "server 2: The portal gave an invalid answer" in listed
    code, finished = _run(dual, "finish")
    assert (code, "still open" in finished) == (1, True)
    code, finished = _run(dual, "finish")
    assert (code, "1 of 1 closed" in finished) == (0, True)
    assert _run(dual) == (0, "No open operations.\n")


def test_one_is_closed_by_hand(dual: Accounts) -> None:
    dual.portals[1].fail("PUT accounts", Answer(Response(b"<html>")))
    dual.post("admin", "edit_account", original_username="user001", name="Other")
    [left] = dual.open_operations()
    assert _run(dual, "resolve", str(left["id"])) == (0, f"Operation {left['id']} closed.\n")
    code, output = _run(dual, "resolve", "999")
    assert (code, output) == (1, "Error: There is no open operation 999\n")


def test_what_was_undone_in_the_background_is_listed_with_its_reason(dual: Accounts) -> None:
    dual.portals[1].fail("PUT accounts", Answer(Response(b"<html>")))
    dual.post("admin", "edit_account", original_username="user001", name="Other")
    [left] = dual.open_operations()
    _run(dual, "resolve", str(left["id"]))
    reason = "The database cannot store this change"
    dual.world.execute(f"UPDATE _sbx_operations SET state = 'undone', error = '{reason}' WHERE id = {left['id']}")
    code, listed = _run(dual)
    assert (code, listed.splitlines()[:2]) == (0, ["No open operations.", "Undone in the background:"])
    assert listed.splitlines()[2].startswith(f"{left['id']}  ")
    assert "change user001 00:1A:79:00:00:01: undone" in listed
    assert listed.endswith(f"    {reason}\n")
