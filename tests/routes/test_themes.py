"""The golden cases 54 to 59 of contract chapter 30 F, and what else a theme for all accounts of a reseller may meet."""

import json
import time
from dataclasses import asdict
from typing import Any

import pytest
import sqlalchemy as sa

from core.access.actors import bare_actor
from core.access.audit import By, Origin
from core.jobs.jobs import LEASE_SECONDS, work_off
from core.jobs.locks import named_lock
from core.resellers import themes
from core.resellers.edit import ResellerEdit, edit_reseller
from core.resellers.themes import ThemeCounts, propagate
from core.storage.tables import Account, Job
from simulators.faults import Answer, Delay, Hang, HangUp
from simulators.wire import Response
from tests.conftest import MakeWorld
from tests.worlds.accounts import MAC
from tests.worlds.harness import ENCODINGS, PREFIXES
from tests.worlds.resellers import DARK, DEFAULT_THEME, Resellers, refused, resellers_world
from tests.worlds.waiting import until

SCRIPT = "POST update_account.php"
BULK = "update_reseller_accounts_theme"


@pytest.fixture(autouse=True)
def _without_pauses(request: pytest.FixtureRequest) -> None:
    for name in {"resellers", "light_resellers"} & set(request.fixturenames):
        request.getfixturevalue(name).configure("portal", theme_pause_seconds=0.0)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_golden_54_55_the_list(resellers: Resellers, prefix: str) -> None:
    answer = resellers.get("admin", f"{prefix}get_themes.php")
    named = [
        (DEFAULT_THEME, f"{DEFAULT_THEME} (Default)"),
        ("HenSoft-TV Realistic-Centered", "HenSoft-TV Realistic-Centered"),
        (DARK, DARK),
        ("HenSoft-TV Realistic-Light", "HenSoft-TV Realistic-Light"),
        ("cappuccino", "Cappuccino"),
        ("digital", "Digital"),
        ("emerald", "Emerald"),
        ("graphite", "Graphite"),
        ("ocean_blue", "Ocean Blue"),
    ]
    expected: list[dict[str, Any]] = [{"id": theme, "name": name} for theme, name in named]
    expected[0]["is_default"] = True
    assert answer == {"error": 0, "themes": expected}
    assert resellers.get("readmin", f"{prefix}get_themes.php") == answer
    for who in ("reseller1", "watcher"):
        text = "Permission denied. Only super admins can access themes."
        refused(resellers.get(who, f"{prefix}get_themes.php"), 3, text)


def test_the_list_is_configurable(light_resellers: Resellers) -> None:
    light_resellers.configure("panel", themes=("night_sky", "Plain TV"), default_theme="Plain TV")
    assert light_resellers.get("admin", "/get_themes.php")["themes"] == [
        {"id": "Plain TV", "name": "Plain TV (Default)", "is_default": True},
        {"id": "night_sky", "name": "Night Sky"},
    ]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_golden_56_all_accounts(resellers: Resellers, prefix: str, encoding: str) -> None:
    fields = {"reseller_id": "2", "theme": "emerald"}
    answer = resellers.client("admin").post(f"{prefix}{BULK}.php", fields, encoding).json()
    assert answer == {
        "error": 0,
        "err_msg": "Theme updated successfully for all 3 accounts.",
        "details": {"total": 3, "updated": 3, "failed": 0},
    }
    assert [form["login"] for form in resellers.themed] == ["user00002", "user00005", "user00006"]
    assert resellers.world.user("reseller1")["theme"] == DEFAULT_THEME
    [audit] = resellers.audit("update", "theme")
    assert (audit["target_name"], audit["new_value"]) == ("reseller1", '{"theme":"emerald"}')
    assert "theme-key" not in str(audit)
    [job] = resellers.world.rows(sa.select(Job.state, Job.payload, Job.actor_id))
    assert (job["state"], job["actor_id"]) == ("done", 1)
    assert "theme-key" not in job["payload"]


def test_golden_57_some_failed(resellers: Resellers) -> None:
    answer = resellers.post("readmin", BULK, reseller_id=5, theme="emerald")
    assert answer == {
        "error": 0,
        "warning": 1,
        "warning_text": "Theme updated for 0/1 accounts. 1 failed.",
        "err_msg": "Theme updated for 0/1 accounts. 1 failed.",
        "details": {"total": 1, "updated": 0, "failed": 1, "errors": ["user00003: Invalid response"]},
    }
    resellers.world.execute(sa.update(Account).where(Account.id == 6).values(username=""))
    answer = resellers.post("readmin", BULK, reseller_id=2, theme="emerald")
    assert answer["details"] == {"total": 3, "updated": 2, "failed": 1, "errors": [": Invalid response"]}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_golden_58_what_is_refused(resellers: Resellers, encoding: str) -> None:
    cases: list[tuple[str, dict[str, Any], int, str | None]] = [
        ("admin", {"reseller_id": "2"}, 6, "Missing required fields"),
        ("admin", {"theme": "emerald"}, 6, "Missing required fields"),
        ("admin", {"reseller_id": "2", "theme": "a&login=x"}, 6, None),
        ("admin", {"reseller_id": "99", "theme": "emerald"}, 4, None),
        ("admin", {"reseller_id": "1", "theme": "emerald"}, 4, None),
        ("reseller1", {"reseller_id": "2", "theme": "emerald"}, 3, None),
        ("watcher", {"reseller_id": "2", "theme": "emerald"}, 3, None),
    ]
    for who, fields, code, text in cases:
        refused(resellers.post(who, BULK, encoding, **fields), code, text)
    assert resellers.portal.requests == []


def test_golden_59_the_portal_is_down(resellers: Resellers) -> None:
    rows = [{"id": 100 + n, "username": f"u{n}", "mac": f"m{n}", "reseller": 4} for n in range(1000)]
    with resellers.panel.database.write() as connection:
        connection.execute(sa.insert(Account), rows)
    resellers.portal.stop_listening()
    started = time.monotonic()
    answer = resellers.post("admin", BULK, reseller_id=4, theme="emerald")
    # a tenth of a second each would be 100
    assert time.monotonic() - started < 50
    details = answer["details"]
    assert (details["total"], details["updated"], details["failed"]) == (1000, 0, 1000)
    assert details["errors"] == [f"u{n}: Connection failed" for n in range(1000)]
    address = resellers.portal.server_address.removeprefix("http://")
    assert address not in str(answer)
    assert address.partition(":")[2] not in str(answer)


ODD_ANSWERS = [
    (Answer(Response(b"\xef\xbb\xbf OK\r\n", content_type="text/html")), None),
    (Answer(Response(b"ok")), "Invalid response"),
    (Answer(Response(b"<html>OK</html>")), "Invalid response"),
    (Answer(Response(b"OK", 500)), "Invalid response"),
    (Answer(Response(b"OK", 404)), "Invalid response"),
    (Answer(Response(b"OK", 302, headers={"Location": "/elsewhere"})), "Invalid response"),
    (HangUp(), "Connection failed"),
    (Hang(), "Connection timeout"),
]


@pytest.mark.parametrize(("fault", "reason"), ODD_ANSWERS, ids=lambda item: type(item).__name__)
def test_what_counts_as_done(light_resellers: Resellers, fault: Any, reason: str | None) -> None:
    light_resellers.portal.fail(SCRIPT, fault, after=1)
    details = light_resellers.post("admin", BULK, reseller_id=2, theme="emerald")["details"]
    if reason is None:
        assert details == {"total": 3, "updated": 3, "failed": 0}
    else:
        assert details == {"total": 3, "updated": 2, "failed": 1, "errors": [f"user00005: {reason}"]}


def test_three_failures_in_a_row_end_it_and_two_do_not(light_resellers: Resellers) -> None:
    light_resellers.world.execute(sa.update(Account).values(reseller=2))
    light_resellers.portal.fail(SCRIPT, HangUp(), times=2)
    details = light_resellers.post("admin", BULK, reseller_id=2, theme="emerald")["details"]
    assert (details["updated"], details["failed"], len(light_resellers.themed)) == (3, 3, 6)
    light_resellers.forget()
    light_resellers.portal.fail(SCRIPT, HangUp(), times=3)
    details = light_resellers.post("admin", BULK, reseller_id=2, theme="digital")["details"]
    assert (details["updated"], details["failed"], len(light_resellers.themed)) == (0, 6, 3)


def test_without_a_key_or_a_portal_nothing_is_sent(
    light_resellers: Resellers, caplog: pytest.LogCaptureFixture
) -> None:
    light_resellers.configure("portal", theme_key=type(light_resellers.panel.config.portal.theme_key)(""))
    details = light_resellers.post("admin", BULK, reseller_id=5, theme="emerald")["details"]
    assert details["errors"] == ["user00003: Not configured"]
    answer = light_resellers.post("admin", "update_reseller", id=5, theme="emerald")
    assert answer["err_msg"] == "Reseller updated. Theme changed for 0/1 accounts (1 failed)."
    assert light_resellers.portal.requests == []
    assert "themes are not applied: no theme key is configured" in caplog.text
    assert "theme-key" not in caplog.text


def test_server_2_follows_and_only_warns(make_world: MakeWorld) -> None:
    with resellers_world(make_world, "sqlite", dual=True) as resellers:
        resellers.configure("portal", theme_pause_seconds=0.0)
        assert resellers.post("admin", BULK, reseller_id=2, theme="emerald")["error"] == 0
        assert [user.theme for user in resellers.portals[1].users if user.login in ("user00002", "user00006")] == [
            "emerald",
            "emerald",
        ]
        resellers.portals[1].stop_listening()
        answer = resellers.post("admin", BULK, reseller_id=2, theme="digital")
        text = "Theme updated successfully for all 3 accounts."
        assert answer == {
            "error": 0,
            "warning": 1,
            "warning_text": "Server 2 did not follow for 3 accounts",
            "err_msg": text,
            "details": {"total": 3, "updated": 3, "failed": 0},
        }
        answer = resellers.post("admin", "update_reseller", id=2, theme="graphite")
        assert (answer["warning"], answer["err_msg"]) == (
            1,
            "Reseller updated successfully. Theme changed for all 3 accounts.",
        )


@pytest.mark.every_kind
def test_a_long_run_goes_on_and_another_is_refused_meanwhile(resellers: Resellers) -> None:
    resellers.configure("jobs", wait_seconds=0)
    resellers.portal.fail(SCRIPT, Delay(1.2))
    answer = resellers.post("admin", "update_reseller", id=2, theme="emerald", name="New")
    job_id = answer["job_id"]
    assert answer["error"] == 0
    assert answer["details"] == {"total": 3, "updated": 0, "failed": 0}
    assert answer["err_msg"] == answer["message"]
    assert answer["err_msg"].startswith("Reseller updated. The theme is being changed in the background: 0 of 3")
    # nothing else waits
    assert resellers.get("admin", "/get_resellers.php")["error"] == 0
    refused(resellers.post("admin", BULK, reseller_id=2, theme="digital"), 1)
    refused(resellers.post("readmin", "update_reseller", id=2, theme="digital", name="Other"), 1)
    assert resellers.world.user("reseller1")["name"] == "New"
    # other changes, and other resellers, are free
    assert resellers.post("admin", "update_reseller", id=2, name="Newer")["error"] == 0
    resellers.configure("jobs", wait_seconds=20)
    assert resellers.post("admin", BULK, reseller_id=3, theme="digital")["details"]["updated"] == 2
    status = _finished(resellers, job_id)
    assert (status["state"], status["result"]["updated"], status["result"]["failed"]) == ("done", 3, 0)
    assert {user.theme for user in resellers.portal.users if user.login in ("user00002", "user00005")} == {"emerald"}
    assert resellers.post("admin", BULK, reseller_id=2, theme="digital")["details"]["updated"] == 3


def _finished(resellers: Resellers, job_id: int) -> dict[str, Any]:
    def found() -> dict[str, Any]:
        status: dict[str, Any] = resellers.get("admin", f"/get_job_status.php?id={job_id}")["job"]
        return status if status["state"] in ("done", "failed") else {}

    return until(found, "the job is closed")


def test_two_at_once_do_not_interleave(light_resellers: Resellers) -> None:
    with named_lock(light_resellers.panel, "theme:2"):
        refused(light_resellers.post("admin", BULK, reseller_id=2, theme="digital"), 1)
    assert light_resellers.portal.requests == []


@pytest.mark.every_kind
def test_of_two_that_were_asked_for_at_the_same_moment_one_comes_after_the_other(resellers: Resellers) -> None:
    resellers.configure("jobs", wait_seconds=0)
    now = resellers.panel.clock.stamp()
    row = {"kind": themes.KIND, "state": "waiting", "payload": '{"reseller_id":2,"theme":"emerald","total":3}'}
    resellers.world.insert(Job, [{**row, "due_at": now, "created_at": now, "updated_at": now}])
    with named_lock(resellers.panel, "theme:2"):
        assert work_off(resellers.panel, themes.KINDS) == 1
    assert (resellers.world.rows(sa.select(Job.state)), resellers.themed) == ([{"state": "waiting"}], [])
    resellers.world.execute(sa.update(Job).values(due_at=now))
    assert work_off(resellers.panel, themes.KINDS) == 1
    assert resellers.world.rows(sa.select(Job.state)) == [{"state": "done"}]
    assert len(resellers.themed) == 3


def test_a_reseller_is_changed_also_where_the_theme_could_not_be_given_to_anybody(
    light_resellers: Resellers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(themes, "propagate", broken)
    answer = light_resellers.post("admin", "update_reseller", id=2, theme="emerald")
    text = "Reseller updated. Theme changed for 0/3 accounts (3 failed)."
    assert answer == {"error": 0, "warning": 1, "warning_text": text, "err_msg": text}
    assert light_resellers.world.user("reseller1")["theme"] == "emerald"


def test_a_run_whose_process_died_goes_on_where_it_was(resellers: Resellers) -> None:
    counts = ThemeCounts(total=3, updated=1, failed=1, errors=["user00005: Invalid response"], last_id=5)
    now = resellers.panel.clock.stamp()
    row = {
        "kind": themes.KIND,
        "state": "running",
        "payload": '{"reseller_id":2,"theme":"emerald"}',
        "result": json.dumps(asdict(counts)),
        "attempts": 1,
        "due_at": now,
        "owner": "gone",
        "lease_until": now - LEASE_SECONDS,
        "created_at": now,
        "updated_at": now,
    }
    resellers.world.insert(Job, [row])
    assert work_off(resellers.panel, themes.KINDS) == 1
    assert [form["login"] for form in resellers.themed] == ["user00006"]
    [job] = resellers.world.rows(sa.select(Job.state, Job.result))
    assert (job["state"], '"updated":2' in job["result"], '"failed":1' in job["result"]) == ("done", True, True)


def test_a_new_theme_is_not_lost_when_the_process_dies_after_it_was_stored(resellers: Resellers) -> None:
    admin = bare_actor(1, "admin", super_user=True)
    edited = edit_reseller(resellers.panel, By(admin, Origin("", "test")), 2, ResellerEdit(theme="emerald"))
    assert edited.propagation is not None
    assert work_off(resellers.panel, themes.KINDS) == 0
    # as a process that is gone leaves it
    resellers.world.execute(sa.update(Job).values(lease_until=0))
    assert work_off(resellers.panel, themes.KINDS) == 1
    assert [form["login"] for form in resellers.themed] == ["user00002", "user00005", "user00006"]


def test_the_pause_comes_after_each_call(light_resellers: Resellers) -> None:
    light_resellers.configure("portal", theme_pause_seconds=0.05)
    seen: list[tuple[int, int]] = []
    started = time.monotonic()
    propagate(
        light_resellers.panel, 2, "emerald", lambda counts: seen.append((counts.updated, counts.total)), ThemeCounts()
    )
    assert time.monotonic() - started >= 0.15
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_the_login_is_sent_as_it_is_stored(light_resellers: Resellers) -> None:
    odd = "a&theme=x b+c/ü"
    light_resellers.world.insert(Account, [{"id": 50, "username": odd, "mac": MAC("50"), "reseller": 4}])
    light_resellers.portal.add_user(odd, MAC("50"))
    assert light_resellers.post("admin", BULK, reseller_id=4, theme=DARK)["details"]["updated"] == 1
    assert light_resellers.themed == [{"key": "theme-key", "login": odd, "theme": DARK}]
