"""One browser's requests, taken apart so that a test can let two of them overlap."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from typing import Any

from flask import Flask, Request, Response, session

from compat.sessions import PhpSession, SessionStore, install_sessions


class Moment:
    """A clock that a test moves."""

    def __init__(self, seconds: float = 1_732_547_600.0) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds


def app_with(store: SessionStore, secure: Callable[[Request], bool] = lambda request: False) -> Flask:
    app = Flask(__name__)
    install_sessions(app, store, secure=secure)
    return app


class Browser:
    """Sends the cookie it has and keeps the one it gets; ``set_cookie`` is the last answer's header."""

    def __init__(self, app: Flask, cookie: str | None = None) -> None:
        self.app = app
        self.cookie = cookie
        self.set_cookie: str | None = None

    @contextmanager
    def request(self, **options: Any) -> Iterator[PhpSession]:
        headers = {"Cookie": f"PHPSESSID={self.cookie}"} if self.cookie is not None else {}
        with self.app.test_request_context(headers=headers, **options):
            yield session._get_current_object()  # type: ignore[attr-defined]
            response = self.app.process_response(Response())
        self.set_cookie = response.headers.get("Set-Cookie")
        if self.set_cookie is not None:
            self.cookie = SimpleCookie(self.set_cookie)["PHPSESSID"].value or None

    def read(self) -> dict[str, Any]:
        """What the session holds now; reading it is a request, too."""
        with self.request() as current:
            return dict(current)
