"""What jobs keep, and what came of them, is read back as it was, also what the version before stored."""

from typing import Any

import orjson
import pytest

from core.access.audit import Origin
from core.access.began import Began
from core.devices import batch
from core.devices.rules import Event, Message
from core.devices.send import Delivery
from core.messages import by_hand
from core.messages.mail import send as mail
from core.messages.mail.settings import Template
from core.messages.push import triggers
from core.messages.push.message import Message as Notice
from core.messages.sms import send as sms
from core.messages.telegram import logins
from core.messages.telegram import send as telegram
from core.resellers import themes
from core.sync import on_request
from core.sync.outcomes import Counts
from core.workers import schedule
from tests.worlds.stb import MAC1, MAC2

ORIGIN = Origin("192.0.2.1", "curl/8")
BEGAN = Began(7, "resa", "Res A", ORIGIN)
# as the version before kept it: the id stood in the job's row alone, the name nowhere
BEFORE = {"username": "resa", "origin": {"address": "192.0.2.1", "user_agent": "curl/8"}}
BEGAN_BEFORE = Began(7, "resa", "resa", ORIGIN)

TO = mail.Addressee("a@example.com", "A", {"name": "A"}, 5)
NOTICE = Notice("t", "b", "g", {"type": "payment", "url": "/"})

# what there is now, and what the version before stored of the same
WITH_AUTHOR: dict[str, tuple[Any, Any]] = {
    "sms": (
        sms.Order("Hi", [sms.Target("+441", 5), sms.Target("+442")], 1, BEGAN),
        {"message": "Hi", "recipients": [{"account_id": 5, "number": "+441"}, {"number": "+442"}], "skipped": 1},
    ),
    "mail": (
        mail.Order(Template("S", "<p>", "p"), [(9, TO)], BEGAN),
        {
            "text": {"subject": "S", "html": "<p>", "plain": "p"},
            "mails": [
                {
                    "log_id": 9,
                    "to": {"email": "a@example.com", "name": "A", "values": {"name": "A"}, "account_id": 5},
                }
            ],
        },
    ),
    "telegram": (
        telegram.Order("Hi", [telegram.Chat(3, -5)], BEGAN),
        {"message": "Hi", "recipients": [{"user_id": 3, "chat_id": -5}]},
    ),
    "event to boxes": (
        batch.Batch(Event("play_channel", "7"), [MAC1], ["x"], BEGAN),
        {"kind": "event", "content": {"name": "play_channel", "channel": "7"}, "macs": [MAC1], "refused": ["x"]},
    ),
    "message to boxes": (
        batch.Batch(Message("Hi", 9), [MAC1], [], BEGAN),
        {"kind": "message", "content": {"text": "Hi", "ttl": 9}, "macs": [MAC1], "refused": []},
    ),
}
# the stored form is the version before's as well
UNCHANGED: dict[str, tuple[Any, dict[str, Any]]] = {
    "theme": (themes.Order(7, "emerald", 4), {"reseller_id": 7, "theme": "emerald", "total": 4}),
    "sync": (on_request.Order(7, ORIGIN), {"scope": 7, "origin": BEFORE["origin"]}),
    "push again": (
        triggers._Again(NOTICE, [1, 2], 2),
        {
            "message": {"title": "t", "body": "b", "tag": "g", "data": {"type": "payment", "url": "/"}},
            "devices": [1, 2],
            "tries": 2,
        },
    ),
    "login": (
        logins._Login("resa", "192.0.2.1", "-", "2026-11-27 10:00:00"),
        {"username": "resa", "ip_address": "192.0.2.1", "device": "-", "login_time": "2026-11-27 10:00:00"},
    ),
    "scheduled": (schedule.Start("backup"), {"name": "backup"}),
    # and so it is on the wire of get_job_status, byte for byte
    "result of sms": (
        sms.Result(2, 1, "77", {"status": 1}, "no"),
        {"sent": 2, "failed": 1, "bulk_id": "77", "api_response": {"status": 1}, "error": "no"},
    ),
    "result of mail": (by_hand.Result(1, ["a@example.com: no"]), {"sent": 1, "errors": ["a@example.com: no"]}),
    "result of telegram": (by_hand.Result(1, [[3, "no"]]), {"sent": 1, "errors": [[3, "no"]]}),
    "result of boxes": (
        batch.Result([Delivery(MAC1), Delivery(MAC2, "no", server2="late")], "server 2: late"),
        {"done": [[MAC1, None, None], [MAC2, "no", "late"]], "server2": "server 2: late"},
    ),
    "result of a theme": (
        themes.ThemeCounts(4, 2, 1, ["x: no"], 1, 9),
        {"total": 4, "updated": 2, "failed": 1, "errors": ["x: no"], "lagging": 1, "last_id": 9},
    ),
    "result of a sync": (
        Counts(4, 1, 0, {"doubles": ["x"]}),
        {"synced": 4, "skipped": 1, "removed": 0, "named": {"doubles": ["x"]}},
    ),
}


def through_json(stored: Any) -> Any:
    return orjson.loads(orjson.dumps(stored))


@pytest.mark.parametrize(("order", "before"), WITH_AUTHOR.values(), ids=WITH_AUTHOR)
def test_an_order_is_read_back_whichever_version_stored_it(order: Any, before: dict[str, Any]) -> None:
    assert type(order).read(through_json(order.stored()), 7) == order
    read = type(order).read(through_json(before | BEFORE), 7)
    assert read.began == BEGAN_BEFORE
    assert read.stored() | BEGAN.stored() == order.stored()


@pytest.mark.parametrize(("value", "before"), UNCHANGED.values(), ids=UNCHANGED)
def test_what_is_stored_is_what_the_version_before_stored(value: Any, before: dict[str, Any]) -> None:
    assert orjson.dumps(value.stored()) == orjson.dumps(before)
    assert type(value).read(through_json(before)) == value


@pytest.mark.parametrize("kind", [sms.Result, by_hand.Result, batch.Result, themes.ThemeCounts, Counts])
def test_of_a_job_that_has_told_nothing_yet_nothing_is_known(kind: Any) -> None:
    assert kind.read(None) == kind()


def test_a_sync_of_an_older_version_named_no_accounts() -> None:
    assert Counts.read({"synced": 4, "skipped": 1, "removed": 0}) == Counts(4, 1, 0)
