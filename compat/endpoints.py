"""The declaration of endpoints and the way of one request through it.

One declaration gives the path and its ``/api/`` twin, the methods with 405, HEAD and OPTIONS, who may call,
and the typed request; :class:`Call` is what a route function receives. Source: contract chapter 00.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, Protocol, TypeVar

from werkzeug.wrappers import Request, Response

from compat import cross_site, envelope
from compat.client import ClientResolver
from compat.fields import RequestModel
from compat.sessions import PhpSession

log = logging.getLogger(__name__)

ROUTED_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# the document's code for what the caller may not do
NOT_ALLOWED = 3
BROWSERS: Final = "browsers"

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

    @property
    def address(self) -> str:
        """The client's IP address."""
        return self.clients.address(self.request.environ)

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


@dataclass(frozen=True)
class Endpoint:
    """One line of the wire contract.

    ``get_changes``: also its GET can change something, so that it is checked for cross-site requests.
    ``navigable``: may be opened in the address bar. ``bad_body_is_empty``: chapter 10's rule for broken JSON.
    ``limited``: counts for the general limit of requests. ``plain_faults``: a fault of ours is answered without the
    envelope, for a client that takes any ``error`` 1 for the end of its session. ``as_text``: speaks lines of text,
    failures included. ``once``: identical requests of one session within a moment have one effect
    (:mod:`compat.double_clicks`); ``BROWSERS``: only those of browsers, in which people click twice, for a script
    that asks twice means it. ``browser_keeps``: for how many seconds a browser may show the answer again without
    asking, also a refusal for lack of permission; 0 is never. ``at``: its paths where they are not the usual two.
    ``head``: whether HEAD does what GET does. ``reshape``: gives each answer, failures included, a spelling of its own.
    """

    name: str
    methods: tuple[str, ...]
    who: Any
    handler: Callable[..., Answer]
    model: type[RequestModel] | None
    get_changes: bool
    navigable: bool
    bad_body_is_empty: bool
    limited: bool
    plain_faults: bool
    as_text: bool
    once: bool | Literal["browsers"]
    browser_keeps: int
    chapter: str
    at: tuple[str, ...] = ()
    head: bool = True
    reshape: Callable[[Any, Response], Response] | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        return self.at or (f"/{self.name}.php", f"/api/{self.name}.php")

    def takes(self, method: str) -> bool:
        return method in self.methods or (method == "HEAD" and self.head and "GET" in self.methods)

    @property
    def allowed(self) -> str:
        """The value of the Allow header."""
        methods = {"OPTIONS", *(method for method in ROUTED_METHODS if self.takes(method))}
        return ", ".join(method for method in ROUTED_METHODS if method in methods)


class Endpoints:
    """The register of all endpoints of one server."""

    def __init__(self) -> None:
        self.declared: dict[str, Endpoint] = {}

    def endpoint(
        self,
        name: str,
        *methods: str,
        who: Any,
        model: type[RequestModel] | None = None,
        get_changes: bool = False,
        navigable: bool = False,
        bad_body_is_empty: bool = False,
        limited: bool = True,
        plain_faults: bool = False,
        as_text: bool = False,
        once: bool | Literal["browsers"] = False,
        browser_keeps: int = 0,
        chapter: str,
        at: tuple[str, ...] = (),
        head: bool = True,
        reshape: Callable[[Any, Response], Response] | None = None,
    ) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
        """Declare the decorated function, ``handler(call)`` or with a model ``handler(call, form)``."""

        def declare(handler: Callable[..., Answer]) -> Callable[..., Answer]:
            if name in self.declared:
                raise ValueError(f"endpoint {name} is declared twice")
            self.declared[name] = Endpoint(
                name,
                methods,
                who,
                handler,
                model,
                get_changes,
                navigable,
                bad_body_is_empty,
                limited,
                plain_faults,
                as_text,
                once,
                browser_keeps,
                chapter,
                at,
                head,
                reshape,
            )
            return handler

        return declare
