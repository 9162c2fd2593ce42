"""What goes in and out of a simulated HTTP server: one request, one response, and who answers them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Request:
    """``target`` is the request line's, undecoded; header names are lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """``delay`` is the time in seconds that making this answer takes."""

    body: bytes = b""
    status: int = 200
    content_type: str = "text/html"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0


class Application(Protocol):
    """The simulated system itself, without sockets."""

    def respond(self, request: Request) -> Response:
        """Carry the request out and answer it."""

    def describe(self, request: Request) -> str:
        """The request in one line, for tests and fault rules: ``PUT accounts/00:1A:79:00:00:01``."""
