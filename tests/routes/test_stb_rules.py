"""Events and messages for set-top boxes: the rules of contract chapter 50 beside its golden cases, and bad portals."""

from typing import Any

import pytest

from core.storage.tables import Account
from legacy_routes.warnings import NOT_RECORDED
from simulators.faults import Answer, Fault, Hang, HangUp, Huge
from simulators.wire import Response
from tests.worlds.stb import MAC1, MAC2, Boxes, permit
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
    Case,
    event_call,
    look_call,
    message_call,
    portal_says,
    run,
)

_asked, _asked_msg = event_call, message_call
BAD_TARGET = "<img src=x onerror=alert(1)>"


@pytest.mark.parametrize(
    ("case", "says"),
    [
        (Case("send_message", HI | {"mac": [MAC1, MAC2, MAC1.lower()]},
              [_asked_msg("msg=Hi"), _asked_msg("msg=Hi", MAC2)], encoding="json", log=OK_LOG * 2),
         {"err_msg": "Message sent successfully"}),
        (Case("send_message", HI | {"mac": f"{MAC1}|{MAC2}"}, [_asked_msg("msg=Hi"), _asked_msg("msg=Hi", MAC2)],
              log=OK_LOG * 2), {"err_msg": "Message sent successfully"}),
        (Case("send_message", {"stb_macs": f"{MAC1}|{BAD_TARGET}", "msg": "Hi"}, [_asked_msg("msg=Hi")], log=OK_LOG),
         {"wrn_msg": "Message sent to 1 of 2 devices. Failed:<br />&lt;img src=x onerror=alert(1)&gt;<br />"}),
        (Case("send_message", {"stb_macs": BAD_TARGET, "msg": "Hi"}), BAD),
        (Case("send_message", HI | {"mac": "0"}), BAD),
        (Case("send_message", HI | {"message": "  "}), BAD),
        (Case("send_message", {"stb_macs": MAC1}), BAD),
        (Case("send_message", HI | {"ttl": 0}), BAD),
        (Case("send_message", HI | {"ttl": "soon"}), BAD),
        (Case("send_message", HI | {"mac": {"a": 1}}, encoding="json"), BAD),
        (Case("send_message", HI | {"mac": "|".join(f"00:1A:79:01:{n // 256:02X}:{n % 256:02X}" for n in range(501))}),
         BAD),
        # an older script's ttl was ignored
        (Case("send_message", {"stb_macs": MAC1, "msg": "Hi", "ttl": "60"}, [_asked_msg("msg=Hi")], log=OK_LOG), {}),
        (Case("send_message", {"stb_macs": MAC1, "msg": "50%25+off%21"}, [_asked_msg("msg=50%25+off%21")], log=OK_LOG),
         {}),
        (Case("send_message", {"mac": MAC1, "message": "50%25+off%21"}, [_asked_msg("msg=50%2525%2Boff%2521")],
              log=OK_LOG), {}),
        (Case("send_message", HI, [_asked_msg("msg=Hi"), look_call()], faults=(EMPTY_LIST,),
              log=[("failed", "Empty stb list")]),
         {"code": 8, "err_msg": "Failed to send message: Empty stb list"}),
        (Case("send_message", {"stb_macs": MAC1, "msg": "Hi"}, [_asked_msg("msg=Hi"), look_call()],
              faults=(EMPTY_LIST,),
              log=[("failed", "Empty stb list")]), {"code": 8, "err_msg": "The message could not be sent to any STB"}),
        (Case("send_message", BULK | {"stb_macs": MAC2}, who="reseller1", rights="0|1"),
         {"code": 3, "err_msg": FOREIGN}),
        (Case("send_message", HI | {"mac": "00:1A:79:00:00:99"}, who="reseller1", rights="0|1"), {"code": 4}),
        (Case("send_message", HI, who="reseller1", rights="1|0|1|1|0|1|1"), {"code": 3}),
        (Case("send_message", HI, who="obs"), {"code": 3}),
        (Case("send_message", HI, [_asked_msg("msg=Hi")], who="reseller1", rights="0|0|0|0|1", log=OK_LOG),
         {"err_msg": "Message sent successfully"}),
        (Case("send_event", {"stb_macs": MAC1, "event": "1"}, [_asked("event=reboot")], who="reseller1",
              rights="0|0|1", log=OK_LOG), {"error": 0}),
        (Case("send_event", {"stb_macs": MAC1, "event": "1"}, who="reseller1", rights="1|1|0|1|0|1|1"),
         {"code": 3, "err_msg": NO_EVENTS}),
        (Case("send_event", {"stb_macs": MAC2, "event": "1"}, who="radmin", rights="1|1|1|1|1|1|1"), {"code": 3}),
        (Case("send_event", {"stb_macs": MAC1, "event": "4", "channel_number": "123"}, [_asked(DOLLAR)], log=OK_LOG),
         {"err_msg": ""}),
        (Case("send_event", {"mac": MAC1, "event": "play_channel", "channel": 123}, [_asked(DOLLAR)], encoding="json",
              log=OK_LOG), {"error": 0}),
        (Case("send_event", {"stb_macs": MAC1, "event": "5"}), BAD),
        (Case("send_event", {"stb_macs": MAC1, "event": "9"}), BAD),
        (Case("send_event", {"mac": MAC1}), BAD),
        (Case("send_event", {"stb_macs": f"{MAC1}|{MAC2}", "event": "8"},
              [_asked("event=cut_off"), _asked("event=cut_off", MAC2)], faults=(DONE, NOTHING_DONE),
              log=[("success", None), ("failed", "Unknown error")]),
         {"wrn_msg": f"Event sent to 1 of 2 devices. Failed:<br />{MAC2}<br />"}),
        (Case(MESSAGE, {"mac": MAC1, "msg": "0", "ttl": "60"}, [_asked_msg("msg=0&ttl=60")], faults=(DONE,),
              log=OK_LOG),
         MESSAGE_SENT_1),
        (Case(MESSAGE, HI | {"ttl": "-1"}), BAD),
        (Case(MESSAGE, HI | {"message": " \r\n\x01 "}), BAD),
        (Case(MESSAGE, HI | {"message": "x" * 4001}), BAD),
        (Case(MESSAGE, HI | {"message": ["Hi"]}, encoding="json"), BAD),
        (Case(MESSAGE, HI | {"message": " a\x01\r\nb\x7f\tc "}, [_asked_msg("msg=a%0D%0Ab%09c")], log=OK_LOG), {}),
        (Case(MESSAGE, HI | {"message": "<b>سلام</b>"},
              [_asked_msg("msg=%3Cb%3E%D8%B3%D9%84%D8%A7%D9%85%3C%2Fb%3E")], log=OK_LOG), {}),
        (Case(EVENT, {"mac": MAC1}), BAD | {"err_msg": "Event type is required"}),
        (Case(EVENT, PLAY | {"channel_id": "1234567"}), BAD),
        # the order of the checks: a foreign device is refused before its event is looked at
        (Case(EVENT, {"mac": MAC2, "event": "format_disk"}, who="reseller1", rights="0|0|0|0|1"), {"code": 3}),
    ],
)  # fmt: skip
def test_rules_beside_the_golden_cases(light_boxes: Boxes, case: Case, says: dict[str, Any]) -> None:
    answer = run(light_boxes, case)
    assert {key: answer.get(key) for key in says} == says


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (portal_says("<html>oops</html>"), "Unknown error"),
        (portal_says(""), "Unknown error"),
        (portal_says('{"status":"ERROR","results":null,"error":"Error: mysqli_query x; query :SELECT 1"}'), "Unknown"),
        (portal_says('{"status":"ERROR","results":null,"error":"<b>bold</b>"}'), "Unknown error"),
        (portal_says("{}", 500), "Unknown error"),
        (Answer(Response(b"", 302, headers={"Location": "http://elsewhere.example.com/"})), "Unknown error"),
        (Huge(5 * 1024 * 1024), "Unknown error"),
        (HangUp(), "Connection refused"),
    ],
)
def test_a_portal_that_answers_nonsense(light_boxes: Boxes, fault: Fault, words: str) -> None:
    light_boxes.portals[0].fail("*", fault)
    answer = light_boxes.post("admin", "/send_stb_event.php", REBOOT)
    assert (answer["error"], answer["code"]) == (1, 8)
    assert answer["err_msg"].startswith(f"Failed to send event: {words}")
    assert "message" not in answer["err_msg"]
    assert [row["status"] for row in light_boxes.log] == ["failed"]


def test_success_needs_no_results(light_boxes: Boxes) -> None:
    for results in ("", ',"results":null', ',"results":[]', ',"results":""'):
        light_boxes.portals[0].fail("*", portal_says(f'{{"status":"OK"{results}}}'))
        assert light_boxes.post("admin", "/send_stb_event.php", REBOOT) == SENT_1


def test_no_portal_is_configured(light_boxes: Boxes) -> None:
    panel = light_boxes.world.panel
    panel.config = panel.config.model_copy(update={"portal": type(panel.config.portal)()})
    answer = light_boxes.post("admin", "/send_stb_message.php", HI)
    assert (answer["code"], answer["err_msg"]) == (8, "Failed to send message: The portal is not configured")
    assert [row["error_message"] for row in light_boxes.log] == ["The portal is not configured"]


def test_an_identical_request_of_one_session_within_a_moment_is_sent_once(light_boxes: Boxes) -> None:
    client = light_boxes.client("admin").in_a_browser()
    answers = [client.post("/send_stb_message.php", HI).json() for _ in range(2)]
    assert answers == [MESSAGE_SENT_1] * 2
    assert light_boxes.asked == [message_call("msg=Hi")]


def test_a_script_that_sends_twice_means_it(light_boxes: Boxes) -> None:
    client = light_boxes.client("admin")
    assert [client.post("/send_stb_message.php", HI).json() for _ in range(2)] == [MESSAGE_SENT_1] * 2
    assert light_boxes.asked == [message_call("msg=Hi")] * 2


def test_a_portal_that_never_answers_is_given_up(light_boxes: Boxes) -> None:
    light_boxes.hurry(0.15)
    light_boxes.portals[0].fail("*", Hang(), times=None)
    macs = [f"00:1A:79:02:00:{number:02X}" for number in range(40)]
    answer = light_boxes.post("admin", "/send_event.php", {"stb_macs": "|".join(macs), "event": "1"})
    assert (answer["code"], answer["err_msg"]) == (8, "The event could not be sent to any STB")
    assert len(light_boxes.asked) == 3
    assert [row["error_message"] for row in light_boxes.log] == ["Connection timed out"] * 40
    light_boxes.portals[0].clear_faults()


def test_two_accounts_with_one_device(boxes: Boxes) -> None:
    """The oldest one decides whose it is, as for names."""
    boxes.world.insert(Account, [{"id": 9, "username": "twin", "mac": MAC1.lower(), "reseller": 6, "status": 1}])
    permit(boxes, "reseller1", "0|0|0|0|1")
    permit(boxes, "reseller2", "0|0|0|0|1")
    assert boxes.post("reseller1", "/send_stb_event.php", REBOOT)["error"] == 0
    assert boxes.post("reseller2", "/send_stb_event.php", REBOOT)["code"] == 3


def test_a_database_that_cannot_log_does_not_fail_what_was_sent_and_says_so(boxes: Boxes) -> None:
    boxes.world.execute("ALTER TABLE _stb_action_logs RENAME TO _stb_elsewhere")
    try:
        told = {"warning": 1, "warning_text": NOT_RECORDED}
        assert boxes.post("admin", "/send_stb_message.php", HI) == MESSAGE_SENT_1 | told
    finally:
        boxes.world.execute("ALTER TABLE _stb_elsewhere RENAME TO _stb_action_logs")
