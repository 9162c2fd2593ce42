"""The log of set-top boxes (golden cases 31 to 34 of contract chapter 50 and its rules), on every database."""

import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from core.devices.log import relative
from core.storage.schema import Layout
from core.storage.tables import StbActionLog, User
from tests.worlds.harness import PREFIXES
from tests.worlds.stb import MAC1, MAC2, Boxes, permit

PATH = "/api/get_stb_logs.php"
THEN = datetime.datetime.fromisoformat("2026-01-31 09:55:00")


def _row(user_id: int, text: str = "Hi", **values: Any) -> dict[str, Any]:
    row = {
        "user_id": user_id,
        "username": f"user{user_id}",
        "action_type": "message",
        "mac_address": MAC1,
        "action_detail": text,
        "full_message": text,
        "status": "success",
        "created_at": THEN,
    }
    return row | values


def _fill(boxes: Boxes, *rows: dict[str, Any]) -> None:
    boxes.world.insert(StbActionLog, rows)


def _details(answer: dict[str, Any]) -> list[str]:
    return [row["action_detail"] for row in answer["logs"]]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_31_numbers_are_brought_into_bounds(boxes: Boxes, prefix: str) -> None:
    for text in ("one", "two", "three"):
        boxes.post("admin", "/send_stb_message.php", {"mac": MAC1, "message": text})
    answer = boxes.get("admin", f"{prefix}get_stb_logs.php", page=0, per_page=1000)
    assert list(answer) == ["error", "logs", "pagination"]
    assert answer["error"] == 0
    assert answer["pagination"] == {"current_page": 1, "per_page": 100, "total_items": 3, "total_pages": 1}
    assert _details(answer) == ["three", "two", "one"]
    row = answer["logs"][0]
    assert isinstance(row.pop("id"), int)
    assert row == {
        "user_id": 1,
        "username": "admin",
        "action_type": "message",
        "mac_address": MAC1,
        "action_detail": "three",
        "full_message": "three",
        "status": "success",
        "error_message": None,
        "created_at": row["created_at"],
        "created_at_formatted": row["created_at"],
        "created_at_relative": "Just now",
    }
    assert row["created_at"].startswith("2026-01-31 10:00:")


@pytest.mark.every_kind
def test_32_a_reseller_sees_own_rows_admins_see_all(boxes: Boxes) -> None:
    _fill(boxes, _row(1), _row(5), _row(8), _row(7))

    def seen(who: str) -> set[int]:
        return {row["user_id"] for row in boxes.get(who, PATH)["logs"]}

    assert (seen("admin"), seen("radmin")) == ({1, 5, 7, 8}, {1, 5, 7, 8})
    assert (seen("reseller1"), seen("reseller2"), seen("obs")) == ({5}, set(), {8})
    # who is a super admin too reads as one
    boxes.world.execute(sa.update(User).where(User.id == 8).values(super_user=1))
    assert seen("obs") == {1, 5, 7, 8}


def test_33_a_page_cannot_become_script(boxes: Boxes) -> None:
    text = "<img src=x onerror=alert(1)>"
    boxes.post("admin", "/send_stb_message.php", {"mac": MAC1, "message": text})
    [row] = boxes.get("admin", PATH)["logs"]
    assert (row["action_detail"], row["full_message"]) == ("&lt;img src=x onerror=alert(1)&gt;", text)
    assert [(stored["action_detail"], stored["full_message"]) for stored in boxes.log] == [(text, text)]
    _fill(boxes, _row(1, username="<b>'x'", mac_address="<i>&", error_message='"><script>', status="failed"))
    row = next(row for row in boxes.get("admin", PATH)["logs"] if row["status"] == "failed")
    shown = (row["username"], row["mac_address"], row["error_message"])
    assert shown == ("&lt;b&gt;&#x27;x&#x27;", "&lt;i&gt;&amp;", "&quot;&gt;&lt;script&gt;")


def test_34_a_long_message_is_previewed(boxes: Boxes) -> None:
    for text in ("x" * 150, "y" * 100, "z" * 101):
        boxes.post("admin", "/send_stb_message.php", {"mac": MAC1, "message": text})
    rows = boxes.get("admin", PATH)["logs"]
    assert [row["action_detail"] for row in rows] == ["z" * 97 + "...", "y" * 100, "x" * 97 + "..."]
    assert [len(row["full_message"]) for row in rows] == [101, 100, 150]


@pytest.mark.every_kind
def test_filters_are_literal_and_know_no_case(boxes: Boxes) -> None:
    _fill(
        boxes,
        _row(1, "100% sure", mac_address=MAC1),
        _row(1, "1000 sure", mac_address=MAC2),
        _row(5, "Reboot Device", action_type="event", full_message=None, username="Some_Body"),
        _row(5, "a\\b/c", username="someXbody"),
    )

    def found(**query: str) -> set[str]:
        return set(_details(boxes.get("admin", PATH, **query)))

    everything = {"100% sure", "1000 sure", "Reboot Device", "a\\b/c"}
    assert found() == found(action_type="") == found(action_type="other") == everything
    assert found(action_type="event") == {"Reboot Device"}
    assert found(action_type="message") == everything - {"Reboot Device"}
    assert found(mac="00:1a:79:00:00:02") == found(mac="00:02") == {"1000 sure"}
    assert found(mac="%") == found(mac="_") == set()
    assert found(search="100%") == {"100% sure"}
    assert found(search="SOME_") == {"Reboot Device"}
    assert found(search="\\b/") == {"a\\b/c"}
    assert found(search="00:02") == {"1000 sure"}
    assert found(search="' OR 1=1 --") == set()
    assert found(action_type="event", search="reboot", mac="00:01") == {"Reboot Device"}


def test_pages(boxes: Boxes) -> None:
    _fill(boxes, *(_row(1, str(n), created_at=THEN + datetime.timedelta(minutes=n // 2)) for n in range(25)))
    first = boxes.get("admin", PATH)
    assert first["pagination"] == {"current_page": 1, "per_page": 20, "total_items": 25, "total_pages": 2}
    assert _details(first) == [str(n) for n in range(24, 4, -1)]
    assert _details(boxes.get("admin", PATH, page=" 2 ", per_page="10")) == [str(n) for n in range(14, 4, -1)]
    for page in ("3", "999999999999999999", str(10**30)):
        beyond = boxes.get("admin", PATH, page=page)
        if page != str(10**30):  # no number that a computer knows is none
            assert beyond["logs"] == []
        assert (beyond["pagination"]["total_items"], beyond["pagination"]["total_pages"]) == (25, 2)
    for page in ("abc", "0", "-3", "", "1.5"):
        assert boxes.get("admin", PATH, page=page)["pagination"]["current_page"] == 1
    assert boxes.get("admin", PATH, per_page="-1")["pagination"]["per_page"] == 1
    assert boxes.get("reseller1", PATH)["pagination"] == {
        "current_page": 1,
        "per_page": 20,
        "total_items": 0,
        "total_pages": 0,
    }


def test_a_panel_without_the_table(boxes: Boxes, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = boxes.world.panel
    columns = {name: found for name, found in panel.layout.columns.items() if name != "_stb_action_logs"}
    monkeypatch.setattr(panel, "_layout", Layout(columns, "own"))
    permit(boxes, "reseller1", "0|0|0|0|1")
    sent = boxes.post("reseller1", "/send_stb_event.php", {"mac": MAC1, "event": "reboot"})
    assert sent["error"] == 0
    answer = boxes.get("admin", PATH, page=3, per_page=50)
    assert answer == {
        "error": 0,
        "logs": [],
        "pagination": {"current_page": 1, "per_page": 20, "total_items": 0, "total_pages": 0},
    }


@pytest.mark.parametrize(
    ("then", "now", "shown"),
    [
        ("2026-01-31 10:00:00", "2026-01-31 10:00:59", "Just now"),
        ("2026-01-31 10:00:00", "2026-01-31 10:01:00", "1 minute ago"),
        ("2026-01-31 10:00:00", "2026-01-31 10:59:59", "59 minutes ago"),
        ("2026-01-31 10:00:00", "2026-01-31 11:30:00", "1 hour ago"),
        ("2026-01-31 10:00:00", "2026-02-01 09:59:59", "23 hours ago"),
        ("2026-01-31 10:00:00", "2026-02-02 10:00:00", "2 days ago"),
        ("2026-01-31 10:00:00", "2026-02-28 11:00:00", "28 days ago"),
        ("2026-01-31 10:00:00", "2026-03-01 10:00:00", "1 month ago"),
        ("2025-01-31 10:00:00", "2026-01-31 09:59:59", "11 months ago"),
        ("2025-01-31 10:00:00", "2026-01-31 10:00:00", "1 year ago"),
        ("2024-02-29 10:00:00", "2026-03-01 10:00:00", "2 years ago"),
        ("2026-01-31 10:00:00", "2026-01-31 09:00:00", "Just now"),
        ("2027-01-31 10:00:00", "2026-01-31 09:00:00", "Just now"),
    ],
)
def test_how_long_ago(then: str, now: str, shown: str) -> None:
    assert relative(datetime.datetime.fromisoformat(then), datetime.datetime.fromisoformat(now)) == shown
