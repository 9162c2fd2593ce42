"""The client of the Bot API against a real simulated one: outcomes, waits, and where its token stays."""

import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from core.config import Telegram
from core.errors import PanelError
from core.messages.delivery import Outcome
from core.messages.telegram import bot as client
from core.messages.telegram.bot import Bot, BotDelivery, Identity, InvalidToken, TelegramUnreachable, TokenRefused
from simulators.faults import Answer, Cut, Fault, Hang, HangUp
from simulators.telegram import TOKEN, BotApi, refusal
from simulators.wire import Response

GOOD = SecretStr(TOKEN)
SECRET = TOKEN.partition(":")[2]
CHAT = 100200300


@pytest.fixture(scope="module")
def _api() -> Iterator[BotApi]:
    with BotApi() as api:
        yield api


@pytest.fixture
def api(_api: BotApi) -> BotApi:
    _api.forget()
    return _api


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def bot(api: BotApi, waits: list[float], monkeypatch: pytest.MonkeyPatch) -> Iterator[Bot]:
    monkeypatch.setattr(client, "_TOTAL_SECONDS", 0.5)
    bot = Bot(Telegram(api_base=api.base_url), wait=waits.append)
    yield bot
    bot.close()


def test_who_a_bot_is(api: BotApi, bot: Bot) -> None:
    assert bot.identity(GOOD) == Identity(1234567890, "ExampleBot", "Example Bot")
    assert api.calls == ["GET getMe"]


@pytest.mark.parametrize(
    "token", ["", "abc", "1234567890", "1234567890:short", f"x{TOKEN}", f"{TOKEN} ", f"{TOKEN}/../x"]
)
def test_a_token_that_is_none_is_never_sent(api: BotApi, bot: Bot, token: str) -> None:
    with pytest.raises(InvalidToken):
        bot.identity(SecretStr(token))
    assert api.requests == []


def test_a_token_that_telegram_does_not_know(bot: Bot) -> None:
    with pytest.raises(TokenRefused):
        bot.identity(SecretStr("1234567890:" + "x" * 35))


def test_a_bot_whose_name_is_markup_is_not_believed(api: BotApi, bot: Bot) -> None:
    api.add_bot(TOKEN, "<b>x</b>")
    with pytest.raises(TelegramUnreachable):
        bot.identity(GOOD)


def test_a_message(api: BotApi, bot: Bot) -> None:
    assert bot.send(GOOD, CHAT, "*hi*", markdown=True) == BotDelivery(Outcome.SENT, message_id=77)
    assert [(m.chat_id, m.text, m.parse_mode) for m in api.messages] == [(CHAT, "hi", "Markdown")]
    assert b'"disable_web_page_preview":true' in api.requests[0].body


def test_what_telegram_cannot_parse_goes_out_as_plain_text(api: BotApi, bot: Bot) -> None:
    assert bot.send(GOOD, CHAT, "a_b", markdown=True).outcome is Outcome.SENT
    assert [(m.text, m.parse_mode) for m in api.messages] == [("a_b", None)]
    assert len(api.requests) == 2


def test_a_chat_that_moved_is_followed_once(api: BotApi, bot: Bot) -> None:
    api.move(-5, -1005)
    assert bot.send(GOOD, -5, "hi", markdown=True) == BotDelivery(Outcome.SENT, message_id=77, moved_to=-1005)
    api.move(-1005, -1006)
    assert bot.send(GOOD, -5, "hi", markdown=True) == BotDelivery(Outcome.REFUSED, "message rejected", moved_to=-1005)
    assert api.counts == {-1005: 1}


WAITS = {
    "short": (3, 1, [3], Outcome.SENT),
    "unnamed": (None, 1, [1], Outcome.SENT),
    "only once": (2, 2, [2], Outcome.REFUSED),
    "too long": (31, 1, [], Outcome.REFUSED),
}


@pytest.mark.parametrize(("seconds", "times", "waited", "outcome"), WAITS.values(), ids=WAITS)
def test_too_many_requests(
    api: BotApi, bot: Bot, waits: list[float], seconds: int | None, times: int, waited: list[float], outcome: Outcome
) -> None:
    parameters = {} if seconds is None else {"retry_after": seconds}
    api.fail(Answer(refusal(429, "Too Many Requests", **parameters)), times=times)
    delivery = bot.send(GOOD, CHAT, "hi", markdown=True)
    assert (delivery.outcome, waits) == (outcome, waited)
    assert delivery.error == (None if outcome is Outcome.SENT else "too many requests")
    assert delivery.is_hopeless is (outcome is not Outcome.SENT)


UNKNOWN = "the message may have been delivered"
NO_ANSWER = f"Telegram gave no usable answer; {UNKNOWN}"
FAULTS: dict[str, tuple[Fault, Outcome, str, bool]] = {
    "no answer": (Hang(effect=True), Outcome.UNKNOWN, f"Telegram did not answer in time; {UNKNOWN}", True),
    "hangs up": (HangUp(effect=True), Outcome.UNKNOWN, f"The connection to Telegram was lost; {UNKNOWN}", True),
    "cut": (Cut(), Outcome.UNKNOWN, f"The connection to Telegram was lost; {UNKNOWN}", True),
    "500": (
        Answer(Response(b"{}", 500), effect=True),
        Outcome.UNKNOWN,
        f"Telegram gave no usable answer; {UNKNOWN}",
        True,
    ),
    "200 of a gateway": (
        Answer(Response(b"<p>ok")),
        Outcome.UNKNOWN,
        f"Telegram gave no usable answer; {UNKNOWN}",
        True,
    ),
    "400": (Answer(refusal(400, f"Bad Request: {SECRET}")), Outcome.REFUSED, "message rejected", False),
    "401": (Answer(refusal(401, "Unauthorized")), Outcome.REFUSED, "the bot token is not valid", True),
    "403": (Answer(refusal(403, "Forbidden: bot was kicked")), Outcome.REFUSED, "bot was blocked by the user", False),
    "redirect": (
        Answer(Response(b"", 302, headers={"Location": f"http://127.0.0.1:9/bot{TOKEN}/x"})),
        Outcome.REFUSED,
        "message rejected",
        True,
    ),
    "a page of garbage": (Answer(Response(b"x" * 100_000, 400)), Outcome.REFUSED, "message rejected", True),
}


@pytest.mark.parametrize(("fault", "outcome", "error", "is_hopeless"), FAULTS.values(), ids=FAULTS)
def test_faults(
    api: BotApi,
    bot: Bot,
    caplog: pytest.LogCaptureFixture,
    fault: Fault,
    outcome: Outcome,
    error: str,
    is_hopeless: bool,
) -> None:
    caplog.set_level(logging.DEBUG)
    api.fail(fault)
    assert bot.send(GOOD, CHAT, "hi", markdown=True) == BotDelivery(outcome, error, is_hopeless=is_hopeless)
    assert len(api.requests) == 1
    assert SECRET not in caplog.text


def test_chats_that_cannot_be_reached(api: BotApi, bot: Bot) -> None:
    api.lose(1)
    api.block(2)
    assert [bot.send(GOOD, chat, "hi", markdown=True).error for chat in (1, 2)] == [
        "chat not found",
        "bot was blocked by the user",
    ]


def test_telegram_down(api: BotApi, bot: Bot, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    api.stop_listening()
    assert bot.send(GOOD, CHAT, "hi", markdown=True) == BotDelivery(
        Outcome.REFUSED, "Telegram is unreachable", is_hopeless=True
    )
    with pytest.raises(TelegramUnreachable) as failure:
        bot.identity(GOOD)
    assert failure.value.__cause__ is None
    assert failure.value.__suppress_context__
    assert SECRET not in caplog.text


def test_a_garbled_head_is_logged_without_the_token(bot: Bot, caplog: pytest.LogCaptureFixture) -> None:
    """urllib3 logs the whole address of an answer whose headers it cannot read, and each address at DEBUG."""
    caplog.set_level(logging.DEBUG)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nbroken header line\r\nContent-Length: 2\r\n\r\n{}")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    garbling = Bot(Telegram(api_base=f"http://127.0.0.1:{listener.getsockname()[1]}"))
    assert garbling.send(GOOD, CHAT, "hi", markdown=True).outcome is Outcome.UNKNOWN
    garbling.close()
    listener.close()
    assert "/bot********/sendMessage" in caplog.text
    assert SECRET not in caplog.text


def test_a_proxy_is_used_and_bound_by_the_same_deadline(api: BotApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_TOTAL_SECONDS", 0.5)
    # the simulator takes the place of the proxy, which gets the whole address
    bot = Bot(Telegram(api_base="http://telegram.invalid", proxy=api.base_url))
    seen: list[Any] = []
    api.fail(Answer(refusal(400, "x")), lambda request: seen.append(request.path) or True)
    assert bot.send(GOOD, CHAT, "hi", markdown=True).error == "message rejected"
    assert seen == [f"http://telegram.invalid/bot{TOKEN}/sendMessage"]
    api.fail(Hang())
    started = time.monotonic()
    assert bot.send(GOOD, CHAT, "hi", markdown=True).outcome is Outcome.UNKNOWN
    assert time.monotonic() - started < 5
    bot.close()


def test_a_webhook(api: BotApi, bot: Bot) -> None:
    bot.set_webhook(GOOD, "https://panel.example.com/api/telegram/webhook.php", SecretStr("s" * 32))
    assert api.webhook["secret_token"] == "s" * 32
    with pytest.raises(PanelError, match="public"):
        bot.set_webhook(GOOD, "http://panel.example.com/", SecretStr("s"))
