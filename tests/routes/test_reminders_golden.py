"""Golden cases 1 to 23 of contract chapter 60: sending reminders, their settings and history, on every database."""

import datetime
import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from core.jobs.locks import named_lock
from core.messages.reminders import starts
from core.messages.reminders.settings import DEFAULT_TEMPLATE
from core.storage.tables import Account, ExpiryReminder, ReminderSettings
from simulators.faults import Answer, Delay, Refuse
from simulators.wire import Response
from tests.conftest import MakeWorld
from tests.worlds.harness import ENCODINGS, NOT_LOGGED_IN, PREFIXES
from tests.worlds.reminders import DAY, MAC, REFUSED, Reminders, reminders_world

ALREADY = "Already sent reminder for this expiry date"
NO_SENDING = "Permission denied. You need STB control permission to send reminders."
NO_RIGHT = "Permission denied. You need STB control permission."


@pytest.fixture
def panel(make_world: MakeWorld, kind: str) -> Iterator[Reminders]:
    with reminders_world(make_world, kind) as reminders:
        yield reminders


@pytest.fixture
def sqlite_panel(make_world: MakeWorld) -> Iterator[Reminders]:
    """For what no database can change."""
    with reminders_world(make_world, "sqlite") as reminders:
        yield reminders


def _counts(answer: dict[str, Any]) -> tuple[int, int, int, int]:
    assert answer["error"] == 0, answer
    return answer["sent"], answer["skipped"], answer["failed"], answer["total"]


# sending


def test_1_to_3_what_failed_is_tried_again_and_what_was_sent_is_not(panel: Reminders) -> None:
    first = panel.sweep()
    assert list(first) == [
        *("error", "err_msg", "sent", "skipped", "failed", "total", "days_before", "target_date", "results")
    ]
    assert (_counts(first), first["days_before"], first["target_date"]) == ((1, 0, 1, 2), 7, "2025-11-29")
    ann, bob = first["results"]
    assert ann["message"].startswith("Dear Ann Example, your subscription expires in 7 days.")
    assert {**ann, "message": ""} == {
        "account": "u7a",
        "full_name": "Ann Example",
        "mac": MAC(1),
        "expiry_date": "2025-11-29",
        "status": "sent",
        "message": "",
    }
    assert (bob["account"], bob["status"], bob["error"]) == ("u7b", "failed", "Empty stb list")
    # whether it has that box with dashes (90 §13 M11)
    look = f"GET stb/{REFUSED.replace(':', '-')}"
    assert panel.portal.calls == [f"POST stb_msg/{MAC(1)}", f"POST stb_msg/{REFUSED}", look]
    assert panel.portal.requests[0].body.startswith(b"msg=Dear+Ann+Example%2C+your")
    rows = panel.reminders
    assert [(row["mac"], row["status"], row["error_message"]) for row in rows] == [
        (MAC(1), "sent", None),
        (REFUSED, "failed", "Empty stb list"),
    ]
    assert str(rows[0]["sent_at"]) == "2025-11-22 09:00:00"
    assert (rows[0]["reminder_date"], rows[0]["sent_by"]) == (datetime.date(2025, 11, 22), 1)
    [audit] = panel.audits
    assert (audit["action"], audit["target_type"], audit["user_id"]) == ("send", "reminder", 1)

    panel.moment += 60
    second = panel.sweep()
    assert _counts(second) == (0, 1, 1, 2)
    assert second["results"][0]["reason"] == ALREADY
    assert second["results"][0]["sent_at"] == "2025-11-22 09:00:00"
    assert len(panel.reminders) == 2

    panel.portal.add_user("u7b", REFUSED)
    assert _counts(panel.sweep()) == (1, 1, 0, 2)
    assert [(row["id"], row["status"]) for row in panel.reminders] == [(row["id"], "sent") for row in rows]
    assert panel.reminders[1]["error_message"] is None


def test_4_only_who_may_and_only_own_accounts(panel: Reminders) -> None:
    panel.sweep()
    own = panel.sweep("stbres")
    assert (_counts(own), own["results"][0]["account"]) == ((0, 1, 0, 1), "u7a")
    for who in ("radm", "res1", "stbobs"):
        refused = panel.sweep(who)
        assert (refused["code"], refused["err_msg"]) == (3, NO_SENDING)
    assert panel.sweep(None) == NOT_LOGGED_IN


def test_5_nobody_is_due(panel: Reminders) -> None:
    panel.settings(1, days_before_expiry=30)
    answer = panel.sweep()
    assert (_counts(answer), answer["results"], answer["target_date"]) == ((0, 0, 0, 0), [], "2025-12-22")
    [row] = panel.world.rows(sa.select(ReminderSettings.last_sweep_at))
    assert str(row["last_sweep_at"]) == "2025-11-22 09:00:00"


@pytest.mark.every_kind
def test_6_two_sweeps_at_once(panel: Reminders) -> None:
    answers: dict[str, dict[str, Any]] = {}
    clients = {
        who: panel.world.php_session(f'login|i:1;username|s:{len(who)}:"{who}";', f"{who:x<26}")
        for who in ("admin", "stbres")
    }
    panel.portal.fail("POST stb_msg", Delay(0.1), times=None)

    def sweep(who: str) -> None:
        answers[who] = clients[who].post("/send_expiry_reminders.php").json()

    threads = [threading.Thread(target=sweep, args=(who,)) for who in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [mac for mac, _ in panel.texts].count(MAC(1)) == 1
    assert [answer["error"] for answer in answers.values()] == [0, 0], answers
    assert sum(answer["sent"] for answer in answers.values()) == 1


def test_6_a_sweep_that_another_process_does_is_not_joined(panel: Reminders, monkeypatch: Any) -> None:
    monkeypatch.setattr(starts, "LOCK_SECONDS", 0)
    with named_lock(panel.panel, starts.LOCK):
        answer = panel.sweep()
    assert (answer["error"], answer["code"]) == (1, 5)
    assert "already running" in answer["err_msg"]
    assert panel.texts == []


def test_7_a_value_is_no_template(panel: Reminders) -> None:
    panel.settings(1, message_template="{name}")
    panel.change(11, full_name="{username}")
    panel.sweep()
    assert panel.texts[0] == (MAC(1), "{username}")


def test_8_either_server_will_do(make_world: MakeWorld, kind: str) -> None:
    with reminders_world(make_world, kind, dual=True) as panel:
        refuse = Answer(Response(body=b'{"status":"ERROR","results":null,"error":"Not here"}'))
        panel.portals[0].fail(f"POST stb_msg/{MAC(1)}", refuse, times=None)
        answer = panel.sweep()
        assert [result["status"] for result in answer["results"]] == ["sent", "failed"]
        assert panel.portals[1].calls == panel.portals[0].calls
        panel.world.execute(sa.delete(ExpiryReminder))
        panel.portals[1].fail("POST stb_msg", Answer(Response(body=b'{"status":"ERROR","error":"Other"}')), times=None)
        first = panel.sweep()["results"][0]
        assert (first["status"], first["error"]) == ("failed", "Not here")


def test_9_messages_are_spaced(make_world: MakeWorld) -> None:
    with reminders_world(make_world, "sqlite", pause_ms=300) as panel:
        panel.sweep()
        panel.portal.forget_requests()
        for account_id in (14, 15, 17):
            panel.change(account_id, end_date=datetime.date(2025, 11, 29))
        assert _counts(panel.sweep()) == (3, 1, 1, 5)
        at = [request.at for request in panel.portal.requests if request.method == "POST"]
        assert all(later - earlier >= 0.3 for earlier, later in itertools.pairwise(at))
        panel.portal.add_user("u7b", REFUSED)
        assert _counts(panel.sweep()) == (1, 4, 0, 5)
        panel.portal.forget_requests()
        started = time.monotonic()
        assert _counts(panel.sweep()) == (0, 5, 0, 5)
        # four pauses would be 1.2 s
        assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    ("moment", "target"),
    [
        # 10: 00:30 in Tehran
        (datetime.datetime(2025, 11, 22, 21, tzinfo=datetime.UTC), "2025-11-30"),
        (datetime.datetime(2025, 11, 22, 20, 29, 59, tzinfo=datetime.UTC), "2025-11-29"),
        (datetime.datetime(2024, 2, 22, 12, tzinfo=datetime.UTC), "2024-02-29"),
        (datetime.datetime(2023, 2, 22, 12, tzinfo=datetime.UTC), "2023-03-01"),
        # the night in which Tehran's clocks went forward
        (datetime.datetime(2022, 3, 21, 20, 30, tzinfo=datetime.UTC), "2022-03-29"),
    ],
)
def test_10_days_are_those_of_the_panel_s_zone(panel: Reminders, moment: datetime.datetime, target: str) -> None:
    panel.moment = moment.timestamp()
    panel.change(11, end_date=datetime.date.fromisoformat(target))
    answer = panel.sweep()
    assert (answer["target_date"], answer["results"][0]["account"]) == (target, "u7a")


_DATETIME_COLUMN = {
    "mariadb": "ALTER TABLE _accounts MODIFY end_date {}",
    "postgresql": "ALTER TABLE _accounts ALTER COLUMN end_date TYPE {0} USING end_date::{0}",
}


def test_columns_of_moments_count_by_their_day(panel: Reminders, kind: str) -> None:
    if kind != "sqlite":
        panel.world.execute(_DATETIME_COLUMN[kind].format("timestamp" if kind == "postgresql" else "datetime"))
    try:
        panel.world.execute("UPDATE _accounts SET end_date = '2025-11-29 23:59:59' WHERE id IN (11, 12)")
        panel.world.execute("UPDATE _accounts SET end_date = '2025-11-30 00:00:00' WHERE id = 14")
        panel.world.execute("UPDATE _accounts SET end_date = NULL WHERE id = 17")
        answer = panel.sweep()
        assert [result["account"] for result in answer["results"]] == ["u7a", "u7b"]
        assert panel.job("disable-expired", dry_run=True)[1].count("WOULD DISABLE - uyest") == 1
        assert panel.job("disable-expired", dry_run=True)[1].count("WOULD DISABLE") == 1
    finally:
        panel.world.execute(sa.delete(Account))
        if kind != "sqlite":
            panel.world.execute(_DATETIME_COLUMN[kind].format("date"))


@pytest.mark.parametrize("prefix", PREFIXES)
def test_only_post_sends(sqlite_panel: Reminders, prefix: str) -> None:
    response = sqlite_panel.client("admin").get(f"{prefix}send_expiry_reminders.php")
    assert (response.status_code, response.json()["error"]) == (405, 1)
    assert sqlite_panel.texts == []
    assert _counts(sqlite_panel.client("admin").post(f"{prefix}send_expiry_reminders.php").json()) == (1, 0, 1, 2)


@pytest.mark.every_kind
def test_a_sync_in_between_changes_ids_but_sends_nothing_twice(panel: Reminders) -> None:
    panel.sweep()
    panel.world.execute("UPDATE _accounts SET id = id + 100, mac = LOWER(mac)")
    assert _counts(panel.sweep()) == (0, 1, 1, 2)
    assert len(panel.reminders) == 2


def test_two_accounts_of_one_device_get_one_message(panel: Reminders) -> None:
    panel.change(14, mac=MAC(1), end_date=datetime.date(2025, 11, 29))
    assert _counts(panel.sweep()) == (1, 1, 1, 3)
    assert [mac for mac, _ in panel.texts].count(MAC(1)) == 1


def test_a_renewed_account_is_reminded_again(sqlite_panel: Reminders) -> None:
    sqlite_panel.sweep()
    sqlite_panel.change(11, end_date=datetime.date(2026, 1, 5))
    sqlite_panel.moment += 37 * DAY
    assert _counts(sqlite_panel.sweep()) == (1, 0, 0, 1)
    assert len(sqlite_panel.texts) == 3


_FAULTS = {
    "refused": (Refuse(), "onnection"),
    "slow": (Delay(5), "Connection timed out"),
    "html": (Answer(Response(body=b"<html>Bad gateway /var/www</html>")), "invalid answer"),
    "status": (Answer(Response(status=502, body=b"")), "502"),
    "sql": (Answer(Response(body=b'{"status":"ERROR","error":"SQLSTATE[42S02] SELECT x FROM y"}')), "Unknown error"),
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_what_the_portal_does_wrong_is_told_truly_and_tried_again(sqlite_panel: Reminders, fault: str) -> None:
    what, text = _FAULTS[fault]
    sqlite_panel.portal.fail(f"POST stb_msg/{MAC(1)}", what)
    result = sqlite_panel.sweep()["results"][0]
    assert (result["status"], text in result["error"]) == ("failed", True), result
    assert text in sqlite_panel.reminders[0]["error_message"]
    sqlite_panel.portal.clear_faults()
    assert sqlite_panel.sweep()["results"][0]["status"] == "sent"


def test_without_a_portal_nothing_is_written(make_world: MakeWorld, sqlite_panel: Reminders) -> None:
    portal = sqlite_panel.panel.config.portal.model_copy(update={"primary_api_url": ""})
    sqlite_panel.panel.config = sqlite_panel.panel.config.model_copy(update={"portal": portal})
    sqlite_panel.panel.portals._primary = None
    answer = sqlite_panel.sweep()
    assert (answer["error"], answer["code"]) == (1, 8)
    assert sqlite_panel.reminders == []


def test_names_cannot_become_script(sqlite_panel: Reminders) -> None:
    sqlite_panel.change(11, full_name='<b>"A" & B</b>')
    first = sqlite_panel.sweep()["results"][0]
    assert first["full_name"] == "&lt;b&gt;&quot;A&quot; & B&lt;/b&gt;"
    assert first["message"].startswith('Dear b"A" & B/b,')
    row = sqlite_panel.get("admin", "get_reminder_history.php")["reminders"][1]
    assert row["full_name"] == "&lt;b&gt;&quot;A&quot; & B&lt;/b&gt;"


def test_a_sweep_that_takes_long_goes_on_as_a_job(make_world: MakeWorld, kind: str) -> None:
    with reminders_world(make_world, kind, wait_seconds=0) as panel:
        panel.portal.fail("POST stb_msg", Delay(0.3), times=1)
        answer = panel.sweep()
        assert (answer["error"], answer["running"], answer["days_before"]) == (0, True, 7)
        client = panel.client("admin")
        for _ in range(100):
            job = client.get(f"/get_job_status.php?id={answer['job_id']}").json()["job"]
            if job["state"] == "done":
                break
            threading.Event().wait(0.05)
        assert job["result"] == {"sent": 1, "skipped": 0, "failed": 1, "total": 2}
        assert len(panel.reminders) == 2


# settings


def _settings(panel: Reminders, who: str = "admin") -> dict[str, Any]:
    answer = panel.get(who, "get_reminder_settings.php")
    assert answer["error"] == 0
    settings: dict[str, Any] = answer["settings"]
    return settings


def _update(panel: Reminders, encoding: str = "form", **fields: Any) -> dict[str, Any]:
    return panel.post("admin", "update_reminder_settings", encoding, **fields)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_11_settings_are_stored(panel: Reminders, encoding: str) -> None:
    wish = {"days_before_expiry": 9, "message_template": "Hi {name}", "auto_send_enabled": 1}
    answer = _update(panel, encoding, **wish)
    assert answer == {"error": 0, "message": "Reminder settings updated successfully", "settings": wish}
    assert _settings(panel) == {**wish, "last_sweep_at": None}
    panel.sweep()
    _update(panel, encoding, **wish)
    assert _settings(panel)["last_sweep_at"] == "2025-11-22 09:00:00"
    assert [row["target_type"] for row in panel.audits] == ["settings", "reminder", "settings"]


@pytest.mark.every_kind
def test_12_what_is_not_sent_stays(panel: Reminders) -> None:
    _update(panel, message_template="Hi {name}\nBye", auto_send_enabled=1)
    assert _update(panel, days_before_expiry=5)["settings"] == {
        "days_before_expiry": 5,
        "message_template": "Hi {name}\nBye",
        "auto_send_enabled": 1,
    }
    assert _update(panel, "json", days_before_expiry=None, message_template="0", auto_send_enabled=None)[
        "settings"
    ] == {
        "days_before_expiry": 5,
        "message_template": "0",
        "auto_send_enabled": 1,
    }


@pytest.mark.parametrize(
    ("encoding", "fields"),
    [
        *(("form", {"days_before_expiry": value}) for value in ("0", "91", "abc", "7.5", "", "NaN", "-7", "9" * 30)),
        *(("json", {"days_before_expiry": value}) for value in (0, 91, 7.5, True, [], {}, "")),
        *(("json", {"message_template": value}) for value in ("", "   ", "\n", [], "x" * 4001)),
        ("json", {"auto_send_enabled": "maybe"}),
        ("json", {"auto_send_enabled": []}),
    ],
)
def test_13_14_bad_values_change_nothing(panel: Reminders, encoding: str, fields: dict[str, Any]) -> None:
    panel.settings(1)
    before = _settings(panel)
    answer = _update(panel, encoding, **({"auto_send_enabled": 0} | fields))
    assert (answer["error"], answer["code"]) == (1, 6), answer
    assert answer["err_msg"] == answer["message"]
    assert _settings(panel) == before


@pytest.mark.parametrize(
    ("fields", "days"), [({"days_before_expiry": value}, 7) for value in (7, 7.0, " 7 ", "7.0", "07")]
)
def test_11_days_in_any_spelling(panel: Reminders, fields: dict[str, Any], days: int) -> None:
    assert _update(panel, "json", **fields)["settings"]["days_before_expiry"] == days


@pytest.mark.parametrize(("sent", "stored"), [("true", 1), (True, 1), ("on", 1), (1, 1), ("", 0), ("0", 0), (False, 0)])
def test_15_switches_in_any_spelling(panel: Reminders, sent: object, stored: int) -> None:
    answer = _update(panel, "json", auto_send_enabled=sent)
    assert answer["settings"]["auto_send_enabled"] == stored


def test_16_others_have_the_defaults(panel: Reminders) -> None:
    for who in ("res1", "radm", "stbobs"):
        refused = panel.post(who, "update_reminder_settings", days_before_expiry=5)
        assert (refused["code"], refused["err_msg"]) == (3, NO_RIGHT)
        assert _settings(panel, who) == {
            "days_before_expiry": 7,
            "message_template": DEFAULT_TEMPLATE,
            "auto_send_enabled": 0,
            "last_sweep_at": None,
        }
    assert panel.world.rows(sa.select(ReminderSettings.id)) == []
    panel.settings(2, message_template=" ")
    assert _settings(panel, "res1")["message_template"] == DEFAULT_TEMPLATE
    assert panel.get(None, "get_reminder_settings.php") == NOT_LOGGED_IN


# history


@pytest.mark.every_kind
def test_17_to_23_the_history_of_a_day(panel: Reminders) -> None:
    panel.sweep()
    answer = panel.get("admin", "get_reminder_history.php?date=2025-11-22")
    assert (answer["date"], answer["total"], answer["sent"], answer["failed"]) == ("2025-11-22", 2, 1, 1)
    bob, ann = answer["reminders"]
    assert (bob["username"], bob["reseller"], bob["error_message"]) == ("u7b", 2, "Empty stb list")
    assert {**ann, "id": 0, "message": ann["message"][:16]} == {
        "id": 0,
        "account_id": 11,
        "mac": MAC(1),
        "username": "u7a",
        "full_name": "Ann Example",
        "end_date": "2025-11-29",
        "days_before": 7,
        "reminder_date": "2025-11-22",
        "sent_at": "2025-11-22 09:00:00",
        "sent_by": 1,
        "message": "Dear Ann Example",
        "status": "sent",
        "error_message": None,
        "reseller": 4,
    }
    # 18, 19
    assert panel.get("admin", "get_reminder_history.php") == answer
    empty = panel.get("admin", "get_reminder_history.php?date=2025-11-20")
    assert empty == {"error": 0, "date": "2025-11-20", "total": 0, "sent": 0, "failed": 0, "reminders": []}
    # 20
    for bad in ("22-11-2025", "", "2025-02-31", "2025-11-22%0a", "20251122"):
        refused = panel.get("admin", f"get_reminder_history.php?date={bad}")
        assert (refused["error"], refused["code"]) == (1, 6), bad
    assert panel.get("admin", "get_reminder_history.php?date[]=x")["code"] == 6
    # 21
    assert panel.get("stbres", "get_reminder_history.php")["total"] == 0
    assert panel.get("stbobs", "get_reminder_history.php")["total"] == 0
    for who in ("res1", "radm"):
        assert panel.get(who, "get_reminder_history.php")["err_msg"] == NO_RIGHT
    # 22
    panel.world.insert(
        Account, [{"id": 99, "username": "twin", "mac": MAC(1), "reseller": 2, "status": 1, "full_name": "Twin"}]
    )
    assert panel.get("admin", "get_reminder_history.php")["reminders"] == answer["reminders"]
    panel.world.execute("UPDATE _expiry_reminders SET account_id = account_id + 1000, reminder_date = end_date")
    stale = panel.get("admin", "get_reminder_history.php")["reminders"]
    assert [(row["reseller"], row["reminder_date"]) for row in stale] == [(2, "2025-11-22"), (4, "2025-11-22")]
    panel.world.execute(sa.delete(Account))
    gone = panel.get("admin", "get_reminder_history.php")
    assert [row["reseller"] for row in gone["reminders"]] == [None, None]
    # 23
    panel.world.execute("UPDATE _expiry_reminders SET message = NULL, status = NULL")
    rest = panel.get("admin", "get_reminder_history.php")
    assert ([row["message"] for row in rest["reminders"]], rest["failed"]) == (["", ""], 2)


def test_a_day_of_the_history_ends_at_midnight(panel: Reminders) -> None:
    panel.sweep()
    for moment in ("2025-11-21 23:59:59", "2025-11-22 00:00:00", "2025-11-22 23:59:59", "2025-11-23 00:00:00"):
        panel.world.execute(f"UPDATE _expiry_reminders SET sent_at = '{moment}'")
        total = panel.get("admin", "get_reminder_history.php?date=2025-11-22")["total"]
        assert total == (2 if moment.startswith("2025-11-22") else 0), moment
