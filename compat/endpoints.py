"""The declaration of endpoints and the way of one request through it.

One declaration gives the path and its ``/api/`` twin, the methods with 405, HEAD and OPTIONS, who may call,
and the typed request; :class:`Call` is what a route function receives. Source: contract chapter 00.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from werkzeug.wrappers import Request, Response

from compat import envelope
from compat.client import ClientResolver
from compat.fields import RequestModel
from compat.guards import cross_site
from compat.sessions import PhpSession

log = logging.getLogger(__name__)

ROUTED_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# the document's code for what the caller may not do
NOT_ALLOWED = 3

PanelT = TypeVar("PanelT")
ActorT = TypeVar("ActorT")
Answer = dict[str, Any] | envelope.Encoded | Response


@dataclass(slots=True)
class Call(Generic[PanelT, ActorT]):
    """One request, read and checked: who calls (``actor``, None if the endpoint asks for nobody), from where, what."""

    panel: PanelT
    request: Request
    session: PhpSession
    clients: ClientResolver
    actor: ActorT | None = None
    files: Mapping[str, Any] = field(default_factory=dict)
    # what the gate found beside the actor, where the declaration asks for it
    beside: Any = None

    @property
    def address(self) -> str:
        """The client's IP address."""
        return self.clients.address(self.request.environ)

    @property
    def counted_as(self) -> str:
        """Whom limits count for the client (:meth:`ClientResolver.counted_as`)."""
        return self.clients.counted_as(self.request.environ)

    @property
    def method(self) -> str:
        """GET also for HEAD, which differs only in what is sent back."""
        return "GET" if self.request.method == "HEAD" else self.request.method

    @property
    def is_navigation(self) -> bool:
        """Whether it came from the address bar or a link, not from a page's script."""
        return cross_site.is_navigation(self.request.environ)

    @property
    def user_agent(self) -> str:
        return str(self.request.environ.get("HTTP_USER_AGENT") or "")


class Gate(Protocol):
    """Decides who may pass: raises a named failure, or leaves the caller in ``call.actor``."""

    def admit(self, call: Any, who: Any) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Manners:
    """How an endpoint behaves beyond what all do."""

    # also its GET can change something, so that it is checked for cross-site requests
    get_changes: bool = False
    # may be opened in the address bar
    navigable: bool = False
    # counts for the general limit of requests
    limited: bool = True
    # a fault of ours is answered without the envelope, for a client that takes any ``error`` 1 for its session's end
    plain_faults: bool = False
    # speaks lines of text, failures included
    as_text: bool = False
    # looks at passwords or stores them: many at once may have half of a server's threads (:mod:`compat.serving.lanes`)
    hashes: bool = False
    # identical writes of a browser's session within a moment have one effect (:mod:`compat.double_clicks`)
    once: bool = True
    # for how many seconds a browser may show the answer again without asking, also a refusal for lack of permission
    browser_keeps: int = 0
    # what those read who come with another method
    other_methods: str = "This method is not supported here"
    # further paths, beside the usual two
    also_at: tuple[str, ...] = ()
    # makes of the panel how many bytes an uploaded file may have, where that is more than elsewhere
    upload_limit: Callable[[Any], int] | None = None
    # its paths in place of the usual two
    only_at: tuple[str, ...] = ()
    # whether HEAD does what GET does
    head: bool = True
    # waits for another machine while it works, or works for long itself: not all threads may do so at once
    waits: bool = False
    # gives each answer, failures included, a spelling of its own
    reshape: Callable[[Any, Response], Response] | None = None


WAITS = Manners(waits=True)


@dataclass(frozen=True)
class Endpoint:
    """One line of the wire contract; ``chapter`` is where it stands."""

    name: str
    methods: tuple[str, ...]
    who: Any
    handler: Callable[..., Answer]
    model: type[RequestModel] | None
    manners: Manners
    chapter: str

    @property
    def paths(self) -> tuple[str, ...]:
        usual = (f"/{self.name}.php", f"/api/{self.name}.php")
        return (*(self.manners.only_at or usual), *self.manners.also_at)

    def takes(self, method: str) -> bool:
        return method in self.methods or (method == "HEAD" and self.manners.head and "GET" in self.methods)

    @property
    def allowed(self) -> str:
        """The value of the Allow header."""
        methods = {"OPTIONS", *(method for method in ROUTED_METHODS if self.takes(method))}
        return ", ".join(method for method in ROUTED_METHODS if method in methods)

    def is_write(self, method: str) -> bool:
        """Whether a request of this method can change more than its session. What answers GET and POST alike reads."""
        if method == "POST":
            return self.manners.get_changes or "GET" not in self.methods or isinstance(self.who, Mapping)
        return method not in cross_site.SAFE_METHODS or (self.manners.get_changes and method == "GET")


class Endpoints:
    """The register of one area: endpoints that stand in one chapter of the contract."""

    def __init__(self, chapter: str) -> None:
        self.chapter = chapter
        self.declared: dict[str, Endpoint] = {}

    def endpoint(
        self,
        name: str,
        *methods: str,
        who: Any,
        model: type[RequestModel] | None = None,
        manners: Manners = Manners(),
    ) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
        """Declare the decorated function, ``handler(call)`` or with a model ``handler(call, form)``."""

        def declare(handler: Callable[..., Answer]) -> Callable[..., Answer]:
            if name in self.declared:
                raise ValueError(f"endpoint {name} is declared twice")
            self.declared[name] = Endpoint(name, methods, who, handler, model, manners, self.chapter)
            return handler

        return declare
