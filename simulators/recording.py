"""The record of every request that simulated servers received, in an order that holds across all of them."""

import base64
import binascii
import itertools
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from simulators.php import PhpValue, parse_form
from simulators.wire import Request

_sequence = itertools.count(1)
_order = threading.Lock()


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """``sequence`` grows over all servers of the process; ``at`` is ``time.monotonic()`` seconds at arrival."""

    sequence: int
    at: float
    server: str
    call: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    fields: Mapping[str, PhpValue]
    user: str | None


class Recorder:
    """Requests of one server, oldest first."""

    def __init__(self, server: str) -> None:
        self.server = server
        self._requests: list[RecordedRequest] = []

    def record(self, request: Request, call: str) -> RecordedRequest:
        fields, user = parse_form(request.body), basic_credentials(request.headers)
        with _order:
            recorded = RecordedRequest(
                sequence=next(_sequence),
                at=time.monotonic(),
                server=self.server,
                call=call,
                method=request.method,
                path=request.target,
                headers=request.headers,
                body=request.body,
                fields=fields,
                user=user[0] if user else None,
            )
            self._requests.append(recorded)
        return recorded

    @property
    def requests(self) -> list[RecordedRequest]:
        with _order:
            return list(self._requests)

    def forget(self) -> None:
        with _order:
            self._requests.clear()


def basic_credentials(headers: Mapping[str, str]) -> tuple[str, str] | None:
    """User and password of the ``Authorization`` header, if it is a readable Basic one."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(value, validate=True).decode("utf-8", "surrogateescape").partition(":")
    except binascii.Error:
        return None
    return (user, password) if colon else None
