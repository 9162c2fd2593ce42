"""One request to a set-top-box endpoint and all that must come of it, for the tests of contract chapter 50."""

from dataclasses import dataclass, field
from typing import Any

from simulators.faults import Answer, Fault
from simulators.wire import Response
from tests.worlds.stb import MAC1, MAC2, Boxes, permit

JSON = "application/json"


def portal_says(body: str, status: int = 200) -> Answer:
    return Answer(Response(body.encode(), status, JSON))


NOTHING_DONE = portal_says('{"status":"OK","results":false}')
DONE = portal_says('{"status":"OK","results":true}')
EMPTY_LIST = portal_says('{"status":"ERROR","results":null,"error":"Empty stb list"}')
UNAUTHORIZED = portal_says('{"status":"ERROR","results":"","error":"401 Unauthorized request"}', 401)

EVENT, MESSAGE = "send_stb_event", "send_stb_message"
NO_EVENTS = "Permission denied. Only administrators can send STB events."
FOREIGN = "Permission denied. This device does not belong to you."
REBOOT = {"mac": MAC1, "event": "reboot"}
PLAY = {"mac": MAC1, "event": "play_channel", "channel_id": "123"}
DOLLAR, STOCK = "event=play_channel$channel_number=123", "event=play_channel&channel=123"
HI = {"mac": MAC1, "message": "Hi"}
SENT_1 = {"error": 0, "message": f"Event sent successfully to device {MAC1}", "err_msg": ""}
MESSAGE_SENT_1 = {"error": 0, "message": f"Message sent successfully to device {MAC1}", "err_msg": ""}
BAD = {"error": 1, "code": 6}


def event_call(body: str, mac: str = MAC1, server: str = "one") -> str:
    return f"{server} POST send_event/{mac} {body}"


def message_call(body: str, mac: str = MAC1, server: str = "one") -> str:
    return f"{server} POST stb_msg/{mac} {body}"


def look_call(mac: str = MAC1, server: str = "one") -> str:
    """What follows where a portal does not find a box: it may have it with dashes (90 §13 M11)."""
    return f"{server} GET stb/{mac.replace(':', '-')}"


@dataclass(frozen=True)
class Case:
    """One request and all that must come of it. ``rights``: of reseller1 and radmin; ``says``: a part of the answer;
    ``faults``: of server 1's next calls; ``log``: (status, error) of the rows."""

    endpoint: str
    fields: dict[str, Any]
    asked: list[str] = field(default_factory=list)
    says: dict[str, Any] = field(default_factory=dict)
    who: str | None = "admin"
    rights: str = "0|0|0|0|0|0|0"
    encoding: str = "form"
    faults: tuple[Fault, ...] = ()
    log: list[tuple[str, str | None]] = field(default_factory=list)


OK_LOG: list[tuple[str, str | None]] = [("success", None)]
BULK = {"stb_macs": f"{MAC1}|{MAC2}", "msg": "Hi"}


def run(boxes: Boxes, case: Case, prefix: str = "/") -> dict[str, Any]:
    boxes.forget()
    for username in ("reseller1", "radmin"):
        permit(boxes, username, case.rights)
    for after, fault in enumerate(case.faults):
        boxes.portals[0].fail("*", fault, after=after)
    answer = boxes.post(case.who, f"{prefix}{case.endpoint}.php", case.fields, case.encoding)
    boxes.portals[0].clear_faults()
    assert boxes.asked == case.asked, answer
    assert {key: answer.get(key) for key in case.says} == case.says
    if answer["error"]:
        assert answer["err_msg"] == answer["message"]
    assert [(row["status"], row["error_message"]) for row in boxes.log] == case.log
    return answer
