"""The client of Telegram's Bot API: who a token's bot is, and one message to one chat.

The token is part of every address, and the errors and logs of HTTP libraries name addresses: nothing of theirs leaves
this module. What is sent to whom, and what is stored of it: :mod:`core.messages.telegram.outbox`. Source: contract
chapter 80, "Calls to the Bot API".
"""

import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
import requests
import urllib3
from pydantic import SecretStr
from urllib3.exceptions import HTTPError, NewConnectionError

from core.config import Telegram
from core.errors import InvalidInput, UpstreamFailed
from core.messages.delivery import Delivery, Outcome
from core.outbound.timed_http import TimedAdapter, causes, quiet_session

PERHAPS = "the message may have been delivered"
UNREACHABLE = "Telegram is unreachable"
NOT_FOUND, BLOCKED = "chat not found", "bot was blocked by the user"
TOO_MANY, REJECTED, BAD_TOKEN = "too many requests", "message rejected", "the bot token is not valid"
LONGEST_WAIT_SECONDS = 30
_TOKEN = re.compile(r"[0-9]{5,15}:[A-Za-z0-9_-]{30,60}")
_USERNAME = re.compile(r"[A-Za-z0-9_]{3,64}")
_CONNECT_SECONDS, _TOTAL_SECONDS = 5.0, 10.0
_CONNECTIONS = 4
_LARGEST_ANSWER = 64 * 1024
_NAME_CHARACTERS = 200
_HEADERS = {"User-Agent": "showbox-server", "Accept": "application/json", "Content-Type": "application/json"}
# nothing was sent, whatever else the answer says; 5xx of a gateway may come after the message
_REFUSING = {*range(300, 500), 503} - {408}


class _Redacted(logging.Filter):
    """Takes tokens out of what urllib3 logs, which are whole addresses."""

    _PATTERN = re.compile(r"/bot[0-9]+:[A-Za-z0-9_-]+")

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if "/bot" in text:
            record.msg, record.args = self._PATTERN.sub("/bot********", text), ()
            record.exc_info = record.exc_text = None
        return True


# a filter is added once, however often: it is the same object
_REDACTED = _Redacted()
for _name in ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_REDACTED)


class InvalidToken(InvalidInput):
    default_text = "The bot token is not valid; expected e.g. 1234567890:AA…, as BotFather gave it"


class TokenRefused(UpstreamFailed):
    default_text = "Telegram does not accept this bot token"


class TelegramUnreachable(UpstreamFailed):
    default_text = UNREACHABLE


@dataclass(frozen=True, slots=True)
class Identity:
    """A bot: ``name`` is what people see."""

    id: int
    username: str
    name: str


@dataclass(frozen=True, slots=True)
class BotDelivery(Delivery):
    """``moved_to``: the chat's new id, where it has one."""

    message_id: int | None = None
    moved_to: int | None = None


@dataclass(frozen=True, slots=True)
class _Answer:
    """``body``: the JSON object; empty for what is none."""

    status: int
    body: Mapping[str, Any]

    @property
    def is_ok(self) -> bool:
        return self.status == 200 and self.body.get("ok") is True

    @property
    def result(self) -> Mapping[str, Any]:
        result = self.body.get("result")
        return result if isinstance(result, Mapping) else {}

    def says(self, words: str) -> bool:
        return words in str(self.body.get("description", "")).lower()

    def parameter(self, name: str) -> int | None:
        parameters = self.body.get("parameters")
        value = parameters.get(name) if isinstance(parameters, Mapping) else None
        return value if isinstance(value, int) and not isinstance(value, bool) else None


class _Failed(Exception):
    """The call came to no answer; ``delivery`` says what that means for a message."""

    def __init__(self, delivery: BotDelivery) -> None:
        self.delivery = delivery
        super().__init__()


class _ProxiedAdapter(TimedAdapter):
    """A :class:`TimedAdapter` whose deadlines hold behind a proxy too."""

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = self._POOLS
        return manager


def checked_token(text: str) -> str:
    """Raises InvalidToken."""
    if not _TOKEN.fullmatch(text):
        raise InvalidToken
    return text


class Bot:
    """The connections to the Bot API, for any number of threads and tokens."""

    def __init__(self, settings: Telegram, *, wait: Callable[[float], object] = time.sleep) -> None:
        self._base = settings.api_base
        self._wait = wait
        self._session = quiet_session(_HEADERS, _ProxiedAdapter(_CONNECTIONS))
        if proxy := settings.proxy.get_secret_value():
            self._session.proxies = {"http": proxy, "https": proxy}

    def close(self) -> None:
        self._session.close()

    def identity(self, token: SecretStr) -> Identity:
        """Raises InvalidToken, TokenRefused, TelegramUnreachable."""
        checked_token(token.get_secret_value())
        try:
            answer = self._call(token, "getMe", None)
        except _Failed:
            raise TelegramUnreachable from None
        if answer.status in (401, 404):
            raise TokenRefused
        id, username, name = (answer.result.get(key) for key in ("id", "username", "first_name"))
        if not answer.is_ok or not isinstance(id, int) or not _USERNAME.fullmatch(str(username)):
            raise TelegramUnreachable("Telegram gave no usable answer")
        return Identity(id, str(username), str(name or "")[:_NAME_CHARACTERS])

    def send(self, token: SecretStr, chat_id: int, text: str, *, markdown: bool) -> BotDelivery:
        """Fails by its Delivery, never raises. What Telegram cannot parse goes out as plain text, once; a chat that
        has moved is followed, once; one short wait is kept, if Telegram asks for it."""
        fields: dict[str, Any] = {"chat_id": chat_id, "text": text, "disable_web_page_preview": True}
        if markdown:
            fields["parse_mode"] = "Markdown"
        has_waited, moved_to = False, None
        try:
            while True:
                answer = self._call(token, "sendMessage", fields)
                new_id, wait = answer.parameter("migrate_to_chat_id"), answer.parameter("retry_after")
                if answer.status == 400 and answer.says("can't parse entities") and "parse_mode" in fields:
                    del fields["parse_mode"]
                elif answer.status == 400 and new_id and moved_to is None:
                    fields["chat_id"] = moved_to = new_id
                elif answer.status == 429 and not has_waited and 0 <= (wait or 1) <= LONGEST_WAIT_SECONDS:
                    has_waited = True
                    self._wait(wait or 1)
                else:
                    return replace(_read(answer), moved_to=moved_to)
        except _Failed as failure:
            return replace(failure.delivery, moved_to=moved_to)

    def set_webhook(self, token: SecretStr, url: str, secret: SecretStr) -> None:
        """From now on Telegram calls ``url`` with what people write to the bot. Raises as :meth:`identity`."""
        fields = {"url": url, "secret_token": secret.get_secret_value(), "allowed_updates": ["message"]}
        try:
            answer = self._call(token, "setWebhook", fields)
        except _Failed:
            raise TelegramUnreachable from None
        if answer.status in (401, 404):
            raise TokenRefused
        if not answer.is_ok:
            raise UpstreamFailed("Telegram does not accept this address; it must be a public one that begins https://")

    def _call(self, token: SecretStr, method: str, fields: Mapping[str, Any] | None) -> _Answer:
        """Raises _Failed."""
        url = f"{self._base}/bot{token.get_secret_value()}/{method}"
        # requests hands it on as it is; its type stubs know numbers only
        timeout: Any = urllib3.Timeout(connect=_CONNECT_SECONDS, total=_TOTAL_SECONDS)
        try:
            with self._session.request(
                "GET" if fields is None else "POST",
                url,
                data=None if fields is None else orjson.dumps(fields),
                timeout=timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                return _Answer(response.status_code, _object(response))
        except orjson.JSONEncodeError:
            raise _Failed(BotDelivery(Outcome.REFUSED, REJECTED)) from None
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise _Failed(_failure(error)) from None


def _object(response: requests.Response) -> Mapping[str, Any]:
    received = b""
    for chunk in response.iter_content(_LARGEST_ANSWER):
        received += chunk
        if len(received) > _LARGEST_ANSWER:
            # more than any answer that we could read
            return {}
    try:
        body = orjson.loads(received)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _failure(error: Exception) -> BotDelivery:
    found = list(causes(error))
    if any(isinstance(cause, NewConnectionError) for cause in found):
        return BotDelivery(Outcome.REFUSED, UNREACHABLE, is_hopeless=True)
    if any(isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError) for cause in found):
        return BotDelivery(Outcome.UNKNOWN, f"Telegram did not answer in time; {PERHAPS}", is_hopeless=True)
    return BotDelivery(Outcome.UNKNOWN, f"The connection to Telegram was lost; {PERHAPS}", is_hopeless=True)


def _read(answer: _Answer) -> BotDelivery:
    """What the last answer means for its message: ours to say, Telegram's descriptions are not passed on."""
    if answer.is_ok:
        message_id = answer.result.get("message_id")
        return BotDelivery(Outcome.SENT, message_id=message_id if isinstance(message_id, int) else None)
    if answer.status not in _REFUSING:
        return BotDelivery(Outcome.UNKNOWN, f"Telegram gave no usable answer; {PERHAPS}", is_hopeless=True)
    if answer.status == 403:
        return BotDelivery(Outcome.REFUSED, BLOCKED)
    if answer.status == 429:
        return BotDelivery(Outcome.REFUSED, TOO_MANY, is_hopeless=True)
    if answer.status in (401, 404):
        return BotDelivery(Outcome.REFUSED, BAD_TOKEN, is_hopeless=True)
    if answer.says("chat not found"):
        return BotDelivery(Outcome.REFUSED, NOT_FOUND)
    return BotDelivery(Outcome.REFUSED, REJECTED, is_hopeless=not answer.body)
