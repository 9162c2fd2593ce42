"""A simulated SMS provider (the IPPanel API), started by tests as :class:`SmsProvider`.

It counts what each number got: an answer that is lost on its way does not take a message back.
"""

import itertools
import json
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from simulators.faults import Fault, FaultRule, Match
from simulators.simulator import Simulator
from simulators.wire import Request, Response

PATH = "/v1/api/send"


@dataclass(frozen=True, slots=True)
class SentMessage:
    """One message to one number; ``sender`` and ``token`` as the call had them."""

    number: str
    text: str
    sender: str
    token: str


def refusal(status: int, code: str, message: str, errors: object = None) -> Response:
    """An answer of the provider that nothing was sent."""
    meta = {"status": False, "message": message, "message_parameters": [], "message_code": code, "errors": errors or {}}
    return _json({"data": None, "meta": meta}, status)


def _json(answer: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(answer).encode(), status, "application/json")


class _Application:
    """``tokens`` None: any token will do."""

    def __init__(self, tokens: Iterable[str] | None) -> None:
        self.tokens = None if tokens is None else set(tokens)
        self.sent: list[SentMessage] = []
        self.lock = threading.Lock()
        self._ids = itertools.count(1123544244)

    def describe(self, request: Request) -> str:
        return f"{request.method} {request.target.removeprefix('/v1/api/')}"

    def respond(self, request: Request) -> Response:
        if request.method != "POST" or request.target != PATH:
            return Response(b"<html><body>404 Not Found</body></html>", 404)
        token = request.headers.get("authorization", "")
        if not token or (self.tokens is not None and token not in self.tokens):
            return refusal(401, "400-1", "the token is not valid")
        try:
            texts = _texts(json.loads(request.body))
            sender = json.loads(request.body)["from_number"]
        except (ValueError, KeyError, TypeError, AttributeError):
            return refusal(422, "400-2", "", {"params": ["the request cannot be read"]})
        with self.lock:
            self.sent += [SentMessage(number, text, sender, token) for number, text in texts]
            ids = [next(self._ids) for _ in texts]
        meta = {"status": True, "message": "sent", "message_parameters": [], "message_code": "200-1"}
        return _json({"data": {"message_outbox_ids": ids}, "meta": meta})


def _texts(body: Any) -> list[tuple[str, str]]:
    """Number and text of each message that a call asks for; raises for what the API does not know."""
    if body["sending_type"] == "peer_to_peer":
        return [(number, item["message"]) for item in body["params"] for number in item["recipients"]]
    if body["sending_type"] != "webservice" or not isinstance(body["message"], str) or not body["message"]:
        raise ValueError("unknown kind of call")
    return [(number, body["message"]) for number in body["params"]["recipients"]]


class SmsProvider(Simulator):
    """A provider on a free loopback port from ``with`` until its end."""

    def __init__(self, *, tokens: Iterable[str] | None = None, port: int = 0) -> None:
        self._application = _Application(tokens)
        super().__init__(self._application, "sms provider", port=port)

    @property
    def address(self) -> str:
        """As the setting ``provider_hosts`` has it."""
        return f"{self.host}:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """What was asked for, call by call."""
        return [json.loads(request.body) for request in self.requests]

    @property
    def sent(self) -> list[SentMessage]:
        """What went out, oldest first."""
        with self._application.lock:
            return list(self._application.sent)

    @property
    def texts(self) -> list[tuple[str, str]]:
        """Number and text of what went out."""
        return [(message.number, message.text) for message in self.sent]

    @property
    def counts(self) -> Counter[str]:
        """How many messages each number got."""
        return Counter(message.number for message in self.sent)

    def accept_tokens(self, *tokens: str) -> None:
        """From now on only these; none: any."""
        self._application.tokens = set(tokens) or None

    def fail(self, fault: Fault, match: Match = "*", *, times: int | None = 1, after: int = 0) -> FaultRule:
        """See :meth:`simulators.stalker.StalkerPortal.fail`."""
        return self._faults.add(FaultRule(match, fault, times, after))

    def forget(self) -> None:
        """Begin anew: nothing was asked, nothing sent, nothing fails, and connections are accepted."""
        with self._application.lock:
            self._application.sent.clear()
        self._application.tokens = None
        super().forget()
