"""Flask and its response, without the work that no request of ours needs. What requests mean: :mod:`compat.dispatcher`.

Flask asks three times per request what host it is for, searches the rules, looks at each function whether it is a
coroutine, looks for blueprints, and goes through all headers whenever one is set: on a short request more than all the
rest.
"""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Request, Response
from flask.globals import request_ctx
from werkzeug.datastructures import Headers
from werkzeug.routing import MapAdapter, Rule

Complete = Callable[[Request, Any], Any]


class JsonResponse(Response):
    """``headers`` are all that it bears, but for the length: they are valid, and none is there twice."""

    def __init__(self, body: bytes, status: int, headers: Iterable[tuple[str, str]]) -> None:
        complete = Headers()
        # its own way checks and searches for each of them
        complete._list.extend(headers)
        complete._list.append(("Content-Length", str(len(body))))
        super().__init__([body], status, headers=complete)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self._status_code != 200 or self._on_close or environ["REQUEST_METHOD"] == "HEAD":
            return super().__call__(environ, start_response)
        start_response(self._status, self.headers.to_wsgi_list())
        return self.response  # type: ignore[return-value]


class _Rule(Rule):
    """What builds addresses of it is made when one is asked for: nearly none is, and making it for all rules takes
    most of the time in which an application is put together."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        make = super()._compile_builder

        def build(rule: Rule, **values: Any) -> tuple[str, str]:
            addresses: tuple[str, str] = make(append_unknown).__get__(rule, None)(**values)
            return addresses

        return build


class Application(Flask):
    """A Flask without blueprints, whose fixed paths are found at once, and whose functions are none of them coroutines.

    What completes each answer is given the request itself (:meth:`completes`), which is behind a proxy elsewhere.
    """

    url_rule_class = _Rule

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._fixed: dict[str, _Found | None] | None = None
        self._completing: list[Complete] = []
        super().__init__(*arguments, **options)

    def add_url_rule(self, *arguments: Any, **options: Any) -> None:
        self._fixed = None
        super().add_url_rule(*arguments, **options)

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        if request is not None and self.config["TRUSTED_HOSTS"] is None:
            fixed = self._fixed_paths() if self._fixed is None else self._fixed
            found = fixed.get(request.environ.get("PATH_INFO", ""))
            if found is not None and request.method in found.methods:
                return found
        return super().create_url_adapter(request)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func

    def completes(self, complete: Complete) -> Complete:
        """Register what is called with each request and its answer, and returns the answer; the last one first."""
        self._completing.insert(0, complete)
        return complete

    def preprocess_request(self) -> Any:
        return super().preprocess_request() if self.before_request_funcs or self.url_value_preprocessors else None

    def process_response(self, response: Response) -> Response:
        request = request_ctx.request
        for complete in self._completing:
            response = complete(request, response)
        # saves the session
        return response if self._saves_at_once(response) else super().process_response(response)

    def _saves_at_once(self, response: Response) -> bool:
        """Whether there is nothing else to do, and it is done."""
        context: Any = request_ctx._get_current_object()  # type: ignore[attr-defined]
        if self.after_request_funcs or context._after_request_functions:
            return False
        if not self.session_interface.is_null_session(context._session):
            self.session_interface.save_session(self, context._session, response)
        return True

    def _fixed_paths(self) -> "dict[str, _Found | None]":
        found: dict[str, _Found | None] = {}
        for rule in self.url_map.iter_rules():
            is_fixed = "<" not in rule.rule and not rule.redirect_to and not rule.defaults
            # of two rules for one path Werkzeug chooses
            found[rule.rule] = _Found(rule, self.url_map) if is_fixed and rule.rule not in found else None
        self._fixed = found
        return found


class _Found(MapAdapter):
    """What is found for a path without a search; good for nothing else."""

    def __init__(self, rule: Rule, url_map: Any) -> None:
        super().__init__(url_map, "", "/", None, "http", "/", "GET")
        self.methods = frozenset(rule.methods or ())
        self._match: tuple[Rule, dict[str, Any]] = (rule, {})

    def match(self, *_: Any, **__: Any) -> Any:
        return self._match
