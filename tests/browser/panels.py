"""A panel with one of our frontends, served to a browser, and the record of the requests that reach it."""

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import parse_qsl

from core.storage.tables import Account, User
from legacy_routes.app import all_endpoints, create_app
from tests.worlds.harness import HttpServer, World, legacy_hash, user_row
from tests.worlds.places import FRONTENDS
from tests.worlds.waiting import until

PASSWORD = "secret-pass"
BUILT = {path for endpoint in all_endpoints() for path in endpoint.paths}


@dataclass
class Seen:
    """One request as it arrived; ``status`` is None until it was answered."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    status: int | None = None

    @property
    def name(self) -> str:
        """The endpoint without prefix and extension."""
        return self.path.removeprefix("/").removeprefix("api/").removesuffix(".php")


class Recorder:
    """WSGI middleware that keeps what passes, in order of arrival."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.seen: list[Seen] = []
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        headers = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key[:5] == "HTTP_"}
        headers["content-type"] = environ.get("CONTENT_TYPE", "")
        query = dict(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))
        seen = Seen(environ["REQUEST_METHOD"], environ["PATH_INFO"], query, headers, body)
        self.seen.append(seen)

        def answering(status: str, *more: Any) -> Any:
            seen.status = int(status.partition(" ")[0])
            return start_response(status, *more)

        return self._application(environ, answering)


class Site:
    """``generation``: ``legacy`` (1.7.9) or ``modern`` (1.11.66, 1.18.2), which is also the frontend's directory."""

    def __init__(self, world: World, generation: str) -> None:
        self.world = world
        self.generation = generation
        self.frontend = FRONTENDS / generation
        self.dashboard = "/dashboard.html" if generation == "legacy" else "/dashboard.php"
        self.api = "/" if generation == "legacy" else "/api/"
        app = create_app(world.panel)
        self._recorder = Recorder(app.wsgi_app)
        app.wsgi_app = self._recorder  # type: ignore[method-assign]
        self._server = HttpServer(app)
        self.url = self._server.url

    @property
    def seen(self) -> list[Seen]:
        return self._recorder.seen

    @property
    def calls(self) -> list[Seen]:
        """The requests to endpoints, the dashboard page excepted."""
        return [seen for seen in list(self.seen) if seen.path.endswith(".php") and seen.path != "/dashboard.php"]

    @property
    def names(self) -> list[str]:
        return [seen.name for seen in self.calls]

    def of(self, name: str, method: str | None = None) -> list[Seen]:
        """The requests to one endpoint."""
        return [seen for seen in self.calls if seen.name == name and method in (None, seen.method)]

    def pages(self, path: str) -> list[Seen]:
        """The requests for one path that is no endpoint."""
        return [seen for seen in list(self.seen) if seen.path == path]

    def faults(self) -> list[str]:
        """Once all is answered: what must not happen whatever a test does.

        That is a fault of the server, and a 404 of an endpoint that exists.
        """
        until(lambda: all(seen.status is not None for seen in self.seen), "all requests are answered")
        return [
            f"{seen.method} {seen.path}: {seen.status}"
            for seen in list(self.seen)
            if seen.status is None or seen.status >= 500 or (seen.status == 404 and seen.path in BUILT)
        ]

    def close(self) -> None:
        self._server.close()


def fill(world: World) -> None:
    """The synthetic people of contract chapter 05 §11, and five accounts: two of rita's, the newest is ``12345``."""
    world.insert(
        User,
        [
            person(1, "admin", name="Administrator", super_user=1, permissions="1|1|1|1|1|1|1"),
            person(2, "resa", name="Resa", permissions="1|1|1|1|1|1|1", balance="12.50"),
            person(3, "rita", name="Rita", permissions="1|1|0|1|1|1|1", balance="99.90"),
            person(4, "weak", name="Weak", permissions="0|0|0|0|0"),
            person(5, "olaf", name="Olaf", is_observer=1, permissions=None),
        ],
    )
    world.insert(
        Account,
        [
            account(1, "anna", reseller=3),
            account(2, "bert", reseller=3),
            account(3, "carl", reseller=4),
            account(4, "dora", reseller=1),
            account(5, "12345", reseller=1),
        ],
    )


def person(id: int, username: str, **values: Any) -> dict[str, Any]:
    """A row of ``_users`` with the password :data:`PASSWORD`."""
    own = {"username": username, "password": legacy_hash(PASSWORD)}
    return user_row(id, "admin") | own | values


def account(id: int, username: str, **values: Any) -> dict[str, Any]:
    row = {
        "id": id,
        "username": username,
        "mac": f"00:1A:79:00:00:{id:02X}",
        "full_name": username.title(),
        "end_date": date(2099, 12, 31),
        "status": 1,
        "timestamp": 1700000000 + id,
    }
    return row | values
