"""One request to one portal server: authentication, deadlines, size caps, retries, and what a failure on the way means.

What requests are made, and what the portal's answers mean, is not known here. Source: contract chapter 90 §10.2-10.8.
"""

import logging
import ssl
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from threading import BoundedSemaphore
from time import monotonic
from typing import Any

import requests
import urllib3
from requests.auth import HTTPBasicAuth
from urllib3.exceptions import HTTPError, InsecureRequestWarning, NewConnectionError

from core.outbound.timed_http import TimedAdapter, causes, quiet_session
from core.portal.errors import (
    Outcome,
    PortalError,
    PortalInvalidAnswer,
    PortalInvalidInput,
    PortalTimeout,
    PortalTlsFailed,
    PortalUnreachable,
)
from core.portal.settings import ServerSettings
from core.portal.wire.deadline import within_deadline
from core.portal.wire.health import Health

log = logging.getLogger(__name__)

FORM = "application/x-www-form-urlencoded"
_CHUNK = 64 * 1024
_HEADERS = {"User-Agent": "showbox-server", "Accept": "application/json", "Accept-Encoding": "gzip"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request. ``operation`` names it in the log; ``body`` is an urlencoded form.

    ``repeatable``: doing it twice is doing it once; it is sent again, once, when its connection was lost.
    """

    operation: str
    method: str
    url: str
    seconds: float
    max_bytes: int
    body: str | None = None
    authenticated: bool = True
    repeatable: bool = False

    @property
    def writing(self) -> bool:
        return self.method != "GET"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and whole body. ``repeated``: it answers the second of two requests; the first may have had its effect."""

    status: int
    body: bytes
    repeated: bool = False


class Transport:
    """The connections to one server, for any number of threads.

    They share one requests.Session: its pool is made for threads, and everything else in it that a request could
    change (cookies, headers) is fixed at the start. A session per thread would keep connections that no other
    thread could use, and more of them than the server is allowed to see at once.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._slots = BoundedSemaphore(settings.concurrency)
        self._health = Health(settings.skip_seconds, only_timeouts=settings.skip_only_timeouts)
        self._auth = _credentials(settings)
        self._session = _session(settings)

    def close(self) -> None:
        self._session.close()

    def send(self, call: Call) -> Answer:
        """The server's answer, whatever its status. Raises PortalError."""
        self._health.check()
        seconds = within_deadline(call.seconds)
        deadline = monotonic() + seconds
        if not self._slots.acquire(timeout=seconds):
            raise PortalTimeout
        try:
            answer = self._send_up_to_twice(call, deadline)
        except PortalError as error:
            # that it did not answer in what was left of an operation's time says little of the server
            if seconds == call.seconds or not isinstance(error, PortalTimeout):
                self._health.failed(error)
            raise
        finally:
            self._slots.release()
        self._health.answered()
        return answer

    def _send_up_to_twice(self, call: Call, deadline: float) -> Answer:
        try:
            return self._send_once(call, deadline)
        except PortalUnreachable as error:
            if not _may_repeat(call, error):
                raise
            first = error.outcome
        return self._send_again(call, deadline, first)

    def _send_again(self, call: Call, deadline: float, first: Outcome) -> Answer:
        try:
            answer = self._send_once(call, deadline)
        except PortalError as error:
            if first is not Outcome.NOT_DONE:
                error.outcome = first
            raise
        return Answer(answer.status, answer.body, repeated=True)

    def _send_once(self, call: Call, deadline: float) -> Answer:
        remaining = deadline - monotonic()
        if remaining <= 0:
            raise PortalTimeout
        try:
            # requests hands it on as it is; its type stubs know numbers only
            timeout: Any = urllib3.Timeout(connect=self._settings.connect_seconds, total=remaining)
            with self._session.request(
                call.method,
                call.url,
                data=call.body,
                headers={"Content-Type": FORM} if call.body is not None else None,
                auth=self._auth if call.authenticated else None,
                timeout=timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                return Answer(response.status_code, _read(response, call.max_bytes))
        except (requests.RequestException, HTTPError, OSError) as error:
            raise _failure(error, call.writing) from None
        except PortalError as error:
            error.outcome = Outcome.UNKNOWN if call.writing else Outcome.NOT_DONE
            raise


def _may_repeat(call: Call, error: PortalUnreachable) -> bool:
    """Reads after any failed connection, other repeatable calls after one that was lost on the way."""
    if isinstance(error, PortalTlsFailed):
        return False
    return call.repeatable and (not call.writing or error.outcome is not Outcome.NOT_DONE)


def _session(settings: ServerSettings) -> requests.Session:
    session = quiet_session(_HEADERS, TimedAdapter(settings.concurrency))
    session.verify = settings.verify
    if isinstance(settings.verify, str) and not Path(settings.verify).is_file():
        raise PortalInvalidInput("The file with the portal's certificate authority cannot be read")
    if settings.verify is False and settings.api_url.lower().startswith("https:"):
        log.warning("portal %s: its TLS certificate is NOT verified; anyone on the way can read along", settings.name)
        # said once, above, instead of at every request
        urllib3.disable_warnings(InsecureRequestWarning)
    return session


def _credentials(settings: ServerSettings) -> HTTPBasicAuth | None:
    password = settings.password.get_secret_value()
    if not settings.username and not password:
        return None
    if ":" in settings.username:
        raise PortalInvalidInput("The portal's API user name may not contain a colon")
    return HTTPBasicAuth(settings.username.encode(), password.encode())


def _read(response: requests.Response, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    for chunk in response.iter_content(_CHUNK):
        size += len(chunk)
        if size > max_bytes:
            raise PortalInvalidAnswer("The portal's answer is too large")
        chunks.append(chunk)
    return b"".join(chunks)


def _failure(error: Exception, writing: bool) -> PortalError:
    found = list(causes(error))

    def has(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in found)

    not_sent = has(NewConnectionError)
    outcome = Outcome.UNKNOWN if writing and not not_sent else Outcome.NOT_DONE
    if has(ConnectionRefusedError):
        return PortalUnreachable(outcome=outcome)
    if has(TimeoutError) or (has(urllib3.exceptions.TimeoutError) and not not_sent):
        return PortalTimeout(outcome=outcome)
    if has(ssl.SSLCertVerificationError):
        return PortalTlsFailed(outcome=outcome)
    if has(ssl.SSLError, urllib3.exceptions.SSLError):
        return PortalTlsFailed("The portal does not speak TLS as expected", outcome=outcome)
    if not_sent:
        return PortalUnreachable("The portal cannot be reached", outcome=outcome)
    if has(ConnectionError):
        return PortalUnreachable("The connection to the portal was lost", outcome=outcome)
    if has(HTTPException, HTTPError, requests.exceptions.ContentDecodingError):
        return PortalInvalidAnswer(outcome=outcome)
    return PortalUnreachable("The portal cannot be reached", outcome=outcome)
