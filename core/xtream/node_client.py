"""One call to one streaming server: both dialects, deadlines, the one retry, and what a failure on the way means.

Which servers there are, and who may ask for what, is not known here. Nothing secret stands in an address, and no body
reaches the log. Source: contract chapter 95 §8 and §10.
"""

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlencode

import orjson
import requests
import urllib3
from pydantic import SecretStr
from urllib3.exceptions import HTTPError, NewConnectionError

from core.outbound.timed_http import TimedAdapter, causes, quiet_session

log = logging.getLogger(__name__)

XC_NEW, XC_OLD = "xc_new", "xc_old"
DIALECTS = (XC_NEW, XC_OLD)
STREAM, VOD = "stream", "vod"
START, STOP = "start", "stop"
_PATHS = {XC_NEW: "/api.php", XC_OLD: "/system_api.php"}
# of the control service of the main server, which passes commands on
_CONTROL_PATHS = {XC_NEW: "/admin/api", XC_OLD: "/api.php"}
_HEADERS = {
    "User-Agent": "showbox-server",
    "Accept": "application/json",
    "Content-Type": "application/x-www-form-urlencoded",
}
_CONNECTIONS = 8
_RETRY_PAUSE_SECONDS = 0.2
_LARGEST_ANSWER = 1024 * 1024
_CHUNK = 64 * 1024


class Trouble(StrEnum):
    """Why a call failed, as the log and the server's row name it."""

    NOT_CONFIGURED = "not_configured"
    PAUSED = "paused"
    # nothing listens there, or the connection was lost
    REFUSED = "refused"
    TIMEOUT = "timeout"
    TLS = "tls"
    HTTP_STATUS = "http_status"
    AUTH = "auth"
    UNSUPPORTED = "unsupported"
    BAD_JSON = "bad_json"
    REJECTED = "rejected"


# those that say that the server could not be talked to
_TRANSPORT = (Trouble.REFUSED, Trouble.TIMEOUT, Trouble.TLS)


class NodeFailed(Exception):
    """``was_sent``: the node may have carried the command out all the same."""

    def __init__(self, trouble: Trouble, *, was_sent: bool = False) -> None:
        self.trouble = trouble
        self.was_sent = was_sent
        super().__init__(trouble.value)


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """A streaming server as it is to be called. ``via_main``: the address is that of the main server's control service
    and ``secret`` its key; true then means that the command was accepted."""

    server_id: int
    dialect: str
    scheme: str
    host: str
    port: int
    secret: SecretStr = field(repr=False)
    tls_verify: bool = True
    tls_ca: str | None = None
    connect_seconds: float = 3.0
    read_seconds: float = 5.0
    enabled: bool = True
    via_main: bool = False

    @property
    def is_complete(self) -> bool:
        has_secret = self.via_main or bool(self.secret.get_secret_value())
        return self.enabled and has_secret and bool(self.host) and self.port > 0

    @property
    def url(self) -> str:
        path = (_CONTROL_PATHS if self.via_main else _PATHS)[self.dialect]
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{path}"


class Breaker:
    """After three failures in a row to reach a server its calls fail at once, for 30 seconds; then one probe decides.

    Held per process; one command counts once, whatever its retries.
    """

    FAILURES = 3
    SECONDS = 30.0

    def __init__(self) -> None:
        self._lock = Lock()
        self._failures = 0
        self._open_until = 0.0

    def needs_probe(self) -> bool:
        """Whether the caller has to try the server first. Raises NodeFailed while calls are to fail at once."""
        with self._lock:
            if self._failures < self.FAILURES:
                return False
            if monotonic() < self._open_until:
                raise NodeFailed(Trouble.PAUSED)
            # the others wait for what this probe finds
            self._open_until = monotonic() + self.SECONDS
            return True

    def failed(self, trouble: Trouble) -> None:
        if trouble not in _TRANSPORT:
            return self.answered()
        with self._lock:
            self._failures += 1
            if self._failures >= self.FAILURES:
                self._open_until = monotonic() + self.SECONDS
        return None

    def answered(self) -> None:
        with self._lock:
            self._failures = 0


class NodeClient:
    """The connections to one server, for any number of threads. Every method raises NodeFailed.

    ``deadline`` (``time.monotonic()``) ends each call, retries included.
    """

    def __init__(self, settings: NodeSettings) -> None:
        self.settings = settings
        self._breaker = Breaker()
        self._session = quiet_session(_HEADERS, TimedAdapter(_CONNECTIONS))
        self._session.verify = (settings.tls_ca or True) if settings.tls_verify else False

    def close(self) -> None:
        self._session.close()

    def carry_out(self, kind: str, function: str, stream_id: int, deadline: float) -> None:
        """Start or stop (``function``) a stream or a film (``kind``)."""
        settings = self.settings
        fields: dict[str, object] = {"action": kind}
        if settings.via_main:
            fields |= {"sub": function, "stream_ids[0]": stream_id, "servers[0]": settings.server_id}
        else:
            fields |= {"function": function, "stream_ids[0]": stream_id}
        _require_true(self._ask(fields, deadline, repeatable=function == STOP))

    def kill(self, pid: int, deadline: float) -> None:
        """End a process with SIGKILL; true also where there is none."""
        if self.settings.dialect == XC_OLD:
            # the one line of shell that is ever sent
            answer = self._ask({"action": "BackgroundCLI", "cmds[0]": f"kill -9 {int(pid)}"}, deadline)
            if not isinstance(answer, list):
                raise NodeFailed(_meaning(answer), was_sent=True)
            return
        _require_true(self._ask({"action": "kill_pid", "pid": int(pid)}, deadline))

    def clock_difference(self, now: int, deadline: float) -> int:
        """``now`` less the node's own time, in seconds; whoever gets it has reached the node, and was let in."""
        try:
            difference = self._difference(now, deadline)
        except NodeFailed as error:
            self._breaker.failed(error.trouble)
            raise
        self._breaker.answered()
        return difference

    def _difference(self, now: int, deadline: float) -> int:
        answer = self._up_to_twice({"action": "getDiff", "main_time": now}, deadline, repeatable=True)
        if not isinstance(answer, int) or isinstance(answer, bool):
            raise NodeFailed(_meaning(answer))
        return answer

    def _ask(self, fields: Mapping[str, object], deadline: float, *, repeatable: bool = False) -> Any:
        """The decoded answer, whatever it says."""
        if not self.settings.is_complete:
            raise NodeFailed(Trouble.NOT_CONFIGURED)
        started = monotonic()
        try:
            if self._breaker.needs_probe() and not self.settings.via_main:
                self._difference(0, deadline)
            answer = self._up_to_twice(fields, deadline, repeatable)
        except NodeFailed as error:
            if error.trouble is not Trouble.PAUSED:
                self._breaker.failed(error.trouble)
            self._tell(fields, error.trouble.value, started)
            raise
        self._breaker.answered()
        self._tell(fields, "accepted by main" if self.settings.via_main else "answered", started)
        return answer

    def _tell(self, fields: Mapping[str, object], outcome: str, started: float) -> None:
        what = f"{fields['action']} {fields.get('function') or fields.get('sub') or ''}".strip()
        log.info("node %d: %s: %s, %.3f s", self.settings.server_id, what, outcome, monotonic() - started)

    def _up_to_twice(self, fields: Mapping[str, object], deadline: float, repeatable: bool) -> Any:
        try:
            return self._once(fields, deadline)
        except NodeFailed as error:
            was_lost = repeatable and error.trouble is Trouble.REFUSED
            if error.trouble not in _TRANSPORT or (error.was_sent and not was_lost):
                raise
            if monotonic() + _RETRY_PAUSE_SECONDS >= deadline:
                raise
        sleep(_RETRY_PAUSE_SECONDS)
        return self._once(fields, deadline)

    def _once(self, fields: Mapping[str, object], deadline: float) -> Any:
        settings = self.settings
        remaining = deadline - monotonic()
        if remaining <= 0:
            raise NodeFailed(Trouble.TIMEOUT)
        # requests hands it on as it is; its type stubs know numbers only
        timeout: Any = urllib3.Timeout(
            connect=settings.connect_seconds, read=min(settings.read_seconds, remaining), total=remaining
        )
        key = "api_pass" if settings.via_main else "password"
        body = urlencode({**fields, key: settings.secret.get_secret_value()})
        try:
            with self._session.post(
                settings.url, data=body, timeout=timeout, allow_redirects=False, stream=True
            ) as response:
                return _read(settings.dialect, response)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise _failure(error) from None


def _read(dialect: str, response: requests.Response) -> Any:
    if response.status_code in (403, 404):
        raise NodeFailed(Trouble.AUTH, was_sent=True)
    if response.status_code != requests.codes.ok:
        raise NodeFailed(Trouble.HTTP_STATUS, was_sent=True)
    body = b""
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > _LARGEST_ANSWER:
            raise NodeFailed(Trouble.BAD_JSON, was_sent=True)
    if not body.strip() and dialect == XC_OLD:
        raise NodeFailed(Trouble.AUTH, was_sent=True)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise NodeFailed(Trouble.BAD_JSON, was_sent=True) from None


def _require_true(answer: Any) -> None:
    """Only a JSON true is one: a node that says "true" or 1 is not the one that we know."""
    if not (isinstance(answer, dict) and answer.get("result") is True):
        raise NodeFailed(_meaning(answer), was_sent=True)


def _meaning(answer: Any) -> Trouble:
    if not isinstance(answer, dict):
        return Trouble.BAD_JSON
    if answer.get("main_fetch") is False:
        return Trouble.AUTH
    if answer.get("main_fetch") is True:
        return Trouble.UNSUPPORTED
    if answer.get("0") in ("IP FORBIDDEN", "KEY WRONG"):
        return Trouble.AUTH
    return Trouble.REJECTED if answer.get("result") is False else Trouble.BAD_JSON


def _failure(error: Exception) -> NodeFailed:
    found = list(causes(error))

    def has(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in found)

    not_sent = has(NewConnectionError)
    if has(ssl.SSLError, urllib3.exceptions.SSLError):
        return NodeFailed(Trouble.TLS)
    if has(ConnectionRefusedError):
        return NodeFailed(Trouble.REFUSED)
    if has(TimeoutError) or (has(urllib3.exceptions.TimeoutError) and not not_sent):
        return NodeFailed(Trouble.TIMEOUT, was_sent=not not_sent)
    return NodeFailed(Trouble.REFUSED, was_sent=not not_sent)
