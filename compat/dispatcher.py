"""The way of one request: from Flask through the checks of its declaration to the handler, and back as an answer.

What is declared: :mod:`compat.endpoints`. Source: contract chapter 00.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar, cast

from flask import Flask, current_app, request, session
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge
from werkzeug.wrappers import Response

from compat import double_clicks, envelope
from compat.client import ClientResolver
from compat.endpoints import NOT_ALLOWED, ROUTED_METHODS, Answer, Call, Endpoint, Gate, Manners, log
from compat.fields import BadField, RequestModel
from compat.guards import cross_site
from compat.guards.rate_limit import RequestLimit
from compat.multipart import BadParameters
from compat.parameters import Limits, read_parameters
from compat.serving.waiting_requests import NoPlace, Places
from compat.sessions import SessionUnavailable

T = TypeVar("T")

CROSS_SITE_TEXT = "This request came from another site and was refused"
TOO_LARGE_TEXT = "The request is too large"
TOO_MANY_TEXT = "Too many requests, please wait a moment"
_SHORTLY_SECONDS = 2
# bytes of a body beside the one large file in it
AROUND_A_FILE = 1024 * 1024
_BROWSER_MARKS = ("HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE", "HTTP_SEC_FETCH_MODE", "HTTP_SEC_FETCH_DEST")
INTERNAL_TEXT = "An internal error occurred"


class Dispatcher:
    """Carries one request from Flask through the checks of its declaration to the handler and back.

    ``failures`` are the exception types that carry an envelope's content (see :class:`envelope.Failure`); ``losses``
    gives a context that collects, by field, what values lost on their way in.
    """

    def __init__(
        self,
        panel: object,
        gate: Gate,
        clients: ClientResolver,
        limits: Limits,
        failures: type[Exception],
        request_limit: RequestLimit,
        memory: double_clicks.Memory,
        losses: Callable[[], AbstractContextManager[Mapping[str, str]]],
        places: Places,
    ) -> None:
        self.panel = panel
        self.gate = gate
        self.clients = clients
        self.limits = limits
        self.failures = failures
        self.request_limit = request_limit
        self.memory = memory
        self.losses = losses
        self.places = places
        self._by_path: dict[str, Endpoint] = {}

    def install(self, app: Flask, endpoints: Iterable[Endpoint]) -> None:
        """Route every endpoint at both of its paths, and give unknown paths and faults the envelope."""
        for endpoint in endpoints:
            for path in endpoint.paths:
                self._by_path[path] = endpoint
                app.add_url_rule(
                    path,
                    endpoint=path,
                    view_func=self._view(endpoint),
                    methods=ROUTED_METHODS,
                    provide_automatic_options=False,
                )
        app.register_error_handler(Exception, self._fault)

    def _view(self, endpoint: Endpoint) -> Callable[[], Response]:
        def view() -> Response:
            return self.respond(endpoint)

        return view

    def respond(self, endpoint: Endpoint) -> Response:
        return self._reshaped(endpoint, self._respond(endpoint))

    def _reshaped(self, endpoint: Endpoint | None, response: Response) -> Response:
        reshape = None if endpoint is None else endpoint.manners.reshape
        return response if reshape is None else reshape(self.panel, response)

    def _respond(self, endpoint: Endpoint) -> Response:
        method, manners = request.method, endpoint.manners
        if method == "OPTIONS":
            return Response(status=204, headers={"Allow": endpoint.allowed})
        if not endpoint.takes(method):
            return _not_allowed(endpoint)
        checked = manners.get_changes or method not in cross_site.SAFE_METHODS
        if checked and cross_site.is_refused(request.environ, self.clients, navigable=manners.navigable):
            return envelope.failure(CROSS_SITE_TEXT, NOT_ALLOWED, 403)
        if manners.limited and (wait := self.request_limit.seconds_to_wait(self.clients.counted_as(request.environ))):
            return _too_many(TOO_MANY_TEXT, 1, wait)
        return self._answered(endpoint)

    def _answered(self, endpoint: Endpoint) -> Response:
        call = self.call()
        if endpoint.who is not None:
            self.gate.admit(call, endpoint.who)
        values: Mapping[str, Any] = {}
        act = partial(endpoint.handler, call)
        if endpoint.model is not None:
            parameters = read_parameters(request, self._limits(endpoint))
            values, call.files = parameters.values, parameters.files
            model = endpoint.model
            form = self._named(model, values, lambda: model.read(values))
            act = partial(self._named, model, values, partial(self._told, model, values, act, form))
        # also around the one of two clicks that waits for the other's answer
        with self.places.one() if endpoint.manners.waits else nullcontext():
            if not _is_guarded(endpoint, call):
                return _on_the_wire(endpoint, act())
            return double_clicks.once(
                self.memory,
                double_clicks.session_key(str(call.session.sid), call.session["username"]),
                double_clicks.key_of(endpoint.name, call.method, values, call.files),
                lambda: _on_the_wire(endpoint, act()),
                self._fault,
            )

    def _named(self, model: type[RequestModel], values: Mapping[str, Any], act: Callable[[], T]) -> T:
        """What ``act`` gives; its failures call each field as the request did."""
        try:
            return act()
        except self.failures as error:
            field = getattr(error, "field", None)
            if field is not None:
                error.call_it(model.name_of(field, values))  # type: ignore[attr-defined]
            raise

    def _told(
        self,
        model: type[RequestModel],
        values: Mapping[str, Any],
        act: Callable[[RequestModel], Answer],
        form: RequestModel,
    ) -> Answer:
        """The answer, which says what its values lost on their way in."""
        with self.losses() as lost:
            answer = act(form)
        if not lost or not isinstance(answer, dict):
            return answer
        sentences = [sentence.replace("{field}", model.name_of(field, values)) for field, sentence in lost.items()]
        before = [answer["warning_text"]] if "warning_text" in answer else []
        return {**answer, "warning": 1, "warning_text": "; ".join([*before, *sentences])}

    def call(self) -> Call[Any, Any]:
        """The current request as a call whose caller is not known yet."""
        # the objects behind Flask's proxies, which cost at each access
        return Call(
            self.panel,
            request._get_current_object(),  # type: ignore[attr-defined]
            session._get_current_object(),  # type: ignore[attr-defined]
            self.clients,
        )

    def _limits(self, endpoint: Endpoint) -> Limits:
        if endpoint.manners.upload_limit is None:
            return self.limits
        limits = replace(self.limits, file_bytes=endpoint.manners.upload_limit(self.panel))
        # of the whole body, before any of it is read
        request.max_content_length = limits.file_bytes + AROUND_A_FILE
        return limits

    def _fault(self, error: Exception) -> Response:
        endpoint = self._by_path.get(request.path)
        return self._reshaped(endpoint, self._fault_of(endpoint, error))

    def _fault_of(self, endpoint: Endpoint | None, error: Exception) -> Response:
        if isinstance(error, MethodNotAllowed) and endpoint is not None:
            return _not_allowed(endpoint)
        response = self._envelope_of(error)
        manners = endpoint.manners if endpoint is not None else Manners()
        if manners.browser_keeps and getattr(error, "code", 0) == NOT_ALLOWED:
            return envelope.kept_by_browser(response, manners.browser_keeps)
        if manners.as_text:
            return envelope.as_text(response)
        if response.status_code >= 500 and manners.plain_faults:
            return Response("Not available", response.status_code, content_type="text/plain", headers=envelope.NO_CACHE)
        return response

    def _too_large_text(self) -> str:
        endpoint = self._by_path.get(request.path)
        if endpoint is None or endpoint.manners.upload_limit is None:
            return TOO_LARGE_TEXT
        return f"The file is too large: at most {endpoint.manners.upload_limit(self.panel) / 2**20:g} MiB"

    def _envelope_of(self, error: Exception) -> Response:
        # what happens after the handler (the session's saving) arrives wrapped
        error = getattr(error, "original_exception", None) or error
        if isinstance(error, (self.failures, envelope.FailedWith, SessionUnavailable)):
            return _named_failure(error)
        if isinstance(error, BadField | BadParameters):
            return envelope.failure(error.text, 6)
        if isinstance(error, NoPlace):
            return _too_many(error.text, 8, _SHORTLY_SECONDS)
        if isinstance(error, RequestEntityTooLarge):
            return envelope.failure(self._too_large_text(), 6, 413)
        if isinstance(error, HTTPException):
            return _http_failure(error)
        # the message of an unexpected exception may hold anything; its type and place help without telling secrets
        log.error("Unexpected %s at %s", type(error).__name__, _place(error), exc_info=current_app.debug)
        return envelope.failure(INTERNAL_TEXT, 1, 500)


def _is_guarded(endpoint: Endpoint, call: Call[Any, Any]) -> bool:
    """Whether a double click may have sent it: people click in browsers, a script that asks twice means it."""
    is_browser = any(name in call.request.environ for name in _BROWSER_MARKS)
    if not (endpoint.manners.once and is_browser and endpoint.is_write(call.request.method)):
        return False
    # asked last: a look at the session counts as its activity
    return bool(call.session.sid and call.session.get("username"))


def _on_the_wire(endpoint: Endpoint, answer: Answer) -> Response:
    if isinstance(answer, dict):
        return envelope.kept_by_browser(envelope.success(answer, request), endpoint.manners.browser_keeps)
    return answer if isinstance(answer, Response) else envelope.encoded_success(answer, request)


def _too_many(text: str, code: int, wait: int) -> Response:
    """``wait``: seconds after which another try makes sense."""
    response = envelope.failure(text, code, 429)
    response.headers["Retry-After"] = str(wait)
    return response


def _not_allowed(endpoint: Endpoint) -> Response:
    response = envelope.failure(endpoint.manners.other_methods, 6, 405)
    response.headers["Allow"] = endpoint.allowed
    return response


def _named_failure(error: Any) -> Response:
    failure, keys = (error.failure, error.keys) if isinstance(error, envelope.FailedWith) else (error, None)
    cause = error.__cause__
    if cause is not None:
        # a driver's text may hold SQL and values; its number tells as much
        number = next(
            (item for item in getattr(getattr(cause, "orig", None) or cause, "args", ()) if isinstance(item, int)), ""
        )
        log.error("%s at %s: %s %s", type(failure).__name__, _place(error), type(cause).__name__, number)
    return envelope.failure_of(failure, keys)


def _http_failure(error: HTTPException) -> Response:
    if error.response is not None:
        return cast(Response, error.response)
    status = error.code or 500
    if status == 404:
        return envelope.failure("Not found", 4, 404)
    return envelope.failure(f"The request was refused ({error.name})", 6, status)


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "unknown place"
    return f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"
