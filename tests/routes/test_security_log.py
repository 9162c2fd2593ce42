"""The log of refusals (issue "no way in", line 13)."""

import logging

import pytest

from tests.conftest import MakeWorld
from tests.routes.conftest import fill_chapter_10


@pytest.mark.parametrize("wanted", ["yes", "no"])
def test_13_refusals_are_logged_where_wished_without_values(
    make_world: MakeWorld, caplog: pytest.LogCaptureFixture, wanted: str
) -> None:
    world = fill_chapter_10(make_world("sqlite", SHOWBOX_SECURITY_LOG_REFUSALS=wanted))
    resa = world.client("resa")
    with caplog.at_level(logging.WARNING, logger="showbox.security"):
        world.client().post("/login.php", {"username": "typed-name", "password": "typed-secret"})
        world.client().get("/get_accounts.php?secret=in-query")
        resa.post("/adjust_credit.php", {"reseller_id": 1, "amount": "31337", "action": "add"})
        resa.request("POST", "/update_password.php", headers={"Origin": "http://evil.example"})
        resa.get("/get_user_info.php")
    lines = [record.message for record in caplog.records if record.name == "showbox.security"]
    if wanted == "no":
        assert lines == []
        return
    assert [line.partition(":")[0] for line in lines] == [
        "refused POST /login.php",
        "refused GET /get_accounts.php",
        "refused POST /adjust_credit.php",
        "refused POST /update_password.php",
    ]
    assert "user 'resa', from 127.0.0.1" in lines[2]
    assert "user nobody" in lines[1]
    text = " ".join(lines)
    assert not any(value in text for value in ("typed", "31337", "in-query", "evil", resa.session_id))
