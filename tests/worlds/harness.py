"""A panel served over real HTTP for tests, and clients that speak to it as each of its users does."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from hashlib import md5
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import phpserialize
import requests
import sqlalchemy as sa
import waitress
from flask import Flask
from flask.testing import FlaskCliRunner
from huey import SqliteHuey
from sqlalchemy.util import LRUCache

import commands
from core.config import Config, load_config
from core.errors import PanelError
from core.jobs.bell import bell
from core.panel import Panel
from core.storage.database import Database
from core.storage.tables import Base, User
from core.workers import workers
from legacy_routes.app import create_app
from tests.worlds.rows import Emptied, put
from tests.worlds.sending import send, set_cookies

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# what a reset empties, those that refer to others first
_KEPT = {"_sbx_state", "_sbx_versions", "_sbx_alembic", "_currencies", "_iranian_banks"}
_EMPTIED = Emptied([table for table in reversed(Base.metadata.sorted_tables) if table.name not in _KEPT])
ENCODINGS = ("json", "form", "multipart", "query")
PREFIXES = ("/", "/api/")
NOT_LOGGED_IN = {"error": 1, "err_msg": "Not logged in", "message": "Not logged in", "code": 2}


def legacy_hash(password: str) -> str:
    """As the PHP panels store a password."""
    return md5(password.encode(), usedforsecurity=False).hexdigest()


class HttpServer:
    """``app`` under waitress on a free loopback port, until closed."""

    def __init__(self, app: "WSGIApplication") -> None:
        self._server = waitress.create_server(
            app,
            host="127.0.0.1",
            port=0,
            threads=8,
            clear_untrusted_proxy_headers=False,
            max_request_body_size=2**28,
            # as the product does; and select would fail, and the server wait for ever, from the 1,024th open file on
            asyncore_use_poll=True,
        )
        self.url = f"http://127.0.0.1:{self._server.effective_port}"
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        def close_all() -> None:
            for channel in list(self._server._map.values()):
                channel.close()

        # the workers first: one that ends later would pull a trigger that is closed
        self._server.task_dispatcher.shutdown()
        with suppress(OSError):  # the loop may run it, and so close the trigger, before it is pulled
            self._server.trigger.pull_trigger(close_all)
        self._thread.join(60)


@dataclass
class Client:
    """One browser or script: a cookie jar of its own, every encoding, redirects not followed."""

    url: str
    cookies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {**self.headers, **options.pop("headers", {})}
        if self.cookies and "Cookie" not in headers:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        response = send(method, self._address, self.url + path, headers, **options)
        for line in set_cookies(response):
            name, _, value = line.partition(";")[0].partition("=")
            if "Max-Age=0" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return response

    @cached_property
    def _address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return str(parts.hostname), int(parts.port or 80)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, fields: Mapping[str, Any] | None = None, encoding: str = "form") -> requests.Response:
        fields = fields or {}
        if encoding == "json":
            return self.request("POST", path, json=fields)
        if encoding == "multipart":
            return self.request("POST", path, files={name: (None, str(value)) for name, value in fields.items()})
        if encoding == "query":
            return self.request("POST", path, params=fields)
        return self.request("POST", path, data=fields)

    def login(self, username: str, password: str) -> "Client":
        answer = self.post("/login.php", {"username": username, "password": password}).json()
        assert answer["error"] == 0, answer
        return self

    def in_a_browser(self) -> "Client":
        """The same session, with the marks that a browser puts on the calls of its own pages."""
        marks = {"Origin": self.url, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
        return Client(self.url, self.cookies, {**self.headers, **marks})

    @property
    def session_id(self) -> str:
        return self.cookies["PHPSESSID"]


class World:
    """One served panel with a database, its rows under the test's control; ``known``: another on the same database,
    which has looked at its structure already."""

    def __init__(
        self, database_url: str, settings: Mapping[str, str], *, prepare: bool = True, known: "World | None" = None
    ) -> None:
        self.config: Config = load_config(None, {"SHOWBOX_DATABASE_URL": database_url, **settings})
        self.panel = Panel(self.config)
        if known is not None:
            self.panel._layout, self.panel._layout_read_at = known.panel._layout, known.panel._layout_read_at
        _share_compiled(self.panel.database, known.panel.database if known else None)
        if prepare:
            self.panel.layout  # noqa: B018 - creates the tables
        workers.attach(self.panel, by_the_clock=False)
        # also where a test gives the panel another one
        self._clock_of_sessions = self.panel.clock
        self.app = create_app(self.panel)
        self.processes = int(os.environ.get("SHOWBOX_TEST_PROCESSES", "1"))
        self.twin = Twin(self.panel) if self.processes == 2 else None
        self.server = HttpServer(self.app if self.twin is None else _in_turn(self.app, create_app(self.twin)))
        self.url = self.server.url
        self.session_directory = Path(self.config.session.php_save_path)

    def client(self, username: str | None = None, password: str | None = None, **headers: str) -> Client:
        client = Client(self.url, headers={name.replace("_", "-"): value for name, value in headers.items()})
        return client if username is None else client.login(username, password or PASSWORDS[username])

    def runner(self) -> FlaskCliRunner:
        """Our commands as ``flask`` offers them, in this process."""
        commands.register(self.app, self.panel)
        return self.app.test_cli_runner()

    def reset(self) -> None:
        """Forget all rows, sessions and counted failures; currencies and banks stay, as on a fresh installation."""
        with self.panel.database.write() as connection:
            _EMPTIED(connection)
        if self.config.session.store == "php-files":
            for path in self.session_directory.iterdir():
                path.unlink()

    def rest(self) -> None:
        """Another world on this database is used from here on, and servers have a hundred connections only.

        Whom a ring wakes that has not been heard yet would take up the other's jobs, so nobody listens; rings in Redis
        stay: others hear them, too.
        """
        for panel in (self.panel, self.twin):
            if panel is None:
                continue
            bell(panel).rest()
            if panel.database.dialect != "sqlite":
                panel.database.dispose()
            if isinstance(made := bell(panel)._made, SqliteHuey):
                made.flush()

    def insert(self, model: type[Base], rows: Iterable[Mapping[str, Any]]) -> None:
        self.insert_all([(model, rows)])

    def insert_all(self, tables: Iterable[tuple[type[Base], Iterable[Mapping[str, Any]]]]) -> None:
        """The rows of several tables in one transaction, which is faster."""
        with self.panel.database.write() as connection:
            for model, rows in tables:
                put(connection, model, rows)

    def execute(self, statement: Any) -> None:
        with self.panel.database.write() as connection:
            connection.execute(sa.text(statement) if isinstance(statement, str) else statement)

    def rows(self, statement: Any) -> list[dict[str, Any]]:
        with self.panel.database.read() as connection:
            return [dict(row) for row in connection.execute(statement).mappings()]

    def user(self, username: str) -> dict[str, Any]:
        columns = [column for column in User.__table__.c if self.panel.layout.has_column("_users", column.name)]
        [row] = self.rows(sa.select(*columns).where(User.username == username))
        return row

    @contextmanager
    def later(self, seconds: float) -> Iterator[None]:
        """The panel's clock and its sessions', so far ahead; the server's own stays, by which it closes connections."""
        with ExitStack() as stack:
            for clock in {self.panel.clock, self._clock_of_sessions}:
                stack.callback(setattr, clock, "_source", clock._source)
                clock._source = partial(_ahead, clock._source, seconds)
            yield

    # PHP session files

    def session_file(self, session_id: str) -> Path:
        return self.session_directory / f"sess_{session_id}"

    def php_session(self, content: str | bytes, session_id: str = "k3v9x0a7b2c4dk3v9x0a7b2c4d") -> Client:
        """A client that holds the cookie of a session file as PHP would have written it."""
        path, prepared = self.session_file(session_id), self.session_directory / f"prepared_{session_id}"
        prepared.write_bytes(content.encode() if isinstance(content, str) else content)
        prepared.chmod(0o600)
        # in one step: a request of an earlier page may be about to delete what stands there
        prepared.replace(path)
        return Client(self.url, {"PHPSESSID": session_id})

    def php_login(self, username: str, **more: Any) -> Client:
        return self.php_session(php_encode({"login": 1, "username": username, **more}))

    def close(self) -> None:
        self.server.close()
        if self.twin is not None:
            self.twin.close()
        self.panel.close()


def _ahead(source: Callable[[], float], seconds: float) -> float:
    return source() + seconds


class _Compiled:
    """What engines on one database have compiled; SQLAlchemy keeps it by dialect, of which each engine has its own."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._kept: LRUCache[Any, Any] = LRUCache(1000)

    def get(self, key: tuple[Any, ...]) -> Any:
        return self._kept.get(key[1:])

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        self._kept[key[1:]] = compiled


def _share_compiled(database: Database, known: Database | None) -> None:
    kept: Any = _Compiled() if known is None else known.engine._compiled_cache
    database.engine._compiled_cache = kept
    own = database.forget_columns

    def forget_columns() -> None:
        """What was compiled fits texts to the columns as the engine knew them that compiled it."""
        own()
        kept.forget()

    database.forget_columns = forget_columns  # type: ignore[method-assign]


_SET_BY_TESTS = ("config", "clock", "sealer", "_layout", "_layout_read_at")


class Twin(Panel):
    """A second process over the same database, which serves every other request: nothing in common with ``first``, of
    what lives in a process, but what a test sets there (configuration, clock, layout, and what it lends)."""

    def __init__(self, first: Panel) -> None:
        with suppress(PanelError):
            first.layout  # noqa: B018 - is looked for by the first alone
        self._first = first
        super().__init__(first.config, clock=first.clock)
        workers.attach(self, by_the_clock=False)
        self._lend = first.lend
        first.lend = self._lend_to_both  # type: ignore[method-assign]

    def __getattribute__(self, name: str) -> Any:
        of = super().__getattribute__("_first") if name in _SET_BY_TESTS else super()
        return of.__getattribute__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _SET_BY_TESTS:
            super().__setattr__(name, value)

    @contextmanager
    def _lend_to_both(self, make: Any, thing: Any) -> Iterator[None]:
        with self._lend(make, thing), super().lend(make, thing):
            yield


def _in_turn(*apps: Flask) -> "WSGIApplication":
    turns = cycle(apps)
    return lambda environ, start_response: next(turns)(environ, start_response)


def php_encode(values: Mapping[str, Any]) -> str:
    return "".join(f"{key}|{phpserialize.dumps(value).decode()}" for key, value in values.items())


PASSWORDS = {
    "admin": "admin123",
    "resa": "resa-pass",
    "obs": "obs-pass",
    "radm": "radm-pass",
    "noname": "noname-pass",
    "resb": "resb-pass",
    "radm0": "radm0-pass",
    "reseller1": "pw1",
    "radmin": "pw2",
    "reseller2": "pw3",
    "readmin": "pw4",
    "watcher": "pw5",
    "limited": "pw6",
    "res": "res-pass",
    "resirr": "resirr-pass",
}


def user_row(id: int, username: str, **values: Any) -> dict[str, Any]:
    """A row of ``_users`` as the PHP panel would have made it."""
    row = {
        "id": id,
        "username": username,
        "password": legacy_hash(PASSWORDS[username]),
        "name": username.title(),
        "email": None,
        "balance": 0,
        "permissions": "0|0|0|0|0|0|0",
        "max_users": 0,
        "super_user": 0,
        "is_observer": 0,
        "currency_id": "GBP",
        "theme": "default",
        "timestamp": 1700000000,
    }
    return row | values
