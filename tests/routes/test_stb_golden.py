"""The golden cases 1 to 30 of contract chapter 50: events and messages for set-top boxes, on every database."""

import datetime
import itertools

import orjson
import pytest

from core.portal import EVENTS
from tests.worlds.harness import NOT_LOGGED_IN, PREFIXES
from tests.worlds.stb import MAC1, MAC2, MAC3, PORTAL_PASSWORD, Boxes, basic
from tests.worlds.stb_cases import (
    BAD,
    BULK,
    DOLLAR,
    DONE,
    EMPTY_LIST,
    EVENT,
    FOREIGN,
    HI,
    MESSAGE,
    MESSAGE_SENT_1,
    NO_EVENTS,
    NOTHING_DONE,
    OK_LOG,
    PLAY,
    REBOOT,
    SENT_1,
    STOCK,
    UNAUTHORIZED,
    Case,
    event_call,
    look_call,
    message_call,
    run,
)

CASES = {
    "1": Case(EVENT, REBOOT, [event_call("event=reboot")], SENT_1, encoding="json", log=OK_LOG),
    "2": Case(
        EVENT, REBOOT | {"channel_id": ""}, [event_call("event=reboot")], SENT_1, encoding="multipart", log=OK_LOG
    ),
    "3": Case(EVENT, PLAY, [event_call(DOLLAR)], SENT_1, log=OK_LOG),
    "4": Case(EVENT, PLAY, [event_call(DOLLAR), event_call(STOCK)], SENT_1, faults=(NOTHING_DONE,), log=OK_LOG),
    "5": Case(
        EVENT,
        PLAY,
        [event_call(DOLLAR), event_call(STOCK)],
        {"error": 1, "err_msg": "Failed to send event: Unknown error", "code": 8},
        faults=(NOTHING_DONE, NOTHING_DONE),
        log=[("failed", "Unknown error")],
    ),
    "6 no channel": Case(EVENT, {"mac": MAC1, "event": "play_channel"}, says=BAD),
    "6 channel 0": Case(EVENT, PLAY | {"channel_id": "0"}, says=BAD),
    "6 number 0": Case(EVENT, PLAY | {"channel_id": 0}, says=BAD, encoding="json"),
    "6 radio": Case(EVENT, {"mac": MAC1, "event": "play_radio_channel"}, says=BAD),
    "7": Case(EVENT, PLAY | {"channel_id": "1&event=cut_off"}, says=BAD),
    "8": Case(
        EVENT,
        {"mac": MAC1, "event": "format_disk"},
        says=BAD | {"err_msg": f"Invalid event type; event is one of {', '.join(EVENTS)}"},
    ),
    **{
        f"9 {mac!r}": Case(EVENT, {"mac": mac, "event": "reboot"}, says=BAD)
        for mac in ("", "0", "../accounts/", f"{MAC1},{MAC2}", f"{MAC1}?", "00:1A:79:00:00", f"{MAC1}/x")
    },
    **{
        f"9 message {mac!r}": Case(MESSAGE, {"mac": mac, "message": "Hi"}, says=BAD)
        for mac in ("", "0", "../accounts/", f"{MAC1},{MAC2}")
    },
    "10": Case(EVENT, REBOOT, says={"err_msg": NO_EVENTS, "message": NO_EVENTS, "code": 3}, who="reseller1"),
    "10 short rights": Case(EVENT, REBOOT, says={"err_msg": NO_EVENTS, "code": 3}, who="reseller1", rights="1|1|1|1"),
    "10 reseller admin": Case(EVENT, REBOOT, says={"code": 3}, who="radmin", rights="1|1|1|1|0|1|1"),
    "10 observer": Case(EVENT, REBOOT, says={"code": 3}, who="obs"),
    "10 message": Case(MESSAGE, HI, says={"error": 1, "code": 3}, who="reseller1"),
    "11": Case(
        EVENT, REBOOT | {"mac": MAC2}, says={"err_msg": FOREIGN, "code": 3}, who="reseller1", rights="0|0|0|0|1|0|0"
    ),
    "11 message": Case(
        MESSAGE, HI | {"mac": MAC2}, says={"err_msg": FOREIGN, "code": 3}, who="reseller1", rights="0|0|0|0|1|0|0"
    ),
    "11 unassigned": Case(
        EVENT, REBOOT | {"mac": MAC3}, says={"err_msg": FOREIGN, "code": 3}, who="reseller1", rights="0|0|0|0|1|0|0"
    ),
    "12": Case(
        EVENT, REBOOT | {"mac": MAC2}, says={"err_msg": FOREIGN, "code": 3}, who="radmin", rights="1|1|1|1|1|1|1"
    ),
    "13": Case(
        EVENT,
        REBOOT | {"mac": " 00:1a:79:00:00:01 "},
        [event_call("event=reboot")],
        {"error": 0, "message": "Event sent successfully to device 00:1a:79:00:00:01"},
        who="reseller1",
        rights="0|0|0|0|1|0|0",
        log=OK_LOG,
    ),
    "13 bare digits": Case(
        EVENT,
        REBOOT | {"mac": "001a79000001"},
        [event_call("event=reboot")],
        {"error": 0},
        who="reseller1",
        rights="0|0|0|0|1",
        log=OK_LOG,
    ),
    "14": Case(
        EVENT, REBOOT | {"mac": "00:1A:79:00:00:99"}, says={"error": 1, "code": 4}, who="reseller1", rights="0|0|0|0|1"
    ),
    "15": Case(
        MESSAGE,
        {"mac": MAC1, "message": "50% off & more + é"},
        [message_call("msg=50%25+off+%26+more+%2B+%C3%A9")],
        MESSAGE_SENT_1,
        encoding="json",
        log=OK_LOG,
    ),
    "16": Case(
        MESSAGE,
        HI | {"mac": "00:1A:79:00:00:99"},
        [message_call("msg=Hi", "00:1A:79:00:00:99"), look_call("00:1A:79:00:00:99")],
        {"error": 1, "err_msg": "Failed to send message: Empty stb list", "code": 8},
        log=[("failed", "Empty stb list")],
    ),
    "18": Case(
        MESSAGE,
        HI,
        [message_call("msg=Hi")],
        {"error": 1, "code": 8, "err_msg": "Failed to send message: 401 Unauthorized request"},
        faults=(UNAUTHORIZED,),
        log=[("failed", "401 Unauthorized request")],
    ),
    "22": Case(
        "send_message",
        HI | {"ttl": 86400},
        [message_call("msg=Hi&ttl=86400")],
        {"error": 0, "err_msg": "Message sent successfully", "message": "Message sent successfully"},
        encoding="json",
        log=OK_LOG,
    ),
    "23": Case(
        "send_message",
        BULK,
        [message_call("msg=Hi"), message_call("msg=Hi", MAC2)],
        {"error": 0, "err_msg": "", "message": None},
        log=OK_LOG * 2,
    ),
    "24": Case(
        "send_message",
        BULK,
        [message_call("msg=Hi"), message_call("msg=Hi", MAC2), look_call(MAC2)],
        {
            "error": 0,
            "warning": 1,
            "wrn_msg": f"Message sent to 1 of 2 devices. Failed:<br />{MAC2}<br />",
            "err_msg": "",
            "failed": [MAC2],
        },
        faults=(DONE, EMPTY_LIST),
        log=[("success", None), ("failed", "Empty stb list")],
    ),
    "25a": Case("send_message", {"stb_macs": "", "msg": "Hi"}, says=BAD),
    "25a bars": Case("send_message", {"stb_macs": " | |", "msg": "Hi"}, says=BAD),
    "25a event": Case("send_event", {"stb_macs": "", "event": "8"}, says=BAD),
    "25b": Case(
        "send_message", {"stb_macs": f"{MAC1}||", "msg": "Hi"}, [message_call("msg=Hi")], {"err_msg": ""}, log=OK_LOG
    ),
    "26": Case(
        "send_message",
        BULK,
        [message_call("msg=Hi")],
        {"error": 0, "warning": 1, "failed": [MAC2]},
        who="reseller1",
        rights="1|1|0|0|0",
        log=OK_LOG,
    ),
    "27": Case(
        "send_event",
        {"event": "2", "stb_macs": MAC1},
        [event_call("event=reload_portal")],
        {"error": 0, "err_msg": "", "message": None},
        log=OK_LOG,
    ),
    "28": Case(
        "send_event",
        {"mac": MAC1, "event": "reload_portal"},
        [event_call("event=reload_portal")],
        {"error": 0, "err_msg": "Event sent successfully", "message": "Event sent successfully"},
        encoding="json",
        log=OK_LOG,
    ),
    "29": Case("send_event", {"event": "send_msg", "stb_macs": MAC1}, says=BAD),
    "29 injected": Case("send_event", {"event": "send_msg&msg=x", "stb_macs": MAC1}, says=BAD),
    **{
        f"30 {name}": Case(name, {**HI, "event": "reboot"}, says=NOT_LOGGED_IN, who=None)
        for name in (EVENT, MESSAGE, "send_message", "send_event", "update_stalker_settings")
    },
}


@pytest.mark.every_kind
def test_golden_cases_of_one_request(boxes: Boxes) -> None:
    """All of them on one kind of database, which tells none from another; on the others every fourth."""
    step = 1 if boxes.world.panel.database.dialect == "sqlite" else 4
    for (name, case), prefix in zip(list(CASES.items())[::step], itertools.cycle(PREFIXES)):
        try:
            run(boxes, case, prefix)
        except AssertionError as error:
            raise AssertionError(f"golden case {name}") from error


def test_1_by_basic_auth(light_boxes: Boxes) -> None:
    run(light_boxes, CASES["1"])
    [request] = light_boxes.portals[0].requests
    assert request.headers["authorization"] == basic("apiuser", PORTAL_PASSWORD)
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize("encoding", ["json", "form", "multipart", "query"])
def test_every_encoding(light_boxes: Boxes, encoding: str) -> None:
    for case in ("1", "3", "15", "22", "28"):
        wish = CASES[case]
        run(light_boxes, Case(wish.endpoint, wish.fields, wish.asked, wish.says, encoding=encoding, log=wish.log))


def test_15_leaves_log_and_audit_rows(boxes: Boxes) -> None:
    run(boxes, CASES["15"])
    text = "50% off & more + é"
    [row] = boxes.log
    assert isinstance(row.pop("created_at"), datetime.datetime)
    assert row | {"id": 1} == {
        "id": 1,
        "user_id": 1,
        "username": "admin",
        "action_type": "message",
        "mac_address": MAC1,
        "action_detail": text,
        "full_message": text,
        "status": "success",
        "error_message": None,
    }
    [audit] = boxes.audit
    assert (audit["action"], audit["target_type"], audit["target_id"]) == ("send", "stb_message", None)
    assert (audit["target_name"], audit["user_id"], audit["user_type"]) == (MAC1, 1, "super_admin")
    assert orjson.loads(audit["new_value"]) == {"message": text}
    # a failure is logged, and not audited as sent
    run(boxes, CASES["16"])
    assert boxes.audit == []


def test_the_log_of_events(boxes: Boxes) -> None:
    labels = {
        "reboot": "Reboot Device",
        "reload_portal": "Reload Portal",
        "update_channels": "Update Channels",
        "play_channel": "Play Channel",
        "play_radio_channel": "Play Radio Channel",
        "update_image": "Update Image",
        "show_menu": "Show Menu",
        "cut_off": "Cut Off",
    }
    for event in labels:
        boxes.post("admin", "/send_stb_event.php", {"mac": MAC1, "event": event, "channel_id": "7"})
    assert [row["action_detail"] for row in boxes.log] == list(labels.values())
    assert {(row["action_type"], row["full_message"]) for row in boxes.log} == {("event", None)}
    # the channel of other events is ignored
    assert boxes.asked[0] == event_call("event=reboot")
    names = [orjson.loads(row["new_value"]) for row in boxes.audit]
    assert names[0] == {"event": "reboot"}
    assert names[3] == {"event": "play_channel", "channel": "7"}


def test_17_a_portal_that_refuses_the_connection(boxes: Boxes) -> None:
    boxes.portals[0].stop_listening()
    answer = boxes.post("admin", "/send_stb_message.php", HI)
    assert (answer["err_msg"], answer["code"]) == ("Failed to send message: Connection refused", 8)
    answer = boxes.post("admin", "/send_stb_event.php", REBOOT)
    assert answer["err_msg"] == "Failed to send event: Connection refused"
    assert [row["error_message"] for row in boxes.log] == ["Connection refused"] * 2


def test_19_server_2_down(dual_boxes: Boxes) -> None:
    dual_boxes.portals[1].stop_listening()
    answer = dual_boxes.post("admin", "/send_stb_event.php", REBOOT)
    sentence = f"Server 2 failed: event for {MAC1}: Connection refused"
    assert answer == SENT_1 | {"server2_warning": True, "server2_error": sentence}
    assert [row["status"] for row in dual_boxes.log] == ["success"]
    sent, late = dual_boxes.audit
    assert sent["action"] == "send"
    assert (late["action"], late["target_type"], late["target_name"]) == ("server2_failure", "stalker_portal", MAC1)
    assert orjson.loads(late["new_value"]) == {
        "operation": "event",
        "error": "Connection refused",
        "server": "server 2",
    }
    assert late["details"] == sentence


def test_dual_mode_asks_server_1_then_server_2_in_the_same_form(dual_boxes: Boxes) -> None:
    assert dual_boxes.post("admin", "/send_stb_event.php", PLAY) == SENT_1
    assert dual_boxes.asked == [event_call(DOLLAR), event_call(DOLLAR, server="two")]
    dual_boxes.forget()
    dual_boxes.portals[0].fail("send_event", NOTHING_DONE)
    assert dual_boxes.post("admin", "/send_stb_event.php", PLAY) == SENT_1
    assert dual_boxes.asked == [event_call(DOLLAR), event_call(STOCK), event_call(STOCK, server="two")]
    dual_boxes.forget()
    dual_boxes.post("admin", "/send_message.php", BULK)
    each = [message_call("msg=Hi", mac, server) for mac in (MAC1, MAC2) for server in ("one", "two")]
    assert dual_boxes.asked == each


def test_20_server_1_refuses(dual_boxes: Boxes) -> None:
    dual_boxes.portals[0].fail("*", EMPTY_LIST)
    answer = dual_boxes.post("admin", "/send_stb_event.php", REBOOT)
    assert (answer["error"], answer["code"]) == (1, 8)
    assert dual_boxes.asked == [event_call("event=reboot"), look_call()]


def test_21_dual_mode_with_equal_addresses(dual_boxes: Boxes) -> None:
    panel = dual_boxes.world.panel
    address = dual_boxes.portals[0].base_url.removesuffix("/").replace("http", "HTTP")
    portal = panel.config.portal.model_copy(update={"secondary_api_url": address})
    panel.config = panel.config.model_copy(update={"portal": portal})
    assert dual_boxes.post("admin", "/send_stb_event.php", REBOOT) == SENT_1
    assert dual_boxes.asked == [event_call("event=reboot")]


def test_23_and_24_audit_rows(boxes: Boxes) -> None:
    run(boxes, CASES["23"])
    [audit] = boxes.audit
    assert (audit["action"], audit["target_type"], audit["target_name"]) == ("send", "stb_message", "Bulk: 2 devices")
    assert orjson.loads(audit["new_value"]) == {"message": "Hi", "devices": [MAC1, MAC2]}
    run(boxes, CASES["24"])
    [audit] = boxes.audit
    assert audit["target_name"] == "Bulk: 1/2 devices"
    assert orjson.loads(audit["new_value"]) == {
        "message": "Hi",
        "success_count": 1,
        "failed_count": 1,
        "failed_devices": [MAC2],
    }


@pytest.mark.parametrize("name", ["get_stb_logs", "get_stalker_settings"])
def test_30_reading_without_a_session(boxes: Boxes, name: str) -> None:
    for prefix in PREFIXES:
        assert boxes.get(None, f"{prefix}{name}.php") == NOT_LOGGED_IN
