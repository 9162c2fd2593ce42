"""The client of the SMS provider: one call, and what became of its messages.

Source: contract chapter 60 S5. Which addresses may be called stands in the configuration, section [sms]; what is sent
to whom, and what is stored of it, in :mod:`core.messages.sms.outbox`.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
import urllib3
from pydantic import SecretStr
from urllib3.exceptions import HTTPError, NewConnectionError

from core.config import Sms
from core.errors import InvalidInput
from core.jobs.turns import seconds_until_turn
from core.messages.delivery import Delivery, Outcome
from core.outbound.timed_http import PrivateAddress, PublicAdapter, TimedAdapter, causes, quiet_session
from core.panel import Panel
from core.values.escaping import plain

DEFAULT_URL = "https://edge.ippanel.com/v1"
WEBSERVICE, PEER_TO_PEER = "webservice", "peer_to_peer"
PERHAPS = "the message may have been delivered"
_CONNECTIONS = 8
_CONNECT_SECONDS = 5.0
_LARGEST_ANSWER = 64 * 1024
_ERROR_CHARACTERS = 300
_BULK_ID_CHARACTERS = 100
_HEADERS = {"User-Agent": "showbox-server", "Accept": "application/json", "Content-Type": "application/json"}
_PORTS = {"https": 443, "http": 80}
_TOKEN = re.compile(r"[\x20-\x7e]{1,500}")
# the provider did not take the request, whatever else it says
_REFUSING = {*range(300, 500), 503} - {408}
_HIDDEN = "********"


@dataclass(frozen=True, slots=True)
class ProviderAccount:
    """Whose credit is used, and at which address."""

    token: SecretStr = field(repr=False)
    sender: str
    base_url: str


@dataclass(frozen=True, slots=True)
class Text:
    number: str
    text: str


@dataclass(frozen=True, slots=True)
class SmsDelivery(Delivery):
    """``answer``: the provider's JSON, without the token. ``bulk_ids``: the provider's ids, one for each message where
    it gave so many."""

    answer: Any = None
    bulk_ids: tuple[str, ...] = ()

    def bulk_id(self, number: int, of: int) -> str | None:
        """What is kept as the id of message ``number`` (from 0) ``of`` so many."""
        if len(self.bulk_ids) == of:
            return self.bulk_ids[number][:_BULK_ID_CHARACTERS]
        return ",".join(self.bulk_ids)[:_BULK_ID_CHARACTERS] or None


def checked_token(text: str) -> str:
    """Raises InvalidInput."""
    if not _TOKEN.fullmatch(text):
        raise InvalidInput("The API token may have up to 500 printable ASCII characters")
    return text


def checked_address(settings: Sms, address: str) -> str:
    """``address`` without slashes at its end. Raises InvalidInput unless the configuration allows it."""
    try:
        parts = urlsplit(address)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        raise InvalidInput("The provider's address is not valid") from None
    if not re.fullmatch(r"https?://[A-Za-z0-9.:-]+(?:/[A-Za-z0-9._~/-]*)?", address) or len(address) > 200:
        raise InvalidInput("The provider's address is not valid; expected e.g. " + DEFAULT_URL)
    if parts.scheme != "https" and not settings.allow_private:
        raise InvalidInput("The provider's address must begin with https://")
    host = (parts.hostname or "").lower()
    allowed = {entry.lower() for entry in settings.provider_hosts}
    if f"{host}:{port}" not in allowed and not (host in allowed and port == _PORTS[parts.scheme]):
        raise InvalidInput("The provider's address is not one of those that this server may call")
    if ".." in parts.path.split("/"):
        raise InvalidInput("The provider's address is not valid")
    return address.rstrip("/")


class SmsProvider:
    """The connections to the providers, for any number of threads.

    ``until_turn``: given the seconds between two calls, how long one has to wait for its turn, so that all calls
    together keep the configured pace.
    """

    def __init__(self, settings: Sms, until_turn: Callable[[float], float] = lambda every: 0.0) -> None:
        self._settings = settings
        self._until_turn = until_turn
        adapter = TimedAdapter(_CONNECTIONS) if settings.allow_private else PublicAdapter(_CONNECTIONS)
        self._session = quiet_session(_HEADERS, adapter)

    def close(self) -> None:
        self._session.close()

    def send(self, account: ProviderAccount, texts: Sequence[Text], seconds: float) -> SmsDelivery:
        """One call; with ``webservice`` all ``texts`` must be the same. Fails by its Delivery, never raises."""
        token = account.token.get_secret_value()
        try:
            url = checked_address(self._settings, account.base_url) + "/api/send"
            checked_token(token)
            body = orjson.dumps(_body(self._settings.sending_type, account.sender, texts))
        except InvalidInput as error:
            return SmsDelivery(Outcome.REFUSED, error.text, is_hopeless=True)
        except orjson.JSONEncodeError:
            return SmsDelivery(Outcome.REFUSED, "The text cannot be sent")
        time.sleep(self._until_turn(1 / self._settings.calls_per_second))
        try:
            status, answer = self._post(url, token, body, seconds)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            return _failure(error)
        return _read(status, answer, token)

    def _post(self, url: str, token: str, body: bytes, seconds: float) -> tuple[int, bytes]:
        # requests hands it on as it is; its type stubs know numbers only
        timeout: Any = urllib3.Timeout(connect=min(_CONNECT_SECONDS, seconds), total=seconds)
        with self._session.post(
            url, data=body, headers={"Authorization": token}, timeout=timeout, allow_redirects=False, stream=True
        ) as response:
            received = b""
            for chunk in response.iter_content(_LARGEST_ANSWER):
                received += chunk
                if len(received) > _LARGEST_ANSWER:
                    # more than any answer that we could read
                    return response.status_code, b""
            return response.status_code, received


def provider(panel: Panel) -> SmsProvider:
    """The panel's client of the providers that its configuration allows."""
    return panel.own(make_provider)


def make_provider(panel: Panel) -> SmsProvider:
    """Of all processes together, which take turns."""
    return SmsProvider(panel.config.sms, partial(seconds_until_turn, panel, "sms"))


def _body(sending_type: str, sender: str, texts: Sequence[Text]) -> dict[str, Any]:
    common = {"sending_type": sending_type, "from_number": sender}
    if sending_type == PEER_TO_PEER:
        return {**common, "params": [{"recipients": [item.number], "message": item.text} for item in texts]}
    numbers = list(dict.fromkeys(item.number for item in texts))
    return {**common, "message": texts[0].text, "params": {"recipients": numbers}}


def _failure(error: Exception) -> SmsDelivery:
    found = list(causes(error))
    if any(isinstance(cause, PrivateAddress) for cause in found):
        return SmsDelivery(Outcome.REFUSED, "The SMS provider has no public address", is_hopeless=True)
    if any(isinstance(cause, NewConnectionError) for cause in found):
        return SmsDelivery(Outcome.REFUSED, "The SMS provider cannot be reached", is_hopeless=True)
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidHeader):
        return SmsDelivery(Outcome.REFUSED, "The settings of the SMS provider are not usable", is_hopeless=True)
    if any(isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError) for cause in found):
        return SmsDelivery(Outcome.UNKNOWN, f"The SMS provider did not answer in time; {PERHAPS}", is_hopeless=True)
    return SmsDelivery(Outcome.UNKNOWN, f"The connection to the SMS provider was lost; {PERHAPS}", is_hopeless=True)


def _read(status: int, body: bytes, token: str) -> SmsDelivery:
    """What an answer means. One that is not the provider's own says nothing about the messages."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict):
        return _unreadable(status)
    meta = answer.get("meta")
    meta = meta if isinstance(meta, Mapping) else {}
    data = answer.get("data")
    shown = _without(answer, token)
    if status == 200 and data is not None and meta.get("status") is not False:
        return SmsDelivery(Outcome.SENT, answer=shown, bulk_ids=_bulk_ids(data))
    is_refused = status in _REFUSING or meta.get("status") is False or ("data" in answer and data is None)
    error = _error(answer, meta, token) or f"HTTP {status}"
    if is_refused:
        return SmsDelivery(Outcome.REFUSED, error, status in (401, 403, 429, 503), shown)
    return SmsDelivery(Outcome.UNKNOWN, f"{error}; {PERHAPS}", answer=shown)


def _unreadable(status: int) -> SmsDelivery:
    if status in _REFUSING:
        return SmsDelivery(Outcome.REFUSED, f"HTTP {status}", is_hopeless=True)
    return SmsDelivery(
        Outcome.UNKNOWN, f"The SMS provider's answer cannot be read (HTTP {status}); {PERHAPS}", is_hopeless=True
    )


def _without(answer: dict[str, Any], token: str) -> Any:
    """``answer`` with the token, should the provider repeat it, made unreadable; None where that spoils it."""
    try:
        return orjson.loads(orjson.dumps(answer).replace(orjson.dumps(token)[1:-1], _HIDDEN.encode()))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None


def _bulk_ids(data: Any) -> tuple[str, ...]:
    if not isinstance(data, Mapping):
        return ()
    if data.get("bulk_id") is not None:
        return (str(data["bulk_id"]),)
    ids = data.get("message_outbox_ids")
    return tuple(str(item) for item in ids) if isinstance(ids, list) else ()


def _error(answer: Mapping[str, Any], meta: Mapping[str, Any], token: str) -> str:
    candidates = [meta.get("message"), answer.get("message"), _first(meta.get("errors"))]
    text = next((item for item in candidates if isinstance(item, str) and item.strip()), "")
    return plain(text).strip().replace(token, _HIDDEN)[:_ERROR_CHARACTERS]


def _first(errors: Any) -> Any:
    """The first text in lists and maps of any depth."""
    while isinstance(errors, Mapping | list) and errors:
        errors = next(iter(errors.values() if isinstance(errors, Mapping) else errors))
    return errors
