"""A simulated Bot API of Telegram: ``python -m simulators.telegram``, or started by tests as :class:`BotApi`.

It knows bots by their tokens and chats by their ids, reads Markdown as strictly as Telegram's older mode does, and
keeps what arrived. ``/messages`` shows the last messages to people.
"""

import argparse
import html
import itertools
import json
import re
import signal
import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from simulators.faults import Fault, FaultRule, Match
from simulators.simulator import Simulator
from simulators.wire import Request, Response

# of a bot that only this simulator knows
TOKEN = "1234567890:SIMULATED-bot-token_for_tests_only"  # noqa: S105
USERNAME, NAME = "ExampleBot", "Example Bot"
LONGEST = 4096
_PATH = re.compile(r"/bot([^/]*)/([A-Za-z]+)")
_MARKS = "_*`["
_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Bot:
    token: str
    username: str
    name: str

    @property
    def id(self) -> int:
        return int(self.token.partition(":")[0])


@dataclass(frozen=True, slots=True)
class Message:
    """What a chat got: ``text`` as people see it, ``raw`` as it was sent."""

    chat_id: int
    text: str
    raw: str
    parse_mode: str | None


class Refused(Exception):
    """An answer that is not ``ok``."""

    def __init__(self, status: int, description: str, **parameters: int) -> None:
        self.status = status
        self.description = description
        self.parameters = parameters
        super().__init__(description)


def refusal(status: int, description: str, **parameters: int) -> Response:
    body: dict[str, Any] = {"ok": False, "error_code": status, "description": description}
    return _json(body | ({"parameters": parameters} if parameters else {}), status)


def _json(body: Mapping[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(body).encode(), status, "application/json")


def parsed(text: str) -> str:
    """``text`` without its Markdown. Raises Refused where a mark has no end."""
    seen, position = [], 0
    while position < len(text):
        character = text[position]
        if character == "\\" and text[position + 1 : position + 2] in tuple(_MARKS):
            seen.append(text[position + 1])
            position += 2
        elif character in _MARKS:
            ending = {"[": "]"}.get(character, "```" if text.startswith("```", position) else character)
            begin = position + (len(ending) if ending == "```" else 1)
            end = text.find(ending, begin)
            if end < 0:
                offset = len(text[:position].encode())
                raise Refused(
                    400,
                    f"Bad Request: can't parse entities: Can't find end of the entity starting at byte offset {offset}",
                )
            seen.append(text[begin:end])
            position = end + len(ending)
            if character == "[" and text.startswith("(", position):
                position = text.find(")", position) + 1 or len(text)
        else:
            seen.append(character)
            position += 1
    return "".join(seen)


class _Application:
    def __init__(self) -> None:
        self.bots = {TOKEN: Bot(TOKEN, USERNAME, NAME)}
        self.blocked: set[int] = set()
        self.unknown: set[int] = set()
        self.moved: dict[int, int] = {}
        self.webhook: dict[str, Any] = {}
        self.messages: list[Message] = []
        self.lock = threading.Lock()
        self.ids = itertools.count(77)

    def describe(self, request: Request) -> str:
        """Without the token, as faults are matched by it."""
        found = _PATH.fullmatch(request.target)
        return f"{request.method} {found[2]}" if found else f"{request.method} {request.target}"

    def respond(self, request: Request) -> Response:
        if request.target == "/messages":
            return self._page()
        found = _PATH.fullmatch(request.target)
        bot = self.bots.get(found[1]) if found else None
        if found is None:
            return refusal(404, "Not Found")
        if bot is None:
            return refusal(401, "Unauthorized")
        methods = {"getme": self._get_me, "sendmessage": self._send, "setwebhook": self._set_webhook}
        method = methods.get(found[2].lower())
        if method is None:
            return refusal(404, "Not Found: method not found")
        try:
            return _json({"ok": True, "result": method(bot, _fields(request))})
        except Refused as error:
            return refusal(error.status, error.description, **error.parameters)

    def _get_me(self, bot: Bot, _: Mapping[str, Any]) -> Any:
        return {"id": bot.id, "is_bot": True, "first_name": bot.name, "username": bot.username}

    def _set_webhook(self, _: Bot, fields: Mapping[str, Any]) -> Any:
        if not str(fields.get("url", "")).startswith("https://"):
            raise Refused(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
        self.webhook = dict(fields)
        return True

    def _send(self, _: Bot, fields: Mapping[str, Any]) -> Any:
        raw = str(fields.get("text") or "")
        if not raw.strip():
            raise Refused(400, "Bad Request: message text is empty")
        try:
            chat_id = int(fields["chat_id"])
        except (KeyError, ValueError, TypeError):
            raise Refused(400, "Bad Request: chat_id is empty") from None
        if chat_id in self.unknown:
            raise Refused(400, "Bad Request: chat not found")
        if chat_id in self.blocked:
            raise Refused(403, "Forbidden: bot was blocked by the user")
        if chat_id in self.moved:
            description = "Bad Request: group chat was upgraded to a supergroup chat"
            raise Refused(400, description, migrate_to_chat_id=self.moved[chat_id])
        mode = fields.get("parse_mode")
        text = parsed(raw) if mode == "Markdown" else raw
        if len(text.encode("utf-16-le")) // 2 > LONGEST:
            raise Refused(400, "Bad Request: message is too long")
        with self.lock:
            self.messages.append(Message(chat_id, text, raw, mode))
            return {"message_id": next(self.ids), "chat": {"id": chat_id, "type": "private"}, "text": text}

    def _page(self) -> Response:
        with self.lock:
            last = self.messages[: -_SHOWN - 1 : -1]
        rows = "".join(f"<h2>To chat {item.chat_id}</h2><pre>{html.escape(item.text)}</pre>" for item in last)
        page = f"<!DOCTYPE html><meta charset=utf-8><title>Telegram</title>{rows or '<p>No messages yet.</p>'}"
        return Response(page.encode(), 200, "text/html; charset=utf-8")


def _fields(request: Request) -> Mapping[str, Any]:
    try:
        body = json.loads(request.body) if request.body else {}
        return body if isinstance(body, dict) else {}
    except ValueError:
        return dict(parse_qsl(request.body.decode("utf-8", "replace")))


class BotApi(Simulator):
    """A Bot API on a loopback port from ``with`` until its end; port 0 takes a free one."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._application = _Application()
        super().__init__(self._application, "bot api", host, port)

    @property
    def base_url(self) -> str:
        return self.origin

    @property
    def messages(self) -> list[Message]:
        """What chats got, oldest first."""
        with self._application.lock:
            return list(self._application.messages)

    @property
    def counts(self) -> Counter[int]:
        """How many messages each chat got."""
        return Counter(message.chat_id for message in self.messages)

    @property
    def webhook(self) -> dict[str, Any]:
        return self._application.webhook

    def add_bot(self, token: str, username: str, name: str = NAME) -> None:
        self._application.bots[token] = Bot(token, username, name)

    def block(self, *chat_ids: int) -> None:
        self._application.blocked.update(chat_ids)

    def lose(self, *chat_ids: int) -> None:
        """These chats are not known."""
        self._application.unknown.update(chat_ids)

    def move(self, chat_id: int, new_id: int) -> None:
        """The group is a supergroup now."""
        self._application.moved[chat_id] = new_id

    def fail(self, fault: Fault, match: Match = "*", *, times: int | None = 1, after: int = 0) -> FaultRule:
        """See :meth:`simulators.stalker.StalkerPortal.fail`."""
        return self._faults.add(FaultRule(match, fault, times, after))

    def forget(self) -> None:
        """Begin anew: nothing was asked or sent, all chats are well, nothing fails."""
        application = self._application
        with application.lock:
            application.messages.clear()
            application.ids = itertools.count(77)
            for kept in (application.blocked, application.unknown, application.moved, application.webhook):
                kept.clear()
            application.bots = {TOKEN: Bot(TOKEN, USERNAME, NAME)}
        super().forget()


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve a Bot API until Ctrl-C or SIGTERM; prints its address and the token of its bot."""
    parser = argparse.ArgumentParser(prog="python -m simulators.telegram", description="A simulated Bot API.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8089, help="0 takes a free one (default: %(default)s)")
    options = parser.parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with BotApi(host=options.host, port=options.port) as api:
        sys.stdout.write(f"{api.base_url}\nbot token: {TOKEN}\nmessages: {api.base_url}/messages\n")
        sys.stdout.flush()
        ended.wait()


if __name__ == "__main__":
    main()
