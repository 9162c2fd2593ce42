"""The world of contract chapter 95 §14: accounts, lines, streams and two real simulated nodes, in each of the modes."""

import itertools
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
import sqlalchemy as sa

from core.panel import Panel
from core.storage.tables import User
from core.storage.tables.secret_columns import streaming_server_place
from core.storage.tables.xtream import XtreamMember, XtreamServerControl
from core.xtream.families import Tables, known
from core.xtream.store import store
from simulators.xtream_node.server import XtreamNode
from tests.conftest import MakeWorld
from tests.worlds.databases import create_database, require
from tests.worlds.harness import Client, World, legacy_hash, php_encode, user_row
from tests.worlds.rows import Emptied, put
from tests.worlds.strangers import strange_engine
from tests.worlds.xtream_databases import NEW, OLD, xtream_tables

OWN = "own"
MODES = ("own sqlite", "own mariadb", "own postgresql", NEW, OLD)
SECRETS = {1: "secret-of-a", 2: "secret-of-b", 3: "secret-of-3"}
# longer than a busy machine may take
READ_SECONDS = 4
OK = b'{"result":true,"error":0,"err_msg":""}'
# name → account id, group, owner
ACCOUNTS: Mapping[str, tuple[int, int, int]] = {
    "root": (1, 1, 0),
    "resa": (10, 4, 0),
    "suba": (11, 4, 10),
    "deepa": (12, 4, 11),
    "resb": (20, 5, 0),
    "vodop": (30, 6, 0),
}
WATCHER = "watcher"
# in a bound database a panel's user and its account have different ids
_BOUND_SHIFT = 500
_sessions = itertools.count(1)
_made: dict[str, tuple[str, Emptied]] = {}
Rows = Mapping[str, Iterable[Mapping[str, Any]]]


def no(code: int, text: str, **more: Any) -> dict[str, Any]:
    """A failure's envelope."""
    return {"result": False, "error": 1, "err_msg": text, "message": text, "code": code, **more}


@dataclass
class Xtream:
    """One served panel with its nodes A (server 1, xc_new) and B (server 2, xc_old); nothing listens at server 3."""

    world: World
    mode: str
    a: XtreamNode
    b: XtreamNode
    closed_port: int
    _clients: dict[str, Client] = field(default_factory=dict)

    @property
    def panel(self) -> Panel:
        return self.world.panel

    @property
    def is_bound(self) -> bool:
        return not self.mode.startswith(OWN)

    @property
    def tables(self) -> Tables:
        return store(self.panel).tables

    def user_id(self, name: str) -> int:
        """The panel's id of an account."""
        number = ACCOUNTS[name][0] if name in ACCOUNTS else 40
        return number + (_BOUND_SHIFT if self.is_bound else 0)

    def client(self, name: str | None) -> Client:
        if name is None:
            return self.world.client()
        if name not in self._clients:
            content = php_encode({"login": 1, "username": name, "user_id": self.user_id(name)})
            self._clients[name] = self.world.php_session(content, f"xtreamsession{next(_sessions):013}")
        return self._clients[name]

    def ask(self, name: str | None, query: str, **options: Any) -> requests.Response:
        return self.client(name).request(options.pop("method", "GET"), f"/api.php?{query}", **options)

    def body(self, name: str | None, query: str) -> bytes:
        response = self.ask(name, query)
        assert response.status_code == 200
        assert response.headers["Content-Type"] == "application/json"
        return response.content

    def answer(self, name: str | None, query: str) -> Any:
        """True, or the whole failure; the spelling is compared byte for byte."""
        body = self.body(name, query)
        if body == OK:
            return True
        assert body.startswith(b'{"result":false,"error":1,"err_msg":'), body
        return requests.models.complexjson.loads(body)

    def rows(self, role: str, **where: Any) -> list[dict[str, Any]]:
        """The rows of one of the mapped tables, in the order of their keys."""
        table: sa.Table = getattr(self.tables, role)
        wanted = sa.select(table).where(*(table.c[name] == value for name, value in where.items()))
        with store(self.panel).read() as connection:
            return [dict(row) for row in connection.execute(wanted.order_by(*table.primary_key.columns)).mappings()]

    def insert(self, role: str, *rows: Mapping[str, Any]) -> None:
        self.insert_all({role: rows})

    def insert_all(self, rows_of: Rows) -> None:
        """By the roles of the tables, in one transaction."""
        with store(self.panel).database.write() as connection:
            for role, rows in rows_of.items():
                table: sa.Table = getattr(self.tables, role)
                put(connection, table, [known(table, row) for row in rows])

    def update(self, role: str, where: Mapping[str, Any], **values: Any) -> None:
        table: sa.Table = getattr(self.tables, role)
        with store(self.panel).database.write() as connection:
            on = (table.c[name] == value for name, value in where.items())
            connection.execute(sa.update(table).where(*on).values(**known(table, values)))

    @property
    def live(self) -> list[int]:
        return [row["activity_id"] for row in self.rows("live")]

    @property
    def pending(self) -> list[tuple[int, str, int]]:
        rows = self.world.rows(sa.text("SELECT * FROM _sbx_xt_pending ORDER BY id"))
        return [(row["server_id"], row["kind"], row["stream_id"]) for row in rows]

    @property
    def log(self) -> list[dict[str, Any]]:
        return self.world.rows(sa.text("SELECT * FROM _sbx_xt_command_log ORDER BY id"))

    def switch_off(self, name: str) -> None:
        """In the database, as an operator would."""
        if self.is_bound:
            self.update("accounts", {"id": ACCOUNTS[name][0]}, status=0)
        else:
            self.world.execute(f"UPDATE _sbx_xt_members SET status = 0 WHERE user_id = {self.user_id(name)}")

    def set_control(self, server_id: int, **values: Any) -> None:
        statement = sa.update(XtreamServerControl).where(XtreamServerControl.server_id == server_id)
        self.world.execute(statement.values(**values))


@contextmanager
def xtream_world(make_world: MakeWorld, mode: str, **settings: str) -> Iterator[Xtream]:
    # twenty commands at once find places, however long they take
    settings = {"SHOWBOX_SERVER_THREADS": "32", **settings}
    with ExitStack() as stack:
        world = _made_world(make_world, mode, settings)
        a = stack.enter_context(XtreamNode(NEW, SECRETS[1], name="A"))
        b = stack.enter_context(XtreamNode(OLD, SECRETS[2], name="B", seed=2))
        reserved = stack.enter_context(socket.socket())
        reserved.bind(("127.0.0.1", 0))
        xtream = Xtream(world, mode, a, b, reserved.getsockname()[1])
        _fill(xtream)
        yield xtream


def _made_world(make_world: MakeWorld, mode: str, settings: Mapping[str, str]) -> World:
    if mode.startswith(OWN):
        kind = mode.removeprefix(f"{OWN} ")
        require(kind)
        return make_world(kind, **settings)
    require("mariadb")
    if mode not in _made:
        tables = xtream_tables(mode)
        _made[mode] = create_database("mariadb", mode), Emptied(tables.sorted_tables)
        engine = strange_engine(_made[mode][0])
        tables.create_all(engine)
        engine.dispose()
    url, empty = _made[mode]
    world = make_world("sqlite", SHOWBOX_XTREAM_DATABASE_URL=url, **settings)
    with store(world.panel).database.write() as connection:
        empty(connection)
    return world


def _fill(xtream: Xtream) -> None:
    world = xtream.world
    names = [*ACCOUNTS, WATCHER]
    users = [
        user_row(xtream.user_id(name), "admin")
        | {"username": name, "password": legacy_hash(f"{name}-pass"), "is_observer": int(name == WATCHER)}
        for name in names
    ]
    links = [
        {
            "user_id": xtream.user_id(name),
            "member_group_id": None if xtream.is_bound else group,
            "owner_id": None if xtream.is_bound else owner,
            "account_id": id if xtream.is_bound else None,
        }
        for name, (id, group, owner) in ACCOUNTS.items()
    ]
    ports = {1: xtream.a.port, 2: xtream.b.port, 3: xtream.closed_port}
    controls = [
        {
            "server_id": id,
            "dialect": OLD if id == 2 else NEW,
            "secret": xtream.panel.sealer.everywhere.sealed(secret, streaming_server_place(id)),
            "read_timeout": READ_SECONDS,
        }
        for id, secret in SECRETS.items()
    ]
    world.insert_all([(User, users), (XtreamMember, links), (XtreamServerControl, controls)])
    xtream.insert_all(
        {**_servers(ports), **_groups(), **(_bound() if xtream.is_bound else {}), **_streams(), **_lines()}
    )


def _servers(ports: Mapping[int, int]) -> Rows:
    rows = [
        {
            "id": id,
            "server_name": f"S{id}",
            "server_ip": "127.0.0.1",
            "http_broadcast_port": port,
            "https_broadcast_port": 0,
            "is_main": int(id == 1),
            "can_delete": int(id != 1),
        }
        for id, port in ports.items()
    ]
    return {"servers": rows}


def _groups() -> Rows:
    flags = {"is_banned": 0, "is_admin": 0, "is_reseller": 0, "delete_users": 0, "edit_isplock": 0}
    groups = {
        1: {"is_admin": 1, "allowed_pages": "[]"},
        4: {"is_reseller": 1, "allowed_pages": "[]"},
        5: {"is_reseller": 1, "delete_users": 1, "edit_isplock": 1, "allowed_pages": None},
        6: {"is_admin": 1, "allowed_pages": '["edit_movie","edit_episode"]'},
    }
    return {"groups": [{"group_id": id, "group_name": f"G{id}", **flags, **more} for id, more in groups.items()]}


def _bound() -> Rows:
    """What a bound database alone has."""
    accounts = [
        {"id": id, "username": name, "member_group_id": group, "owner_id": owner, "status": 1}
        for name, (id, group, owner) in ACCOUNTS.items()
    ]
    settings = [("reseller_can_isplock", "1"), ("reseller_reset_isplock", "1")]
    return {
        "accounts": accounts,
        "admin_settings": [{"type": name, "value": value} for name, value in settings],
        "settings": [{"id": 1, "save_closed_connection": "1"}],
    }


# id → type, servers
STREAMS = {5: (1, (1, 2)), 6: (2, (1,)), 7: (1, ()), 8: (5, (2,)), 9: (2, (1, 2)), 51: (2, (1,)), 10: (1, (3,))}


def _streams() -> Rows:
    assignments = [
        {"stream_id": id, "server_id": server, "stream_info": "", "progress_info": ""}
        for id, (_, servers) in STREAMS.items()
        for server in servers
    ]
    bouquet = {"id": 1, "bouquet_name": "All", "bouquet_channels": "[5,6,7,8]", "bouquet_series": "[8]"}
    return {
        "streams": [{"id": id, "type": type, "stream_display_name": f"X{id}"} for id, (type, _) in STREAMS.items()],
        "assignments": assignments,
        "episodes": [{"id": 1, "season_num": 1, "series_id": 1, "stream_id": 8, "sort": 1}],
        "bouquets": [{**bouquet, "bouquet_movies": "[]", "bouquet_radios": "[]"}],
    }


def _lines() -> Rows:
    owners = {101: 10, 102: 11, 103: 12, 104: 20}
    connections = (
        (1, 101, 5, 1, 4242, "ts"),
        (2, 104, 5, 2, 4242, "ts"),
        (3, 101, None, 2, None, "hls"),
        (4, 104, None, 1, 5151, "ts"),
    )
    names = ("activity_id", "user_id", "stream_id", "server_id", "pid", "container")
    return {
        "lines": [
            {"id": id, "member_id": owner, "username": f"line{id}", "password": f"pw-of-{id}", "isp_desc": "X"}
            for id, owner in owners.items()
        ],
        "outputs": [{"user_id": 104, "access_output_id": 1}],
        "mags": [{"user_id": 104, "mac": "00:1A:79:00:00:01"}],
        "live": [dict(zip(names, row, strict=True)) | {"date_start": 1700000000} for row in connections],
    }
