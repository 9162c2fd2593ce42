"""Ways in which a simulated server can fail, and the rules that say when; knows nothing of what is served."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Protocol, TypeAlias

from simulators.recording import RecordedRequest
from simulators.wire import Response

Respond: TypeAlias = Callable[[], Response]
Match: TypeAlias = "str | Callable[[RecordedRequest], bool]"


class Exchange(Protocol):
    """The connection of one request, as far as a fault may handle it."""

    def send(self, response: Response) -> None:
        """A regular answer."""

    def send_pieces(self, response: Response, pieces: Iterator[bytes], length: int | None) -> None:
        """Head with ``length`` as Content-Length (None: the end is the end of the connection), ``pieces``, hang up."""

    def trickle(self, response: Response, size: int, interval: float) -> None:
        """A regular answer, head included, ``size`` bytes every ``interval`` seconds."""

    def hang_up(self, *, reset: bool = False) -> None:
        """End the connection, with RST instead of FIN if ``reset``."""

    def refuse_others(self) -> None:
        """No connection is accepted from now on, the other open ones are ended."""

    def wait(self, seconds: float | None) -> None:
        """None: until the server is closed."""


class Fault(ABC):
    """``respond`` carries the request out and gives the true answer; a fault that never calls it has no effect."""

    @abstractmethod
    def act(self, exchange: Exchange, respond: Respond) -> None: ...


@dataclass(frozen=True)
class Delay(Fault):
    """The true answer, late. The effect comes before the delay, or after it if ``late_effect``."""

    seconds: float
    late_effect: bool = False

    def act(self, exchange: Exchange, respond: Respond) -> None:
        if self.late_effect:
            exchange.wait(self.seconds)
            exchange.send(respond())
        else:
            response = respond()
            exchange.wait(self.seconds)
            exchange.send(response)


@dataclass(frozen=True)
class Hang(Fault):
    """No answer ever, the connection stays open."""

    effect: bool = False

    def act(self, exchange: Exchange, respond: Respond) -> None:
        if self.effect:
            respond()
        exchange.wait(None)
        exchange.hang_up()


@dataclass(frozen=True)
class HangUp(Fault):
    """The connection ends without an answer, by RST if ``reset``."""

    effect: bool = False
    reset: bool = False

    def act(self, exchange: Exchange, respond: Respond) -> None:
        if self.effect:
            respond()
        exchange.hang_up(reset=self.reset)


@dataclass(frozen=True)
class Reset(HangUp):
    """The connection is reset without an answer."""

    reset: bool = True


@dataclass(frozen=True)
class Refuse(Fault):
    """From this request on connections are refused; it is itself still answered if ``answer``, else reset."""

    answer: bool = False
    effect: bool = False

    def act(self, exchange: Exchange, respond: Respond) -> None:
        exchange.refuse_others()
        if self.answer:
            exchange.send(respond())
            exchange.hang_up()
            return
        if self.effect:
            respond()
        exchange.hang_up(reset=True)


@dataclass(frozen=True)
class Answer(Fault):
    """Another answer in place of the true one."""

    response: Response
    effect: bool = False

    def act(self, exchange: Exchange, respond: Respond) -> None:
        if self.effect:
            respond()
        exchange.send(self.response)


@dataclass(frozen=True)
class Cut(Fault):
    """The first ``kept`` bytes of the true answer's body (default: half), then the connection ends.

    The announced length is that of the whole body, or, if ``consistent``, of what is sent.
    """

    kept: int | None = None
    consistent: bool = False

    def act(self, exchange: Exchange, respond: Respond) -> None:
        response = respond()
        body = response.body[: len(response.body) // 2 if self.kept is None else self.kept]
        if self.consistent:
            exchange.send(replace(response, body=body))
        else:
            exchange.send_pieces(response, iter([body]), len(response.body))


@dataclass(frozen=True)
class Trickle(Fault):
    """The true answer, ``size`` bytes every ``interval`` seconds."""

    interval: float
    size: int = 1

    def act(self, exchange: Exchange, respond: Respond) -> None:
        exchange.trickle(respond(), self.size, self.interval)


@dataclass(frozen=True)
class Huge(Fault):
    """A valid JSON object of ``size`` bytes or a little more; without Content-Length unless ``announced``."""

    size: int
    announced: bool = True
    effect: bool = False

    def act(self, exchange: Exchange, respond: Respond) -> None:
        if self.effect:
            respond()
        head, tail, chunk = b'{"status":"OK","results":"', b'"}', b"x" * 65536
        chunks = self.size // len(chunk) + 1

        def pieces() -> Iterator[bytes]:
            yield head
            for _ in range(chunks):
                yield chunk
            yield tail

        length = len(head) + chunks * len(chunk) + len(tail)
        exchange.send_pieces(Response(content_type="application/json"), pieces(), length if self.announced else None)


class FaultRule:
    """A fault for the matching requests number ``after + 1`` to ``after + times`` (None: and all later ones).

    ``match`` is a predicate, or text: ``POST accounts`` (with any identifier), ``PUT accounts/00:1A:*``,
    ``accounts`` (any method), ``*``.
    """

    def __init__(self, match: Match, fault: Fault, times: int | None, after: int) -> None:
        self._matches = _predicate(match) if isinstance(match, str) else match
        self.fault = fault
        self.times = times
        self.after = after
        self.seen = 0

    def is_due(self, request: RecordedRequest) -> bool:
        if not self._matches(request):
            return False
        self.seen += 1
        return self.seen > self.after and (self.times is None or self.seen <= self.after + self.times)

    @property
    def used(self) -> int:
        """How many requests were due."""
        due = max(self.seen - self.after, 0)
        return due if self.times is None else min(due, self.times)


def _predicate(pattern: str) -> Callable[[RecordedRequest], bool]:
    method, _, path = pattern.rpartition(" ")

    def matches(request: RecordedRequest) -> bool:
        called = request.call.partition(" ")[2]
        if "/" not in path:
            called = called.partition("/")[0]
        return fnmatchcase(request.method, method or "*") and fnmatchcase(called, path)

    return matches


class FaultPlan:
    """The rules of one server. Each rule counts for itself; if several are due, the first added acts."""

    def __init__(self) -> None:
        self._rules: list[FaultRule] = []
        self._lock = threading.Lock()

    def add(self, rule: FaultRule) -> FaultRule:
        with self._lock:
            self._rules.append(rule)
        return rule

    def take(self, request: RecordedRequest) -> Fault | None:
        with self._lock:
            due = [rule.fault for rule in self._rules if rule.is_due(request)]
        return due[0] if due else None

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()
