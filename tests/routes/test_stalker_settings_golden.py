"""The portal's settings (golden cases 35 to 42 of contract chapter 50 and their rules), on every database."""

import threading
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from core.administration.portal_servers import forget_settings
from core.panel import Panel
from core.storage.schema import Layout
from core.storage.tables import StalkerSetting, User
from simulators.faults import Answer, Fault, Huge
from simulators.wire import Response
from tests.worlds.harness import PREFIXES
from tests.worlds.stb import MAC1, PORTAL_PASSWORD, Boxes, basic

STARS = "********"
READ, SAVE = "/api/get_stalker_settings.php", "/api/update_stalker_settings.php"
REBOOT = {"mac": MAC1, "event": "reboot"}
UNAUTHORIZED = Answer(
    Response(b'{"status":"ERROR","results":"","error":"401 Unauthorized request"}', 401, "application/json")
)


def _form(boxes: Boxes, **changes: Any) -> dict[str, Any]:
    """What the Save button sends."""
    one, two = boxes.portals
    form = {
        "server_address": one.server_address,
        "server_2_address": two.server_address,
        "api_username": "apiuser",
        "api_password": STARS,
        "api_base_url": one.base_url,
        "api_2_base_url": two.base_url,
        "dual_server_mode_enabled": "0",
        "test_connection": "0",
    }
    return {key: value for key, value in (form | changes).items() if value is not None}


def _test_button(boxes: Boxes, **changes: Any) -> dict[str, Any]:
    one = boxes.portals[0]
    return _form(
        boxes,
        server_2_address=one.server_address,
        api_2_base_url=one.base_url,
        dual_server_mode_enabled=None,
        test_connection="1",
        **changes,
    )


def _save(boxes: Boxes, who: str | None = "admin", path: str = SAVE, /, **changes: Any) -> dict[str, Any]:
    return boxes.post(who, path, _form(boxes, **changes), "multipart")


def _read(boxes: Boxes, path: str = READ) -> dict[str, Any]:
    answer = boxes.get("admin", path)
    assert list(answer) == ["error", "settings"]
    assert answer["error"] == 0
    settings: dict[str, Any] = answer["settings"]
    return settings


def _authorization(boxes: Boxes) -> str:
    """Of the next portal call."""
    boxes.forget()
    boxes.post("admin", "/send_stb_event.php", REBOOT)
    return boxes.portals[0].requests[-1].headers["authorization"]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_35_reading(boxes: Boxes, prefix: str) -> None:
    one, two = boxes.portals
    expected = {
        "server_address": one.server_address,
        "server_2_address": two.server_address,
        "api_username": "apiuser",
        "api_password": STARS,
        "api_base_url": one.base_url,
        "api_2_base_url": two.base_url,
        "dual_server_mode_enabled": False,
    }
    settings = _read(boxes, f"{prefix}get_stalker_settings.php")
    assert settings == expected
    assert list(settings) == list(expected)
    assert _save(boxes, dual_server_mode_enabled="1")["error"] == 0
    assert _read(boxes) == expected | {"dual_server_mode_enabled": True}


def test_35_nothing_is_set(light_boxes: Boxes) -> None:
    panel = light_boxes.world.panel
    panel.config = panel.config.model_copy(update={"portal": type(panel.config.portal)()})
    assert set(_read(light_boxes).values()) == {"", False}


@pytest.mark.parametrize("prefix", PREFIXES)
def test_36_only_super_admins(boxes: Boxes, prefix: str) -> None:
    for who in ("radmin", "reseller1", "obs"):
        for answer in (
            boxes.get(who, f"{prefix}get_stalker_settings.php"),
            _save(boxes, who, f"{prefix}update_stalker_settings.php", test_connection="1"),
        ):
            assert (answer["error"], answer["code"]) == (1, 3)
            assert answer["message"] == answer["err_msg"] != ""
    assert (boxes.asked, boxes.settings) == ([], {})
    # an observer who is a super admin too reads as one and changes nothing
    boxes.world.execute(sa.update(User).where(User.username == "obs").values(super_user=1))
    assert boxes.get("obs", READ)["error"] == 0
    assert _save(boxes, "obs")["code"] == 3


def test_37_the_placeholder_keeps_the_password(boxes: Boxes) -> None:
    before = _authorization(boxes)
    assert before == basic("apiuser", PORTAL_PASSWORD)
    boxes.forget()
    assert _save(boxes, api_username="other") == {"error": 0, "message": "Settings saved successfully", "err_msg": ""}
    assert boxes.asked == []
    assert boxes.settings["api_password"] == PORTAL_PASSWORD
    for password in (STARS, ""):
        _save(boxes, api_username="third", api_password=password)
        assert _authorization(boxes) == basic("third", PORTAL_PASSWORD)
    [by] = {row["updated_by"] for row in boxes.world.rows(sa.select(StalkerSetting.updated_by))}
    assert by == 1


def test_37_an_old_password_of_the_php_panel_does_not_come_back(boxes: Boxes) -> None:
    seed = {"server_address": "http://old.example.com", "api_username": "old", "api_password": "old-secret"}
    boxes.world.insert(StalkerSetting, [{"setting_key": key, "setting_value": value} for key, value in seed.items()])
    assert _read(boxes)["api_username"] == "apiuser"
    assert _authorization(boxes) == basic("apiuser", PORTAL_PASSWORD)
    _save(boxes, api_username="new")
    assert boxes.settings["api_password"] == PORTAL_PASSWORD
    assert _authorization(boxes) == basic("new", PORTAL_PASSWORD)


def test_38_a_failed_test_stores_nothing(boxes: Boxes) -> None:
    boxes.portals[0].fail("*", UNAUTHORIZED)
    answer = _save(boxes, test_connection="1", api_username="new", api_password="new-secret")
    assert (answer["error"], answer["code"]) == (1, 8)
    assert answer["message"] == "Connection test failed on server 1: authentication failed"
    assert boxes.asked == ["one GET tariffs/"]
    assert boxes.portals[0].requests[0].headers["authorization"] == basic("new", "new-secret")
    assert (boxes.settings, boxes.audit) == ({}, [])
    assert _authorization(boxes) == basic("apiuser", PORTAL_PASSWORD)


def test_39_the_test_button_stores_nothing(dual_boxes: Boxes) -> None:
    for stored in ({}, _form(dual_boxes, dual_server_mode_enabled="1")):
        if stored:
            assert dual_boxes.post("admin", SAVE, stored, "multipart")["error"] == 0
        before = (dual_boxes.settings, _read(dual_boxes))
        dual_boxes.forget()
        answer = dual_boxes.post("admin", SAVE, _test_button(dual_boxes), "multipart")
        assert answer == {"error": 0, "message": "Connection test successful", "err_msg": ""}
        assert dual_boxes.asked == ["one GET tariffs/"]
        assert (dual_boxes.settings, _read(dual_boxes)) == before
        assert before[1]["dual_server_mode_enabled"] is True
        assert before[1]["server_2_address"] == dual_boxes.portals[1].server_address


@pytest.mark.parametrize(
    "changes",
    [
        {"server_address": "javascript:alert(1)"},
        {"server_address": "portal1.example.com"},
        {"server_address": ""},
        {"server_address": "ftp://portal1.example.com"},
        {"server_address": "file:///etc/passwd"},
        {"server_address": "http://user:secret@portal1.example.com"},
        {"server_address": "http://portal1.example.com?x=1"},
        {"server_address": "http://portal1.example.com#x"},
        {"server_address": "http://portal1.example.com/\r\nX: y"},
        {"server_address": "http://portal1.example.com:99999"},
        {"server_address": "http://"},
        {"server_address": f"http://{'x' * 600}.example.com"},
        {"server_2_address": "gopher://portal2.example.com"},
        {"api_base_url": "//portal1.example.com/stalker_portal/api/"},
        {"api_2_base_url": "http://portal2.example.com/../../etc/"},
        {"api_username": ""},
        {"api_username": "api:user"},
        {"api_username": "api\x07user"},
        {"api_username": "x" * 300},
    ],
)
def test_40_bad_values_are_refused(boxes: Boxes, changes: dict[str, str]) -> None:
    for test in ("0", "1"):
        answer = _save(boxes, **changes, test_connection=test)
        assert (answer["error"], answer["code"]) == (1, 6)
        # the page inserts this text as HTML
        assert not any(len(value) > len("http://") and value in answer["message"] for value in changes.values())
    assert (boxes.asked, boxes.settings) == ([], {})


def test_40_says_which_server(boxes: Boxes) -> None:
    for key, name in (("server_address", "server 1"), ("server_2_address", "server 2"), ("api_2_base_url", "server 2")):
        assert name in _save(boxes, **{key: "nonsense"})["message"]


def test_41_any_password(boxes: Boxes) -> None:
    for password in ("a\\\"b$c{d}'", " blanks ", "naïve ☃ 😀", "with:colon", "$1${x}"):
        assert _save(boxes, api_password=password)["error"] == 0
        assert _authorization(boxes) == basic("apiuser", password)
        assert _read(boxes)["api_password"] == STARS


def test_42_a_missing_slash(boxes: Boxes) -> None:
    base = boxes.portals[0].base_url.removesuffix("/")
    assert _save(boxes, api_base_url=base)["error"] == 0
    assert _read(boxes)["api_base_url"] == f"{base}/"
    boxes.post("admin", "/send_stb_event.php", REBOOT)
    assert boxes.portals[0].requests[-1].path == f"/stalker_portal/api/send_event/{MAC1}"


def test_addresses_follow_from_server_1(boxes: Boxes) -> None:
    address = boxes.portals[0].server_address
    form = {"server_address": f"{address}/", "api_username": "apiuser", "dual_server_mode_enabled": "1"}
    assert boxes.post("admin", SAVE, form)["error"] == 0
    settings = _read(boxes)
    assert settings["server_2_address"] == f"{address}/"
    assert settings["api_base_url"] == settings["api_2_base_url"] == boxes.portals[0].base_url
    # one server under two names is one server
    boxes.post("admin", "/send_stb_event.php", REBOOT)
    assert boxes.asked == [f"one POST send_event/{MAC1} event=reboot"]


def test_the_mode_is_kept_when_it_is_not_sent(dual_boxes: Boxes) -> None:
    assert _save(dual_boxes, dual_server_mode_enabled=None)["error"] == 0
    assert _read(dual_boxes)["dual_server_mode_enabled"] is True
    for sent, expected in (("0", False), ("1", True), ("true", False), ("1", True)):
        assert _save(dual_boxes, dual_server_mode_enabled=sent)["error"] == 0
        assert _read(dual_boxes)["dual_server_mode_enabled"] is expected
    for flag in (False, True):
        dual_boxes.post("admin", SAVE, _form(dual_boxes, dual_server_mode_enabled=flag), "json")
        assert _read(dual_boxes)["dual_server_mode_enabled"] is flag


def test_both_servers_are_tested_in_dual_mode(dual_boxes: Boxes) -> None:
    answer = _save(dual_boxes, dual_server_mode_enabled="1", test_connection="1")
    assert answer["message"] == "Settings saved successfully, connection test successful"
    assert dual_boxes.asked == ["one GET tariffs/", "two GET tariffs/"]
    dual_boxes.portals[0].settings.user = None
    dual_boxes.portals[1].stop_listening()
    answer = _save(dual_boxes, dual_server_mode_enabled="1", test_connection="1", api_username="new")
    assert (answer["code"], answer["message"]) == (8, "Connection test failed on server 2: Connection refused")
    assert dual_boxes.settings["api_username"] == "apiuser"


@pytest.mark.parametrize(
    "fault",
    [
        Answer(Response(b"<html>", 200)),
        Answer(Response(b"", 200)),
        Answer(Response(b"[]", 200, "application/json")),
        Answer(Response(b"{}", 200, "application/json")),
        Answer(Response(b'{"status":"OK"}', 500, "application/json")),
        Answer(Response(b"", 302, headers={"Location": "http://127.0.0.1:1/"})),
        Huge(5 * 1024 * 1024),
    ],
)
def test_what_is_no_portal_fails_the_test(light_boxes: Boxes, fault: Fault) -> None:
    light_boxes.portals[0].fail("*", fault)
    answer = _save(light_boxes, test_connection="1")
    assert (answer["error"], answer["code"]) == (1, 8)
    assert answer["message"].startswith("Connection test failed on server 1: The portal")
    assert "127.0.0.1" not in answer["message"]
    assert light_boxes.settings == {}


@pytest.mark.parametrize(
    "answer", [b'{"status":"ERROR","error":"x"}', b'{"status":"OK"}', b'{"status":"OK","results":{}}']
)
def test_m14_only_a_list_of_tariffs_passes_the_test(light_boxes: Boxes, answer: bytes) -> None:
    light_boxes.portals[0].fail("*", Answer(Response(answer, 200, "application/json")))
    refused = _save(light_boxes, test_connection="1")
    assert (refused["error"], refused["code"], light_boxes.settings) == (1, 8, {})


@pytest.mark.parametrize("pasted", ["accounts/", "users", "tariffs/", "accounts/00:1A:79:00:00:01"])
def test_m14_a_resource_that_was_pasted_with_the_address_is_left_out(light_boxes: Boxes, pasted: str) -> None:
    base = light_boxes.portals[0].base_url
    assert _save(light_boxes, api_base_url=f"{base}{pasted}", test_connection="1")["error"] == 0
    assert _read(light_boxes)["api_base_url"] == base
    assert light_boxes.asked == ["one GET tariffs/"]
    assert _save(light_boxes, server_address=f"{base}{pasted}", api_base_url="")["error"] == 0
    assert _read(light_boxes)["api_base_url"] == base


def test_audit_without_the_password(boxes: Boxes, caplog: pytest.LogCaptureFixture) -> None:
    _save(boxes, api_username="new", api_password="new-secret", dual_server_mode_enabled="1")
    [audit] = boxes.audit
    assert (audit["action"], audit["target_type"], audit["target_name"]) == ("update", "settings", "stalker")
    old, new = orjson.loads(audit["old_value"]), orjson.loads(audit["new_value"])
    assert (old["api_username"], old["dual_server_mode_enabled"]) == ("apiuser", False)
    assert (new["api_username"], new["dual_server_mode_enabled"]) == ("new", True)
    assert new["password_changed"] is True
    seen = f"{audit} {boxes.get('admin', READ)} {caplog.text}"
    assert "new-secret" not in seen
    assert PORTAL_PASSWORD not in seen


def test_other_processes_see_it_at_once(boxes: Boxes) -> None:
    """A second panel on the same database stands for another process."""
    other = Panel(boxes.world.panel.config)
    boxes.portals[0].settings.user = None
    try:
        first = other.portals
        assert other.portals is first
        _save(boxes, api_username="new")
        assert other.portals is not first
        other.portals.primary.send_event(MAC1, "reboot")
        assert boxes.portals[0].requests[-1].headers["authorization"] == basic("new", PORTAL_PASSWORD)
        second = other.portals
        _save(boxes, api_username="new")
        assert other.portals is second
    finally:
        other.close()


def test_a_call_under_way_ends_with_the_old_settings(light_boxes: Boxes) -> None:
    server = light_boxes.world.panel.portals.primary
    _save(light_boxes, api_username="new")
    assert light_boxes.world.panel.portals.primary is not server
    server.send_event(MAC1, "reboot")
    assert light_boxes.portals[0].requests[-1].headers["authorization"] == basic("apiuser", PORTAL_PASSWORD)


@pytest.mark.every_kind
def test_several_who_save_at_once(boxes: Boxes) -> None:
    """Whoever comes last wins, as a whole."""
    answers = []
    clients = [boxes.client("admin") for _ in range(6)]

    def save(number: int) -> None:
        name = f"user{number}"
        fields = _form(boxes, api_username=name, server_address=f"http://{name}.example.com", api_base_url="")
        fields["api_password"] = PORTAL_PASSWORD
        answers.append(clients[number].post(SAVE, fields).json())

    threads = [threading.Thread(target=save, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer["error"] for answer in answers] == [0] * 6
    stored = boxes.settings
    assert stored["server_address"] == f"http://{stored['api_username']}.example.com"
    assert stored["api_base_url"] == f"{stored['server_address']}/stalker_portal/api/"
    assert stored["api_password"] == PORTAL_PASSWORD
    assert len(stored) == 8


def test_a_panel_without_the_table(light_boxes: Boxes, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = light_boxes.world.panel
    columns = {name: found for name, found in panel.layout.columns.items() if name != "_stalker_settings"}
    monkeypatch.setattr(panel, "_layout", Layout(columns, "own"))
    assert _read(light_boxes)["api_username"] == "apiuser"
    answer = _save(light_boxes)
    assert answer["code"] == 7
    assert "upgrade" in answer["message"]


def test_what_was_seen_last_must_do_while_the_database_is_away(light_boxes: Boxes) -> None:
    light_boxes.portals[0].settings.user = None
    _save(light_boxes, api_username="new")
    panel = light_boxes.world.panel
    panel.portals.primary.send_event(MAC1, "reboot")
    light_boxes.world.execute("ALTER TABLE _stalker_settings RENAME TO _stalker_elsewhere")
    try:
        panel.portals.primary.send_event(MAC1, "reboot")
        assert light_boxes.portals[0].requests[-1].headers["authorization"] == basic("new", PORTAL_PASSWORD)
    finally:
        light_boxes.world.execute("ALTER TABLE _stalker_elsewhere RENAME TO _stalker_settings")


def test_a_forged_page_cannot_change_them(light_boxes: Boxes) -> None:
    client = light_boxes.client("admin")
    client.headers["Sec-Fetch-Site"] = "cross-site"
    response = client.post(SAVE, _form(light_boxes))
    assert response.status_code == 403
    assert light_boxes.settings == {}


def test_the_demo_forgets_what_was_saved(light_boxes: Boxes) -> None:
    """Its portal has another address at each start."""
    _save(light_boxes, api_username="new")
    forget_settings(light_boxes.world.panel)
    assert _read(light_boxes)["api_username"] == "apiuser"
